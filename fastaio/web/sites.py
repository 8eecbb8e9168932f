"""Sites: the addresses at which a runner's server listens."""

from __future__ import annotations

import asyncio
import socket
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from ssl import SSLContext

    from .runner import BaseRunner
    from .server import Server
    from .typedefs import PathLike

__all__ = ("BaseSite", "SockSite", "TCPSite", "UnixSite")


class BaseSite(ABC):
    """Something to listen at. RuntimeError before the runner's setup().

    ssl_context: serve HTTPS. backlog: connections that the kernel keeps until they are accepted.
    """

    __slots__ = ("_backlog", "_runner", "_server", "_ssl_context")

    def __init__(
        self,
        runner: BaseRunner,
        *,
        shutdown_timeout: float = 60.0,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        if runner.server is None:
            raise RuntimeError("Call runner.setup() before making a site")
        if shutdown_timeout != 60.0:
            warnings.warn(
                "shutdown_timeout should be set on BaseRunner", DeprecationWarning, stacklevel=3
            )
            runner._shutdown_timeout = shutdown_timeout
        self._runner = runner
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._server: asyncio.Server | None = None

    @property
    def _scheme(self) -> str:
        return "http" if self._ssl_context is None else "https"

    @property
    @abstractmethod
    def name(self) -> str:
        """The address as a URL."""

    @abstractmethod
    async def _listen(self, loop: asyncio.AbstractEventLoop, server: Server) -> Any:
        """Start listening; returns what stops it."""

    async def start(self) -> None:
        """Start listening. OSError when the address cannot be had."""
        self._runner._reg_site(self)
        server = self._runner.server
        assert server is not None
        self._server = await self._listen(asyncio.get_running_loop(), server)

    async def stop(self) -> None:
        """Stop listening; connections stay."""
        self._runner._check_site(self)
        if self._server is not None:
            self._server.close()
        self._runner._unreg_site(self)


class TCPSite(BaseSite):
    """A TCP port: `host` None is all interfaces, `port` None 8080 (HTTPS: 8443), 0 any free one."""

    __slots__ = ("_bound_port", "_host", "_port", "_reuse_address", "_reuse_port")

    def __init__(
        self,
        runner: BaseRunner,
        host: str | None = None,
        port: int | None = None,
        *,
        shutdown_timeout: float = 60.0,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        if port is None:
            port = 8080 if ssl_context is None else 8443
        self._host = host
        self._port = port
        self._bound_port: int | None = None
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port

    @property
    def port(self) -> int:
        """The port that is listened at; before start() the one that was asked for."""
        return self._port if self._bound_port is None else self._bound_port

    @property
    def name(self) -> str:
        """The address as a URL, with the port that is listened on; 0.0.0.0 for all hosts."""
        return str(URL.build(scheme=self._scheme, host=self._host or "0.0.0.0", port=self.port))

    async def _listen(self, loop: asyncio.AbstractEventLoop, server: Server) -> Any:
        listening = await loop.create_server(
            server,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
        )
        if listening.sockets:
            self._bound_port = listening.sockets[0].getsockname()[1]
        return listening


class UnixSite(BaseSite):
    """A Unix socket at `path`."""

    __slots__ = ("_path",)

    def __init__(
        self,
        runner: BaseRunner,
        path: PathLike,
        *,
        shutdown_timeout: float = 60.0,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._path = path

    @property
    def name(self) -> str:
        """The path as "http://unix:PATH:", https with TLS."""
        return f"{self._scheme}://unix:{self._path}:"

    async def _listen(self, loop: asyncio.AbstractEventLoop, server: Server) -> Any:
        return await loop.create_unix_server(
            server,
            self._path,
            ssl=self._ssl_context,
            backlog=self._backlog,
        )


class SockSite(BaseSite):
    """A socket that is bound already."""

    __slots__ = ("_name", "_sock")

    def __init__(
        self,
        runner: BaseRunner,
        sock: socket.socket,
        *,
        shutdown_timeout: float = 60.0,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._sock = sock
        if sock.family == socket.AF_UNIX:
            self._name = f"{self._scheme}://unix:{sock.getsockname()}:"
        else:
            host, port = sock.getsockname()[:2]
            self._name = str(URL.build(scheme=self._scheme, host=host, port=port))

    @property
    def name(self) -> str:
        """The socket's address, as :class:`TCPSite` or :class:`UnixSite` would show it."""
        return self._name

    async def _listen(self, loop: asyncio.AbstractEventLoop, server: Server) -> Any:
        # create_unix_server() refuses TCP sockets and create_server() takes both.
        return await loop.create_server(
            server, sock=self._sock, ssl=self._ssl_context, backlog=self._backlog
        )
