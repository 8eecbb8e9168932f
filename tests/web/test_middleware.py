"""Middlewares: their order, what they may change, and the path normaliser."""

from __future__ import annotations

from typing import Any

import pytest


def adds(web: Any, name: str) -> Any:
    @web.middleware
    async def run(request: Any, handler: Any) -> Any:
        request.app  # noqa: B018 - it has one
        response = await handler(request)
        response.text = f"{name}({response.text})"
        return response

    return run


def simple(web: Any) -> Any:
    async def handler(request: Any) -> Any:
        return web.Response(text="OK")

    return handler


def test_order(web: Any, serve: Any) -> None:
    app = web.Application(middlewares=[adds(web, "1"), adds(web, "2")])
    app.middlewares.append(adds(web, "3"))
    app.router.add_get("/", simple(web))
    assert serve(app).get("/").text == "1(2(3(OK)))"


def test_a_404_goes_through_them(web: Any, serve: Any) -> None:
    @web.middleware
    async def friendly(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except web.HTTPException as exc:
            return web.Response(status=200, text=f"caught {exc.status} {exc.text}")

    app = web.Application(middlewares=[friendly])
    app.router.add_post("/post", simple(web))
    server = serve(app)
    assert server.get("/none").text == "caught 404 404: Not Found"
    assert server.get("/post").text == "caught 405 405: Method Not Allowed"


def test_an_exception_changed_on_its_way(web: Any, serve: Any) -> None:
    @web.middleware
    async def marks(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except web.HTTPException as exc:
            exc.headers["X-Marked"] = "yes"
            exc.text = "changed"
            exc.set_cookie("c", "v")
            raise

    async def handler(request: Any) -> Any:
        raise web.HTTPForbidden()

    app = web.Application(middlewares=[marks])
    app.router.add_get("/", handler)
    server = serve(app)
    for path, status in (("/", 403), ("/none", 404)):
        answer = server.get(path)
        assert (answer.status, answer.text) == (status, "changed")
        assert answer.headers["X-Marked"] == "yes"
        assert answer.headers["Set-Cookie"] == "c=v; Path=/"


def test_subapps(web: Any, serve: Any) -> None:
    seen: list[Any] = []

    def watches(name: str) -> Any:
        @web.middleware
        async def run(request: Any, handler: Any) -> Any:
            seen.append((name, request.app))
            try:
                return await handler(request)
            finally:
                seen.append((name, request.app))

        return run

    async def handler(request: Any) -> Any:
        seen.append(("handler", request.app))
        return web.Response(text="OK")

    app = web.Application(middlewares=[watches("outer")])
    inner = web.Application(middlewares=[watches("inner")])
    plain = web.Application()
    inner.router.add_get("/", handler)
    plain.router.add_get("/", handler)
    inner.add_subapp("/plain", plain)
    app.add_subapp("/in", inner)
    server = serve(app)
    assert server.get("/in/").text == "OK"
    assert seen == [
        ("outer", app), ("inner", inner), ("handler", inner), ("inner", inner), ("outer", app)
    ]  # fmt: skip
    seen.clear()
    assert server.get("/in/plain/").text == "OK"
    assert seen == [
        ("outer", app), ("inner", inner), ("handler", plain), ("inner", inner), ("outer", app)
    ]  # fmt: skip
    seen.clear()
    assert server.get("/in/none").status == 404
    assert seen == [("outer", app), ("inner", inner), ("inner", inner), ("outer", app)]
    seen.clear()
    assert server.get("/none").status == 404
    assert seen == [("outer", app), ("outer", app)]


def test_it_may_answer_itself(web: Any, serve: Any) -> None:
    @web.middleware
    async def blocks(request: Any, handler: Any) -> Any:
        return web.Response(status=403, text="no")

    app = web.Application(middlewares=[blocks])
    app.router.add_get("/", simple(web))
    assert serve(app).get("/").text == "no"


def test_an_object_with_call(web: Any, serve: Any) -> None:
    @web.middleware
    class Prefix:
        async def __call__(self, request: Any, handler: Any) -> Any:
            response = await handler(request)
            response.text = "called " + response.text
            return response

    app = web.Application(middlewares=[Prefix()])
    app.router.add_get("/", simple(web))
    assert serve(app).get("/").text == "called OK"


def test_a_class_based_view_inside(web: Any, serve: Any) -> None:
    class It(web.View):
        async def get(self) -> Any:
            return web.Response(text="view")

    app = web.Application(middlewares=[adds(web, "m")])
    app.router.add_view("/", It)
    assert serve(app).get("/").text == "m(view)"


def test_the_handler_keeps_its_name(web: Any, serve: Any) -> None:
    names: list[str] = []

    @web.middleware
    async def outer(request: Any, handler: Any) -> Any:
        names.append(handler.__name__)
        return await handler(request)

    async def the_handler(request: Any) -> Any:
        return web.Response()

    app = web.Application(middlewares=[outer, outer])
    app.router.add_get("/", the_handler)
    assert serve(app).get("/").status == 200
    assert names == ["the_handler", "the_handler"]


def test_the_old_style(web: Any) -> None:
    async def factory(app: Any, handler: Any) -> Any:
        return handler

    app = web.Application(middlewares=[factory])
    with pytest.warns(DeprecationWarning, match="old-style middleware"):
        app.freeze()


def test_plain_functions_inside(fastweb: Any, serve_ours: Any) -> None:
    app = fastweb.Application(middlewares=[adds(fastweb, "m")])
    app.router.add_get("/", lambda request: fastweb.Response(text="plain"))
    assert serve_ours(app).get("/").text == "m(plain)"


APPEND = {"append_slash": True, "remove_slash": False}
REMOVE = {"append_slash": False, "remove_slash": True}


@pytest.mark.parametrize(
    ("options", "target", "location"),
    [
        (APPEND, "/slash/", None),
        (APPEND, "/slash", "/slash/"),
        (APPEND, "/slash?a=%20b&c", "/slash/?a=%20b&c"),
        (APPEND, "/plain", None),
        (APPEND, "/plain/", 404),
        (APPEND, "//slash", "/slash/"),
        (APPEND, "/v//a%20b//", "/v/a%20b/"),
        (APPEND, "//example.com/..%2f", 404),
        (APPEND, "/none", 404),
        (REMOVE, "/plain/", "/plain"),
        (REMOVE, "/plain/?x=1", "/plain?x=1"),
        (REMOVE, "//plain//", "/plain"),
        (REMOVE, "/slash", 404),
        ({"append_slash": False, "merge_slashes": True}, "//plain", "/plain"),
        ({"append_slash": False, "merge_slashes": False}, "//plain", 404),
    ],
)
def test_normalize_path(
    web: Any, serve: Any, options: dict[str, bool], target: str, location: Any
) -> None:
    app = web.Application(middlewares=[web.normalize_path_middleware(**options)])
    for path in ("/plain", "/slash/", "/v/{x}/"):
        app.router.add_get(path, simple(web))
    answer = serve(app).get(target)
    if location is None:
        assert answer.status == 200
    elif location == 404:
        assert answer.status == 404
    else:
        assert (answer.status, answer.headers["Location"]) == (308, location)


def test_normalize_path_redirects_as_asked(web: Any, serve: Any) -> None:
    normalize = web.normalize_path_middleware(redirect_class=web.HTTPFound)
    app = web.Application(middlewares=[normalize])
    app.router.add_post("/a/", simple(web))
    assert serve(app).post("/a").status == 302
    with pytest.raises(AssertionError):
        web.normalize_path_middleware(append_slash=True, remove_slash=True)
