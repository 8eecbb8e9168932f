"""Every kind of transport gives back what it took: objects, descriptors, memory blocks."""

import asyncio
import contextlib
import gc
import os
import socket
import sys
import sysconfig

import pytest

import fastaio
from fastaio import _core

ROUNDS = 400
"""Connections of the measured part; a leak of one block a connection would show as that many."""

SLACK = 300
"""Blocks that come and go for reasons of the interpreter: caches, freelists, `-X dev`."""


NO_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

KEEPS_FUNCTIONS = NO_GIL and sys.version_info < (3, 14)
"""The interpreter makes functions immortal once a thread was started: blocks tell nothing."""


WARM = ROUNDS if NO_GIL else 30
"""Connections before the measured part: without a GIL freed blocks come back later."""


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.transport.write(self.buffer[:nbytes])


@contextlib.asynccontextmanager
async def tcp(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()

    async def once():
        reader, writer = await asyncio.open_connection(*address)
        for size in (10, 100_000):
            writer.write(b"x" * size)
            await reader.readexactly(size)
        assert writer.get_extra_info("peername") == address
        assert writer.get_extra_info("socket").fileno() >= 0
        writer.close()
        await writer.wait_closed()

    async with server:
        yield once


@contextlib.asynccontextmanager
async def plain():
    async with tcp(Echo) as once:
        yield once


@contextlib.asynccontextmanager
async def buffered():
    async with tcp(BufferedEcho) as once:
        yield once


@contextlib.asynccontextmanager
async def aborted():
    """Connections that end with output, and with an error."""
    loop = asyncio.get_running_loop()

    async def once():
        ours, theirs = socket.socketpair()
        ended = loop.create_future()

        class Ending(asyncio.Protocol):
            def connection_lost(self, exc):
                ended.set_result(exc)

        transport, _ = await loop.create_connection(Ending, sock=ours)
        transport.write(b"x" * 1_000_000)
        transport.write(bytearray(b"y" * 5000))
        theirs.close()
        transport.write(b"z" * 1_000_000)
        await ended

    yield once


@contextlib.asynccontextmanager
async def pipes():
    loop = asyncio.get_running_loop()

    async def once():
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb", 0)
        )
        transport, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(write_fd, "wb", 0)
        )
        transport.write(b"x" * 1000)
        await reader.readexactly(1000)
        ended = loop.create_future()

        class Ending(asyncio.BaseProtocol):
            def connection_lost(self, exc):
                ended.set_result(None)

        transport.set_protocol(Ending())
        transport.close()
        await ended
        assert await reader.read() == b""

    yield once


@contextlib.asynccontextmanager
async def datagrams():
    loop = asyncio.get_running_loop()

    class Receiving(asyncio.DatagramProtocol):
        def __init__(self):
            self.received = loop.create_future()
            self.lost = loop.create_future()

        def datagram_received(self, data, addr):
            self.received.set_result((data, addr))

        def connection_lost(self, exc):
            self.lost.set_result(None)

    async def once():
        server, inbox = await loop.create_datagram_endpoint(Receiving, local_addr=("127.0.0.1", 0))
        client, outbox = await loop.create_datagram_endpoint(Receiving, local_addr=("127.0.0.1", 0))
        client.sendto(b"x" * 1000, server.get_extra_info("sockname"))
        data, address = await inbox.received
        server.sendto(data, address)
        await outbox.received
        client.sendto(b"unsent", ("127.0.0.1", 9))
        for transport, protocol in ((client, outbox), (server, inbox)):
            transport.close()
            await protocol.lost

    yield once


@contextlib.asynccontextmanager
async def listeners():
    loop = asyncio.get_running_loop()

    async def once():
        async with await loop.create_server(Echo, "127.0.0.1", 0):
            pass

    yield once


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def transports():
    kinds = (
        _core.Transport,
        _core.ReadPipeTransport,
        _core.WritePipeTransport,
        _core.DatagramTransport,
        _core.Listener,
    )
    return sum(type(each) in kinds for each in gc.get_objects())


async def settled():
    """Descriptors, transports and blocks in use, once the last connections have ended."""
    for _ in range(200):  # a poll comes after 32 turns at the latest
        await asyncio.sleep(0)
    gc.collect()
    return descriptors(), transports(), sys.getallocatedblocks()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
@pytest.mark.parametrize("kind", [plain, buffered, aborted, pipes, datagrams, listeners])
def test_nothing_stays(kind):
    async def main():
        async with kind() as once:
            for _ in range(WARM):
                await once()
            before = await settled()
            for _ in range(ROUNDS):
                await once()
            after = await settled()
        assert after[:2] == before[:2]
        assert after[2] - before[2] < SLACK or KEEPS_FUNCTIONS

    fastaio.run(main())
