"""The native router finds what UrlDispatcher.resolve(), the same in Python, finds."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request as mocked
from yarl import URL

from fastaio import web
from fastaio.web.compiled import compile_application


async def handler(request: Any) -> Any:
    raise AssertionError("not called")


def application() -> web.Application:
    app, inner, innermost, host = (web.Application() for _ in range(4))
    for path in (
        "/", "/a", "/a/", "/a/b", "/a/{x}", "/a/{x}/c", "/{x}/b", r"/{n:\d+}", "/é/{x}",
        "/a b/{x}-{y}", "/rest/{tail:.*}", "/p{x}s/q", r"/{x:[ab]+}/{y:.}", "/d/{x}.{y}",
        "/%C3%A9/{x}", "/50%25/{x}",
    ):  # fmt: skip
        app.router.add_get(path, handler)
    app.router.add_post("/a", handler)
    app.router.add_put("/a/{other}", handler)
    app.router.add_route("*", "/any/{x}", handler)
    app.router.add_static("/static", Path(__file__).parent)
    inner.router.add_get("", handler)
    inner.router.add_get("/{x}", handler)
    innermost.router.add_delete("/a/{x}", handler)
    host.router.add_get("/a", handler)
    inner.add_subapp("/deep", innermost)
    app.add_subapp("/sub", inner)
    app.add_domain("*.example.com", host)
    app.freeze()
    return app


SEGMENTS = (
    "", "a", "b", "c", "é", "%C3%A9", "a%20b", "a b", "x-y", "12", "1a", "rest", "pxs", "q", "any",
    "sub", "deep", "static", "%2F", "%25", "%2e%2e", "..", "a{b", "x.y.z", "ab", "50%25", "%ff",
    "%", "+", "d", "web",
)  # fmt: skip


def request_of(method: str, path: str, host: str) -> Any:
    class Asked:
        headers = {"Host": host}
        rel_url = URL.build(path=path, encoded=True)

    Asked.method = method  # type: ignore[attr-defined]
    return Asked()


def paths() -> list[str]:
    some = random.Random(1)
    one = ["/" + segment for segment in SEGMENTS]
    two = ["/" + "/".join(pair) for pair in itertools.product(SEGMENTS, repeat=2)]
    more = ["/" + "/".join(some.choices(SEGMENTS, k=some.randint(3, 5))) for _ in range(3000)]
    return one + two + more


@pytest.mark.parametrize(("host", "found"), [("localhost", 500), ("www.example.com", 1)])
def test_the_same_match(host: str, found: int) -> None:
    app = application()
    router = compile_application(app)

    async def main() -> int:
        matches = 0
        for path in paths():
            for method in ("GET", "POST", "DELETE", "LINK"):
                expected = await app.router.resolve(request_of(method, path, host))
                _, match = router.resolve(method, path, host)
                where = (method, path, host)
                error = expected.http_exception
                if error is None:
                    matches += 1
                    assert match.route is expected.route, where
                    assert dict(match) == dict(expected), where
                    assert match.apps[1:] == expected.apps, where
                    assert match.http_exception is None, where
                    continue
                assert type(match.http_exception) is type(error), where
                if isinstance(error, web.HTTPMethodNotAllowed):
                    assert match.http_exception.allowed_methods == error.allowed_methods, where
        return matches

    assert asyncio.run(main()) >= found


def test_requests_made_by_hand() -> None:
    app = application()
    request = mocked("GET", "/a/1?q=2", headers={"Host": "h", "X": "1"})
    # aiohttp's helper makes aiohttp's request: its arguments are what ours takes as well.
    ours = web.Request(
        request._message,
        request._payload,
        request._protocol,
        request._payload_writer,
        request.task,
        request._loop,
    )
    assert (ours.method, ours.path, ours.query["q"], ours.headers["x"]) == ("GET", "/a/1", "2", "1")
    assert (ours.host, ours.scheme, ours.keep_alive) == ("h", "http", True)

    async def main() -> None:
        match = await app.router.resolve(ours)
        match.add_app(app)
        ours._match_info = match

    asyncio.run(main())
    assert (ours.app, dict(ours.match_info)) == (app, {"x": "1"})


def test_resources_of_an_unknown_kind() -> None:
    class Own(web.PlainResource):
        pass

    class Other(web.AbstractResource):
        canonical = "/other"

        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Any:
            return iter([web.ResourceRoute("GET", handler, self)])

        def add_prefix(self, prefix: str) -> None: ...
        def get_info(self) -> Any: ...
        def raw_match(self, path: str) -> bool: ...  # type: ignore[empty-body]
        def url_for(self, *args: Any, **kwargs: Any) -> Any: ...
        async def resolve(self, request: Any) -> Any: ...

    app = web.Application()
    app.router.register_resource(Own("/own"))
    app.freeze()
    compile_application(app)
    app = web.Application()
    app.router.register_resource(Other())
    app.freeze()
    with pytest.raises(TypeError, match="cannot serve resources"):
        compile_application(app)
