"""How the loop gets its transports: the seams at which ``asyncio.BaseEventLoop``'s set-up code
(``create_connection``, ``create_server``, ...) asks for a transport or for connections to be
accepted, answered with those of ``_core``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import constants, sslproto, unix_events
from collections.abc import Callable
from typing import Any

from . import _core
from .log import logger

__all__ = ["Endpoints"]

_Unix = unix_events._UnixSelectorEventLoop


class Endpoints(asyncio.BaseEventLoop):
    """Mixed into Loop between the C type and ``asyncio.BaseEventLoop``."""

    #: Listening sockets by descriptor, as long as they accept.
    _listeners: dict[int, _core.Listener]
    #: Paths of Unix servers to remove when they stop: socket to inode (asyncio 3.13).
    _unix_server_sockets: dict[socket.socket, int]

    def __init__(self) -> None:
        super().__init__()
        self._listeners = {}
        self._unix_server_sockets = {}

    # -- stream sockets ----------------------------------------------------------------------------

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

    # -- listening ---------------------------------------------------------------------------------

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
            self.create_task(
                self._accept_tls(
                    protocol_factory,
                    conn,
                    address,
                    sslcontext,
                    server,
                    ssl_handshake_timeout,
                    ssl_shutdown_timeout,
                )
            )

        self._listeners[sock.fileno()] = _core.Listener(
            self, sock, protocol_factory, server, backlog, accept_tls if sslcontext else None
        )

    async def _accept_tls(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        conn: socket.socket,
        address: Any,
        sslcontext: Any,
        server: asyncio.AbstractServer | None,
        ssl_handshake_timeout: float | None,
        ssl_shutdown_timeout: float | None,
    ) -> None:
        """See the handshake through (asyncio: selector_events._accept_connection2)."""
        context: dict[str, Any] = {}
        try:
            protocol = context["protocol"] = protocol_factory()
            waiter = self.create_future()
            transport = context["transport"] = self._make_ssl_transport(
                conn,
                protocol,
                sslcontext,
                waiter=waiter,
                server_side=True,
                extra={"peername": address},
                server=server,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
            )
            try:
                await waiter
            except BaseException:
                transport.close()
                # What is in the future keeps the protocol alive, in a cycle (CPython gh-109534).
                del waiter
                raise
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            if self.get_debug():
                context["message"] = "Error on transport creation for incoming connection"
                context["exception"] = exc
                self.call_exception_handler(context)

    def _stop_serving(self, sock: socket.socket) -> None:
        listener = self._listeners.pop(sock.fileno(), None)
        if listener is not None:
            listener.stop()
        inode = self._unix_server_sockets.pop(sock, None)
        path = None if inode is None else sock.getsockname()
        sock.close()
        if path is not None:
            try:
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as exc:
                logger.error("Unable to clean up listening UNIX socket %r: %r", path, exc)

    # -- Unix sockets: asyncio's own set-up, which needs nothing of its selector --------------------

    create_unix_connection = _Unix.create_unix_connection
    create_unix_server = _Unix.create_unix_server
