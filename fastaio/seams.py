"""asyncio's event loop with the private methods that fastaio calls or takes the place of.

They are the same in all Python versions that fastaio supports; type checkers know only the public
ones, so the others are declared here.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import socket
from asyncio import constants
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["AsyncioLoop", "named_as_asyncio"]

_Class = TypeVar("_Class", bound=type)


def named_as_asyncio(cls: _Class) -> _Class:
    """Give public methods the qualified names of asyncio's that they override: what Python says of
    a wrong call, and what debug mode shows of a bound method, is the same then.
    """
    for name, function in vars(cls).items():
        theirs = getattr(asyncio.SelectorEventLoop, name, None)
        if inspect.isfunction(function) and inspect.isfunction(theirs) and name[0] != "_":
            function.__qualname__ = theirs.__qualname__
    return cls


if TYPE_CHECKING:

    class AsyncioLoop(asyncio.SelectorEventLoop):
        _default_executor: Executor | None
        _executor_shutdown_called: bool

        def _check_default_executor(self) -> None: ...
        def _check_running(self) -> None: ...
        def _close_self_pipe(self) -> None: ...
        def _make_self_pipe(self) -> None: ...
        def _ensure_fd_no_transport(self, fd: Any) -> None: ...
        def _check_signal(self, sig: int) -> None: ...
        def _set_coroutine_origin_tracking(self, enabled: bool) -> None: ...
        def _asyncgen_firstiter_hook(self, agen: AsyncGenerator[Any, Any]) -> None: ...
        def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None: ...
        def _make_socket_transport(
            self,
            sock: socket.socket,
            protocol: asyncio.BaseProtocol,
            waiter: asyncio.Future[None] | None = None,
            *,
            extra: dict[str, Any] | None = None,
            server: asyncio.AbstractServer | None = None,
        ) -> asyncio.Transport: ...
        def _make_datagram_transport(
            self,
            sock: socket.socket,
            protocol: asyncio.DatagramProtocol,
            address: Any = None,
            waiter: asyncio.Future[None] | None = None,
            extra: dict[str, Any] | None = None,
        ) -> asyncio.DatagramTransport: ...
        def _start_serving(
            self,
            protocol_factory: Callable[[], asyncio.BaseProtocol],
            sock: socket.socket,
            sslcontext: Any = None,
            server: asyncio.AbstractServer | None = None,
            backlog: int = 100,
            ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
            ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        ) -> None: ...
        def _stop_serving(self, sock: socket.socket) -> None: ...
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
        ) -> asyncio.SubprocessTransport: ...
        def _child_watcher_callback(self, pid: int, returncode: int, transp: Any) -> None: ...
        async def _accept_connection2(
            self,
            protocol_factory: Callable[[], asyncio.BaseProtocol],
            conn: socket.socket,
            extra: dict[str, Any],
            sslcontext: Any,
            server: asyncio.AbstractServer | None,
            ssl_handshake_timeout: float | None,
            ssl_shutdown_timeout: float | None,
            **context: contextvars.Context,  # one keyword, "context", from Python 3.15 on
        ) -> None: ...

else:
    AsyncioLoop = asyncio.SelectorEventLoop
