"""Attributes of requests, made from the bytes of a head. Values as aiohttp.web.Request has them."""

import asyncio
import datetime
import gc
import os
import subprocess
import sys
import weakref

import pytest

from fastaio import _core

multidict = pytest.importorskip("multidict")
yarl = pytest.importorskip("yarl")


def make_request(target="/", *fields, method="GET", version="1.1", body=b"", host="h", cls=None):
    lines = [f"{method} {target} HTTP/{version}", *fields]
    if host is not None:
        lines.insert(1, f"Host: {host}")
    head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    return (cls or _core.Request)._from_bytes(head, body)


def finish(awaitable):
    """What an awaitable gives that must not suspend."""
    iterator = awaitable.__await__()
    with pytest.raises(StopIteration) as stopped:
        next(iterator)
    return stopped.value.value


def test_cannot_be_made_by_call():
    with pytest.raises(TypeError):
        _core.Request()


def test_head_must_be_complete():
    with pytest.raises(ValueError, match="more bytes needed"):
        _core.Request._from_bytes(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ValueError, match="no complete HTTP/1 request head"):
        _core.Request._from_bytes(b"GET / HTTP/7.1\r\nHost: h\r\n\r\n")


def test_target_parts():
    request = make_request("/a%20b/%C3%A9%2Fc?x=1&y=%20+&x=2&e")
    assert request.method == "GET"
    assert request.path == "/a b/é/c"
    assert request.raw_path == "/a%20b/%C3%A9%2Fc?x=1&y=%20+&x=2&e"
    assert request.path_qs == "/a%20b/%C3%A9%2Fc?x=1&y=%20+&x=2&e"
    assert request.query_string == "x=1&y=  &x=2&e"
    assert list(request.query.items()) == [("x", "1"), ("y", "  "), ("x", "2"), ("e", "")]
    assert isinstance(request.query, multidict.MultiDictProxy)
    assert request.rel_url == yarl.URL("/a%20b/%C3%A9%2Fc?x=1&y=%20+&x=2&e", encoded=True)
    assert request.rel_url.path_safe == "/a b/é%2Fc"


@pytest.mark.parametrize("path", ["//evil.example/x", "/a//b", "/:80/x", "/@/x"])
def test_path_is_no_authority(path):
    request = make_request(path)
    assert request.path == path
    assert request.rel_url.raw_path == path
    assert not request.rel_url.absolute


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("&&a", [("a", "")]),
        ("=x", [("", "x")]),
        ("a=%ff", [("a", "\ufffd")]),
        ("a=b+c&+=1", [("a", "b c"), (" ", "1")]),
        ("a=%C3%B6;b=2", [("a", "ö;b=2")]),
        ("a=1=2", [("a", "1=2")]),
        ("a=%zz%4", [("a", "%zz%4")]),
    ],
)
def test_query(query, pairs):
    request = make_request("/?" + query)
    assert list(request.query.items()) == pairs
    assert list(request.query.items()) == list(request.rel_url.query.items())


