"""Transports whose protocols do anything to them inside of any call, from a seed: nothing may
crash, every connection ends once, and the loop goes on. With a sanitizer's build this looks for
use after free; by hand, for longer:

    python tests/fuzz/test_loop_fuzz.py 20000
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import random
import socket
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

import fastaio

SEED = 20_261_127
ROUNDS = 150
SIZES = [0, 1, 30, 2048, 70_000, 1 << 20]


class DoneError(Exception):
    """What callbacks of this file raise."""


class World:
    """One loop with connections of all kinds, and the actions of a seed."""

    def __init__(self, seed: int, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.random = random.Random(seed)
        self.server_context = server
        self.client_context = client
        self.transports: list[Any] = []
        self.numbers = itertools.count()
        self.ends: Counter[int] = Counter()  # of each connection
        self.tasks: set[asyncio.Task[Any]] = set()
        self.budget = 400
        self.depth = 0

    def act(self, transport: Any, *, may_raise: bool = True) -> None:
        """Does a few things to a transport, or to any other."""
        if self.budget <= 0 or self.depth > 6:
            return
        self.depth += 1
        try:
            for _ in range(self.random.choice([0, 0, 1, 1, 2])):
                self.budget -= 1
                chosen = transport
                if self.random.random() < 0.2 and self.transports:
                    chosen = self.random.choice(self.transports)
                name = self.random.choice(ACTIONS)
                with contextlib.suppress(RuntimeError, OSError, TypeError, AttributeError):
                    getattr(self, f"do_{name}")(chosen)
        finally:
            self.depth -= 1
        if may_raise and self.random.random() < 0.03:
            raise DoneError

    # -- actions -----------------------------------------------------------------------------------

    def data(self, transport: Any) -> Any:
        size = self.random.choice(SIZES)
        kind = self.random.choice([bytes, bytearray, memoryview, self.acting])
        if kind is memoryview:
            return memoryview(bytearray(size))
        return kind(bytes(size))

    def acting(self, data: bytes) -> bytes:
        world = self

        class Acting(bytes):
            def __del__(self) -> None:
                if world.transports:
                    world.act(world.random.choice(world.transports), may_raise=False)

        return Acting(data)

    def do_write(self, transport: Any) -> None:
        transport.write(self.data(transport))

    def do_writelines(self, transport: Any) -> None:
        def lines() -> Any:
            for _ in range(self.random.randrange(4)):
                self.act(transport)
                yield self.data(transport)

        transport.writelines(
            lines() if self.random.random() < 0.5 else [b"x", self.data(transport)]
        )

    def do_sendto(self, transport: Any) -> None:
        for _ in range(3):
            transport.sendto(self.data(transport)[:9000])

    def do_write_eof(self, transport: Any) -> None:
        transport.write_eof()

    def do_close(self, transport: Any) -> None:
        transport.close()

    def do_abort(self, transport: Any) -> None:
        transport.abort()

    def do_pause_reading(self, transport: Any) -> None:
        transport.pause_reading()

    def do_resume_reading(self, transport: Any) -> None:
        transport.resume_reading()

    def do_set_protocol(self, transport: Any) -> None:
        protocol = self.protocol()
        protocol.transport = transport
        protocol.number = transport.get_protocol().number
        transport.set_protocol(protocol)

    def do_limits(self, transport: Any) -> None:
        transport.set_write_buffer_limits(self.random.choice([0, 10, 100_000]))

    def do_look(self, transport: Any) -> None:
        repr(transport), transport.get_write_buffer_size(), transport.get_protocol()
        transport.get_extra_info(self.random.choice(["socket", "peername", "sockname", "peercert"]))
        transport.is_reading(), transport.is_closing()

    def do_close_socket(self, transport: Any) -> None:
        transport._sock.close()

    def do_collect(self, transport: Any) -> None:
        if self.random.random() < 0.1:
            gc.collect()

    def do_soon(self, transport: Any) -> None:
        asyncio.get_running_loop().call_soon(self.act, transport)

    def do_forget(self, transport: Any) -> None:
        if transport in self.transports:
            self.transports.remove(transport)

    def do_run(self, transport: Any) -> None:
        loop = asyncio.get_running_loop()
        if self.depth < 3 and self.random.random() < 0.3:
            loop.run_until_complete(asyncio.sleep(0))

    def do_sendfile(self, transport: Any) -> None:
        self.spawn(self.sendfile(transport))

    def do_start_tls(self, transport: Any) -> None:
        self.spawn(self.start_tls(transport))

    def do_stop(self, transport: Any) -> None:
        asyncio.get_running_loop().stop()

    # -- what takes turns --------------------------------------------------------------------------

    def spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)

    async def sendfile(self, transport: Any) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(1 << 20)
            await asyncio.get_running_loop().sendfile(transport, file)

    async def start_tls(self, transport: Any) -> None:
        loop = asyncio.get_running_loop()
        new = await loop.start_tls(
            transport, self.protocol(), self.client_context, server_hostname="localhost",
            ssl_handshake_timeout=0.01,
        )  # fmt: skip
        self.act(new)

    # -- connections -------------------------------------------------------------------------------

    def protocol(self) -> Any:
        return self.random.choice([Plain, Plain, Buffered])(self)

    async def connect_pair(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in socket.socketpair():
            await loop.create_connection(self.protocol, sock=sock)

    async def connect_tcp(self, **keywords: Any) -> None:
        loop = asyncio.get_running_loop()
        context = self.server_context if keywords else None
        server = await loop.create_server(self.protocol, "127.0.0.1", 0, ssl=context)
        try:
            address = server.sockets[0].getsockname()
            for _ in range(2):
                await loop.create_connection(self.protocol, *address, **keywords)
        finally:
            server.close()

    async def connect_tls(self) -> None:
        await self.connect_tcp(
            ssl=self.client_context, server_hostname="localhost", ssl_handshake_timeout=0.2,
            ssl_shutdown_timeout=0.01,
        )  # fmt: skip

    async def connect_pipe(self) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = (
            os.fdopen(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True)
        )
        await loop.connect_read_pipe(lambda: Plain(self), reader)
        await loop.connect_write_pipe(lambda: Plain(self), writer)

    async def connect_datagrams(self) -> None:
        loop = asyncio.get_running_loop()
        one, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(self), local_addr=("127.0.0.1", 0)
        )
        await loop.create_datagram_endpoint(
            lambda: Datagrams(self), remote_addr=one.get_extra_info("sockname")
        )

    async def main(self) -> None:
        kinds = ["pair", "tcp", "tls", "pipe", "datagrams"]
        for kind in self.random.sample(kinds, 2):
            with contextlib.suppress(DoneError, OSError, RuntimeError, ValueError, AttributeError):
                await asyncio.wait_for(getattr(self, f"connect_{kind}")(), 0.5)
        for _ in range(60):
            for transport in list(self.transports):
                with contextlib.suppress(DoneError):
                    self.act(transport)
            await asyncio.sleep(0)
        self.budget = 0

    async def finish(self) -> None:
        self.budget = 0
        for transport in list(self.transports):
            with contextlib.suppress(AttributeError):
                transport.abort()
            with contextlib.suppress(AttributeError):
                transport.close()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await asyncio.sleep(0.001)


ACTIONS = [name[3:] for name in dir(World) if name.startswith("do_")]


class Plain(asyncio.Protocol):
    def __init__(self, world: World) -> None:
        self.world = world
        self.transport: Any = None
        self.number = next(world.numbers)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.world.transports.append(transport)
        self.world.act(transport)

    def data_received(self, data: bytes) -> None:
        self.world.act(self.transport)

    def eof_received(self) -> bool:
        self.world.act(self.transport)
        return self.world.random.random() < 0.5

    def pause_writing(self) -> None:
        self.world.act(self.transport)

    def resume_writing(self) -> None:
        self.world.act(self.transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.world.ends[self.number] += 1
        self.world.act(self.transport)


class Buffered(Plain, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> Any:
        self.world.act(self.transport)
        return self.world.random.choice(
            [bytearray(100), bytearray(1), bytearray(70_000), memoryview(bytearray(9)), b"", None]
        )

    def buffer_updated(self, nbytes: int) -> None:
        self.world.act(self.transport)


class Datagrams(Plain, asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.world.act(self.transport)
        if self.world.random.random() < 0.3:
            self.transport.sendto(data, addr)

    def error_received(self, exc: Exception) -> None:
        self.world.act(self.transport)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def play(seed: int, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    world = World(seed, server, client)
    loop = fastaio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    fastaio.allow_nested(loop)
    try:
        for main in (world.main(), world.finish()):
            task = loop.create_task(main)
            while not task.done():
                with contextlib.suppress(RuntimeError):  # stopped
                    loop.run_until_complete(task)
        assert max(world.ends.values(), default=0) <= 1
        # The loop is as good as ever.
        assert loop.run_until_complete(asyncio.sleep(0, seed)) == seed
    finally:
        loop.close()
        world.transports.clear()


@pytest.fixture
def unlogged() -> Iterator[None]:
    """Records would keep what they tell of until the test is over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
def test_anything_inside_of_anything(unlogged: None) -> None:
    server, client = contexts()
    for seed in range(SEED, SEED + ROUNDS):
        play(seed, server, client)
    gc.collect()  # what was left unclosed warns here, where nobody minds


if __name__ == "__main__":
    pair = contexts()
    first = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    for number in range(first, first + int(sys.argv[1])):
        print(number, end="\r", flush=True)
        play(number, *pair)
