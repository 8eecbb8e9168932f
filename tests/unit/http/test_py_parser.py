"""HttpRequestParser and HttpResponseParser: httptools' interface (http/py_parser.c,
http/parser_events.c)."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

import fastaio.http as http

REQUEST = (
    b"POST /a?b HTTP/1.1\r\nHost: h\r\nX-Empty: \r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n"
)
RESPONSE = b"HTTP/1.1 404 Not  Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Recorder:
    """Writes down every callback as (name, arguments)."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *args: self.calls.append((name[3:], *args))

    def joined(self) -> list[tuple[Any, ...]]:
        """The calls with pieces of one part put together."""
        out: list[tuple[Any, ...]] = []
        for call in self.calls:
            if out and call[0] in ("url", "status", "body") and out[-1][0] == call[0]:
                out[-1] = (call[0], out[-1][1] + call[1])
            else:
                out.append(call)
        return out


REQUEST_CALLS = [
    ("message_begin",),
    ("url", b"/a?b"),
    ("header", b"Host", b"h"),
    ("header", b"X-Empty", b""),
    ("header", b"Transfer-Encoding", b"chunked"),
    ("headers_complete",),
    ("chunk_header",),
    ("body", b"hello"),
    ("chunk_complete",),
    ("chunk_header",),
    ("body", b"!"),
    ("chunk_complete",),
    ("chunk_header",),
    ("header", b"Trailer", b"t"),
    ("chunk_complete",),
    ("message_complete",),
]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_request(step: int, kind: Any) -> None:
    recorder = Recorder()
    parser = http.HttpRequestParser(recorder)
    for i in range(0, len(REQUEST), step):
        parser.feed_data(kind(REQUEST[i : i + step]))
    assert recorder.joined() == REQUEST_CALLS
    assert parser.get_method() == b"POST"
    assert parser.get_http_version() == "1.1"
    assert parser.should_keep_alive() is True
    assert parser.should_upgrade() is False


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_response(step: int) -> None:
    recorder = Recorder()
    parser = http.HttpResponseParser(recorder)
    for i in range(0, len(RESPONSE), step):
        parser.feed_data(RESPONSE[i : i + step])
    assert recorder.joined() == [
        ("message_begin",),
        ("status", b"Not  Found"),
        ("header", b"Content-Length", b"2"),
        ("header", b"Connection", b"close"),
        ("headers_complete",),
        ("body", b"no"),
        ("message_complete",),
    ]
    assert parser.get_status_code() == 404
    assert not hasattr(parser, "get_method")


def test_keep_alive_is_known_while_the_message_is_read() -> None:
    seen = []

    class Protocol:
        def on_headers_complete(self) -> None:
            seen.append(parser.should_keep_alive())

    parser = http.HttpResponseParser(Protocol())
    parser.feed_data(RESPONSE)
    assert seen == [False]


def test_pipelined_requests() -> None:
    recorder = Recorder()
    http.HttpRequestParser(recorder).feed_data(b"GET / HTTP/1.1\r\n\r\n" * 3)
    assert [c[0] for c in recorder.calls].count("message_complete") == 3


def test_upgrade() -> None:
    recorder = Recorder()
    parser = http.HttpRequestParser(recorder)
    with pytest.raises(http.HttpParserUpgrade) as info:
        parser.feed_data(UPGRADE + b"\x81\x00")
    assert info.value.args == (len(UPGRADE),)
    assert parser.should_upgrade() is True
    assert not isinstance(info.value, http.HttpParserError)
    # The parser may go on, as httptools allows.
    parser.feed_data(b"GET / HTTP/1.1\r\n\r\n")
    assert [c[0] for c in recorder.calls].count("message_complete") == 2