def test_multidicts_without_their_c_api():
    """The pure Python multidict package: its types have no C API."""
    code = """
import multidict
from fastaio import _core
head = b"GET /?a=1&a=%32&b HTTP/1.1\\nHost: h\\nX-A: 1\\n\\n".replace(b"\\n", b"\\r\\n")
request = _core.Request._from_bytes(head)
assert type(request.query) is multidict.MultiDictProxy, type(request.query)
assert type(request.headers) is multidict.CIMultiDictProxy, type(request.headers)
assert type(request.query).__module__ == "multidict._multidict_py"
assert list(request.query.items()) == [("a", "1"), ("a", "2"), ("b", "")]
assert list(request.headers.items()) == [("Host", "h"), ("X-A", "1")]
assert request.headers["x-a"] == "1"
"""
    environment = {**os.environ, "MULTIDICT_NO_EXTENSIONS": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_headers():
    request = make_request("/", "X-A: 1", "x-a: 2", "X-B: é\udcff", "Empty:")
    headers = request.headers
    assert isinstance(headers, multidict.CIMultiDictProxy)
    assert list(headers.items()) == [
        ("Host", "h"),
        ("X-A", "1"),
        ("x-a", "2"),
        ("X-B", "é\udcff"),
        ("Empty", ""),
    ]
    assert headers.getall("X-a") == ["1", "2"]
    assert request.headers is headers
    assert request.raw_headers[:2] == ((b"Host", b"h"), (b"X-A", b"1"))


def test_url_and_host():
    request = make_request("/p?q=1", host="example.com:8080")
    assert request.host == "example.com:8080"
    assert request.scheme == "http"
    assert request.secure is False
    assert request.url == yarl.URL("http://example.com:8080/p?q=1")
    absolute = make_request("http://other.example/p", host="other.example")
    assert absolute.host == "other.example"
    assert absolute.path == "/p"
    assert str(absolute.rel_url) == "/p"


def test_without_a_connection():
    request = make_request(version="1.0", host=None)
    assert request.host == ""
    assert request.transport is None
    assert request.protocol is None
    assert request.remote is None
    assert request.task is None
    assert request.get_extra_info("peername", default=7) == 7
    with pytest.raises(RuntimeError):
        request.loop  # noqa: B018


@pytest.mark.parametrize(
    ("version", "fields", "keep_alive"),
    [
        ("1.1", (), True),
        ("1.1", ("Connection: close",), False),
        ("1.0", (), False),
        ("1.0", ("Connection: keep-alive",), True),
    ],
)
def test_keep_alive_and_version(version, fields, keep_alive):
    assert make_request("/", *fields, version=version).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("value", "content_type", "charset"),
    [
        (None, "application/octet-stream", None),
        ("text/html; charset=utf-8", "text/html", "utf-8"),
        ("TEXT/HTML", "text/html", None),
        ("text", "application/octet-stream", None),
        ("", "application/octet-stream", None),
        ('text/html;charset="utf-8";a=b', "text/html", "utf-8"),
        ("application/json ; Charset=UTF-8", "application/json", "UTF-8"),
        ("a/b/c", "application/octet-stream", None),
        ("; charset=x", "application/octet-stream", "x"),
        ('multipart/form-data; boundary="a;charset=b"; charset=l1', "multipart/form-data", "l1"),
        ("text/plain;charset=utf-8 ", "text/plain", "utf-8"),
    ],
)
def test_content_type(value, content_type, charset):
    fields = () if value is None else (f"Content-Type: {value}",)
    request = make_request("/", *fields)
    assert (request.content_type, request.charset) == (content_type, charset)


def test_content_length():
    assert make_request().content_length is None
    assert make_request("/", "Content-Length: 12", method="POST").content_length == 12


def test_cookies():
    request = make_request("/", 'Cookie: a=1; b="x y"; c=')
    assert dict(request.cookies) == {"a": "1", "b": "x y", "c": ""}
    with pytest.raises(TypeError):
        request.cookies["a"] = "2"
    assert dict(make_request().cookies) == {}


def test_dates():
    moment = datetime.datetime(1994, 11, 6, 8, 49, 37, tzinfo=datetime.UTC)
    fields = [
        f"{name}: Sun, 06 Nov 1994 08:49:37 GMT"
        for name in ("If-Modified-Since", "If-Unmodified-Since", "If-Range")
    ]
    request = make_request("/", *fields)
    assert request.if_modified_since == moment
    assert request.if_unmodified_since == moment
    assert request.if_range == moment
    assert make_request("/", "If-Modified-Since: x").if_modified_since is None
    assert make_request().if_range is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-9", slice(0, 10, 1)),
        ("bytes=5-", slice(5, None, 1)),
        ("bytes=-7", slice(-7, None, 1)),
        ("BYTES=3-3", slice(3, 4, 1)),
    ],
)
def test_range(value, expected):
    assert make_request("/", f"Range: {value}").http_range == expected


@pytest.mark.parametrize("value", ["bytes=", "bytes=-", "blocks=0-1", "bytes=9-1", "bytes=0-1,3-4"])
def test_bad_range(value):
    with pytest.raises(ValueError, match="range not in acceptable format"):
        make_request("/", f"Range: {value}").http_range  # noqa: B018


def test_no_range():
    assert make_request().http_range == slice(None, None, 1)


def test_state_is_a_mapping():
    request = make_request()
    assert request
    assert len(request) == 0
    with pytest.raises(KeyError):
        request["a"]
    assert "a" not in request
    request["a"] = 1
    assert (request["a"], len(request), list(request), "a" in request) == (1, 1, ["a"], True)
    del request["a"]
    with pytest.raises(KeyError):
        del request["a"]


