"""The request parser's limits and results, through RequestReader (http/parser.c, message.c,
target.c, py_reader.c). What is well-formed and what is not: tests/conformance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fastaio.http import HttpRequestError, RequestHead, RequestReader, parse_request_head

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def pieces(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    yield [data[i : i + 7] for i in range(0, len(data), 7)]


def status(data: bytes, **limits: int) -> int | None:
    """The status with which `data` is refused, however it is cut; None: it is not."""
    seen = set()
    for cut in pieces(data):
        reader = RequestReader(**limits)
        try:
            for piece in cut:
                reader.feed(piece)
            reader.feed(b"")
            seen.add(None)
        except HttpRequestError as exc:
            seen.add(exc.status)
    assert len(seen) == 1, seen
    return seen.pop()


def events(data: bytes, **limits: int) -> list[Any]:
    return RequestReader(**limits).feed(data)


def test_head() -> None:
    head = parse_request_head(b"POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\nabc")
    assert isinstance(head, RequestHead)
    assert head.method == "POST"
    assert (head.target, head.path, head.query, head.host) == (b"/a?b=c", b"/a", b"b=c", b"h:1")
    assert head.headers == [(b"Host", b"h:1"), (b"Content-Length", b"3")]
    assert (head.minor, head.content_length, head.chunked) == (1, 3, False)
    assert (head.keep_alive, head.expect_continue, head.upgrade) == (True, False, False)


def test_head_incomplete() -> None:
    assert parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\n") is None
    assert parse_request_head(b"") is None


def test_error_says_why() -> None:
    with pytest.raises(HttpRequestError, match="no Host") as info:
        parse_request_head(b"GET / HTTP/1.1\r\n\r\n")
    assert info.value.status == 400


def test_request_line_limit() -> None:
    line = b"GET /" + b"a" * 100 + b" HTTP/1.1"
    assert status(line + b"\r\n" + HOST + b"\r\n", line=len(line)) is None
    assert status(line + b"\r\n" + HOST + b"\r\n", line=len(line) - 1) == 414
    # Nothing need follow, and blank lines before it do not count.
    assert status(line, line=50) == 414
    assert status(b"\r\n\r\n" + line + b"\r\n" + HOST + b"\r\n", line=len(line)) is None


def test_request_line_limit_before_what_follows() -> None:
    assert status(b"GET /" + b"a" * 100 + b"\x00", line=50) == 414
    assert status(b"GET /" + b"a" * 10 + b"\x00" + b"a" * 100, line=50) == 400


def test_field_limit() -> None:
    field = b"X-Field: " + b"v" * 50
    head = b"GET / HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n"
    assert status(head, field=len(field)) is None
    assert status(head, field=len(field) - 1) == 431
    assert status(head[:-4], field=len(field) - 1) == 431


def test_field_limit_of_names_and_white_space() -> None:
    start = b"GET / HTTP/1.1\r\n" + HOST
    assert status(start + b"X" * 100, field=50) == 431
    assert status(start + b"X:" + b" " * 100, field=50) == 431
    assert status(start + b"X: y" + b" " * 100 + b"\r\n\r\n", field=50) == 431


def test_number_of_fields() -> None:
    fields = b"".join(b"X-%d: v\r\n" % i for i in range(9))
    head = b"GET / HTTP/1.1\r\n" + HOST + fields + b"\r\n"
    assert status(head, fields=10) is None
    assert status(head, fields=9) == 431
    assert status(b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 128 + b"\r\n") == 431
    assert status(b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 127 + b"\r\n") is None


def test_head_limit() -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 10 + b"\r\n"
    assert status(head, head=len(head)) is None
    assert status(head, head=len(head) - 1) == 431
    assert status(head[:-2], head=len(head) - 2) == 431
    # What is behind the head does not count.
    assert len(events(head + head, head=len(head))) == 4


def test_body_limit_of_a_length() -> None:
    request = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n"
    assert status(request + b"0123456789", body=10) is None
    assert status(request, body=9) == 413
    assert status(request, body=0) is None


def test_body_limit_of_chunks() -> None:
    assert status(CHUNKED + b"5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", body=10) is None
    assert status(CHUNKED + b"5\r\nhello\r\n6\r\nhello!\r\n0\r\n\r\n", body=10) == 413
    assert status(CHUNKED + b"b\r\n", body=10) == 413
    assert status(CHUNKED + b"b\r\nhello world\r\n0\r\n\r\n", body=0) is None


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"5;" + b"a" * 1000 + b"\r\nhello\r\n0\r\n\r\n", 413),
        (b"5;a=" + b"b" * 1000, 413),
        (b'5;a="' + b"b" * 1000, 413),
        (b"0" * 1000 + b"5\r\nhello\r\n0\r\n\r\n", 413),
        (b"1;abcdefghijklmnopqrstuvwxyz\r\na\r\n" * 100 + b"0\r\n\r\n", 413),
        (b"0\r\nX: " + b"a" * 1000 + b"\r\n\r\n", 431),
        (b"0\r\n" + b"X: aaaaaaaaaaaa\r\n" * 50 + b"\r\n", 431),
        (b"1\r\na\r\n" * 1000 + b"0\r\n\r\n", None),
    ],
)
def test_framing_limit(body: bytes, refused: int | None) -> None:
    """Chunk extensions, leading zeros and trailers share the head's limit; chunks are free."""
    assert status(CHUNKED + body, head=300) == refused


def test_number_of_trailers() -> None:
    body = b"0\r\n" + b"X: y\r\n" * 5 + b"\r\n"
    assert status(CHUNKED + body, fields=5) is None
    assert status(CHUNKED + body, fields=4) == 431


def test_events_before_an_error_come_first() -> None:
    reader = RequestReader()
    found = reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nBAD\x00")
    assert [type(event) for event in found] == [RequestHead, type(None)]
    for _ in range(2):
        with pytest.raises(HttpRequestError):
            reader.feed(b"")


def test_body_is_bounded_by_its_length() -> None:
    request = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    found = events(request + request)
    assert [event for event in found if isinstance(event, bytes)] == [b"abc", b"abc"]
    assert found.count(None) == 2


def test_large_body_in_pieces() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
    received = b""
    for _ in range(10):
        for event in reader.feed(b"x" * 10000):
            received += event or b""
    assert received == b"x" * 100000


@pytest.mark.parametrize("name", ["line", "field", "fields", "head", "body"])
def test_limits_are_checked(name: str) -> None:
    with pytest.raises(OverflowError):
        RequestReader(**{name: -1})
    with pytest.raises(OverflowError):
        RequestReader(**{name: 1 << 64})
    with pytest.raises(TypeError):
        RequestReader(**{name: "1"})  # type: ignore[arg-type]


def test_limits_have_an_upper_end() -> None:
    with pytest.raises(ValueError, match="fields must be at most 128"):
        RequestReader(fields=129)
    with pytest.raises(ValueError, match="head must be at most"):
        RequestReader(head=1 << 31)
    with pytest.raises(TypeError):
        RequestReader(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        RequestReader().feed("x")  # type: ignore[arg-type]
