"""Methods put into asyncio's own loop classes before a loop is made, as tracing agents do: they are
called, and what they have taken the place of does its work when they call it."""

import asyncio
import functools
import signal
import socket
from unittest import mock

import pytest

import fastaio.patches


async def nothing():
    pass


async def readers(loop, pair):
    ours, theirs = pair
    readable, writable = asyncio.Event(), asyncio.Event()
    theirs.send(b"x")
    loop.add_reader(ours, readable.set)
    loop.add_writer(ours, writable.set)
    await readable.wait()
    await writable.wait()
    assert loop.remove_reader(ours)
    assert loop.remove_writer(ours)


async def callbacks(loop, pair):
    seen = []
    done = asyncio.Event()
    loop.call_soon(seen.append, 1)
    loop.call_soon_threadsafe(seen.append, 2)
    loop.call_later(0.001, seen.append, 3)
    handle = loop.call_later(0.002, seen.append, 0)
    handle.cancel()
    loop.call_at(loop.time() + 0.004, done.set)
    await loop.create_task(nothing())
    await done.wait()
    assert seen == [1, 2, 3]
    assert loop.is_running() and not loop.is_closed() and not loop.get_debug()
    await asyncio.wait_for(asyncio.sleep(0.001), 5)


async def names(loop, pair):
    assert await loop.getaddrinfo("127.0.0.1", 80)
    assert await loop.getaddrinfo("localhost", 80)
    assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert await loop.run_in_executor(None, int, "7") == 7


async def signals(loop, pair):
    came = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    signal.raise_signal(signal.SIGUSR1)
    await came.wait()
    assert loop.remove_signal_handler(signal.SIGUSR1)


async def sockets(loop, pair):
    ours, theirs = pair
    await loop.sock_sendall(ours, b"hello")
    assert await loop.sock_recv(theirs, 2) == b"he"
    buffer = bytearray(3)
    assert await loop.sock_recv_into(theirs, buffer) == 3
    assert buffer == b"llo"
    with socket.socket() as listener, socket.socket() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        client.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        accepted, _ = await accepting
        accepted.close()
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind(("127.0.0.1", 0))
        await loop.sock_sendto(one, b"ab", one.getsockname())
        await loop.sock_sendto(one, b"cd", one.getsockname())
        assert (await loop.sock_recvfrom(one, 2))[0] == b"ab"
        assert (await loop.sock_recvfrom_into(one, buffer))[0] == 2


USES = {
    readers: ["add_reader", "add_writer", "remove_reader", "remove_writer"],
    callbacks: [
        "call_soon",
        "call_soon_threadsafe",
        "call_later",
        "create_task",
        "create_future",
        "time",
        "is_running",
        "is_closed",
        "get_debug",
        "run_forever",
        "run_until_complete",
    ],
    names: ["getaddrinfo", "getnameinfo", "run_in_executor"],
    signals: ["add_signal_handler", "remove_signal_handler"],
    sockets: [name for name in fastaio.patches.NAMES if name.startswith("sock_")],
}


def owner(name):
    return next(cls for cls in asyncio.SelectorEventLoop.__mro__ if name in vars(cls))


def patched(name, calls):
    """A context in which the method of asyncio's class counts its calls."""
    function = vars(owner(name))[name]

    @functools.wraps(function)
    def counting(*args, **kwargs):
        calls.append(name)
        return function(*args, **kwargs)

    return mock.patch.object(owner(name), name, counting)


@pytest.mark.without_debug
@pytest.mark.parametrize(
    ("use", "name"), [(use, name) for use, names in USES.items() for name in names]
)
def test_called(loop_factory, pair, use, name):
    calls = []
    with patched(name, calls):
        loop = loop_factory()
        loop.run_until_complete(use(loop, pair))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert calls
    calls.clear()
    loop = loop_factory()
    loop.run_until_complete(use(loop, pair))
    loop.run_until_complete(loop.shutdown_default_executor())
    assert calls == []


def test_called_from_the_next_run_on(loop):
    async def main():
        await loop.create_task(nothing())

    calls = []
    loop.run_until_complete(main())
    with patched("create_task", calls):
        loop.run_until_complete(main())
    assert calls
    loop.run_until_complete(main())  # when it begins, its task is there already
    calls.clear()
    loop.run_until_complete(main())
    assert calls == []


def test_stop_and_start_tls(loop_factory, contexts):
    server_context, client_context = contexts

    async def main():
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                asked.set()

            def data_received(self, data):
                self.transport.write(data)

        server = await loop.create_server(Protocol, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await writer.start_tls(client_context, server_hostname="localhost")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
        server.close()
        loop.stop()

    calls = []
    with patched("stop", calls), patched("start_tls", calls):
        loop = loop_factory()
        task = loop.create_task(main())
        loop.run_forever()
        task.result()
    assert set(calls) == {"stop", "start_tls"}


def test_all_names_are_tried():
    tried = {name for names in USES.values() for name in names} | {"stop", "start_tls"}
    assert set(fastaio.patches.NAMES) == tried
