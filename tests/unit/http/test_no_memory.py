"""Every allocation of the codecs fails once: each call must end in MemoryError or succeed."""

from __future__ import annotations

import asyncio
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

import pytest

import fastaio.http as http

testcapi = pytest.importorskip("_testcapi", reason="this Python lacks its own test module")

pytestmark = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and sys.version_info < (3, 14),
    reason="its PyList_New() without memory clears a list that was not filled in",
)

REQUEST = (
    b"POST /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nT: t\r\n\r\n"
)
ALLOCATIONS_MAX = 400


class Protocol:
    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        pass


class Source:
    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def finish(read: Any) -> object:
    try:
        read.send(None)
    except StopIteration as exc:
        return exc.value
    read.close()
    return None


def stream(loop: asyncio.AbstractEventLoop) -> None:
    reader = http.StreamReader(Source(), 4, loop=loop)
    finish(reader.readany())
    reader.on_eof(print)
    reader.feed_data(b"line\nmore")
    finish(reader.readline())
    finish(reader.readexactly(2))
    finish(reader.readchunk())
    reader.iter_chunked(3)
    reader.feed_data(b"x")
    reader.read_nowait()
    reader.set_exception(OSError())


CALLS: dict[str, Callable[[asyncio.AbstractEventLoop], object]] = {
    "RequestReader": lambda loop: http.RequestReader(line=100).feed(REQUEST * 2),
    "RequestReader refuses": lambda loop: http.RequestReader().feed(b"\0"),
    "HttpRequestParser": lambda loop: http.HttpRequestParser(Protocol()).feed_data(REQUEST),
    "HttpRequestParser refuses": lambda loop: http.HttpRequestParser(None).feed_data(b"\0"),
    "MultipartParser": lambda loop: http.MultipartParser(b"b").feed(
        b"--b\r\nA: b\r\n\r\nhi\r\n--b--"
    ),
    "MultipartParser refuses": lambda loop: http.MultipartParser(b"b").feed(b"--bx\r\n"),
    "StreamReader": stream,
    "parse_url": lambda loop: repr(http.parse_url(b"http://u@h:8000/p?q#f")),
    "parse_query": lambda loop: http.parse_query(b"a=%20" + b"&b=%41" * 100),
    "parse_cookies": lambda loop: http.parse_cookies(b'a="' + b"\\073" * 200 + b'"; c=d'),
    "unquote": lambda loop: http.unquote(b"%41" * 300),
    "http_date": lambda loop: http.parse_http_date(http.http_date(1_000_000_000)),
    "response_head": lambda loop: http.response_head(200, [(b"A", b"b" * 5000)], reason=b"r"),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_allocation_fails_once(name: str) -> None:
    call = CALLS[name]
    failed = 0
    loop = asyncio.new_event_loop()
    try:
        for start in range(ALLOCATIONS_MAX):
            succeeded = False
            testcapi.set_nomemory(start, start + 1)
            try:
                call(loop)
                succeeded = True
            except MemoryError:
                failed += 1
            except (http.HttpParserError, TypeError):
                # A refusal, or what the interpreter makes of a failure inside it.
                succeeded = "refuses" in name
            finally:
                testcapi.remove_mem_hooks()
            if succeeded and start > 60:
                break
    finally:
        loop.close()
    assert failed > 0
