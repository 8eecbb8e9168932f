"""For all tests: what the garbage collector need not look at again, an end for what hangs, two
connected sockets, contexts for TLS, and ``@pytest.mark.without_debug`` for those that assert what
asyncio's debug mode changes: under ``python -X dev`` loops are made without it there."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import socket
import ssl
from collections.abc import Iterator

import pytest
import trustme
from _pytest.faulthandler import fault_handler_stderr_fd_key


def pytest_collection_finish(session: pytest.Session) -> None:
    """Many tests collect garbage, some at every allocation: thousands of times over. What has been
    imported by now stays to the end and is left out of it.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """pytest takes its guard against hangs off where a test fails; what that left may hang, too."""
    stderr = node.config.stash.get(fault_handler_stderr_fd_key, None)
    if isinstance(node, pytest.Item) and stderr is not None:
        timeout = float(node.config.getini("faulthandler_timeout"))
        faulthandler.dump_traceback_later(timeout, exit=True, file=stderr)


@pytest.fixture(autouse=True)
def without_debug(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("without_debug") is not None:
        monkeypatch.setattr(asyncio.coroutines, "_is_debug_mode", lambda: False)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets that do not block."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


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


@pytest.fixture
def contexts(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return server_context, client_context
