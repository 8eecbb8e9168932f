"""What is asked of each contender, byte for byte, and what it must answer."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

HELLO = b"Hello, World!"
ECHO_BODY = b"e" * 1024
PAGE_BODY = (
    b"<!doctype html>\n<title>A page</title>\n" + b"<p>Ten kibibytes of text.</p>\n" * 400
)[:10240]
STREAM_BODY = b"x" * 1024 * 64
PIPELINE_DEPTH = 16
LAYERS = 3

BROWSER_HEADERS = (
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.8,de;q=0.5,fr;q=0.3"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    ("Referer", "http://127.0.0.1/some/earlier/page?with=query&and=more"),
    (
        "Cookie",
        "session=0123456789abcdef0123456789abcdef; theme=dark; consent=1; _id=42.1700000000",
    ),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Cache-Control", "max-age=0"),
)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, its body already out of its transfer coding; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request_bytes(
    target: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None
) -> bytes:
    """An HTTP/1.1 request as it goes over the wire."""
    lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines += ["Content-Type: application/octet-stream", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def is_body(body: bytes) -> Callable[[Answer], str | None]:
    """A check that says what is wrong with an answer, or None."""

    def check(answer: Answer) -> str | None:
        if answer.body == body:
            return None
        return f"body is {answer.body[:60]!r} ({len(answer.body)} bytes)"

    return check


def is_json(value: object) -> Callable[[Answer], str | None]:
    def check(answer: Answer) -> str | None:
        if answer.headers.get("content-type", "").partition(";")[0] != "application/json":
            return f"content-type is {answer.headers.get('content-type')!r}"
        return None if json.loads(answer.body) == value else f"body is {answer.body[:60]!r}"

    return check


def is_stream(answer: Answer) -> str | None:
    if answer.headers.get("transfer-encoding") != "chunked":
        return "the stream is not chunked"
    return is_body(STREAM_BODY)(answer)


def is_layered(answer: Answer) -> str | None:
    missing = [n for n in range(1, LAYERS + 1) if answer.headers.get(f"x-layer-{n}") != "1"]
    return f"no header of middleware {missing}" if missing else is_body(HELLO)(answer)


@dataclass(frozen=True)
class Workload:
    """Bytes that go out again and again on each connection, and the check of what comes back."""

    name: str
    request: bytes
    check: Callable[[Answer], str | None] = field(compare=False)
    depth: int = 1
    """How many requests `request` holds."""
    layers: int = 0
    """How many middlewares the server is started with."""


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("plaintext", request_bytes("/"), is_body(HELLO)),
        Workload("json", request_bytes("/json"), is_json({"message": HELLO.decode()})),
        Workload("headers", request_bytes("/", BROWSER_HEADERS), is_body(HELLO)),
        Workload("echo", request_bytes("/echo", body=ECHO_BODY), is_body(ECHO_BODY)),
        Workload("file", request_bytes("/page"), is_body(PAGE_BODY)),
        Workload(
            "path",
            request_bytes("/api/alice?a=1&b=two"),
            is_json({"name": "alice", "a": "1", "b": "two"}),
        ),
        Workload("stream", request_bytes("/stream"), is_stream),
        Workload("pipeline", request_bytes("/") * PIPELINE_DEPTH, is_body(HELLO), PIPELINE_DEPTH),
        Workload("middlewares", request_bytes("/"), is_layered, layers=LAYERS),
        Workload("sleep0", request_bytes("/sleep0"), is_body(HELLO)),
    )
}


class _Incoming:
    """Reads answers off a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")

    def close(self) -> None:
        self._file.close()

    def answer(self) -> Answer:
        status = int(self._file.readline().split(b" ", 2)[1])
        headers: dict[str, str] = {}
        while (line := self._file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, self._chunks())
        return Answer(status, headers, self._file.read(int(headers.get("content-length", "0"))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return body


def ask(sock: socket.socket, workload: Workload) -> str | None:
    """Sends the workload once on a connected socket; what is wrong with the answers, or None."""
    sock.sendall(workload.request)
    incoming = _Incoming(sock)
    try:
        for _ in range(workload.depth):
            answer = incoming.answer()
            wrong = f"status is {answer.status}" if answer.status != 200 else workload.check(answer)
            if wrong:
                return wrong
    except (OSError, ValueError, IndexError) as error:
        return f"no answer: {error!r}"
    finally:
        incoming.close()
    return None
