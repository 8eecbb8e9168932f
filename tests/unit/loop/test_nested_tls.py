"""Nested runs inside of callbacks of TLS connections."""

import asyncio
import random

import pytest

import fastaio


class Receiver(asyncio.BufferedProtocol):
    size = 4
    closes_late = False

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.data = bytearray()
        self.enough = loop.create_future()
        self.lost = loop.create_future()
        self.buffer = b""

    def get_buffer(self, sizehint):
        self.buffer = bytearray(self.size)
        return self.buffer

    def buffer_updated(self, size):
        self.data += self.buffer[:size]
        self.updated()

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def send(kind, contexts, pieces):
    """Has a protocol of that kind receive them; returns it."""
    loop = asyncio.get_running_loop()
    fastaio.allow_nested(loop)
    made = loop.create_future()

    def factory():
        made.set_result(kind())
        return made.result()

    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=contexts[0])
    address = server.sockets[0].getsockname()
    _, writer = await asyncio.open_connection(
        *address, ssl=contexts[1], server_hostname="localhost"
    )
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    protocol = await made
    if kind.closes_late:  # so that nothing else comes in
        await protocol.enough
    writer.close()
    assert await protocol.lost is None
    server.close()
    return protocol


def test_what_had_arrived_together_comes_inside_the_run(contexts):
    class Waits(Receiver):
        closes_late = True

        def updated(self):
            if len(self.data) == 10:
                self.enough.set_result(None)
            elif len(self.data) == 4:
                asyncio.get_running_loop().run_until_complete(asyncio.wait_for(self.enough, 5))
                assert self.data == b"ten bytes."

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        protocol = runner.run(send(Waits, contexts, [b"ten bytes."]))
    assert protocol.enough.done()


@pytest.mark.parametrize("size", [7, 1000])
def test_data_stay_in_order(contexts, size):
    choice = random.Random(size)
    pieces = [choice.randbytes(choice.choice([1, 10, 100, 20000])) for _ in range(60)]

    class Nests(Receiver):
        depth = 0

        def updated(self):
            if self.depth < 5 and choice.random() < 0.05:
                self.depth += 1
                asyncio.get_running_loop().run_until_complete(asyncio.sleep(0.0005))
                self.depth -= 1

    Nests.size = size
    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        protocol = runner.run(send(Nests, contexts, pieces))
    assert protocol.data == b"".join(pieces)
