"""Which handler a request reaches, over a socket."""

from __future__ import annotations

from typing import Any

import pytest


def shows(web: Any, name: str = "") -> Any:
    """A handler that answers with its name and the path's variables."""

    async def handler(request: Any) -> Any:
        values = ",".join(f"{k}={v}" for k, v in sorted(request.match_info.items()))
        return web.Response(text=f"{name}[{values}]")

    return handler


ROUTES = (
    ("GET", "/", "root"),
    ("GET", "/plain", "plain"),
    ("POST", "/plain", "posted"),
    ("GET", "/plain/", "slash"),
    ("GET", "/v/{name}", "var"),
    ("GET", "/v/{name}/tail", "tail"),
    ("GET", "/v/fixed", "fixed"),
    ("GET", r"/n/{num:\d+}", "num"),
    ("GET", "/n/{other}", "other"),
    ("GET", "/two/{a}-{b}", "two"),
    ("GET", "/deep/{rest:.*}", "rest"),
    ("GET", "/deep/er/x", "longer start wins"),
    ("GET", "/un icode/é", "quoted"),
    ("PUT", "/put/{x}", "put"),
    ("*", "/any", "any"),
    ("PROPFIND", "/dav", "dav"),
    ("GET", "/ext/{name}.{kind}", "ext"),
    ("GET", "/late", "late"),
    ("GET", "/{name}", "first level"),
    ("GET", "/{a}/{b}/{c}/{d}", "four"),
)


@pytest.fixture
def server(web: Any, serve: Any) -> Any:
    app = web.Application()
    for method, path, name in ROUTES:
        if method == "GET":
            app.router.add_get(path, shows(web, name))
        else:
            app.router.add_route(method, path, shows(web, name))
    return serve(app)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "root[]"),
        ("/?a=1", "root[]"),
        ("/plain", "plain[]"),
        ("/plain/", "slash[]"),
        ("/pl%61in", "plain[]"),
        ("/v/x", "var[name=x]"),
        ("/v/fixed", "fixed[]"),
        ("/v/a%20b", "var[name=a b]"),
        ("/v/a%2Fb", "var[name=a/b]"),
        ("/v/a%252Fb", "var[name=a%2Fb]"),
        ("/v/%D0%B8%D0%BC%D1%8F", "var[name=имя]"),
        ("/v/a+b", "var[name=a+b]"),
        ("/v/x/tail", "tail[name=x]"),
        ("/v//tail", None),
        ("/v/", None),
        ("/v", "first level[name=v]"),
        ("/n/12", "num[num=12]"),
        ("/n/x12", "other[other=x12]"),
        ("/two/x-y", "two[a=x,b=y]"),
        ("/two/x-y-z", "two[a=x-y,b=z]"),
        ("/two/xy", None),
        ("/deep/", "rest[rest=]"),
        ("/deep/a/b/c", "rest[rest=a/b/c]"),
        ("/deep/a%2Fb", "rest[rest=a/b]"),
        ("/deep/er/x", "longer start wins[]"),
        ("/deep/er/y", "rest[rest=er/y]"),
        ("/un%20icode/%C3%A9", "quoted[]"),
        ("/late", "late[]"),
        ("/other", "first level[name=other]"),
        ("/a/b/c/d", "four[a=a,b=b,c=c,d=d]"),
        ("/a/b/c/d/e", None),
        ("/ext/file.tar.gz", "ext[kind=gz,name=file.tar]"),
        ("//plain", None),
        ("/any", "any[]"),
    ],
)
def test_get(server: Any, target: str, expected: str | None) -> None:
    answer = server.get(target)
    if expected is None:
        assert (answer.status, answer.text) == (404, "404: Not Found")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    else:
        assert (answer.status, answer.text) == (200, expected)


def test_methods(server: Any) -> None:
    assert server.post("/plain").text == "posted[]"
    assert server.request("PUT", "/put/1").text == "put[x=1]"
    assert server.request("PROPFIND", "/dav").text == "dav[]"
    assert server.request("OPTIONS", "/any").text == "any[]"


def test_head_of_a_get(server: Any) -> None:
    answer = server.request("HEAD", "/plain")
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["Content-Length"] == "7"


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/plain", "GET,HEAD,POST"),
        ("POST", "/v/x", "GET,HEAD"),
        ("GET", "/put/1", "PUT"),
        ("GET", "/dav", None),
        ("MKCOL", "/dav", "GET,HEAD,PROPFIND"),
    ],
)
def test_method_not_allowed(server: Any, method: str, target: str, allow: str | None) -> None:
    answer = server.request(method, target)
    if allow is None:  # another resource has the method
        assert answer.status == 200
        return
    assert (answer.status, answer.text) == (405, "405: Method Not Allowed")
    assert answer.headers["Allow"] == allow


