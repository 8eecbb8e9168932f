"""Arguments by keyword, where asyncio's methods take them so."""

import asyncio
import os
import socket

import pytest

import fastaio


def test_calls(loop_factory):
    loop = loop_factory()
    try:
        ran = []
        loop.call_soon(callback=lambda: ran.append("soon"))
        loop.call_soon_threadsafe(callback=lambda: ran.append("threadsafe"))
        loop.call_later(delay=0, callback=lambda: ran.append("later"))
        handle = loop.call_at(when=loop.time() + 0.001, callback=loop.stop)
        assert handle.when() > 0
        loop.run_forever()
        assert ran == ["soon", "threadsafe", "later"]
    finally:
        loop.close()


def test_missing_and_unknown_arguments(loop_factory):
    loop = loop_factory()
    try:
        with pytest.raises(TypeError, match="callback"):
            loop.call_soon()
        with pytest.raises(TypeError, match="callback"):
            loop.call_later(1)
        with pytest.raises(TypeError):
            loop.call_later(callback=print)
        with pytest.raises(TypeError):
            loop.call_later(1, print, callback=print)
        with pytest.raises(TypeError, match="nonsense"):
            loop.call_soon(print, nonsense=1)
    finally:
        loop.close()


def test_readers_and_writers(loop_factory):
    loop = loop_factory()
    ours, theirs = socket.socketpair()
    try:
        with ours, theirs:
            os.write(theirs.fileno(), b"x")
            loop.add_reader(fd=ours, callback=loop.stop)
            loop.run_forever()
            assert loop.remove_reader(fd=ours) is True
            assert loop.remove_reader(fd=ours) is False
            loop.add_writer(ours, callback=loop.stop)
            loop.run_forever()
            assert loop.remove_writer(fd=ours) is True
            with pytest.raises(TypeError):
                loop.add_reader(ours)
            with pytest.raises(TypeError):
                loop.remove_reader()
    finally:
        loop.close()


def test_create_task(run):
    async def main():
        async def nothing():
            return 7

        assert await asyncio.get_running_loop().create_task(coro=nothing(), name="n") == 7

    run(main())


def test_transports(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        read_fd, write_fd = os.pipe()
        with theirs, open(read_fd, "rb", 0) as reader, open(write_fd, "wb", 0) as writer:
            stream, protocol = await loop.create_connection(asyncio.Protocol, sock=ours)
            pipe, _ = await loop.connect_write_pipe(asyncio.Protocol, writer)
            for transport in (stream, pipe):
                transport.write(data=b"one ")
                transport.writelines(list_of_data=[b"two ", b"three"])
                transport.set_protocol(protocol=protocol)
                assert transport.get_protocol() is protocol
                transport.set_write_buffer_limits(high=20, low=10)
                assert transport.get_extra_info(name="nothing", default=7) == 7
                with pytest.raises(TypeError):
                    transport.write()
                with pytest.raises(TypeError, match="nonsense"):
                    transport.write(nonsense=b"")
                with pytest.raises(TypeError):
                    transport.write(b"", data=b"")
                with pytest.raises(TypeError):
                    transport.writelines([], [])
                transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert theirs.recv(100) == reader.read(100) == b"one two three"

    run(main())


def test_datagram_transport(run):
    async def main():
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()

        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data, addr):
                arrived.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        protocol = Protocol()
        transport.set_protocol(protocol=protocol)
        assert transport.get_protocol() is protocol
        transport.sendto(data=b"x", addr=transport.get_extra_info(name="sockname"))
        assert await arrived == b"x"
        transport.close()
        await asyncio.sleep(0)

    run(main())


WRONG = [
    ("call_soon", (), {}),
    ("call_soon", (print,), {"when": 1}),
    ("call_soon", (print,), {"callback": print}),
    ("call_soon_threadsafe", (), {}),
    ("call_later", (), {}),
    ("call_later", (1,), {}),
    ("call_later", (), {"callback": print}),
    ("call_later", (1, print), {"delay": 2}),
    ("call_at", (), {}),
    ("call_at", (1, print), {"name": 2}),
    ("add_reader", (), {}),
    ("add_reader", (1,), {}),
    ("add_writer", (), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), WRONG)
def test_words_of_wrong_calls(name, args, kwargs):
    words = []
    for factory in (asyncio.SelectorEventLoop, fastaio.new_event_loop):
        loop = factory()
        with pytest.raises(TypeError) as caught:
            getattr(loop, name)(*args, **kwargs)
        words.append(str(caught.value))
        loop.close()
    assert words[0] == words[1]


def test_run_of_a_cancelled_handle(loop, reports):
    handle = loop.call_soon(print)
    handle.cancel()
    handle._run()
    [report] = reports
    reports.clear()
    assert isinstance(report["exception"], TypeError)
    assert report["handle"] is handle
