"""How the loop gets its transports: the seams at which asyncio's set-up code
(``create_connection``, ``create_server``, ...) asks for a transport, or for connections to be
accepted, answered with those of ``_core``.
"""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import contextvars
import socket
from asyncio import constants
from collections.abc import Callable
from typing import Any

from . import _core, subprocess, tls
from .seams import AsyncioLoop, named_as_asyncio

__all__ = ["Endpoints"]

#: What asyncio's transports call of a socket.
STREAM_CALLS = ("recv", "recv_into", "send", "sendmsg", "shutdown")
DATAGRAM_CALLS = ("recvfrom", "send", "sendto")


#: Those that make the system call and no more; on socket.socket itself tests may have others put.
PLAIN = {name: getattr(_socket.socket, name) for name in {*STREAM_CALLS, *DATAGRAM_CALLS}}
PLAIN["accept"] = socket.socket.accept
#: Whose addresses ours know; of others the socket module alone knows the shape.
FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def is_left_to_asyncio(sock: socket.socket, *names: str) -> bool:
    """Whether a socket has methods of its own that asyncio's transports would call, or addresses
    that ours cannot read.

    Ours make the system calls themselves; such a socket gets asyncio's.
    """
    if isinstance(sock.family, int) and sock.family not in FAMILIES:
        return True
    cls = type(sock)
    return any(
        getattr(cls, name, None) is not PLAIN[name] or name in getattr(sock, "__dict__", ())
        for name in names
    )


def keyword(context: contextvars.Context | None) -> dict[str, Any]:
    """The context as a keyword for asyncio's methods, which know none before Python 3.15."""
    return {} if context is None else {"context": context}


def end_sending(sock: socket.socket, ended: asyncio.Future[None]) -> None:
    """Have a transfer over ``sock`` fail where its connection has ended (and not it)."""
    if not ended.cancelled() and ended.exception() is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


if _core.SOCKETS_HAVE_ONE_TRANSPORT:

    def ensure_free(loop: AsyncioLoop, sock: socket.socket) -> None:
        """RuntimeError where another transport has the socket and is not closing."""
        loop._ensure_fd_no_transport(sock)

else:

    def ensure_free(loop: AsyncioLoop, sock: socket.socket) -> None:
        """A second transport takes a socket over, as with asyncio of this version."""


@named_as_asyncio
class Endpoints(AsyncioLoop):
    """Mixed into Loop in front of asyncio's loop."""

    #: What accepts on a listening socket.
    _listeners: dict[socket.socket, _core.Listener]

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        context: contextvars.Context | None = None,  # given from Python 3.15 on
    ) -> asyncio.Transport:
        ensure_free(self, sock)
        if is_left_to_asyncio(sock, *STREAM_CALLS):
            own = keyword(context)
            return super()._make_socket_transport(
                sock, protocol, waiter, extra=extra, server=server, **own
            )
        return _core.Transport(self, sock, protocol, waiter, extra, server, context)

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
        context: contextvars.Context | None = None,
    ) -> Any:
        connection = tls.TLSProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._make_socket_transport(
            rawsock, connection, extra=extra, server=server, context=context
        )
        return connection._app_transport

    async def start_tls(
        self,
        transport: Any,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """Upgrade a connection to TLS; returns the transport to use from now on.

        TypeError for what is no SSLContext, or a transport that cannot be upgraded
        (asyncio: base_events.start_tls).
        """
        return await tls.start_tls(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    async def _make_subprocess_transport(
        self,
        protocol: asyncio.SubprocessProtocol,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> asyncio.SubprocessTransport:
        if _core.LOOPS_WATCH_CHILDREN:  # asyncio's own code asks the loop's `_watcher`
            return await super()._make_subprocess_transport(
                protocol, args, shell, stdin, stdout, stderr, bufsize, extra, **kwargs
            )
        waiter = self.create_future()
        transport = subprocess.SubprocessTransport(
            self,
            protocol,
            args,
            shell,
            stdin,
            stdout,
            stderr,
            bufsize,
            waiter=waiter,
            extra=extra,
            **kwargs,
        )
        pid = transport._proc.pid
        told = self._child_watcher_callback
        subprocess.ChildWatcher().add_child_handler(pid, told, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: Any = None,
        server: asyncio.AbstractServer | None = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: contextvars.Context | None = None,
    ) -> None:
        if is_left_to_asyncio(sock, "accept"):
            super()._start_serving(
                protocol_factory,
                sock,
                sslcontext,
                server,
                backlog,
                ssl_handshake_timeout,
                ssl_shutdown_timeout,
                **keyword(context),
            )
            return

        def accept_tls(conn: socket.socket, address: Any) -> None:
            # The handshake takes turns of the loop: asyncio's task sees it through.
            own = keyword(None if context is None else context.copy())
            self.create_task(
                self._accept_connection2(
                    protocol_factory,
                    conn,
                    {"peername": address},
                    sslcontext,
                    server,
                    ssl_handshake_timeout,
                    ssl_shutdown_timeout,
                    **own,
                ),
                **own,
            )

        self._stop_accepting(sock)
        self._listeners[sock] = _core.Listener(
            self,
            sock,
            protocol_factory,
            server,
            backlog,
            accept_tls if sslcontext else None,
            context,
        )

    def _stop_serving(self, sock: socket.socket) -> None:
        self._stop_accepting(sock)
        super()._stop_serving(sock)

    def _stop_accepting(self, sock: socket.socket) -> None:
        listener = self._listeners.pop(sock, None)
        if listener is not None:
            listener.stop()

    # -- datagrams ---------------------------------------------------------------------------------

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.DatagramTransport:
        ensure_free(self, sock)
        if is_left_to_asyncio(sock, *DATAGRAM_CALLS):
            return super()._make_datagram_transport(sock, protocol, address, waiter, extra)
        return _core.DatagramTransport(self, sock, protocol, address, waiter, extra)

    # -- pipes -------------------------------------------------------------------------------------

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.ReadTransport:
        return _core.ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> asyncio.WriteTransport:
        return _core.WritePipeTransport(self, pipe, protocol, waiter, extra)

    # -- sendfile ----------------------------------------------------------------------------------

    async def _sendfile_native(self, transp: Any, file: Any, offset: int, count: int | None) -> int:
        """asyncio: selector_events._sendfile_native.

        The transport goes on watching its descriptor, so a second one of the socket is written to.
        """
        if transp._empty_waiter is not None:
            raise KeyError(transp._sock_fd)  # asyncio, where a second transfer finds no transport
        resume_reading = transp.is_reading()
        transp.pause_reading()
        await transp._make_empty_waiter()
        try:
            ended = transp._make_end_waiter()
            with transp._sock.dup() as sock:
                ended.add_done_callback(lambda ended: end_sending(sock, ended))
                try:
                    sent: int = await self.sock_sendfile(sock, file, offset, count, fallback=False)
                    return sent
                finally:
                    ended.cancel()
        finally:
            transp._reset_empty_waiter()
            if resume_reading:
                transp.resume_reading()
