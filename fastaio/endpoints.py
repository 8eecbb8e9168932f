"""How the loop gets its transports: the seams at which asyncio's set-up code
(``create_connection``, ``create_server``, ...) asks for a transport, or for connections to be
accepted, answered with those of ``_core``.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import constants, sslproto
from collections.abc import Callable
from typing import Any

from . import _core

__all__ = ["Endpoints"]


class Endpoints(asyncio.SelectorEventLoop):
    """Mixed into Loop in front of asyncio's loop."""

    #: What accepts on a listening socket, by its descriptor.
    _listeners: dict[int, _core.Listener]

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
    ) -> asyncio.Transport:
        return _core.Transport(self, sock, protocol, waiter, extra, server)

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
    ) -> Any:
        tls = sslproto.SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        _core.Transport(self, rawsock, tls, None, extra, server)
        return tls._app_transport

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: Any = None,
        server: asyncio.AbstractServer | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
    ) -> None:
        def accept_tls(conn: socket.socket, address: Any) -> None:
            # The handshake takes turns of the loop: asyncio's task sees it through.
            self.create_task(
                self._accept_connection2(
                    protocol_factory,
                    conn,
                    {"peername": address},
                    sslcontext,
                    server,
                    ssl_handshake_timeout,
                    ssl_shutdown_timeout,
                )
            )

        self._listeners[sock.fileno()] = _core.Listener(
            self, sock, protocol_factory, server, backlog, accept_tls if sslcontext else None
        )

    def _stop_serving(self, sock: socket.socket) -> None:
        listener = self._listeners.pop(sock.fileno(), None)
        if listener is not None:
            listener.stop()
        super()._stop_serving(sock)
