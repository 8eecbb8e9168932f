"""fastaio.allow_nested() and csrc/loop/nested.c: runs inside of every kind of callback."""

import asyncio
import contextvars
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

import fastaio


@pytest.fixture
def reports():
    contexts = []
    yield contexts
    assert contexts == []


@pytest.fixture
def loop(reports):
    loop = fastaio.new_event_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    fastaio.allow_nested(loop)
    yield loop
    loop.close()


async def nap(value=7, turns=3):
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return value


async def connected():
    """A connection to an echo server, and what ends both."""
    ended = asyncio.get_running_loop().create_future()

    async def echo(reader, writer):
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()
        await writer.wait_closed()
        ended.set_result(None)

    async def end():
        writer.close()
        await writer.wait_closed()
        server.close()
        await ended
        await server.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    return reader, writer, end


async def talk():
    """Everything at once: a server, connections, timers, threads."""
    reader, writer, end = await connected()
    for size in (1, 1000, 300_000):
        writer.write(b"x" * size)
        assert await reader.readexactly(size) == b"x" * size
    writer.write_eof()
    assert await reader.read() == b""
    await end()
    assert await asyncio.to_thread(lambda: 3) == 3
    return await nap()


def run_talk(loop):
    assert loop.run_until_complete(talk()) == 7
    assert loop.is_running()
    assert asyncio.get_running_loop() is loop


# -- what is refused ------------------------------------------------------------------------------


def test_not_allowed_without():
    async def main():
        loop = asyncio.get_running_loop()
        coroutine = nap()
        for run in (loop.run_forever, lambda: loop.run_until_complete(coroutine)):
            with pytest.raises(RuntimeError, match="This event loop is already running"):
                run()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            fastaio.run(coroutine)
        coroutine.close()

    fastaio.run(main())


def test_another_loop_is_still_refused(loop):
    other = fastaio.new_event_loop()
    fastaio.allow_nested(other)

    async def main():
        coroutine = nap()
        with pytest.raises(RuntimeError, match="while another loop is running"):
            other.run_until_complete(coroutine)
        coroutine.close()

    loop.run_until_complete(main())
    other.close()


def test_another_thread_is_still_refused(loop):
    def work():
        coroutine = nap()
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_until_complete(coroutine)
        coroutine.close()

    async def main():
        await asyncio.to_thread(work)

    loop.run_until_complete(main())


def test_other_loops_are_refused():
    loop = asyncio.SelectorEventLoop()
    with pytest.raises(TypeError, match=r"must be a fastaio\.Loop"):
        fastaio.allow_nested(loop)
    loop.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        fastaio.allow_nested()


def test_run_nested_outside_of_a_run(loop):
    with pytest.raises(RuntimeError, match="not running in this thread"):
        loop._run_nested()


# -- in a coroutine -------------------------------------------------------------------------------


def test_in_a_coroutine(loop):
    async def main():
        task = asyncio.current_task()
        run_talk(loop)
        assert asyncio.current_task() is task
        return await nap(9)

    assert loop.run_until_complete(main()) == 9


def test_allowed_by_the_running_coroutine():
    async def main():
        fastaio.allow_nested()
        return asyncio.get_running_loop().run_until_complete(talk())

    assert fastaio.run(main()) == 7


def test_the_task_inside_is_another(loop):
    async def inner():
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def main():
        assert loop.run_until_complete(inner()) is not asyncio.current_task()
        return loop.run_until_complete(loop.create_task(nap(5)))

    assert loop.run_until_complete(main()) == 5


def test_others_go_on(loop):
    seen = []

    async def other():
        for number in range(5):
            await asyncio.sleep(0)
            seen.append(number)

    async def main():
        task = loop.create_task(other())
        loop.run_until_complete(nap(turns=10))
        assert seen == list(range(5))
        await task

    loop.run_until_complete(main())


@pytest.mark.parametrize("depth", [3, 20])
def test_deep(loop, depth):
    async def level(number):
        await asyncio.sleep(0)
        if number:
            assert loop.run_until_complete(level(number - 1)) == number - 1
        run_talk(loop)
        await asyncio.sleep(0)
        return number

    assert loop.run_until_complete(level(depth)) == depth


