"""Advisories against other servers and parsers, each as what it would look like here.

Every test names the advisory. Those that are only a malformed request are in one table; the status
is the answer that keeps the rest of the connection from being read.
"""

from __future__ import annotations

import time

import pytest

from fastaio.http import (
    HttpParserError,
    HttpRequestError,
    HttpRequestParser,
    HttpResponseParser,
    RequestHead,
    RequestReader,
    parse_cookies,
    response_head,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

REFUSED = [
    # aiohttp
    ("CVE-2023-37276 LF in a value", GET + b"X: a\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("CVE-2023-47627 length with sign", POST + b"Content-Length: +1\r\n\r\nx", 400),
    ("CVE-2023-47627 length with underscore", POST + b"Content-Length: 0_1\r\n\r\nx", 400),
    ("CVE-2023-47627 NUL in a name", POST + b"Content\0-Length: 1\r\n\r\nx", 400),
    ("CVE-2023-47641 length and chunked", CHUNKED[:-2] + b"Content-Length: 5\r\n\r\nhello", 400),
    ("CVE-2023-49081 version with line end", b"GET / HTTP/1.1\r\nX: y HTTP/1.1\n\r\n\r\n", 400),
    ("CVE-2023-49082 method with line end", b"G\r\nET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("CVE-2024-52304 LF in a chunk extension", CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
    ("CVE-2025-69225 digits of Unicode", POST + b"Content-Length: \xef\xbc\x95\r\n\r\nhi", 400),
    ("CVE-2026-34520 NUL in a value", GET + b"X: a\0b\r\n\r\n", 400),
    ("CVE-2026-34525 two Host fields", GET + b"Host: b\r\n\r\n", 400),
    ("GHSA-pqxq white space before a colon", POST + b"Transfer-Encoding : chunked\r\n\r\n", 400),
    # llhttp, Node.js
    ("CVE-2021-22959 space before the colon", GET + b"Content-Length : 5\r\n\r\nhello", 400),
    ("CVE-2021-22960 chunk extension", CHUNKED + b"2 \n;x\r\nxx\r\n0\r\n\r\n", 400),
    ("CVE-2022-32213 coding in pieces", POST + b"Transfer-Encoding: chunkedchunked\r\n\r\n", 400),
    ("CVE-2022-32214 LF as line end", GET + b"X: y\nContent-Length: 5\r\n\r\nhello", 400),
    ("CVE-2022-32215 codings on two lines", CHUNKED[:-4] + b",\r\n identity\r\n\r\n", 400),
    ("CVE-2022-35256 CR without LF", GET + b"X: y\rTransfer-Encoding: chunked\r\n\r\n", 400),
    ("CVE-2023-30589 name ended by CR", GET + b"X\r: y\r\n\r\n", 400),
    ("CVE-2024-27982 folded Content-Length", POST + b" Content-Length: 5\r\n\r\nhello", 400),
    ("llhttp issue 877 HTTP/0.9 with a body", b"POST /\nHost: a\nContent-Length: 5\n\nhello", 400),
    # h11, gunicorn, tornado, uvicorn
    ("CVE-2025-43859 chunk end", CHUNKED + b"5\r\nhelloXX0\r\n\r\n", 400),
    ("CVE-2024-1135 chunked not last", CHUNKED[:-4] + b",gzip\r\n\r\n0\r\n\r\n", 400),
    ("CVE-2024-6827 unknown coding", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("CVE-2023-28370 slashes for a host", b"GET http:////b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(data: bytes, status: int) -> None:
    for step in (1, 3, len(data) + 100):
        reader = RequestReader()
        whole = data + SMUGGLED
        found: list[object] = []
        with pytest.raises(HttpRequestError) as info:
            for i in range(0, len(whole), step):
                found += reader.feed(whole[i : i + step])
            found += reader.feed(b"")
        assert info.value.status == status
        assert not [e for e in found if isinstance(e, RequestHead) and e.path == b"/smuggled"]


def test_trailers_are_no_request() -> None:
    """CVE-2025-53643: what is in a trailer section must not be read as the next request."""
    trailer = b"X-Trailer: GET /smuggled HTTP/1.1\r\n"
    data = CHUNKED + b"0\r\n" + trailer + b"\r\n" + GET + b"\r\n"
    heads = [e for e in RequestReader().feed(data) if isinstance(e, RequestHead)]
    assert [head.path for head in heads] == [b"/", b"/"]


def test_endless_trailers_and_fields() -> None:
    """CVE-2026-22815: trailers count against limits as header fields do."""
    reader = RequestReader()
    reader.feed(CHUNKED + b"0\r\n")
    with pytest.raises(HttpRequestError) as info:
        for _ in range(100_000):
            reader.feed(b"X: y\r\n")
    assert info.value.status == 431


def test_many_small_chunks_take_linear_time() -> None:
    """CVE-2025-69229: many small chunks in one message."""
    start = time.process_time()
    reader = RequestReader()
    reader.feed(CHUNKED)
    for _ in range(20):
        reader.feed(b"1\r\nx\r\n" * 10_000)
    assert time.process_time() - start < 5


def test_error_at_the_edge_of_the_buffer() -> None:
    """CVE-2026-69243, CVE-2026-69244: an error with nothing behind it in the buffer."""
    for data in (b"\0", b"GET", b"GET /\0", GET + b"X: \x01", b"\r", b"GET / HTTP/9"):
        for parser in (HttpRequestParser(None), HttpResponseParser(None)):
            try:
                parser.feed_data(memoryview(bytearray(data)))
            except HttpParserError as exc:
                assert str(exc)


@pytest.mark.parametrize("reason", [b"OK\r\nX: y", b"OK\n", b"OK\0"])
def test_reason_injection(reason: bytes) -> None:
    """CVE-2026-34519: the reason phrase as a way into the head."""
    with pytest.raises(ValueError, match="reason"):
        response_head(200, reason=reason)


def test_cookies_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """CVE-2025-69230: many malformed cookies must not make a storm of log lines."""
    parse_cookies(b"\xff\xfe=1; " * 1000)
    assert caplog.records == []
