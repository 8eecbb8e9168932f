"""HTTP/1.1 without a framework: parsers and codecs in C, usable on any loop or none.

``HttpRequestParser``, ``HttpResponseParser`` and ``parse_url`` have the interface of httptools;
``RequestReader`` reads requests with all the checks and limits of fastaio's server. That server is
``HttpServer`` and its ``ServerProtocol``, an ``asyncio.Protocol`` on any loop; ``serve()`` opens a
socket for them.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from typing import Any

from . import _core
from ._core import (
    URL,
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidStatusError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestError,
    HttpRequestParser,
    HttpResponseParser,
    MultipartParser,
    Request,
    RequestHead,
    RequestReader,
    Response,
    ServerProtocol,
    StreamReader,
    StreamResponse,
    http_date,
    parse_cookies,
    parse_http_date,
    parse_query,
    parse_url,
    response_head,
    unquote,
)

__all__ = [
    "URL",
    "HttpParserCallbackError",
    "HttpParserError",
    "HttpParserInvalidMethodError",
    "HttpParserInvalidStatusError",
    "HttpParserInvalidURLError",
    "HttpParserUpgrade",
    "HttpRequestError",
    "HttpRequestParser",
    "HttpResponseParser",
    "HttpServer",
    "MultipartParser",
    "Request",
    "RequestHead",
    "RequestReader",
    "Response",
    "ServerProtocol",
    "StreamReader",
    "StreamResponse",
    "http_date",
    "parse_cookies",
    "parse_http_date",
    "parse_query",
    "parse_request_head",
    "parse_url",
    "response_head",
    "serve",
    "unquote",
]

#: A function that answers requests: plain or ``async``.
Handler = Callable[[Request], StreamResponse | Awaitable[StreamResponse]]


def parse_request_head(data: bytes) -> RequestHead | None:
    """The head of the request that ``data`` begins with, or None while it is incomplete.

    Raises HttpRequestError, whose ``status`` is the answer's, for a head that a server must refuse.
    """
    for event in RequestReader(body=0).feed(data):
        if isinstance(event, RequestHead):
            return event
    return None


async def _finish(request: Request, response: StreamResponse) -> None:
    """Send what could not be sent in one go."""
    await response.prepare(request)
    await response.write_eof()


class HttpServer(_core.HttpServer):
    """What the HTTP/1.1 connections of one application on one event loop share.

    Takes ``handler`` or ``router=`` and the settings of ``_core.HttpServer``: limits in bytes,
    time-outs in seconds. Use it as ``loop.create_server(server, host, port)``: called, it makes the
    ``ServerProtocol`` of one connection.
    """

    def __new__(cls, handler: Handler | None = None, **settings: Any) -> HttpServer:
        settings.setdefault("finish", _finish)
        return super().__new__(cls, handler, **settings)

    def __call__(self) -> ServerProtocol:
        """Make the protocol of a new connection."""
        return ServerProtocol(self)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Close all connections: idle ones at once, busy ones after the answer they are at.

        After ``timeout`` seconds (None: no time at all) handlers that still wait are cancelled and
        what is left is aborted. Close the listening sockets first.
        """
        self.pre_shutdown()
        if timeout is not None and self.connection_count:
            # The waiter is shared, so it must not be cancelled by the time-out.
            await asyncio.wait([asyncio.ensure_future(self.wait_empty())], timeout=timeout)
        if self.connection_count:
            self.cancel_handlers()
            # A cancelled handler runs its clean-up in the next turns, with its connection there.
            for _ in range(3):
                await asyncio.sleep(0)
            self.close()
            await self.wait_empty()


async def serve(
    handler: Handler,
    host: str | None = "127.0.0.1",
    port: int = 0,
    *,
    ssl: ssl_module.SSLContext | None = None,
    backlog: int = 1024,
    reuse_port: bool | None = None,
    **settings: Any,
) -> asyncio.Server:
    """Listen on ``host`` and ``port`` (0: a free one) and answer requests by ``handler``.

    ``settings`` are those of :class:`HttpServer`. Returns the started ``asyncio.Server``; its
    ``close()`` ends listening, its ``close_clients()`` (Python 3.13) the connections; for more
    order than that make an HttpServer, which has ``shutdown()``. Raises OSError when it cannot
    listen.
    """
    loop = asyncio.get_running_loop()
    server = HttpServer(handler, loop=loop, **settings)
    return await loop.create_server(
        server, host, port, ssl=ssl, backlog=backlog, reuse_port=reuse_port
    )