@pytest.mark.without_debug
def test_fastaio_run(loop):
    async def main():
        assert fastaio.run(nap(4)) == 4
        assert not loop.get_debug()

        async def debugged():
            return loop.get_debug()

        assert fastaio.run(debugged(), debug=True)
        assert not loop.get_debug()
        if sys.version_info < (3, 14):
            with pytest.raises(ValueError, match="a coroutine was expected"):
                fastaio.run(3)
        else:
            with pytest.raises(TypeError, match="a coroutine or an awaitable is required"):
                fastaio.run(3)
            assert fastaio.run(asyncio.ensure_future(nap(5))) == 5

    loop.run_until_complete(main())


def test_asyncio_run_is_left_as_it_is(loop):
    async def main():
        coroutine = nap()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            asyncio.run(coroutine)
        coroutine.close()

    loop.run_until_complete(main())


def test_in_debug_mode(loop):
    loop.set_debug(True)

    async def main():
        handle = loop._current_handle
        run_talk(loop)
        assert loop._current_handle is handle

    loop.run_until_complete(main())


# -- stopping -------------------------------------------------------------------------------------


def test_stop_of_the_inner_run_forever(loop):
    seen = []

    async def main():
        loop.call_soon(seen.append, 1)
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        seen.append(2)
        await nap()
        seen.append(3)

    loop.run_until_complete(main())
    assert seen == [1, 2, 3]


def test_stop_before_the_inner_run(loop):
    """It was asked of the outer one."""
    seen = []

    def callback():
        loop.stop()
        assert loop.run_until_complete(nap()) == 7
        seen.append(1)

    loop.call_soon(callback)
    loop.run_forever()
    assert seen == [1]


def test_stop_inside_run_until_complete(loop):
    async def main():
        loop.call_soon(loop.stop)
        future = loop.create_future()
        with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
            loop.run_until_complete(future)
        return await nap()

    assert loop.run_until_complete(main()) == 7


@pytest.mark.parametrize("late", [False, True])
def test_the_outer_future_is_done_during_the_inner_run(late):
    """The outer run ends once the inner one has; `late`: it began before nesting was allowed."""
    seen = []
    loop = fastaio.new_event_loop()
    if not late:
        fastaio.allow_nested(loop)

    def callback():
        fastaio.allow_nested(loop)
        seen.append(loop.run_until_complete(nap(1, turns=20)))
        seen.append(loop.run_until_complete(nap(2)))

    async def main():
        loop.call_soon(callback)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "outer"

    assert loop.run_until_complete(main()) == "outer"
    assert seen == [1, 2]
    assert loop.run_until_complete(nap(3)) == 3
    loop.close()


def test_a_future_that_is_done_already(loop):
    async def main():
        future = loop.create_future()
        future.set_result(5)
        return loop.run_until_complete(future)

    assert loop.run_until_complete(main()) == 5


# -- exceptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError]
)
def test_exceptions_come_out_where_the_run_began(loop, error):
    async def fail():
        await asyncio.sleep(0)
        raise error

    async def main():
        with pytest.raises(error):
            loop.run_until_complete(fail())
        return await nap()

    assert loop.run_until_complete(main()) == 7


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_one_in_a_callback(loop, error):
    def fail():
        raise error

    async def main():
        loop.call_soon(fail)
        with pytest.raises(error):
            loop.run_until_complete(loop.create_future())
        loop.call_soon(fail)
        with pytest.raises(error):
            loop.run_forever()
        return await nap()

    assert loop.run_until_complete(main()) == 7


def test_one_that_leaves_both_runs(loop):
    def fail():
        raise KeyboardInterrupt

    async def main():
        loop.call_soon(fail)
        loop.run_until_complete(asyncio.sleep(1))

    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    assert loop.run_until_complete(nap()) == 7


def test_a_failing_callback_is_reported(loop, reports):
    def callback():
        loop.call_soon(int, "x")
        run_talk(loop)
        loop.stop()
        raise IndexError("outer")

    loop.call_soon(callback)
    loop.run_forever()
    assert [type(report["exception"]) for report in reports] == [ValueError, IndexError]
    reports.clear()


# -- in callbacks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["call_soon", "call_later", "call_soon_threadsafe"])
def test_in_callbacks(loop, schedule):
    done = []

    def callback():
        run_talk(loop)
        done.append(1)
        if len(done) == 3:
            loop.stop()

    for _ in range(3):
        if schedule == "call_later":
            loop.call_later(0.001, callback)
        else:
            getattr(loop, schedule)(callback)
    loop.run_forever()
    assert done == [1, 1, 1]


