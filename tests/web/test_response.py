"""Responses: attributes, and what reaches the client."""

from __future__ import annotations

import datetime
import gzip
import json
import zlib
from typing import Any

import aiohttp
import pytest


@pytest.fixture
def answer(web: Any, serve: Any) -> Any:
    """answer(make) -> what a client gets when the handler returns make(request)."""

    def run(make: Any, method: str = "GET", **kwargs: Any) -> Any:
        async def handler(request: Any) -> Any:
            response = make(request)
            return await response if hasattr(response, "__await__") else response

        app = web.Application()
        app.router.add_route("*", "/", handler)
        return serve(app).request(method, "/", **kwargs)

    return run


# -- attributes ------------------------------------------------------------------------------------


def test_defaults(web: Any) -> None:
    response = web.Response()
    assert (response.status, response.reason) == (200, "OK")
    assert (response.body, response.text, response.content_length) == (None, None, 0)
    assert (response.content_type, response.charset) == ("application/octet-stream", None)
    assert (response.keep_alive, response.chunked, response.compression) == (None, False, False)
    assert (response.prepared, response.task) == (False, None)
    assert dict(response.headers) == {}
    assert repr(response) == "<Response OK not prepared>"
    assert bool(response)
    assert isinstance(response, web.StreamResponse)
    assert web.StreamResponse().content_length is None


def test_status(web: Any) -> None:
    assert web.Response(status=404).reason == "Not Found"
    assert web.Response(status=299).reason == ""
    assert web.Response(status=200, reason="Fine").reason == "Fine"
    response = web.StreamResponse()
    response.set_status(201)
    assert (response.status, response.reason) == (201, "Created")
    response.set_status(202, "Hm")
    assert (response.status, response.reason) == (202, "Hm")
    for reason in ("a\nb", "a\rb", "a\r\nX: y"):
        with pytest.raises(ValueError):
            response.set_status(200, reason)
        with pytest.raises(ValueError):
            web.Response(reason=reason)


def test_text(web: Any) -> None:
    response = web.Response(text="я")
    assert (response.body, response.text) == ("я".encode(), "я")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (response.content_type, response.charset) == ("text/plain", "utf-8")
    assert response.content_length == 2
    response.text = "new"
    assert (response.body, response.text) == (b"new", "new")
    response = web.Response(text="я", content_type="text/html", charset="koi8-r")
    assert response.body == "я".encode("koi8-r")
    assert response.headers["Content-Type"] == "text/html; charset=koi8-r"
    response = web.Response(text="x", headers={"Content-Type": "text/css"})
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    response = web.Response()
    response.text = "set"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_body(web: Any) -> None:
    response = web.Response(body=b"data", content_type="image/png")
    assert response.body == b"data"
    assert response.headers["Content-Type"] == "image/png"
    response.body = bytearray(b"other")
    assert response.body == b"other"
    assert response.content_length == 5
    response.body = None
    assert response.body is None
    assert web.Response(body=b"", content_type="a/b", charset="c").headers["Content-Type"] == (
        "a/b; charset=c"
    )
    with pytest.raises(RuntimeError, match="set automatically"):
        response.content_length = 3


def test_contradictions(web: Any) -> None:
    plain = {"Content-Type": "text/plain"}
    for arguments in (
        {"body": b"1", "text": "1"},
        {"content_type": "text/plain; charset=utf-8"},
        {"headers": plain, "content_type": "text/html"},
        {"headers": plain, "charset": "utf-8"},
        {"headers": plain, "charset": "utf-8", "text": "x"},
    ):
        with pytest.raises(ValueError):
            web.Response(**arguments)
    with pytest.raises(TypeError):
        web.Response(text=b"bytes")


def test_content_type_attributes(web: Any) -> None:
    response = web.Response(body=b"x")
    response.content_type = "text/html"
    assert response.headers["Content-Type"] == "text/html"
    response.charset = "KOI8-R"
    assert response.headers["Content-Type"] == "text/html; charset=koi8-r"
    response.charset = None
    assert response.headers["Content-Type"] == "text/html"
    with pytest.raises(RuntimeError):
        web.Response(body=b"x").charset = "utf-8"


def test_headers(web: Any) -> None:
    response = web.Response(headers={"X-One": "1"})
    response.headers["x-two"] = "2"
    response.headers.add("X-One", "3")
    assert response.headers.getall("x-one") == ["1", "3"]
    assert response.headers["X-Two"] == "2"


