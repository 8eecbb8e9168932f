"""The application as RSGI, for granian. BENCH_PAGE is the file of /page, BENCH_LAYERS the number
of middlewares: RSGI sends an answer's head at once, so they hand their headers inwards."""

import asyncio
import json
import os
from typing import Any
from urllib.parse import parse_qsl

Headers = list[tuple[str, str]]

HELLO = "Hello, World!"
CHUNK = b"x" * 1024
CHUNK_COUNT = 64
PAGE = os.environ.get("BENCH_PAGE", "")
TEXT = ("content-type", "text/plain; charset=utf-8")
HTML = ("content-type", "text/html")
JSON = ("content-type", "application/json")
BYTES = ("content-type", "application/octet-stream")


async def hello(scope: Any, protocol: Any, extra: Headers) -> None:
    protocol.response_str(200, [TEXT, *extra], HELLO)


async def json_hello(scope: Any, protocol: Any, extra: Headers) -> None:
    protocol.response_str(200, [JSON, *extra], json.dumps({"message": HELLO}))


async def echo(scope: Any, protocol: Any, extra: Headers) -> None:
    protocol.response_bytes(200, [BYTES, *extra], await protocol())


async def page(scope: Any, protocol: Any, extra: Headers) -> None:
    protocol.response_file(200, [HTML, *extra], PAGE)


async def api(scope: Any, protocol: Any, extra: Headers) -> None:
    query = dict(parse_qsl(scope.query_string))
    name = scope.path.rpartition("/")[2]
    found = {"name": name, "a": query.get("a", ""), "b": query.get("b", "")}
    protocol.response_str(200, [JSON, *extra], json.dumps(found))


async def stream(scope: Any, protocol: Any, extra: Headers) -> None:
    transport = protocol.response_stream(200, [BYTES, *extra])
    for _ in range(CHUNK_COUNT):
        await transport.send_bytes(CHUNK)


async def sleep0(scope: Any, protocol: Any, extra: Headers) -> None:
    await asyncio.sleep(0)
    await hello(scope, protocol, extra)


async def not_found(scope: Any, protocol: Any, extra: Headers) -> None:
    protocol.response_empty(404, extra)


ROUTES = {
    "/": hello,
    "/json": json_hello,
    "/echo": echo,
    "/page": page,
    "/stream": stream,
    "/sleep0": sleep0,
}


async def router(scope: Any, protocol: Any, extra: Headers) -> None:
    path = scope.path
    endpoint = ROUTES.get(path)
    if endpoint is None:
        endpoint = api if path.startswith("/api/") else not_found
    await endpoint(scope, protocol, extra)


def layer(inner: Any, number: int) -> Any:
    """`inner` with a header added to each of its answers."""
    header = (f"x-layer-{number}", "1")

    async def middleware(scope: Any, protocol: Any, extra: Headers) -> None:
        await inner(scope, protocol, [*extra, header])

    return middleware


outermost: Any = router
for number in range(int(os.environ.get("BENCH_LAYERS", "0")), 0, -1):
    outermost = layer(outermost, number)


async def app(scope: Any, protocol: Any) -> None:
    await outermost(scope, protocol, [])
