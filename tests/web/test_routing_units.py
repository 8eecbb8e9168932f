"""Resources, routes and the dispatcher without a server."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from yarl import URL


async def handler(request: Any) -> Any:
    raise AssertionError("not called")


@pytest.fixture
def router(web: Any) -> Any:
    return web.UrlDispatcher()


@pytest.mark.parametrize(
    ("path", "values", "url"),
    [
        ("/", {}, "/"),
        ("/plain/path", {}, "/plain/path"),
        ("/get/{name}", {"name": "john"}, "/get/john"),
        ("/get/{name}", {"name": "a b/c%"}, "/get/a%20b%2Fc%25"),
        ("/get/{name}", {"name": "имя"}, "/get/%D0%B8%D0%BC%D1%8F"),
        (r"/get/{num:^\d+}/x", {"num": "1"}, "/get/1/x"),
        (r"/{one:\d{2,3}}-{two}", {"one": "12", "two": "z"}, "/12-z"),
        ("/a b/{x}", {"x": "1"}, "/a%20b/1"),
        ("/get/text%2B/{x}", {"x": "1"}, "/get/text%2B/1"),
    ],
)
def test_url_for(router: Any, path: str, values: dict[str, str], url: str) -> None:
    router.add_get(path, handler, name="it")
    assert str(router["it"].url_for(**values)) == url.replace("%2Fc", "/c")


def test_url_for_needs_the_variables(router: Any) -> None:
    router.add_get("/get/{name}", handler, name="it")
    with pytest.raises(KeyError):
        router["it"].url_for(other="x")


@pytest.mark.parametrize(
    "path",
    ["no-slash", "/{", "/}", "/{}", "/{1a}", "/{a:}", "/{a:(}", "/{a}}", "/{a-b}", "/{a:[}"],
)
def test_bad_paths(router: Any, path: str) -> None:
    with pytest.raises(ValueError):
        router.add_get(path, handler)


@pytest.mark.parametrize("name", ["class", "a.class", "a b", "1a", "", "a..b", "a.1"])
def test_bad_names(router: Any, name: str) -> None:
    with pytest.raises(ValueError, match="Incorrect route name"):
        router.add_get("/", handler, name=name)


@pytest.mark.parametrize("name", ["a", "a.b", "a-b:c", "_x1"])
def test_good_names(router: Any, name: str) -> None:
    route = router.add_get("/", handler, name=name)
    assert route.name == name
    assert router[name] is route.resource
    assert name in router
    assert list(router) == [name]
    assert dict(router.named_resources()) == {name: route.resource}


def test_a_name_is_used_once(router: Any) -> None:
    router.add_get("/1", handler, name="x")
    with pytest.raises(ValueError, match="Duplicate 'x'"):
        router.add_get("/2", handler, name="x")


@pytest.mark.parametrize("method", ["BAD METHOD", "a:b", "", "G/T"])
def test_bad_methods(router: Any, method: str) -> None:
    with pytest.raises(ValueError, match="is not allowed HTTP method"):
        router.add_route(method, "/", handler)


def test_a_method_is_upper_case(router: Any) -> None:
    assert router.add_route("get", "/", handler).method == "GET"


@pytest.mark.parametrize(("first", "second"), [("GET", "GET"), ("*", "GET"), ("*", "*")])
def test_a_route_that_can_never_match(router: Any, first: str, second: str) -> None:
    router.add_route(first, "/", handler)
    with pytest.raises(RuntimeError, match="never be executed"):
        router.add_route(second, "/", handler)


def test_one_resource_for_neighbours(router: Any) -> None:
    get = router.add_get("/a", handler, allow_head=False)
    post = router.add_post("/a", handler)
    router.add_get("/b", handler)
    again = router.add_put("/a", handler)
    assert get.resource is post.resource
    assert again.resource is not get.resource
    assert [r.canonical for r in router.resources()] == ["/a", "/b", "/a"]


def test_get_adds_head(router: Any) -> None:
    router.add_get("/", handler)
    assert sorted(route.method for route in router.routes()) == ["GET", "HEAD"]
    assert len(router.routes()) == 2
    assert len(router.resources()) == 1


def test_shortcuts(router: Any) -> None:
    for name in ("head", "options", "post", "put", "patch", "delete"):
        assert getattr(router, f"add_{name}")(f"/{name}", handler).method == name.upper()
    assert router.add_view("/view", handler).method == "*"


def test_infos(router: Any, tmp_path: Path) -> None:
    plain = router.add_get("/plain", handler)
    assert plain.get_info() == {"path": "/plain"}
    assert plain.resource.canonical == "/plain"
    dynamic = router.add_get("/x/{a}/{b:\\d+}", handler)
    info = dynamic.get_info()
    assert info["formatter"] == "/x/{a}/{b}"
    assert info["pattern"].fullmatch("/x/y/12").groupdict() == {"a": "y", "b": "12"}
    assert dynamic.resource.canonical == "/x/{a}/{b}"
    static = router.add_static("/static/", tmp_path, name="files")
    info = static.get_info()
    assert (info["prefix"], info["directory"]) == ("/static", tmp_path)
    assert sorted(info["routes"]) == ["GET", "HEAD"]
    assert [route.method for route in static] == ["GET", "HEAD"]


def test_static_urls(router: Any, tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"hello")
    static = router.add_static("/static", tmp_path)
    assert str(static.url_for(filename="a file")) == "/static/a%20file"
    assert str(static.url_for(filename="/a%b")) == "/static/a%25b"
    digest = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    url = static.url_for(filename="a file", append_version=True)
    assert url == URL("/static/a%20file").with_query(v=digest)
    assert str(static.url_for(filename="none", append_version=True)) == "/static/none"
    assert "v" not in static.url_for(filename="../../x", append_version=True).query


def test_static_needs_a_folder(router: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        router.add_static("/", tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is not a directory"):
        router.add_static("/", tmp_path / "file")


def test_static_options_route(router: Any, tmp_path: Path) -> None:
    static = router.add_static("/", tmp_path)
    static.set_options_route(handler)
    assert [route.method for route in static] == ["GET", "HEAD", "OPTIONS"]
    with pytest.raises(RuntimeError, match="was set already"):
        static.set_options_route(handler)


def test_a_frozen_router_is_closed(router: Any) -> None:
    router.add_get("", handler)
    assert not router.frozen
    router.freeze()
    assert router.frozen
    assert [r.canonical for r in router.resources()] == ["/"]
    with pytest.raises(RuntimeError, match="frozen router"):
        router.add_get("/new", handler)


def test_views(web: Any, router: Any) -> None:
    route = router.add_get("/", handler)
    assert route in router.routes()
    assert route.resource in router.resources()
    assert object() not in router.routes()
    assert "GET" in repr(route)
    assert "PlainResource" in repr(route.resource)


def test_partials_are_handlers(web: Any, serve: Any) -> None:
    async def with_argument(argument: str, request: Any) -> Any:
        return web.Response(text=f"{argument} {request.path}")

    app = web.Application()
    app.router.add_get("/p", functools.partial(with_argument, "x"))
    assert serve(app).get("/p").text == "x /p"


def test_handlers_are_callable(router: Any) -> None:
    with pytest.raises(AssertionError):
        router.add_get("/", "not callable")


def test_route_definitions(web: Any, router: Any, tmp_path: Path) -> None:
    definitions = [
        web.get("/g", handler, name="g"),
        web.get("/n", handler, allow_head=False),
        web.head("/h", handler),
        web.post("/p", handler),
        web.put("/u", handler),
        web.patch("/c", handler),
        web.delete("/d", handler),
        web.options("/o", handler),
        web.route("X-METHOD", "/x", handler),
        web.static("/s", tmp_path),
    ]
    routes = router.add_routes(definitions)
    assert [route.method for route in routes] == [
        "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X-METHOD", "GET",
        "HEAD",
    ]  # fmt: skip
    assert router["g"].canonical == "/g"
    assert repr(definitions[0]) == ("<RouteDef GET /g -> 'handler', allow_head=True, name='g'>")
    assert repr(definitions[9]) == f"<StaticDef /s -> {tmp_path}>"


def test_route_table(web: Any, router: Any, tmp_path: Path) -> None:
    routes = web.RouteTableDef()
    for name in ("head", "get", "post", "put", "patch", "delete", "options"):
        assert getattr(routes, name)(f"/{name}")(handler) is handler
    assert routes.route("LINK", "/link")(handler) is handler

    @routes.view("/view")
    class It(web.View):
        pass

    routes.static("/static", tmp_path)
    assert len(routes) == 10
    assert repr(routes) == "<RouteTableDef count=10>"
    assert routes[0] in routes
    assert routes[1:3] == list(routes)[1:3]
    assert routes[8].handler is It
    assert len(router.add_routes(routes)) == 11


@pytest.mark.parametrize(
    ("domain", "error"),
    [(1, TypeError), ("", ValueError), ("http://x", ValueError), ("-x.y", ValueError),
     ("a_b", ValueError), ("x" * 64, ValueError)],
)  # fmt: skip
def test_bad_domains(web: Any, domain: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        web.Application().add_domain(domain, web.Application())


@pytest.mark.parametrize(("prefix", "error"), [(1, TypeError), ("", ValueError), ("/", ValueError)])
def test_bad_prefixes(web: Any, prefix: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        web.Application().add_subapp(prefix, web.Application())


def test_subapp_urls(web: Any) -> None:
    app, inner, innermost = web.Application(), web.Application(), web.Application()
    innermost.router.add_get("/x/{y}", handler, name="it")
    inner.router.add_get("", handler, name="root")
    inner.add_subapp("/b", innermost)
    resource = app.add_subapp("/a/", inner)
    assert str(innermost.router["it"].url_for(y="z")) == "/a/b/x/z"
    assert str(inner.router["root"].url_for()) == "/a"
    assert resource.get_info() == {"app": inner, "prefix": "/a"}
    assert resource.canonical == "/a"
    assert len(resource) == 4
    with pytest.raises(RuntimeError, match="url_for"):
        resource.url_for()