def test_cookies(web: Any) -> None:
    response = web.Response()
    response.set_cookie("a", "1")
    assert str(response.cookies) == "Set-Cookie: a=1; Path=/"
    response.set_cookie("a", "2", max_age=5, httponly=True, secure=True, samesite="Lax")
    assert str(response.cookies) == (
        "Set-Cookie: a=2; HttpOnly; Max-Age=5; Path=/; SameSite=Lax; Secure"
    )
    response.set_cookie("a", "3", path="/x", domain="d")
    assert str(response.cookies) == (
        "Set-Cookie: a=3; Domain=d; HttpOnly; Path=/x; SameSite=Lax; Secure"
    )
    response.del_cookie("a")
    assert str(response.cookies) == (
        'Set-Cookie: a=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/'
    )
    response.set_cookie("a", "4")
    assert str(response.cookies) == "Set-Cookie: a=4; Path=/"


def test_last_modified(web: Any) -> None:
    response = web.Response()
    assert response.last_modified is None
    when = datetime.datetime(2001, 2, 3, 4, 5, 6, 700000, datetime.UTC)
    for value in (
        when,
        when.timestamp(),
        "Sat, 03 Feb 2001 04:05:07 GMT",
        int(when.timestamp()) + 1,
    ):
        response.last_modified = value
        assert response.headers["Last-Modified"] == "Sat, 03 Feb 2001 04:05:07 GMT"
    assert response.last_modified == datetime.datetime(2001, 2, 3, 4, 5, 7, 0, datetime.UTC)
    response.last_modified = None
    assert "Last-Modified" not in response.headers
    response.last_modified = "nonsense"
    assert response.last_modified is None
    with pytest.raises(TypeError):
        response.last_modified = b"x"


def test_etag(web: Any) -> None:
    response = web.Response()
    assert response.etag is None
    for value, field in (
        ("tag", '"tag"'),
        (aiohttp.ETag("tag", is_weak=True), 'W/"tag"'),
        (aiohttp.ETag("tag"), '"tag"'),
        ("*", "*"),
        (aiohttp.ETag("*"), "*"),
    ):
        response.etag = value
        assert response.headers["ETag"] == field
        assert response.etag.is_weak == field.startswith("W/")
        assert response.etag.value == field.removeprefix("W/").strip('"')
    response.etag = None
    assert "ETag" not in response.headers
    response.headers["ETag"] = "no quotes"
    assert response.etag is None
    for bad in ('a"b', 1, b"x", aiohttp.ETag('"')):
        with pytest.raises(ValueError):
            response.etag = bad


def test_state(web: Any) -> None:
    key = web.ResponseKey("key", int)
    response = web.Response()
    response[key] = 1
    assert (response[key], len(response), list(response), response.get(key)) == (1, 1, [key], 1)
    assert response.get("none") is None
    del response[key]
    assert key not in response
    assert response == response
    assert response != web.Response()
    assert len({response}) == 1


def test_json_response(web: Any) -> None:
    response = web.json_response({"a": "я"})
    assert response.text == json.dumps({"a": "я"})
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert web.json_response(text="[]").text == "[]"
    assert web.json_response(body=b"[]").body == b"[]"
    assert web.json_response(None).text == "null"
    assert web.json_response([1], dumps=lambda data: "dumped", status=201).text == "dumped"
    assert web.json_response({}, content_type="application/x").content_type == "application/x"
    with pytest.raises(ValueError):
        web.json_response({}, text="x")
    with pytest.raises(ValueError):
        web.json_response({}, body=b"x")
    with pytest.raises(TypeError):
        web.json_response(object())
    response = web.json_bytes_response([1], dumps=lambda data: b"[1]")
    assert (response.body, response.content_type) == (b"[1]", "application/json")


def test_chunked_and_length_exclude_each_other(web: Any) -> None:
    response = web.StreamResponse()
    response.content_length = 5
    assert response.headers["Content-Length"] == "5"
    with pytest.raises(RuntimeError):
        response.enable_chunked_encoding()
    response.content_length = None
    response.enable_chunked_encoding()
    assert response.chunked
    with pytest.raises(RuntimeError):
        response.content_length = 5


def test_compression_arguments(web: Any) -> None:
    response = web.Response(body=b"x")
    response.enable_compression(web.ContentCoding.gzip)
    assert response.compression
    with pytest.warns(DeprecationWarning):
        response.enable_compression(True)
    with pytest.raises(AssertionError):
        response.enable_compression("gzip")


