"""Output where something is odd about it: its type, what its release does, who is interrupted by
it, and when its end is told."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

import pytest

import fastaio


class Notes(asyncio.Protocol):
    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.lost.set_result(exc)


async def connected(factory=Notes):
    """(transport, protocol, the peer's socket)"""
    ours, peer = socket.socketpair()
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, sock=ours)
    return transport, protocol, peer


def read_to_the_end(peer):
    """Reads on another thread."""

    def read():
        total = 0
        while data := peer.recv(1 << 20):
            total += len(data)
        return total

    return asyncio.get_running_loop().run_in_executor(None, read)


# -- what cannot be sent ---------------------------------------------------------------------------


def test_a_buffer_in_pieces_ends_the_connection(run, reports):
    async def main():
        transport, protocol, peer = await connected()
        with peer:
            transport.write(b"before")
            assert transport.write(memoryview(b"abcdef")[::2]) is None
            assert isinstance(await protocol.lost, BufferError)
            assert await read_to_the_end(peer) == 6

    run(main())
    [report] = reports
    reports.clear()
    assert report["message"] == "Fatal write error on socket transport"


def test_a_released_view_is_the_callers_mistake(run):
    async def main():
        transport, protocol, peer = await connected()
        view = memoryview(b"")
        view.release()
        with peer:
            with pytest.raises(ValueError, match="released memoryview"):
                transport.write(view)
            transport.close()
            await protocol.lost

    run(main())


def skip_where_lines_are_left():
    if sys.version_info >= (3, 15) and not isinstance(asyncio.get_running_loop(), fastaio.Loop):
        pytest.skip("asyncio 3.15 keeps the lines before the mistake, and waits for ever to send")


@pytest.mark.parametrize("lines", [["text"], [b"x", 1], None, 7, (), iter([])], ids=repr)
def test_writelines_mistakes(run, lines):
    """In the words of each version, and none where it does not mind."""

    async def main():
        if lines == [b"x", 1]:
            skip_where_lines_are_left()
        transport, protocol, peer = await connected()
        with peer:
            if sys.version_info >= (3, 12) and not lines:
                transport.writelines(lines)
            elif isinstance(lines, (tuple, type(iter([])))):
                if sys.version_info < (3, 12):
                    transport.writelines(lines)
            else:
                with pytest.raises(TypeError) as caught:
                    transport.writelines(lines)
                if sys.version_info < (3, 12):
                    with pytest.raises(TypeError) as joined:
                        b"".join(lines)
                    assert str(caught.value) == str(joined.value)
            transport.close()
            await protocol.lost

    run(main())


def test_what_an_iterable_raises_comes_out_of_writelines(run):
    def lines():
        yield b"x"
        raise TypeError("of the iterable")

    async def main():
        skip_where_lines_are_left()
        transport, protocol, peer = await connected()
        with peer:
            with pytest.raises(TypeError, match="of the iterable"):
                transport.writelines(lines())
            transport.close()
            await protocol.lost

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 15), reason="a mistake before 3.15")
def test_writelines_leaves_out_what_is_empty(run):
    async def main():
        transport, protocol, peer = await connected()
        with peer:
            transport.writelines([b"x", None, "", b"", 0, b"y"])
            transport.writelines(iter([None]))
            assert transport.get_write_buffer_size() == 0
            transport.close()
            await protocol.lost
            assert peer.recv(10) == b"xy"

    run(main())


def test_writelines_after_the_end(run):
    async def main():
        transport, protocol, peer = await connected()
        with peer:
            transport.write_eof()
            name = "write" if sys.version_info < (3, 12) else "writelines"
            with pytest.raises(RuntimeError, match=rf"Cannot call {name}\(\) after write_eof"):
                transport.writelines([b"x"])
            transport.close()
            await protocol.lost

    run(main())


def test_write_eof_after_a_failed_write_is_silent(run):
    async def main():
        transport, protocol, peer = await connected()
        transport.pause_reading()
        peer.close()
        transport.write(b"x")
        transport.write_eof()
        transport.write(b"y")
        assert isinstance(await protocol.lost, BrokenPipeError)

    run(main())


# The transport can only be left unclosed.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_output_that_a_closed_loop_cannot_send(loop_factory):
    loop = loop_factory()
    transport, _, peer = loop.run_until_complete(connected())
    loop.close()
    with peer:
        transport.write(b"fits")
        assert peer.recv(10) == b"fits"
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            transport.write(bytes(1 << 22))


# -- limits ----------------------------------------------------------------------------------------


