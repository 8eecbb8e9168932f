"""Server: the native HTTP server behind the interface of aiohttp.web.Server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .. import _core
from .access_log import AbstractAccessLogger, AccessLogger
from .log import access_logger, server_logger
from .request import BaseRequest, Request
from .response import Response

if TYPE_CHECKING:
    from .response import StreamResponse

__all__ = ("RequestHandler", "Server")

# The connection, which request.protocol is.
RequestHandler = _core.ServerProtocol

# Seconds that handlers have to end once they are cancelled.
CANCEL_TIME = 1.0

SERVER_HEADER = "fastaio"

# What aiohttp.web calls the limits, and what the engine calls them.
_OPTIONS = {
    "max_line_size": "max_line",
    "max_field_size": "max_field",
    "max_headers": "max_fields",
    **{
        name: name
        for name in (
            "body_timeout",
            "handler_cancellation",
            "head_timeout",
            "keepalive_timeout",
            "max_head",
            "max_pipelined",
            "write_timeout",
        )
    },
}
# Taken for compatibility: the engine has no use for them.
_UNUSED = frozenset(
    ("auto_decompress", "lingering_time", "read_bufsize", "tcp_keepalive", "timeout_ceil_threshold")
)


class _AccessLog:
    """What the engine calls after each answer."""

    def __init__(self, logger: AbstractAccessLogger) -> None:
        self._logger = logger

    @property
    def enabled(self) -> bool:
        return self._logger.enabled

    def __call__(
        self, request: BaseRequest, response: StreamResponse | int, seconds: float
    ) -> None:
        """`response` is the status where the engine answered for a handler that failed."""
        if isinstance(response, int):
            if response < 100:  # the client was gone
                return
            response = Response(status=response)
        self._logger.log(request, response, seconds)


async def _finish(request: BaseRequest, response: StreamResponse) -> None:
    """Send a response that the engine cannot send in one go."""
    await response.prepare(request)
    await response.write_eof()


def _access_log(
    logger_class: type[AbstractAccessLogger], logger: logging.Logger | None, log_format: str
) -> _AccessLog | None:
    if not isinstance(logger_class, type) or not hasattr(logger_class, "log"):
        raise TypeError(
            f"access_log_class must be subclass of AbstractAccessLogger, got {logger_class}"
        )
    return None if not logger else _AccessLog(logger_class(logger, log_format))


def _options(given: dict[str, Any], logger: logging.Logger) -> dict[str, Any]:
    """The engine's arguments. As in aiohttp.web, what is unknown is only complained about."""
    known = {_OPTIONS[name]: value for name, value in given.items() if name in _OPTIONS}
    unknown = sorted(set(given) - set(_OPTIONS) - _UNUSED)
    if unknown:
        logger.warning("unknown arguments of the server are not used: %s", ", ".join(unknown))
    return known


class Server:
    """Answers requests with `handler`; a factory of protocols for ``loop.create_server()``.

    keepalive_timeout: seconds that a connection may be idle. head_timeout, body_timeout,
    write_timeout: seconds for a request's head, for more of its body, for the client to take
    output. max_line_size, max_field_size, max_head: bytes of the request line, of a field and of
    the whole head. max_headers: number of fields, at most 128. max_pipelined: requests of one
    connection answered in one turn of the loop. client_max_size, client_max_fields: as for
    :class:`Application`. server_header: of responses, None: none. handler_cancellation: cancel a
    handler whose client has gone. debug: a failing handler's traceback is in the answer.
    access_log: a logger, None: no log. logger: for errors.
    """

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[StreamResponse]] | None,
        *,
        router: _core.Router | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        access_log: logging.Logger | None = access_logger,
        access_log_format: str = AccessLogger.LOG_FORMAT,
        logger: logging.Logger = server_logger,
        client_max_size: int | None = 1024**2,
        client_max_fields: int = 1000,
        server_header: str | None = SERVER_HEADER,
        debug: bool | None = False,
        **kwargs: Any,
    ) -> None:
        request_type: type[BaseRequest] = BaseRequest if router is None else Request
        if client_max_fields != request_type._client_max_fields:
            fields = {"_client_max_fields": client_max_fields}
            request_type = type(request_type.__name__, (request_type,), fields)
        self._native = _core.HttpServer(
            handler,
            router=router,
            request_type=request_type,
            finish=_finish,
            loop=loop,
            # The size of a body is read()'s affair: a body may be read piece by piece.
            max_body=0,
            client_max_size=client_max_size or 0,
            server_header=server_header,
            access_log=_access_log(access_log_class, access_log, access_log_format),
            logger=logger,
            debug=bool(debug),
            **_options(kwargs, logger),
        )

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _core.ServerProtocol(self._native)

    @property
    def connections(self) -> list[_core.ServerProtocol]:
        """The open connections."""
        return self._native.connections

    @property
    def requests_count(self) -> int:
        """Requests answered so far."""
        return self._native.requests_count

    @property
    def counters(self) -> dict[str, int]:
        """Numbers of connections, requests and answers by class of status."""
        return self._native.counters

    def pre_shutdown(self) -> None:
        """Close idle connections; busy ones close after their answer, new ones at once."""
        self._native.pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Close connections once they are answered; after `timeout` seconds cancel handlers."""
        self._native.pre_shutdown()
        if await self._emptied(timeout):
            return
        self._native.cancel_handlers()
        if await self._emptied(CANCEL_TIME):
            return
        self._native.close()
        await self._emptied(None)

    async def _emptied(self, timeout: float | None) -> bool:
        """Wait until no connection is open; False when that takes longer than `timeout`."""
        empty = self._native.wait_empty()
        if not asyncio.isfuture(empty):
            return True
        done, _ = await asyncio.wait((empty,), timeout=timeout)
        return bool(done)