def test_match_info(web: Any, serve: Any) -> None:
    seen: dict[str, Any] = {}

    async def handler(request: Any) -> Any:
        info = request.match_info
        seen.update(
            info=info,
            values=dict(info),
            get=info.get("x"),
            name=info.route.name,
            resource=info.route.resource.canonical,
            method=info.route.method,
            handler=info.handler,
            apps=info.apps,
            current=info.current_app,
            app=request.app,
            error=info.http_exception,
            path_info=info.get_info()["formatter"],
            config=request.config_dict["key"],
        )
        return web.Response()

    key: Any = "key"
    app = web.Application()
    with pytest.warns(web.NotAppKeyWarning):
        app[key] = "value"
    app.router.add_get("/a/{x}", handler, name="name")
    assert serve(app).get("/a/1").status == 200
    assert isinstance(seen["info"], dict)
    assert isinstance(seen["info"], web.UrlMappingMatchInfo)
    assert seen["values"] == {"x": "1"}
    assert (seen["get"], seen["name"], seen["resource"]) == ("1", "name", "/a/{x}")
    assert (seen["method"], seen["path_info"]) == ("GET", "/a/{x}")
    assert seen["handler"] is handler
    assert seen["apps"] == (app,)
    assert seen["current"] is seen["app"] is app
    assert seen["error"] is None
    assert seen["config"] == "value"


def test_subapps(web: Any, serve: Any) -> None:
    app, inner, innermost = web.Application(), web.Application(), web.Application()
    app.router.add_get("/{tail:.*}", shows(web, "outer"))
    app.router.add_get("/a/over", shows(web, "the outer's longer start"))
    inner.router.add_get("", shows(web, "root"))
    inner.router.add_get("/x/{y}", shows(web, "inner"))
    innermost.router.add_post("/only", shows(web, "innermost"))
    inner.add_subapp("/b", innermost)
    app.add_subapp("/a", inner)
    server = serve(app)
    assert server.get("/z").text == "outer[tail=z]"
    assert server.get("/a").text == "root[]"
    assert server.get("/a/x/1").text == "inner[y=1]"
    assert server.get("/a/over").text == "the outer's longer start[]"
    assert server.post("/a/b/only").text == "innermost[]"
    assert server.get("/a/b/only").status == 405
    assert server.get("/a/b/only").headers["Allow"] == "POST"
    assert server.get("/a/none").status == 404
    assert server.get("/ab").text == "outer[tail=ab]"


def test_domains(web: Any, serve: Any) -> None:
    app, exact, mask = web.Application(), web.Application(), web.Application()
    app.router.add_get("/", shows(web, "default"))
    exact.router.add_get("/", shows(web, "exact"))
    mask.router.add_get("/", shows(web, "mask"))
    app.add_domain("example.com", exact)
    app.add_domain("*.example.com", mask)
    server = serve(app)
    for host, name in (
        ("example.com", "exact"),
        ("EXAMPLE.com:81", "exact"),
        ("a.b.example.com", "mask"),
        ("other.com", "default"),
    ):
        assert server.get("/", headers={"Host": host}).text == f"{name}[]"
    assert server.get("/none", headers={"Host": "example.com"}).status == 404


def test_class_based_view(web: Any, serve: Any) -> None:
    class It(web.View):
        async def get(self) -> Any:
            return web.Response(text=f"get {self.request.match_info['x']}")

        async def post(self) -> Any:
            return web.Response(text=await self.request.text())

    app = web.Application()
    app.router.add_view("/{x}", It)
    server = serve(app)
    assert server.get("/1").text == "get 1"
    assert server.post("/1", b"body").text == "body"
    answer = server.request("PUT", "/1")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,POST")
    assert server.request("LINK", "/1").status == 405


def test_plain_functions_are_handlers(fastweb: Any, serve_ours: Any) -> None:
    def handler(request: Any) -> Any:
        return fastweb.Response(text=request.match_info["x"])

    app = fastweb.Application()
    app.router.add_get("/{x}", handler)
    assert serve_ours(app).get("/hello").text == "hello"