# -- on the wire -----------------------------------------------------------------------------------


def test_plain(web: Any, answer: Any) -> None:
    def make(request: Any) -> Any:
        response = web.Response(text="text", status=201, headers={"X-Own": "1"})
        response.set_cookie("c", "v")
        response.set_cookie("d", "w")
        return response

    got = answer(make)
    assert (got.status, got.reason, got.text) == (201, "Created", "text")
    assert got.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (got.headers["Content-Length"], got.headers["X-Own"]) == ("4", "1")
    assert got.headers.get_all("Set-Cookie") == ["c=v; Path=/", "d=w; Path=/"]
    assert got.headers["Date"].endswith(" GMT")
    assert "Server" in got.headers


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 1_000_000, bytearray(b"array")])
def test_sizes(web: Any, answer: Any, body: bytes) -> None:
    got = answer(lambda request: web.Response(body=body))
    assert got.body == body
    assert got.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(web: Any, answer: Any, status: int) -> None:
    got = answer(lambda request: web.Response(status=status, body=b"x"))
    assert (got.status, got.body) == (status, b"")
    assert "Content-Length" not in got.headers
    assert "Transfer-Encoding" not in got.headers


def test_head(web: Any, answer: Any) -> None:
    got = answer(lambda request: web.Response(text="text"), "HEAD")
    assert (got.body, got.headers["Content-Length"]) == (b"", "4")


def test_own_date_and_server(web: Any, answer: Any) -> None:
    got = answer(lambda request: web.Response(headers={"Date": "d", "Server": "s"}))
    assert got.headers.get_all("Date") == ["d"]
    assert got.headers.get_all("Server") == ["s"]


async def stream(web: Any, request: Any, **options: Any) -> Any:
    response = web.StreamResponse(**options)
    await response.prepare(request)
    for part in (b"one", b"", bytearray(b"two"), memoryview(b"three")):
        await response.write(part)
    await response.write_eof()
    return response


def test_stream(web: Any, answer: Any) -> None:
    got = answer(lambda request: stream(web, request))
    assert got.text == "onetwothree"
    assert got.headers["Transfer-Encoding"] == "chunked"
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert "Content-Length" not in got.headers


def test_stream_of_known_length(web: Any, answer: Any) -> None:
    got = answer(lambda request: stream(web, request, headers={"Content-Length": "11"}))
    assert got.text == "onetwothree"
    assert got.headers["Content-Length"] == "11"
    assert "Transfer-Encoding" not in got.headers


