"""Twins: every test here runs on asyncio's loop, which says what is right, and on ours."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trustme

import fastaio

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "fastaio": fastaio.new_event_loop,
}


@pytest.fixture
def reports() -> Iterator[list[dict[str, Any]]]:
    """What reached call_exception_handler(); a test takes out what it expects."""
    contexts: list[dict[str, Any]] = []
    yield contexts
    assert contexts == []


@pytest.fixture(params=FACTORIES)
def loop_factory(
    request: pytest.FixtureRequest, reports: list[dict[str, Any]]
) -> Iterator[Callable[[], asyncio.AbstractEventLoop]]:
    """Makes loops that report to ``reports`` and are closed afterwards."""
    loops: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        loop = FACTORIES[request.param]()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        loops.append(loop)
        return loop

    yield factory
    for loop in loops:
        loop.close()
    loops.clear()
    gc.collect()


@pytest.fixture
def loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> asyncio.AbstractEventLoop:
    return loop_factory()


@pytest.fixture
def run(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end on a new loop, as asyncio.run() does."""

    def run(main: Coroutine[Any, Any, Any], *, debug: bool | None = None) -> Any:
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            return runner.run(main)

    return run


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
