"""The application as raw ASGI, for uvicorn. BENCH_PAGE is the file of /page, BENCH_LAYERS the
number of middlewares."""

import asyncio
import json
import os
from typing import Any
from urllib.parse import parse_qsl

HELLO = b"Hello, World!"
CHUNK = b"x" * 1024
CHUNK_COUNT = 64
PAGE = os.environ.get("BENCH_PAGE", "")


def head(content_type: bytes, size: int) -> dict[str, Any]:
    """The message that opens an answer of `size` bytes."""
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % size)]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def answer(send: Any, content_type: bytes, body: bytes) -> None:
    await send(head(content_type, len(body)))
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"text/plain; charset=utf-8", HELLO)


async def json_hello(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps({"message": HELLO.decode()}).encode()
    await answer(send, b"application/json", body)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await answer(send, b"application/octet-stream", body)


def read_page() -> bytes:
    with open(PAGE, "rb") as file:
        return file.read()


async def page(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"text/html", read_page())


async def api(scope: Any, receive: Any, send: Any) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    name = scope["path"].rpartition("/")[2]
    found = {"name": name, "a": query.get("a", ""), "b": query.get("b", "")}
    await answer(send, b"application/json", json.dumps(found).encode())


async def stream(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(CHUNK_COUNT):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def sleep0(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await hello(scope, receive, send)


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


ROUTES = {
    "/": hello,
    "/json": json_hello,
    "/echo": echo,
    "/page": page,
    "/stream": stream,
    "/sleep0": sleep0,
}


async def router(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    endpoint = ROUTES.get(path)
    if endpoint is None:
        endpoint = api if path.startswith("/api/") else not_found
    await endpoint(scope, receive, send)


def layer(inner: Any, number: int) -> Any:
    """`inner` with a header added to each of its answers."""
    header = (b"x-layer-%d" % number, b"1")

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_header(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append(header)
            await send(message)

        await inner(scope, receive, send_with_header)

    return middleware


app: Any = router
for number in range(int(os.environ.get("BENCH_LAYERS", "0")), 0, -1):
    app = layer(app, number)