def test_upgrade_behind_a_body() -> None:
    recorder = Recorder()
    parser = http.HttpRequestParser(recorder)
    data = UPGRADE[:-2] + b"Content-Length: 2\r\n\r\nhi"
    with pytest.raises(http.HttpParserUpgrade) as info:
        parser.feed_data(data + b"XY")
    assert info.value.args == (len(data),)
    assert ("body", b"hi") in recorder.calls


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"SPAM / HTTP/1.1\r\n", http.HttpParserInvalidMethodError),
        (b"GET \x00 HTTP/1.1\r\n", http.HttpParserInvalidURLError),
        (b"GET / HTTP/1.1\r\nA\x00: b\r\n", http.HttpParserError),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", http.HttpParserError),
        (b"GET / HTTP/1.1\nA: b\n\n", http.HttpParserError),
    ],
)
def test_request_errors(data: bytes, error: type[Exception]) -> None:
    parser = http.HttpRequestParser(None)
    with pytest.raises(error) as info:
        parser.feed_data(data)
    assert type(info.value) is error
    with pytest.raises(http.HttpParserError):
        parser.feed_data(b"GET / HTTP/1.1\r\n\r\n")


def test_response_status_error() -> None:
    with pytest.raises(http.HttpParserInvalidStatusError):
        http.HttpResponseParser(None).feed_data(b"HTTP/1.1 1299 X\r\n")


@pytest.mark.parametrize("name", sorted({call[0] for call in REQUEST_CALLS}))
def test_callback_raises(name: str) -> None:
    class Protocol:
        pass

    def fail(*args: bytes) -> None:
        raise KeyError(name)

    protocol = Protocol()
    setattr(protocol, f"on_{name}", fail)
    parser = http.HttpRequestParser(protocol)
    with pytest.raises(http.HttpParserCallbackError) as info:
        parser.feed_data(REQUEST)
    assert isinstance(info.value.__context__, KeyError)
    with pytest.raises(http.HttpParserCallbackError):
        parser.feed_data(REQUEST)


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_what_is_no_exception_goes_through(error: type[BaseException]) -> None:
    class Protocol:
        def on_body(self, body: bytes) -> None:
            raise error

    with pytest.raises(error):
        http.HttpRequestParser(Protocol()).feed_data(REQUEST)


def test_callbacks_that_are_none() -> None:
    class Protocol(Recorder):
        on_header = None
        on_body = None

    protocol = Protocol()
    http.HttpRequestParser(protocol).feed_data(REQUEST)
    assert protocol.joined() == [
        call for call in REQUEST_CALLS if call[0] not in ("header", "body")
    ]


def test_feeding_from_a_callback_is_refused() -> None:
    class Protocol:
        def on_headers_complete(self) -> None:
            for call in (lambda: parser.feed_data(b"x"), lambda: parser.__init__(self)):
                with pytest.raises(RuntimeError):
                    call()

    parser = http.HttpRequestParser(Protocol())
    parser.feed_data(REQUEST)


def test_no_leniency() -> None:
    assert not hasattr(http.HttpRequestParser, "set_dangerous_leniencies")
    assert not hasattr(http.HttpResponseParser, "set_dangerous_leniencies")


def test_arguments() -> None:
    with pytest.raises(TypeError):
        http.HttpRequestParser()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="a bytes-like object"):
        http.HttpRequestParser(None).feed_data("GET")  # type: ignore[arg-type]

    class Odd:
        @property
        def on_url(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        http.HttpRequestParser(Odd())


def test_subclass_that_does_not_call_init() -> None:
    class Parser(http.HttpRequestParser):
        def __init__(self) -> None:
            pass

    parser = Parser()
    parser.feed_data(REQUEST)
    assert parser.get_method() == b"POST"


def test_cycles_are_collected() -> None:
    class Protocol:
        def __init__(self) -> None:
            self.parser = http.HttpRequestParser(self)

        def on_url(self, url: bytes) -> None:
            pass

    protocol = Protocol()
    gone = weakref.ref(protocol)
    del protocol
    gc.collect()
    assert gone() is None
