"""HTTP exceptions: they are responses and can be raised."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import fastaio.web
from fastaio.web import exceptions


def statuses(web: Any) -> dict[int, Any]:
    found = {}
    for name in web.__all__:
        value = getattr(web, name)
        if isinstance(value, type) and issubclass(value, web.HTTPException):
            if value.status_code > 0:
                found[value.status_code] = value
    return found


ARGUMENTS = {405: ("GET", ["POST", "PUT"]), 413: (10, 20), 451: ("http://x/",)}


def make(cls: Any) -> Any:
    if 300 <= cls.status_code < 400 and cls.status_code != 304:
        return cls("/new")
    return cls(*ARGUMENTS.get(cls.status_code, ()))


#: aiohttp takes its phrases from the running Python, and 3.13 has renamed these to RFC 9110's; the
#: engine has one phrase a status on every version.
RENAMED = {413, 414, 416, 422}


def test_the_same_classes() -> None:
    import aiohttp.web

    import fastaio.web

    ours, theirs = statuses(fastaio.web), statuses(aiohttp.web)
    assert {k: v.__name__ for k, v in ours.items()} == {k: v.__name__ for k, v in theirs.items()}
    for status, cls in ours.items():
        names = [base.__name__ for base in cls.__mro__ if base.__name__.startswith("HTTP")]
        assert names == [
            base.__name__ for base in theirs[status].__mro__ if base.__name__.startswith("HTTP")
        ]
        one, two = make(cls), make(theirs[status])
        assert one.status == two.status
        if status in RENAMED and sys.version_info >= (3, 13):
            continue
        assert (one.reason, one.text, one.body) == (two.reason, two.text, two.body)
        assert dict(one.headers) == dict(two.headers)
        assert (one.args, str(one), one.empty_body) == (two.args, str(two), two.empty_body)


def test_it_is_a_response(web: Any) -> None:
    exc = web.HTTPNotFound(headers={"X": "1"}, reason="Gone fishing", text="text")
    assert isinstance(exc, web.Response)
    assert isinstance(exc, web.StreamResponse)
    assert isinstance(exc, Exception)
    assert issubclass(web.HTTPNotFound, web.Response)
    assert not isinstance(web.Response(), web.HTTPException)
    assert not isinstance(exc, web.FileResponse)
    assert (exc.status, exc.reason, exc.text, exc.body) == (404, "Gone fishing", "text", b"text")
    assert exc.headers["x"] == "1"
    assert exc.content_type == "text/plain"
    exc.text = "new"
    exc.set_status(410)
    exc.content_type = "text/html"
    exc.set_cookie("a", "b")
    exc.last_modified = 0
    exc[web.ResponseKey("k", int)] = 1
    assert (exc.status, exc.body, exc.prepared) == (410, b"new", False)
    assert exc.headers["Content-Type"] == "text/html; charset=utf-8"
    assert str(exc.cookies["a"]) == "Set-Cookie: a=b; Path=/"
    assert len(exc) == 1
    assert bool(exc)
    assert exc == exc
    assert len({exc}) == 1
    assert "HTTPNotFound" in repr(exc)


def test_bodies(web: Any) -> None:
    assert web.HTTPOk().text == "200: OK"
    assert web.HTTPNoContent().body is None
    assert web.HTTPOk(text="").text in ("", None)
    with pytest.warns(DeprecationWarning):
        assert web.HTTPOk(body=b"b").body == b"b"
    for reason in ("a\nb", "a\rb"):
        with pytest.raises(ValueError):
            web.HTTPOk(reason=reason)


def test_special_ones(web: Any) -> None:
    exc = web.HTTPMethodNotAllowed("get", ["PUT", "POST"])
    assert (exc.method, exc.allowed_methods) == ("GET", {"PUT", "POST"})
    assert exc.headers["Allow"] == "POST,PUT"
    assert web.HTTPMethodNotAllowed("get", []).headers["Allow"] == ""
    exc = web.HTTPFound("/a b")
    assert (exc.location, exc.headers["Location"]) == ("/a b", "/a%20b")
    for bad in ("", None):
        with pytest.raises(ValueError):
            web.HTTPFound(bad)
    exc = web.HTTPRequestEntityTooLarge(max_size=10, actual_size=12)
    assert exc.text == "Maximum request body size 10 exceeded."
    assert web.HTTPRequestEntityTooLarge(10, 12, text="own").text == "own"
    exc = web.HTTPUnavailableForLegalReasons(link="http://x/")
    assert (str(exc.link), exc.headers["Link"]) == ("http://x/", '<http://x/>; rel="blocked-by"')
    assert web.HTTPUnavailableForLegalReasons(link=None).link is None


def test_subclasses(web: Any, serve: Any) -> None:
    class Teapot(web.HTTPClientError):
        status_code = 418

    class BadFieldError(web.HTTPBadRequest, ValueError):
        def __init__(self, field: str) -> None:
            super().__init__(text=f"bad {field}")
            self.field = field

    async def handler(request: Any) -> Any:
        if request.path == "/tea":
            raise Teapot
        try:
            raise BadFieldError("name")
        except ValueError as exc:
            assert exc.field == "name"
            raise

    app = web.Application()
    app.router.add_get("/{x}", handler)
    server = serve(app)
    assert (server.get("/tea").status, server.get("/tea").text) == (418, "418: I'm a Teapot")
    assert (server.get("/x").status, server.get("/x").text) == (400, "bad name")


def check_answers(web: Any, server: Any) -> None:
    for status, cls in statuses(web).items():
        answer = server.get(f"/{status}")
        expected = make(cls)
        assert (answer.status, answer.reason) == (status, expected.reason)
        assert answer.body == (expected.body or b"")
        if "Location" in expected.headers:
            assert answer.headers["Location"] == "/new"


def test_raised(web: Any, serve: Any) -> None:
    async def handler(request: Any) -> Any:
        raise make(statuses(web)[int(request.match_info["status"])])

    app = web.Application()
    app.router.add_get("/{status}", handler)
    check_answers(web, serve(app))


def test_returned(fastweb: Any, serve_ours: Any) -> None:
    """Deprecated in aiohttp.web, and fine here."""

    async def handler(request: Any) -> Any:
        return make(statuses(fastweb)[int(request.match_info["status"])])

    app = fastweb.Application()
    app.router.add_get("/{status}", handler)
    check_answers(fastweb, serve_ours(app))


def test_cause_and_traceback(web: Any) -> None:
    with pytest.raises(web.HTTPBadRequest) as caught:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as exc:
            raise web.HTTPBadRequest(text="x") from exc
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.__traceback__ is not None


def test_every_exception_is_exported():
    kinds = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, exceptions.HTTPException)
    }
    assert kinds == set(exceptions.__all__) - {"NotAppKeyWarning"}
    # Named once more in fastaio.web: type checkers do not follow what is made at run time.
    assert set(exceptions.__all__) <= set(fastaio.web.__all__)