def test_limits_are_any_numbers(run):
    async def main():
        transport, protocol, peer = await connected()
        with peer:
            for given, told in [
                (((), {"high": 1e6}), (250000.0, 1000000.0)),
                (((), {"low": 2.5}), (2.5, 10.0)),
                (((float("inf"), 1), {}), (1, float("inf"))),
                (((1 << 100,), {}), ((1 << 100) // 4, 1 << 100)),
                (((8,), {}), (2, 8)),
                (((), {}), (16384, 65536)),
            ]:
                transport.set_write_buffer_limits(*given[0], **given[1])
                assert transport.get_write_buffer_limits() == told
                assert repr(transport.get_write_buffer_limits()) == repr(told)
            for high, low in [(-1, None), (1, 2), (0, -1.5), (float("nan"), None)]:
                with pytest.raises(ValueError, match=r"high \(.*\) must be >= low \(.*\) must"):
                    transport.set_write_buffer_limits(high, low)
            with pytest.raises(ValueError, match=r"^high \(-1\) must be >= low \(-1\) must be"):
                transport.set_write_buffer_limits(-1)
            with pytest.raises(TypeError):
                transport.set_write_buffer_limits("many")
            assert transport.get_write_buffer_limits() == (16384, 65536)
            transport.close()
            await protocol.lost

    run(main())


def test_limits_that_are_no_integers_hold(run):
    async def main():
        transport, protocol, peer = await connected()
        with peer:
            transport.set_write_buffer_limits(float("inf"), 0)
            transport.write(bytes(1 << 22))
            assert protocol.calls == []
            transport.set_write_buffer_limits(1e3)
            transport.write(b"x")
            assert protocol.calls == ["pause"]
            transport.abort()
            await protocol.lost

    run(main())


# -- called back -----------------------------------------------------------------------------------


def test_an_interrupt_in_pause_writing_comes_out_of_the_write(run):
    class Interrupted(Notes):
        def pause_writing(self):
            raise KeyboardInterrupt

    async def main():
        transport, protocol, peer = await connected(Interrupted)
        with peer:
            with pytest.raises(KeyboardInterrupt):
                transport.write(bytes(1 << 22))
            assert not transport.is_closing()
            transport.abort()
            await protocol.lost

    run(main())


def test_what_sent_objects_send_pauses_nobody_for_ever(run):
    async def main():
        transport, protocol, peer = await connected()

        class Sends(bytes):
            def __del__(self):
                transport.write(b"B" * 70000)

        with peer:
            transport.set_write_buffer_limits(1000)
            transport.write(Sends(b"a" * 30))
            await asyncio.sleep(0)
            peer.setblocking(False)
            got = 0
            while got < 70030:
                got += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 17))
            assert protocol.calls in ([], ["pause", "resume"])
            assert transport.get_write_buffer_size() == 0
            transport.close()
            await protocol.lost

    run(main())


@pytest.mark.parametrize("then", ["close", "abort", "write_eof"])
def test_a_sent_object_ends_the_connection(run, then):
    async def main():
        transport, protocol, peer = await connected()

        class Ends(bytes):
            def __del__(self):
                getattr(transport, then)()

        with peer:
            transport.write(Ends(b"a" * 30))
            assert await read_to_the_end(peer) == 30
            transport.abort()
            assert await protocol.lost is None

    run(main())


def test_the_end_that_waited_for_output_comes_with_it(run):
    """connection_lost() out of the turn that sends the last of the output, as on asyncio."""

    class Calls(Notes):
        def resume_writing(self):
            super().resume_writing()
            asyncio.get_running_loop().call_soon(self.calls.append, "soon")

    async def main():
        transport, protocol, peer = await connected(Calls)
        with peer:
            transport.write(bytes(1 << 22))
            transport.close()
            await read_to_the_end(peer)
            await protocol.lost
            await asyncio.sleep(0)
            assert protocol.calls == ["pause", "resume", "lost", "soon"]

    run(main())


def test_the_end_of_a_pipe_that_waited_for_output(run):
    class Calls(Notes):
        def resume_writing(self):
            super().resume_writing()
            asyncio.get_running_loop().call_soon(self.calls.append, "soon")

    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        with open(writer, "wb", 0) as pipe:
            transport, protocol = await loop.connect_write_pipe(Calls, pipe)
            transport.write(bytes(1 << 20))
            transport.close()

            def read():
                with open(reader, "rb", 0) as end:
                    end.read()

            thread = threading.Thread(target=read)
            thread.start()
            assert await protocol.lost is None
            thread.join()
            await asyncio.sleep(0)
            assert protocol.calls == ["pause", "resume", "lost", "soon"]

    run(main())


def test_the_reader_of_a_closing_pipe_goes_away(run):
    """The hang-up's error, without a number, and not that of a write that was tried."""

    async def main():
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        with open(writer, "wb", 0) as pipe:
            transport, protocol = await loop.connect_write_pipe(Notes, pipe)
            transport.write(bytes(1 << 20))
            transport.close()
            await asyncio.sleep(0)
            os.close(reader)
            exc = await protocol.lost
            assert isinstance(exc, BrokenPipeError)
            assert exc.errno is None

    run(main())


def test_an_end_that_raises_is_reported(run, reports):
    class Fails(Notes):
        def connection_lost(self, exc):
            super().connection_lost(exc)
            raise ZeroDivisionError

    async def main():
        transport, protocol, peer = await connected(Fails)
        with peer:
            transport.write(bytes(1 << 22))
            transport.close()
            await read_to_the_end(peer)
            await protocol.lost

    run(main())
    [report] = reports
    reports.clear()
    assert isinstance(report["exception"], ZeroDivisionError)
    assert report["message"].startswith("Exception in callback ")