@pytest.mark.without_debug
def test_the_context_of_the_outer_callback(loop):
    """Handles that share the context which is entered further up the stack."""
    name = contextvars.ContextVar("name")
    seen = []

    async def main():
        name.set("ours")
        context = contextvars.copy_context()
        context.run(loop.call_soon, outer, context=context)
        await nap(turns=30)

    def outer():
        context = contextvars.copy_context()
        loop.call_soon(lambda: seen.append(name.get()), context=context)
        current = loop._current_handle
        assert current is None
        loop.run_until_complete(nap())

    loop.run_until_complete(main())
    assert seen == ["ours"]


def test_in_a_reader(loop):
    """Which is ready all the while: it is called again inside of itself."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    seen = []
    depth = 0

    def readable(extra):
        nonlocal depth
        seen.append(ours.recv(1))
        depth += 1
        if depth < 5:
            loop.run_until_complete(nap())
        depth -= 1
        if len(seen) == 10:
            loop.remove_reader(ours)
        if len(seen) == 10 and depth == 0:
            loop.stop()

    loop.add_reader(ours, readable, object())
    theirs.send(b"0123456789")
    loop.run_forever()
    assert b"".join(seen) == b"0123456789"
    ours.close()
    theirs.close()


def test_a_reader_removed_inside_of_itself(loop):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    calls = []

    def readable(text):
        calls.append(text)
        if len(calls) == 1:
            loop.run_until_complete(nap())
            assert text == "argument"
            loop.call_soon(loop.stop)
        else:
            loop.remove_reader(ours)

    loop.add_reader(ours, readable, "".join(["argu", "ment"]))
    theirs.send(b"x")
    loop.run_forever()
    assert len(calls) == 2
    ours.close()
    theirs.close()


def test_events_that_were_found_together(loop):
    """What an inner run has dealt with is not handed out again by the outer one."""
    pairs = [socket.socketpair() for _ in range(10)]
    left = {ours for ours, _ in pairs}
    nested = []

    def readable(ours):
        assert ours.recv(10) == b"x"
        left.remove(ours)
        if not nested:
            nested.append(loop.run_until_complete(nap()))
            assert not left
        if not left:
            loop.stop()

    for ours, theirs in pairs:
        ours.setblocking(False)
        loop.add_reader(ours, readable, ours)
        theirs.send(b"x")
    loop.run_forever()
    if left:
        loop.run_forever()
    for ours, theirs in pairs:
        loop.remove_reader(ours)
        ours.close()
        theirs.close()


@pytest.mark.parametrize("python_handler", [False, True])
def test_in_a_signal_handler(loop, python_handler):
    seen = []

    def handler(*_):
        run_talk(loop)
        seen.append(1)
        loop.stop()

    before = signal.getsignal(signal.SIGUSR1)
    if python_handler:
        signal.signal(signal.SIGUSR1, handler)
    else:
        loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.run_forever()
    signal.signal(signal.SIGUSR1, before)
    assert seen == [1]


# -- in protocols ---------------------------------------------------------------------------------


class Nests(asyncio.Protocol):
    """Runs the loop inside one of its methods."""

    def __init__(self, loop, method, act=None):
        self.loop, self.method, self.act = loop, method, act
        self.data = b""
        self.lost = loop.create_future()
        self.depth = 0

    def nest(self, method):
        if method != self.method or self.depth == 3:
            return
        self.depth += 1
        if self.act is not None:
            self.act(self)
        run_talk(self.loop)
        self.depth -= 1

    def connection_made(self, transport):
        self.transport = transport
        self.nest("connection_made")

    def data_received(self, data):
        before = bytes(data)
        self.data += data
        self.nest("data_received")
        assert data == before

    def eof_received(self):
        self.nest("eof_received")

    def pause_writing(self):
        self.nest("pause_writing")

    def resume_writing(self):
        self.nest("resume_writing")

    def connection_lost(self, exc):
        self.nest("connection_lost")
        self.lost.set_result(exc)


class NestsBuffered(Nests, asyncio.BufferedProtocol):
    data_received = None

    def get_buffer(self, hint):
        self.nest("get_buffer")
        self.buffer = bytearray(1000)
        return self.buffer

    def buffer_updated(self, size):
        got = bytes(self.buffer[:size])
        self.data += got
        self.nest("buffer_updated")


METHODS = ["connection_made", "data_received", "eof_received", "connection_lost"]


async def exchange(loop, protocol, data):
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await loop.create_connection(lambda: protocol, sock=ours)
    for start in range(0, len(data), 50_000):
        await loop.sock_sendall(theirs, data[start : start + 50_000])
    theirs.shutdown(socket.SHUT_WR)
    await asyncio.wait_for(protocol.lost, 20)
    theirs.close()


@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize("method", METHODS)
def test_in_a_protocol(loop, method, size):
    protocol = Nests(loop, method)
    data = os.urandom(size)
    loop.run_until_complete(exchange(loop, protocol, data))
    assert len(protocol.data) == len(data)


@pytest.mark.parametrize("method", [*METHODS, "get_buffer", "buffer_updated"])
def test_in_a_buffered_protocol(loop, method):
    protocol = NestsBuffered(loop, method)
    loop.run_until_complete(exchange(loop, protocol, b"x" * 20_000))
    assert len(protocol.data) == 20_000


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("kind", [Nests, NestsBuffered])
@pytest.mark.parametrize("method", METHODS[:3])
def test_closed_in_the_inner_run(loop, kind, method, end):
    def act(protocol):
        loop.call_soon(getattr(protocol.transport, end))

    if kind is NestsBuffered and method == "data_received":
        method = "buffer_updated"
    protocol = kind(loop, method, act)

    async def main():
        ours, theirs = socket.socketpair()
        await loop.create_connection(lambda: protocol, sock=ours)
        if method != "connection_made":
            theirs.send(b"x")
            theirs.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(protocol.lost, 20)
        theirs.close()

    loop.run_until_complete(main())


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_in_flow_control(loop, method):
    protocol = Nests(loop, method)

    async def main():
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        size = 3_000_000
        transport.write(bytes(size))
        got = 0
        while got < size:
            got += len(await loop.sock_recv(theirs, 1 << 16))
        transport.close()
        await asyncio.wait_for(protocol.lost, 20)
        theirs.close()

    loop.run_until_complete(main())


def test_what_was_written_before_goes_out(loop):
    """Output that the outer turn gathered is not held back until that turn ends."""

    async def main():
        reader, writer, end = await connected()
        writer.write(b"hello")
        assert loop.run_until_complete(reader.readexactly(5)) == b"hello"
        writer.write(b"again")
        assert loop.run_until_complete(reader.readexactly(5)) == b"again"
        await end()

    loop.run_until_complete(main())


@pytest.mark.without_debug
def test_in_a_protocol_factory(loop):
    made = []

    def factory():
        made.append(1)
        if len(made) == 1:
            loop.run_until_complete(connect())
        return asyncio.Protocol()

    async def connect():
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        while len(made) < 2:
            await asyncio.sleep(0)
        transport.abort()

    async def main():
        nonlocal address
        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(asyncio.Protocol, *address)
        while len(made) < 2:
            await asyncio.sleep(0)
        transport.abort()
        server.close()
        await nap()

    address = None
    loop.run_until_complete(main())


def test_datagrams(loop):
    """Those that came with the one being received are there for the inner run."""
    seen = []

    class Receives(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            seen.append(data)
            if len(seen) == 1:
                assert loop.run_until_complete(all_there()) is None
            assert data == seen[int(data[:1])]

    async def all_there():
        while len(seen) < 5:
            await asyncio.sleep(0)
        run_talk(loop)

    async def main():
        transport, _ = await loop.create_datagram_endpoint(Receives, local_addr=("127.0.0.1", 0))
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for number in range(5):
                sock.sendto(b"%d" % number * 100, transport.get_extra_info("sockname"))
        await asyncio.wait_for(all_there(), 20)
        transport.close()
        await nap()

    loop.run_until_complete(main())
    assert [data[:1] for data in seen] == [b"0", b"1", b"2", b"3", b"4"]


# -- nest_asyncio ---------------------------------------------------------------------------------


def run_program(text):
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_nest_asyncio_applied_to_the_loop():
    out = run_program("""
        import asyncio, fastaio, nest_asyncio

        async def inner():
            await asyncio.sleep(0.001)
            return 7

        async def main():
            loop = asyncio.get_running_loop()
            assert not hasattr(loop, "_nest_patched")
            nest_asyncio.apply(loop)
            assert loop.run_until_complete(inner()) == 7
            assert asyncio.run(inner()) == 7
            assert await inner() == 7
            return fastaio.run(inner())

        print(fastaio.run(main()))
    """)
    assert out == "7\n"


def test_nest_asyncio_applied_under_the_policy():
    out = run_program("""
        import asyncio, fastaio, nest_asyncio

        fastaio.install()
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        nest_asyncio.apply()

        async def main():
            assert isinstance(asyncio.get_running_loop(), fastaio.Loop)
            return asyncio.run(asyncio.sleep(0.001, 7))

        print(asyncio.run(main()))
        loop.close()
    """)
    assert out == "7\n"
