"""Runners: a server's life from set-up to clean-up, on a loop that somebody else runs."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

from .access_log import AbstractAccessLogger, AccessLogger
from .app import Application

if TYPE_CHECKING:
    from .server import Server
    from .sites import BaseSite

__all__ = ("AppRunner", "BaseRunner", "GracefulExit", "ServerRunner")


class GracefulExit(SystemExit):
    """SIGINT or SIGTERM came: the program shuts down in order."""

    code = 1


def _raise_graceful_exit() -> NoReturn:
    raise GracefulExit()


class BaseRunner(ABC):
    """Sets a server up, keeps its sites and cleans up.

    handle_signals: SIGINT and SIGTERM raise :class:`GracefulExit` out of the loop.
    shutdown_timeout: seconds that handlers have to end at clean-up before they are cancelled.
    The rest goes to the server.
    """

    __slots__ = ("_handle_signals", "_kwargs", "_server", "_shutdown_timeout", "_sites")

    def __init__(
        self,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = 60.0,
        **kwargs: Any,
    ) -> None:
        self._handle_signals = handle_signals
        self._kwargs = kwargs
        self._server: Server | None = None
        self._sites: list[BaseSite] = []
        self._shutdown_timeout = shutdown_timeout

    @property
    def server(self) -> Server | None:
        """The server, between setup() and cleanup()."""
        return self._server

    @property
    def addresses(self) -> list[Any]:
        """Names of all sockets that are listened at."""
        return [
            sock.getsockname()
            for site in self._sites
            if site._server is not None
            for sock in site._server.sockets
        ]

    @property
    def sites(self) -> set[BaseSite]:
        """The sites that were started and not stopped."""
        return set(self._sites)

    async def setup(self) -> None:
        """Make the server."""
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, _raise_graceful_exit)
            loop.add_signal_handler(signal.SIGTERM, _raise_graceful_exit)
        self._server = await self._make_server()

    async def cleanup(self) -> None:
        """Stop all sites, let handlers end, close all connections and clean up."""
        for site in list(self._sites):
            await site.stop()
        if self._server is not None:
            # Requests that came before the sites were stopped get as far as their handlers.
            await asyncio.sleep(0)
            self._server.pre_shutdown()
            await self.shutdown()
            await self._server.shutdown(self._shutdown_timeout)
        await self._cleanup_server()
        self._server = None
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)

    @abstractmethod
    async def shutdown(self) -> None:
        """Called while connections are still open."""

    @abstractmethod
    async def _make_server(self) -> Server:
        """Make the server."""

    @abstractmethod
    async def _cleanup_server(self) -> None:
        """Called when all connections are closed."""

    def _reg_site(self, site: BaseSite) -> None:
        if site in self._sites:
            raise RuntimeError(f"Site {site} is already registered in runner {self}")
        self._sites.append(site)

    def _check_site(self, site: BaseSite) -> None:
        if site not in self._sites:
            raise RuntimeError(f"Site {site} is not registered in runner {self}")

    def _unreg_site(self, site: BaseSite) -> None:
        self._check_site(site)
        self._sites.remove(site)


class ServerRunner(BaseRunner):
    """Runs a low-level :class:`Server`."""

    __slots__ = ("_web_server",)

    def __init__(self, web_server: Server, *, handle_signals: bool = False, **kwargs: Any) -> None:
        super().__init__(handle_signals=handle_signals, **kwargs)
        self._web_server = web_server

    async def shutdown(self) -> None:
        """Nothing: a low-level server has no signals of its own."""
        pass

    async def _make_server(self) -> Server:
        return self._web_server

    async def _cleanup_server(self) -> None:
        pass


class AppRunner(BaseRunner):
    """Runs an :class:`Application`. TypeError when it is given something else."""

    __slots__ = ("_app",)

    def __init__(
        self,
        app: Application,
        *,
        handle_signals: bool = False,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,
    ) -> None:
        super().__init__(handle_signals=handle_signals, **kwargs)
        if not isinstance(app, Application):
            raise TypeError(f"The first argument should be web.Application instance, got {app!r}")
        self._kwargs["access_log_class"] = access_log_class
        self._app = app

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    async def shutdown(self) -> None:
        """Send the application's on_shutdown."""
        await self._app.shutdown()

    async def _make_server(self) -> Server:
        loop = asyncio.get_running_loop()
        self._app._set_loop(loop)
        self._app.on_startup.freeze()
        await self._app.startup()
        return self._app._make_handler(loop=loop, **self._kwargs)

    async def _cleanup_server(self) -> None:
        await self._app.cleanup()
