"""More of what test_differences.py shows: coroutine functions, each with one result on asyncio's
loop and another on ours."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from asyncio import base_events
from pathlib import Path
from typing import Any
from unittest import mock


async def takes_a_time_that_is_none() -> bool:
    loop = asyncio.get_running_loop()
    try:
        loop.call_at("soon", print).cancel()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


async def leaves_a_connection_without_a_protocol() -> bool:
    loop = asyncio.get_running_loop()
    asked = loop.create_future()

    server = await loop.create_server(lambda: asked.set_result(None), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as peer:
        await asked
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        peer.setblocking(False)
        try:
            open_still = peer.recv(1) != b""
        except BlockingIOError:
            open_still = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return open_still


async def sends_to_a_peer_without_a_name() -> bool:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
        transport.sendto(b"x")
        await asyncio.sleep(0)
        sent = not transport.is_closing()
        transport.abort()
        await asyncio.sleep(0)
    return sent


async def name_of_the_loop() -> str:
    return repr(asyncio.get_running_loop())[1:].split()[0]


async def place_of_a_reader() -> str:
    loop: Any = asyncio.get_running_loop()
    loop.set_debug(True)
    read_fd, write_fd = os.pipe()
    handle = loop._add_reader(read_fd, print)
    loop.remove_reader(read_fd)
    os.close(read_fd)
    os.close(write_fd)
    return Path(handle._source_traceback[-1].filename).name


async def calls_what_was_put_into_the_class() -> bool:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return []

    loop = asyncio.get_running_loop()
    with mock.patch.object(base_events.BaseEventLoop, "getaddrinfo", getaddrinfo):
        return await loop.getaddrinfo("127.0.0.1", 80) == []


async def goes_by_what_was_deleted() -> bool:
    loop: Any = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        before = transport._paused
        del transport._paused
        try:
            transport.pause_reading()
            return True
        except AttributeError:
            return False
        finally:
            transport._paused = before
            transport.abort()
            await asyncio.sleep(0)


def differences(row: Any) -> list[Any]:
    """The rows, of the class that test_differences.py has for them."""
    return [
        row(
            "Deleted attributes",
            "of that kind are what the methods go by all the same, as they were; asyncio's raise "
            "AttributeError until they are set again.",
            goes_by_what_was_deleted,
            False,
            True,
        ),
        row(
            "Methods put into asyncio's own loop classes",
            "in the place of theirs are called from the loop's next run on, those of ``close()`` "
            "and ``call_at()`` not at all: a call is not looked for in classes below ours. What is "
            "put into the loop itself, or its own class, is called at once.",
            calls_what_was_put_into_the_class,
            True,
            False,
        ),
        row(
            "Names",
            "of types are fastaio's, so that ``repr()`` and what debug mode says tell which loop "
            "it was; ``isinstance()`` is true of asyncio's public classes.",
            name_of_the_loop,
            "_UnixSelectorEventLoop",
            "Loop",
        ),
        row(
            "Places in debug mode",
            "are lines of the program: that a handle of ``add_reader()`` was created at, where "
            "asyncio's name one of its own. Of a read that took long the transport is named.",
            place_of_a_reader,
            "selector_events.py",
            "showing.py",
        ),
        row(
            "Times that are no numbers",
            "or too large for a float are refused by ``call_at()`` and ``call_later()``; asyncio's "
            "takes them, and a run ends where they are compared.",
            takes_a_time_that_is_none,
            True,
            False,
        ),
        row(
            "Connections without a protocol",
            "whose factory has made none are closed at once; asyncio's stay open until the garbage "
            "collector finds them.",
            leaves_a_connection_without_a_protocol,
            True,
            False,
        ),
        row(
            "Peers without a name",
            "as one end of a ``socketpair()`` of datagrams are sent to, where asyncio's transport "
            "ends with TypeError.",
            sends_to_a_peer_without_a_name,
            False,
            True,
        ),
    ]