def test_stream_on_http_10(fastweb: Any, serve_ours: Any) -> None:
    """The end of the connection is the end of the body; aiohttp.web leaves it open."""
    app = fastweb.Application()

    async def handler(request: Any) -> Any:
        return await stream(fastweb, request)

    app.router.add_get("/", handler)
    (got,) = serve_ours(app).raw(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    assert got.text == "onetwothree"
    assert "Transfer-Encoding" not in got.headers
    assert got.headers.get("Connection") != "keep-alive"


def test_stream_misuse(web: Any, answer: Any) -> None:
    async def make(request: Any) -> Any:
        response = web.StreamResponse()
        with pytest.raises(RuntimeError, match="before prepare"):
            await response.write(b"x")
        with pytest.raises(AssertionError):
            await response.write_eof()
        first = await response.prepare(request)
        assert await response.prepare(request) is first
        assert response.prepared
        with pytest.raises(AssertionError):
            response.set_status(404)
        with pytest.raises((AssertionError, TypeError)):
            await response.write("text")
        await response.write_eof(b"data")
        await response.write_eof(b"ignored")
        assert await response.prepare(request) is None
        with pytest.raises(RuntimeError, match="after write_eof"):
            await response.write(b"x")
        assert repr(response) == "<StreamResponse OK eof>"
        return response

    assert answer(make).text == "data"


def test_a_response_that_was_only_prepared(web: Any, answer: Any) -> None:
    async def make(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"part")
        return response

    assert answer(make).text == "part"


def test_a_plain_response_sent_by_hand(web: Any, answer: Any) -> None:
    async def make(request: Any) -> Any:
        response = web.Response(text="by hand")
        await response.prepare(request)
        await response.write_eof()
        return response

    assert answer(make).text == "by hand"


def test_force_close(web: Any, serve: Any) -> None:
    async def handler(request: Any) -> Any:
        response = web.Response(text="x")
        response.force_close()
        assert response.keep_alive is False
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    server = serve(app)
    with server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        data = b"".join(iter(lambda: sock.recv(1000), b""))
    assert b"connection: close" in data.lower()


def test_chunked_response(web: Any, answer: Any) -> None:
    def make(request: Any) -> Any:
        response = web.Response(body=b"in a chunk")
        response.enable_chunked_encoding()
        return response

    got = answer(make)
    assert got.text == "in a chunk"
    assert got.headers["Transfer-Encoding"] == "chunked"


def decompressed(got: Any) -> bytes:
    coding = got.headers.get("Content-Encoding")
    if coding == "gzip":
        return gzip.decompress(got.body)
    return zlib.decompress(got.body) if coding == "deflate" else bytes(got.body)


@pytest.mark.parametrize("kind", ["plain", "stream", "chunked"])
@pytest.mark.parametrize(
    ("force", "accept", "coding"),
    [
        (None, "gzip", "gzip"),
        (None, "gzip, deflate", "deflate"),
        (None, "GZIP", "gzip"),
        (None, "br", None),
        (None, None, None),
        ("gzip", None, "gzip"),
        ("deflate", "gzip", "deflate"),
        ("identity", "gzip", None),
    ],
)
def test_compression(
    web: Any, answer: Any, kind: str, force: str | None, accept: str | None, coding: str | None
) -> None:
    body = b"compress me " * 500

    async def make(request: Any) -> Any:
        response = web.StreamResponse() if kind == "stream" else web.Response(body=body)
        response.enable_compression(None if force is None else web.ContentCoding[force])
        if kind == "chunked":
            response.enable_chunked_encoding()
        if kind == "stream":
            await response.prepare(request)
            await response.write(body[:1000])
            await response.write_eof(body[1000:])
        return response

    got = answer(make, headers={} if accept is None else {"Accept-Encoding": accept})
    assert got.headers.get("Content-Encoding") == coding
    assert decompressed(got) == body
    if coding is not None:
        assert len(got.body) < len(body)
    if kind == "plain":
        assert got.headers["Content-Length"] == str(len(got.body))


def test_async_generator_body(web: Any, answer: Any) -> None:
    async def parts() -> Any:
        yield b"one "
        yield b"two"

    got = answer(lambda request: web.Response(body=parts(), content_type="text/plain"))
    assert got.text == "one two"


def test_file_object_body(web: Any, answer: Any, tmp_path: Any) -> None:
    (tmp_path / "file.txt").write_bytes(b"from a file")
    got = answer(lambda request: web.Response(body=open(tmp_path / "file.txt", "rb")))
    assert got.text == "from a file"


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX: y", "a\x00b"])
def test_injection(fastweb: Any, serve_ours: Any, value: str) -> None:
    """Nothing of such a head is sent, and the client gets an answer (aiohttp.web: none)."""

    async def handler(request: Any) -> Any:
        return fastweb.Response(headers={"X-Value": value})

    app = fastweb.Application()
    app.router.add_get("/", handler)
    got = serve_ours(app).get("/")
    assert got.status == 500
    assert "X" not in got.headers


@pytest.mark.without_debug
def test_the_type_of_the_answer(web: Any, serve: Any) -> None:
    async def nothing(request: Any) -> Any:
        return None

    async def fails(request: Any) -> Any:
        raise ZeroDivisionError("secret")

    app = web.Application()
    app.router.add_get("/nothing", nothing)
    app.router.add_get("/fails", fails)
    server = serve(app)
    for path in ("/nothing", "/fails"):
        got = server.get(path)
        assert got.status == 500
        assert "secret" not in got.text


@pytest.mark.parametrize("debug", [False, True])
def test_failures(web: Any, serve: Any, debug: bool) -> None:
    async def fails(request: Any) -> Any:
        raise ZeroDivisionError("the reason")

    async def late(request: Any) -> Any:
        raise TimeoutError

    app = web.Application(handler_args={"debug": debug})
    app.router.add_get("/fails", fails)
    app.router.add_get("/late", late)
    server = serve(app)
    got = server.get("/fails")
    assert got.status == 500
    assert ("Traceback" in got.text) == ("the reason" in got.text) == debug
    assert server.get("/late").status == 504
