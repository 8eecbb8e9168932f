"""Attributes of transports and handles set to anything at any moment of an echo, from a seed:
nothing may crash or hang, and other connections of the loop go on. With a sanitizer's build this
looks for use after free; by hand, for longer:

    python tests/fuzz/test_attribute_fuzz.py 20000
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import socket
import ssl
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trustme

import fastaio

SEED = 20_261_128
ROUNDS = 60
TRANSPORT = """_conn_lost _closing _paused _eof _buffer _sock _pipe _server _empty_waiter _protocol
    _protocol_paused _protocol_connected _high_water _low_water _extra _loop _address _fileno
    _sock_fd max_size _fatal_error _force_close __dict__ another""".split()
HANDLE = "_callback _args _context _when _scheduled _cancelled _loop _repr".split()


class World:
    def __init__(self, seed: int, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        self.random = random.Random(seed)
        self.contexts = contexts
        self.victims: list[Any] = []
        self.handles: list[Any] = []
        self.kept: list[Any] = []
        self.budget = 300
        self.depth = 0

    def act(self) -> Any:
        """Sets something, or does what a program does; called from anywhere."""
        if self.budget <= 0 or self.depth > 4 or not self.victims:
            return None
        self.depth += 1
        try:
            for _ in range(self.random.choice([0, 1, 1, 2])):
                self.budget -= 1
                with contextlib.suppress(Exception):
                    self.random.choice(
                        [self.set, self.set, self.set, self.set_handle, self.call, self.schedule]
                    )()
        finally:
            self.depth -= 1
        return None

    def set(self) -> None:
        victim = self.random.choice(self.victims)
        name = self.random.choice(TRANSPORT)
        if self.random.random() < 0.05:
            delattr(victim, name)
        before = getattr(victim, name, None)
        if name in ("_sock", "_pipe"):
            # Closed with its object the number would be the next victim's, while it is this one's.
            self.kept.append(before)
        setattr(victim, name, self.value(victim, before))
        if self.random.random() < 0.4:
            setattr(victim, name, before)

    def set_handle(self) -> None:
        if self.handles:
            handle = self.random.choice(self.handles)
            name = self.random.choice(HANDLE)
            before = getattr(handle, name, None)
            value = self.value(handle, before)
            if name == "_loop" or (name == "_args" and not hasattr(value, "__iter__")):
                value = before  # the report of a failure, which ends the run as on asyncio
            setattr(handle, name, value)
            if self.random.random() < 0.5:
                setattr(handle, name, before)
            self.random.choice([repr, hash, lambda h: h < handle, lambda h: h.cancel()])(handle)

    def call(self) -> None:
        victim = self.random.choice(self.victims)
        name = self.random.choice(
            """write writelines write_eof close abort pause_reading resume_reading _read_ready
            _write_ready _sendto_ready sendto get_write_buffer_size _make_empty_waiter
            _reset_empty_waiter get_write_buffer_limits is_reading _call_connection_lost repr
            collect forget""".split()
        )
        if name in ("repr", "collect", "forget"):
            (repr(victim) if name == "repr" else gc.collect() if self.random.random() < 0.1 else 0)
            if name == "forget" and len(self.victims) > 1:
                self.victims.remove(victim)
        elif name in ("write", "sendto"):
            getattr(victim, name)(self.data())
        elif name == "writelines":
            victim.writelines([self.data(), self.data()])
        elif name == "_call_connection_lost":
            if self.random.random() < 0.1:
                victim._call_connection_lost(None)
        else:
            getattr(victim, name)()

    def schedule(self) -> None:
        loop = asyncio.get_running_loop()
        make: Callable[..., Any] = self.random.choice(
            [loop.call_soon, loop.call_soon_threadsafe, lambda f, *a: loop.call_later(0.001, f, *a)]
        )
        handle = make(self.in_handle, *range(self.random.randrange(5)))
        if self.random.random() < 0.7:
            self.handles.append(handle)
        del self.handles[:-10]

    def in_handle(self, *_: Any) -> None:
        self.act()

    def data(self) -> Any:
        size = self.random.choice([0, 1, 100, 3000, 300_000])
        return self.random.choice([bytes, bytearray, self.acting(bytes)])(size)

    def acting(self, base: type) -> type:
        act = self.act

        class Acting(base):  # type: ignore[misc]
            def __del__(self) -> None:
                act()

        return Acting

    def value(self, victim: Any, before: Any) -> Any:
        act = self.act

        class Acts:
            def __bool__(self) -> bool:
                act()
                return False

            def __index__(self) -> int:
                act()
                return 0

            def __float__(self) -> float:
                act()
                return 1.0

            def __len__(self) -> int:
                act()
                return 3

            def __iter__(self) -> Any:
                act()
                yield b"abc"
                act()

            def __eq__(self, other: object) -> bool:
                act()
                return False

            def __hash__(self) -> int:
                return hash("_eof")

            def __del__(self) -> None:
                act()

            def __call__(self, *args: Any) -> Any:
                act()

            def fileno(self) -> int:
                act()
                return int(victim._sock_fd)

            def close(self) -> None:
                act()

            def run(self, callback: Any, *args: Any) -> None:
                act()
                callback(*args)

            def done(self) -> bool:
                act()
                return False

            set_result = set_exception = __call__

        numbers = [0, 1, 2, -1, -(10**30), 10**30, 0.5, float("nan"), True, False, 70_000]
        others = [None, "x", (), (1, 2), [], {}, b"xyz", [b"a", bytearray(b"b")], {Acts(): 1}]
        return self.random.choice(
            [before, self.random.choice(numbers), self.random.choice(others), Acts(), Acts()]
            + [self.in_handle, self.acting(bytes)(100), Victim(self), object()]
        )


class Victim(asyncio.Protocol):
    """Echoes, and acts in all that is called."""

    def __init__(self, world: World) -> None:
        self.world = world

    def connection_made(self, transport: Any) -> None:
        self.world.victims.append(transport)
        self.transport = transport
        self.world.act()

    def data_received(self, data: bytes, address: Any = None) -> None:
        self.world.act()
        with contextlib.suppress(Exception):
            self.transport.sendto(data, address) if address else self.transport.write(data)
        self.world.act()

    datagram_received = data_received

    def pause_writing(self) -> None:
        self.world.act()

    def __getattr__(self, name: str) -> Any:
        if name in ("resume_writing", "eof_received", "connection_lost", "error_received"):
            return lambda *args: self.world.act()
        raise AttributeError(name)


class BufferedVictim(Victim, asyncio.BufferedProtocol):
    def get_buffer(self, sizehint: int) -> bytearray:
        self.world.act()
        self.buffer = bytearray(100)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.buffer[:nbytes]))


async def feed(world: World, sock: socket.socket) -> None:
    """The other end of a victim: sends, and takes what comes."""
    loop = asyncio.get_running_loop()
    with sock, contextlib.suppress(OSError):
        for _ in range(6):
            await loop.sock_sendall(sock, bytes(world.random.choice([1, 100, 20_000])))
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                sock.recv(1 << 20)


async def make_victims(world: World) -> list[Coroutine[Any, Any, None]]:
    loop = asyncio.get_running_loop()
    feeds = []
    kind = world.random.choice(["unix", "udp", "pipe", "tls", "buffered"])
    protocol = BufferedVictim if kind == "buffered" else Victim
    if kind == "udp":
        made = await loop.create_datagram_endpoint(lambda: protocol(world), ("127.0.0.1", 0))
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.connect(made[0].get_extra_info("sockname"))
        feeds.append(peer)
        world.victims += [made[0]] * (not world.victims)
    elif kind == "pipe":
        for connect, mine in ((loop.connect_read_pipe, 0), (loop.connect_write_pipe, 1)):
            ours, theirs = socket.socketpair()
            pipe = os.fdopen(ours.detach(), "wb" if mine else "rb", 0)
            with contextlib.suppress(Exception):
                await connect(lambda: protocol(world), pipe)
            feeds.append(theirs)
    else:
        ours, theirs = socket.socketpair()
        server, client = world.contexts
        tls = {"ssl": server} if kind == "tls" else {}
        first = loop.create_task(loop.connect_accepted_socket(lambda: protocol(world), ours, **tls))
        theirs.setblocking(False)
        if kind == "tls":
            second = loop.create_connection(
                lambda: Victim(world), sock=theirs, ssl=client, server_hostname="localhost"
            )
            await asyncio.wait([first, loop.create_task(second)], timeout=0.2)
            return []
        feeds.append(theirs)
        await asyncio.wait([first], timeout=0.2)
    for sock in feeds:
        sock.setblocking(False)
    return [feed(world, sock) for sock in feeds]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        while data := await reader.read(1000):
            writer.write(data)


async def bystander(address: Any, done: asyncio.Event) -> int:
    """A connection that nobody touches: all it says comes back."""
    reader, writer = await asyncio.open_connection(*address)
    rounds = 0
    with contextlib.closing(writer):
        while not done.is_set() or rounds < 3:
            writer.write(b"%9d\n" % rounds)
            assert await asyncio.wait_for(reader.readline(), 10) == b"%9d\n" % rounds
            rounds += 1
    return rounds


async def main(world: World) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: world.act())
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    done = asyncio.Event()
    others = [
        asyncio.ensure_future(bystander(server.sockets[0].getsockname(), done)) for _ in range(2)
    ]
    feeds = []
    for _ in range(2):
        feeds += await make_victims(world)
    await asyncio.wait(
        [asyncio.ensure_future(asyncio.wait_for(f, 0.2)) for f in feeds] or others[:1], timeout=0.3
    )
    for _ in range(20):
        world.act()
        await asyncio.sleep(0)
    done.set()
    for rounds in await asyncio.gather(*others):
        assert rounds >= 3
    world.budget = 0
    for victim in world.victims:
        with contextlib.suppress(Exception):
            victim._conn_lost = 0
        with contextlib.suppress(Exception):
            getattr(victim, "abort", victim.close)()
    world.victims.clear()
    server.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def play(seeds: range) -> None:
    made = contexts()
    quiet = logging.getLogger("asyncio")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL + 1)
    try:
        for seed in seeds:
            world = World(seed, made)
            with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
                runner.run(main(world))
            if __name__ == "__main__" and seed % 100 == 0:
                print(seed, flush=True)
    finally:
        quiet.setLevel(level)


def test_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Sockets that were set to something else warn when they go, and so on.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        play(range(SEED, SEED + ROUNDS))
        while gc.collect():
            pass


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    play(range(int(sys.argv[2]) if len(sys.argv) > 2 else 0, int(sys.argv[1])))