def test_override():
    request = make_request()
    request._override(
        app=1, host="x:1", loop=2, match_info=3, method="PUT", remote="r", scheme="https", task=4
    )
    assert (request.app, request.host, request.loop, request.match_info) == (1, "x:1", 2, 3)
    assert (request.method, request.remote, request.scheme, request.task) == (
        "PUT",
        "r",
        "https",
        4,
    )
    assert request.secure
    assert str(request.url) == "https://x:1/"
    request._match_info = 5
    assert request.match_info == 5
    with pytest.raises(TypeError):
        request._override(nothing=1)
    with pytest.raises(TypeError):
        request._override(1)
    with pytest.raises(AttributeError):
        del request._match_info


def test_match_info_without_a_route():
    assert make_request().match_info == {}
    assert make_request().app is None


def test_repr():
    assert repr(
        make_request("/é".encode().decode("latin-1").replace("Ã", "%C3").replace("©", "%A9"))
    )
    assert repr(make_request("/%C3%A9")) == "<Request GET /\\xe9 >"


def test_body():
    request = make_request("/", "Content-Type: text/plain; charset=latin-1", body=b"\xe9")
    assert request.body_exists
    assert request.can_read_body
    assert finish(request.read()) == b"\xe9"
    assert not request.can_read_body
    assert request.body_exists
    assert finish(request.read()) == b"\xe9"
    assert finish(request.text()) == "é"


def test_no_body():
    request = make_request()
    assert not request.body_exists
    assert not request.can_read_body
    assert finish(request.read()) == b""
    assert finish(request.text()) == ""
    assert finish(request.release()) is None


def test_json():
    assert finish(make_request(body=b'{"a": [1, "\xc3\xa9"]}').json()) == {"a": [1, "é"]}
    assert finish(make_request(body=b"abc").json(loads=str.upper)) == "ABC"
    with pytest.raises(ValueError, match="Expecting value"):
        make_request(body=b"nonsense").json()
    with pytest.raises(TypeError):
        make_request(body=b"1").json(str.upper)


def test_bad_charset():
    with pytest.raises(LookupError):
        make_request("/", "Content-Type: text/plain; charset=nothing", body=b"a").text()
    with pytest.raises(UnicodeDecodeError):
        make_request(body=b"\xff").text()


def test_released_body_is_gone():
    request = make_request(body=b"abc")
    assert finish(request.release()) is None
    assert finish(request.read()) == b""
    assert not request.can_read_body


def test_content_is_a_stream():
    async def main():
        request = make_request(body=b"a\nbc")
        request._override(loop=asyncio.get_running_loop())
        assert await request.content.readline() == b"a\n"
        assert request.can_read_body
        assert await request.content.read() == b"bc"
        assert not request.can_read_body
        assert request.content is request.content
        again = make_request(body=b"abc")
        again._override(loop=asyncio.get_running_loop())
        assert again.content is not None
        assert await again.text() == "abc"
        assert await again.read() == b"abc"
        done = make_request(body=b"abc")
        done._override(loop=asyncio.get_running_loop())
        assert await done.read() == b"abc"
        assert await done.content.read() == b""

    asyncio.run(main())


def test_awaited_once():
    async def main():
        request = make_request(body=b"abc")
        request._override(loop=asyncio.get_running_loop())
        assert request.content is not None
        awaitable = request.read()
        assert await awaitable == b"abc"
        with pytest.raises(RuntimeError):
            await awaitable

    asyncio.run(main())


def test_like_shares_the_connection():
    request = make_request()
    assert _core.Request._from_bytes(b"GET /b HTTP/1.0\r\n\r\n", b"", request).path == "/b"
    with pytest.raises(TypeError):
        _core.Request._from_bytes(b"GET /b HTTP/1.0\r\n\r\n", b"", 7)
    with pytest.raises(TypeError):
        _core.Request._from_bytes("GET")


def test_subclasses_and_weak_references():
    class Request(_core.Request):
        __slots__ = ()

    class Larger(_core.Request):
        __slots__ = ("more",)

    for cls in (Request, Larger):
        for _ in range(3):
            request = make_request("/x", cls=cls)
            assert type(request) is cls
            request.attribute = request
            alive = weakref.ref(request)
            del request
            gc.collect()
            assert alive() is None


def test_memory_is_used_again_clean():
    for i in range(300):
        request = make_request(f"/{i}", "X-A: b")
        assert request.path == f"/{i}"
        assert "state" not in request
        assert not request.__dict__
        request["state"] = request.headers
        request.mine = i
        if i % 3 == 0:
            assert request.query == {}
