"""What a handler sees of a request."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest


@pytest.fixture
def ask(web: Any, serve: Any) -> Any:
    """ask(function, raw request) -> what function(request), in the handler, returned."""

    def run(function: Any, *args: Any, app: Any = None, **kwargs: Any) -> Any:
        seen: list[Any] = []

        async def handler(request: Any) -> Any:
            result = function(request)
            if hasattr(result, "__await__"):
                result = await result
            seen.append(result)
            return web.Response()

        app = web.Application() if app is None else app
        app.router.add_route("*", "/{tail:.*}", handler)
        server = serve(app)
        if args and isinstance(args[0], bytes):
            answer = server.raw(args[0])[0]
        else:
            answer = server.request(*args, **kwargs)
        assert answer.status == 200, answer
        return seen[0]

    return run


def attributes(*names: str) -> Any:
    return lambda request: tuple(getattr(request, name) for name in names)


def test_request_line(ask: Any) -> None:
    names = ("method", "path", "raw_path", "path_qs", "query_string")
    assert ask(attributes(*names), "PATCH", "/a%20b/%D1%8F?x=%20y&z") == (
        "PATCH",
        "/a b/я",
        "/a%20b/%D1%8F?x=%20y&z",
        "/a%20b/%D1%8F?x=%20y&z",
        "x= y&z",
    )


def test_urls(ask: Any) -> None:
    def look(request: Any) -> Any:
        return str(request.url), str(request.rel_url), request.host, request.scheme

    headers = {"Host": "example.com:81"}
    assert ask(look, "GET", "/p?q=1", headers=headers) == (
        "http://example.com:81/p?q=1", "/p?q=1", "example.com:81", "http",
    )  # fmt: skip


def test_version(ask: Any) -> None:
    def look(request: Any) -> Any:
        return tuple(request.version), request.version.major, request.keep_alive

    assert ask(look, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n") == ((1, 0), 1, False)
    assert ask(look, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == ((1, 1), 1, True)
    assert ask(look, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[2] is False


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("a=1&a=2&b=", [("a", "1"), ("a", "2"), ("b", "")]),
        ("a", [("a", "")]),
        ("a=%20%2B+&%C3%A9=%D1%8F", [("a", " + "), ("é", "я")]),
        ("a=b=c&&d=1;e", [("a", "b=c"), ("d", "1;e")]),
    ],
)
def test_query(ask: Any, query: str, pairs: list[tuple[str, str]]) -> None:
    assert ask(lambda request: list(request.query.items()), "GET", f"/?{query}") == pairs


def test_query_is_a_multidict(ask: Any) -> None:
    def look(request: Any) -> Any:
        query = request.query
        return query["a"], query.getall("a"), query.get("none"), "a" in query, len(query)

    assert ask(look, "GET", "/?a=1&a=2") == ("1", ["1", "2"], None, True, 2)


def test_headers(ask: Any) -> None:
    def look(request: Any) -> Any:
        headers = request.headers
        with pytest.raises(TypeError):
            headers["x"] = "1"
        return (
            headers["x-one"], headers.getall("X-ONE"), headers.get("none"), "x-one" in headers,
            [pair for pair in request.raw_headers if pair[0].lower() == b"x-one"],
        )  # fmt: skip

    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one:  \xd1\x8f \r\n\r\n"
    assert ask(look, raw) == (
        "1", ["1", "я"], None, True, [(b"X-One", b"1"), (b"x-one", "я".encode())],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2; a=3", {"a": "3", "b": "2"}),
        ('a="quoted"', {"a": "quoted"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_cookies(ask: Any, field: str, cookies: dict[str, str]) -> None:
    headers = {"Cookie": field} if field else {}
    assert ask(lambda request: dict(request.cookies), "GET", "/", headers=headers) == cookies


def test_content_type(ask: Any) -> None:
    look = attributes("content_type", "charset", "content_length")
    headers = {"Content-Type": 'Text/HTML; charset="UTF-16"; x=y'}
    assert ask(look, "POST", "/", body=b"abc", headers=headers) == ("text/html", "UTF-16", 3)
    assert ask(look, "GET", "/") == ("application/octet-stream", None, None)


def test_remote_and_transport(ask: Any) -> None:
    def look(request: Any) -> Any:
        return (
            request.remote,
            request.transport.get_extra_info("peername")[0],
            request.get_extra_info("peername")[0],
            request.get_extra_info("none", "default"),
            request.secure,
            request.protocol is not None,
            request.task is not None,
        )

    assert ask(look, "GET", "/") == (
        "127.0.0.1", "127.0.0.1", "127.0.0.1", "default", False, True, True,
    )  # fmt: skip


def test_state(web: Any, ask: Any) -> None:
    key = web.RequestKey("key", int)

    def look(request: Any) -> Any:
        request[key] = 1
        request.setdefault(key, 2)
        result = (
            request[key], key in request, len(request), list(request), request.get(key),
            request.get("none", 3), dict(request.items()), bool(request),
        )  # fmt: skip
        del request[key]
        with pytest.raises(KeyError):
            request[key]
        return result

    assert ask(look, "GET", "/") == (1, True, 1, [key], 1, 3, {key: 1}, True)


def test_identity(ask: Any) -> None:
    def look(request: Any) -> Any:
        return request == request, request == 1, repr(request)

    assert ask(look, "GET", "/a%D1%8F") == (True, False, "<Request GET /a\\u044f >")


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(ask: Any, chunked: bool) -> None:
    async def look(request: Any) -> Any:
        exists, can = request.body_exists, request.can_read_body
        body = await request.read()
        again = await request.read()
        return exists, can, body, again, await request.text(), request.can_read_body

    text = "тело"
    data = text.encode()
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        raw = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\n" + data[:3]
        raw += b"\r\n5\r\n" + data[3:] + b"\r\n0\r\n\r\n"
    else:
        raw = head + b"Content-Length: 8\r\n\r\n" + data
    assert ask(look, raw) == (True, True, data, data, text, False)


def test_no_body(ask: Any) -> None:
    async def look(request: Any) -> Any:
        return (
            request.body_exists, request.can_read_body, await request.read(),
            await request.text(), request.content.at_eof(),
        )  # fmt: skip

    assert ask(look, "GET", "/") == (False, False, b"", "", True)


def test_json(ask: Any) -> None:
    async def look(request: Any) -> Any:
        return await request.json(), await request.json(loads=len)

    assert ask(look, "POST", "/", body=b'{"a": [1]}') == ({"a": [1]}, 10)


def test_bad_json(ask: Any) -> None:
    async def look(request: Any) -> Any:
        with pytest.raises(json.JSONDecodeError):
            await request.json()
        return True

    assert ask(look, "POST", "/", body=b"{")


def test_text_by_charset(ask: Any) -> None:
    headers = {"Content-Type": "text/plain; charset=utf-16-le"}
    body = "я!".encode("utf-16-le")
    assert ask(lambda request: request.text(), "POST", "/", body=body, headers=headers) == "я!"


def test_content_stream(ask: Any) -> None:
    async def look(request: Any) -> Any:
        content = request.content
        first = await content.readexactly(3)
        line = await content.readline()
        rest = await content.read()
        return first, line, rest, content.at_eof(), await content.read(1)

    body = b"abcdef\nghi\njkl"
    assert ask(look, "POST", "/", body=body) == (b"abc", b"def\n", b"ghi\njkl", True, b"")


def test_content_iteration(ask: Any) -> None:
    async def look(request: Any) -> Any:
        return [chunk async for chunk in request.content.iter_chunked(4)]

    chunks = ask(look, "POST", "/", body=b"0123456789")
    assert b"".join(chunks) == b"0123456789"
    assert max(map(len, chunks)) <= 4


def test_release(ask: Any) -> None:
    async def look(request: Any) -> Any:
        await request.release()
        return request.can_read_body, await request.read()

    assert ask(look, "POST", "/", body=b"abc") == (False, b"")


@pytest.mark.parametrize("size", [0, 10])
def test_client_max_size(web: Any, serve: Any, size: int) -> None:
    async def handler(request: Any) -> Any:
        assert request.client_max_size == size
        return web.Response(text=str(len(await request.read())))

    app = web.Application(client_max_size=size)
    app.router.add_post("/", handler)
    server = serve(app)
    assert server.post("/", b"x" * 10).text == "10"
    answer = server.post("/", b"x" * 11)
    if size:
        assert (answer.status, answer.text) == (413, "Maximum request body size 10 exceeded.")
    else:
        assert answer.text == "11"


def test_urlencoded_form(ask: Any) -> None:
    async def look(request: Any) -> Any:
        form = await request.post()
        assert await request.post() is form
        return list(form.items())

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"a=1&b=%D1%8F+x&a=&c"
    assert ask(look, "POST", "/", body=body, headers=headers) == [
        ("a", "1"), ("b", "я x"), ("a", ""), ("c", ""),
    ]  # fmt: skip
    assert ask(look, "GET", "/", body=body, headers=headers) == []
    assert ask(look, "POST", "/", body=b"{}", headers={"Content-Type": "text/plain"}) == []
    assert ask(look, "POST", "/", body=b"", headers=headers) == []


FORM = (
    b"--xx\r\n"
    b'Content-Disposition: form-data; name="field"\r\n\r\n'
    b"\xd1\x8f\r\n"
    b"--xx\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
    b"Content-Type: text/x\r\n\r\n"
    b"line\r\n--x\r\nline\r\n"
    b"--xx\r\n"
    b'Content-Disposition: form-data; name="empty"\r\n\r\n'
    b"\r\n"
    b"--xx\r\n"
    b'Content-Disposition: form-data; name="bin"\r\n'
    b"Content-Type: application/x\r\n\r\n"
    b"\xff\r\n"
    b"--xx--\r\n"
)
MULTIPART = {"Content-Type": 'multipart/form-data; boundary="xx"'}


@pytest.mark.without_debug
def test_multipart_form(web: Any, ask: Any) -> None:
    async def look(request: Any) -> Any:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        data = file.file.read()
        seen = (file.name, file.filename, file.content_type, file.headers["content-type"], data)
        return form["field"], seen, form["empty"], bytes(form["bin"]), file.file

    *values, file = ask(look, "POST", "/", body=FORM, headers=MULTIPART)
    assert values == [
        "я",
        ("file", "a b.txt", "text/x", "text/x", b"line\r\n--x\r\nline"),
        "",
        b"\xff",
    ]
    # The server's thread lets go of the request once it has answered.
    deadline = time.monotonic() + 10
    while not file.closed and time.monotonic() < deadline:
        time.sleep(0)
    assert file.closed


def test_multipart_reader(web: Any, ask: Any) -> None:
    async def look(request: Any) -> Any:
        parts = []
        reader = await request.multipart()
        async for part in reader:
            parts.append((part.name, part.filename, bytes(await part.read())))
        return parts, reader.at_eof()

    assert ask(look, "POST", "/", body=FORM, headers=MULTIPART) == (
        [
            ("field", None, "я".encode()),
            ("file", "a b.txt", b"line\r\n--x\r\nline"),
            ("empty", None, b""),
            ("bin", None, b"\xff"),
        ],
        True,
    )


def test_multipart_parts_left_unread(web: Any, ask: Any) -> None:
    async def look(request: Any) -> Any:
        names = []
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            names.append(part.name)
        return names

    body = FORM.replace(b"line", b"x" * 100_000)
    assert ask(look, "POST", "/", body=body, headers=MULTIPART) == [
        "field", "file", "empty", "bin",
    ]  # fmt: skip


def test_form_limits(web: Any, serve: Any) -> None:
    async def handler(request: Any) -> Any:
        form = await request.post()
        return web.Response(text=str(len(form)))

    app = web.Application(client_max_fields=3, client_max_size=1000)
    app.router.add_post("/", handler)
    server = serve(app)
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.post("/", b"a&b&c", headers=urlencoded).text == "3"
    assert server.post("/", b"a&b&c&d", headers=urlencoded).status == 413
    big = FORM[: FORM.index(b"--xx", 10)].replace(b"\xd1\x8f", b"x" * 2000) + b"--xx--\r\n"
    assert server.post("/", big, headers=MULTIPART).status == 413


def test_files_are_closed_when_a_form_is_refused(fastweb: Any, serve_ours: Any) -> None:
    async def handler(request: Any) -> Any:
        await request.post()
        return fastweb.Response()

    app = fastweb.Application(client_max_fields=3)
    app.router.add_post("/", handler)
    # An unclosed temporary file would be a ResourceWarning, which is an error here.
    assert serve_ours(app).post("/", FORM, headers=MULTIPART).status == 413


def test_conditions(ask: Any) -> None:
    def look(request: Any) -> Any:
        return (
            str(request.if_modified_since),
            request.if_unmodified_since,
            [(tag.value, tag.is_weak) for tag in request.if_none_match],
            [(tag.value, tag.is_weak) for tag in request.if_match],
            request.if_range,
        )

    headers = {
        "If-Modified-Since": "Sat, 26 Jan 2008 05:13:20 GMT",
        "If-Unmodified-Since": "nonsense",
        "If-None-Match": 'W/"a", "b" , "c"',
        "If-Match": "*",
    }
    assert ask(look, "GET", "/", headers=headers) == (
        "2008-01-26 05:13:20+00:00", None, [("a", True), ("b", False), ("c", False)],
        [("*", False)], None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, (None, None)),
        ("bytes=0-499", (0, 500)),
        ("bytes=500-", (500, None)),
        ("bytes=-5", (-5, None)),
        ("Bytes=1-1", (1, 2)),
        ("bytes=a-b", None),
        ("bytes=5-1", None),
        ("bytes=-", None),
        ("blocks=0-1", None),
        ("bytes=0-1,3-4", None),
    ],
)
def test_http_range(ask: Any, field: str | None, expected: Any) -> None:
    def look(request: Any) -> Any:
        try:
            found = request.http_range
        except ValueError:
            return None
        return found.start, found.stop

    headers = {} if field is None else {"Range": field}
    assert ask(look, "GET", "/", headers=headers) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("by=a;for=b;host=c;proto=http", [{"by": "a", "for": "b", "host": "c", "proto": "http"}]),
        ('By="";for=_b, for="[::1]:81"', [{"by": "", "for": "_b"}, {"for": "[::1]:81"}]),
        ('for="a\\"b"', [{"for": 'a"b'}]),
        ("for=1.2.3.4:80", [{"for": "1.2.3.4:80"}]),
        ("for=a;;by=b", [{"for": "a", "by": "b"}]),
        ("for=a by=b, for=c", [{"for": "a"}, {"for": "c"}]),
        ("nonsense, for=c", [{}, {"for": "c"}]),
        ("for=", [{}]),
        (",", [{}, {}]),
    ],
)
def test_forwarded(ask: Any, field: str, expected: list[dict[str, str]]) -> None:
    def look(request: Any) -> Any:
        return [dict(element) for element in request.forwarded]

    assert ask(look, "GET", "/", headers={"Forwarded": field}) == expected


def test_clone(web: Any, ask: Any) -> None:
    key = web.RequestKey("key", str)

    def look(request: Any) -> Any:
        request[key] = "state"
        other = request.clone(
            method="POST", rel_url="/other?x=1", headers={"X-New": "1"}, scheme="https",
            host="example.com", remote="1.2.3.4",
        )  # fmt: skip
        same = request.clone()
        other[key] = "changed"
        return (
            (other.method, other.path, dict(other.query), other.scheme, other.host, other.remote),
            (dict(other.headers), str(other.url), type(other) is type(request)),
            (same.method, same.path, same.headers == request.headers, same.host, same.remote),
            (same[key], request[key], same.match_info is request.match_info),
        )

    assert ask(look, "GET", "/path?q=1", headers={"Host": "h"}) == (
        ("POST", "/other", {"x": "1"}, "https", "example.com", "1.2.3.4"),
        ({"X-New": "1"}, "https://example.com/other?x=1", True),
        ("GET", "/path", True, "h", "127.0.0.1"),
        ("state", "state", True),
    )


def test_clone_after_reading(ask: Any) -> None:
    async def look(request: Any) -> Any:
        await request.read()
        with pytest.raises(RuntimeError, match="Cannot clone request after reading"):
            request.clone()
        return True

    assert ask(look, "POST", "/", body=b"abc")
