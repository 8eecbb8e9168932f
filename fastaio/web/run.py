"""run_app(): an application from a plain program until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from .access_log import AbstractAccessLogger, AccessLogger
from .app import Application
from .log import access_logger
from .runner import AppRunner, GracefulExit
from .sites import BaseSite, SockSite, TCPSite, UnixSite

if TYPE_CHECKING:
    from ssl import SSLContext

    from .typedefs import PathLike

__all__ = ("run_app",)


def _sites(
    runner: AppRunner,
    host: str | Iterable[str] | None,
    port: int | None,
    path: PathLike | Iterable[PathLike] | None,
    sock: socket.socket | Iterable[socket.socket] | None,
    *,
    ssl_context: SSLContext | None,
    backlog: int,
    reuse_address: bool | None,
    reuse_port: bool | None,
) -> list[BaseSite]:
    """What run_app() was asked to listen at; a TCP port when it was asked for nothing."""
    sites: list[BaseSite] = []
    hosts: Iterable[str | None] = ()
    if host is not None:
        hosts = (host,) if isinstance(host, str) else host
    elif port is not None or (path is None and sock is None):
        hosts = (None,)
    for name in hosts:
        sites.append(
            TCPSite(
                runner,
                name,
                port,
                ssl_context=ssl_context,
                backlog=backlog,
                reuse_address=reuse_address,
                reuse_port=reuse_port,
            )
        )
    if path is not None:
        for place in (path,) if isinstance(path, str | os.PathLike) else path:
            sites.append(UnixSite(runner, place, ssl_context=ssl_context, backlog=backlog))
    if sock is not None:
        for bound in sock if isinstance(sock, Iterable) else (sock,):
            sites.append(SockSite(runner, bound, ssl_context=ssl_context, backlog=backlog))
    return sites


async def _serve(
    app: Application | Awaitable[Application],
    make_sites: Callable[[AppRunner], list[BaseSite]],
    print: Callable[..., None] | None,
    runner_kwargs: dict[str, Any],
) -> None:
    """Serve until cancelled."""
    if not isinstance(app, Application) and asyncio.iscoroutine(app):
        app = await app
    runner = AppRunner(app, **runner_kwargs)  # type: ignore[arg-type]
    await runner.setup()
    try:
        for site in make_sites(runner):
            await site.start()
        if print is not None:
            names = ", ".join(sorted(site.name for site in runner.sites))
            print(f"======== Running on {names} ========\n(Press CTRL+C to quit)")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _cancel_tasks(tasks: set[asyncio.Task[Any]], loop: asyncio.AbstractEventLoop) -> None:
    """Cancel and await what still runs; report what fails at it. asyncio: runners."""
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception during shutdown of run_app()",
                    "exception": task.exception(),
                    "task": task,
                }
            )


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """fastaio's loop, unless the program has installed a policy, and so a loop, of its own."""
    from ..policy import has_own_policy, new_event_loop

    return asyncio.new_event_loop() if has_own_policy() else new_event_loop()


def _log_to_stderr(logger: logging.Logger) -> None:
    """In debug mode the access log shows without being configured."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    path: PathLike | Iterable[PathLike] | None = None,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    shutdown_timeout: float = 60.0,
    keepalive_timeout: float = 75.0,
    ssl_context: SSLContext | None = None,
    print: Callable[..., None] | None = builtins.print,
    backlog: int = 128,
    access_log_class: type[AbstractAccessLogger] = AccessLogger,
    access_log_format: str = AccessLogger.LOG_FORMAT,
    access_log: logging.Logger | None = access_logger,
    handle_signals: bool = True,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    handler_cancellation: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> None:
    """Serve `app`, or what the coroutine `app` returns, until Ctrl-C or SIGTERM.

    host, port, path, sock: where to listen, each one or several (port 8080, HTTPS 8443, on all
    interfaces by default). shutdown_timeout: seconds that handlers have to end.
    keepalive_timeout: seconds a connection may be idle. print: shows the addresses, None: nobody.
    handler_cancellation: cancel a handler whose client has gone. loop: runs on this one and
    closes it; by default on a new one of fastaio's, or of the policy the program has installed.
    Other arguments go to the server (:class:`Server`).
    """
    if loop is None:
        loop = _new_event_loop()
    if loop.get_debug() and access_log is access_logger:
        _log_to_stderr(access_log)

    def make_sites(runner: AppRunner) -> list[BaseSite]:
        return _sites(
            runner,
            host,
            port,
            path,
            sock,
            ssl_context=ssl_context,
            backlog=backlog,
            reuse_address=reuse_address,
            reuse_port=reuse_port,
        )

    kwargs.update(
        shutdown_timeout=shutdown_timeout,
        keepalive_timeout=keepalive_timeout,
        access_log_class=access_log_class,
        access_log_format=access_log_format,
        access_log=access_log,
        handle_signals=handle_signals,
        handler_cancellation=handler_cancellation,
    )
    main = loop.create_task(_serve(app, make_sites, print, kwargs))
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
    except (GracefulExit, KeyboardInterrupt):
        pass
    finally:
        try:
            # A task that failed at start-up has been awaited; its traceback stays as it is.
            if not main.done():
                main.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    loop.run_until_complete(main)
        finally:
            _cancel_tasks(asyncio.all_tasks(loop), loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)
