"""asyncio.AbstractEventLoop row by row: one small test for each thing that other loops have been
seen to do otherwise. What has a file of its own (TCP, TLS, UDP, pipes, ...) is tested there.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import logging
import os
import re
import socket
import struct
import sys
import threading
import time
import warnings

import pytest

import fastaio

since_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="came with Python 3.12")
since_3_12_1 = pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="came with Python 3.12.1")
since_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="came with Python 3.13")
before_3_13 = pytest.mark.skipif(sys.version_info >= (3, 13), reason="an error since Python 3.13")

LOOPBACK = ("127.0.0.1", 0)


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self):
        self.transport = None
        self.data = b""
        self.made = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.made.set_result(transport)

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        self.lost.set_result(exc)


class Recorders:
    """A factory of Recorders that can be waited for."""

    def __init__(self):
        self.all = []
        self._queue = asyncio.Queue()

    def __call__(self):
        recorder = Recorder()
        self.all.append(recorder)
        self._queue.put_nowait(recorder)
        return recorder

    async def next(self):
        recorder = await self._queue.get()
        await recorder.made
        return recorder

    async def close(self):
        for recorder in self.all:
            if recorder.transport is not None:
                recorder.transport.abort()
                await recorder.lost


@contextlib.asynccontextmanager
async def recorders():
    factory = Recorders()
    try:
        yield factory
    finally:
        await factory.close()


@contextlib.asynccontextmanager
async def listening():
    """A server of Recorders, and its address."""
    async with recorders() as factory:
        server = await asyncio.get_running_loop().create_server(factory, *LOOPBACK)
        yield factory, server.sockets[0].getsockname()
        server.close()
    await server.wait_closed()


def on_both(main, **runner):
    """The result of main() on asyncio's loop, after checking that it is the same on ours."""
    results = []
    for factory in (asyncio.SelectorEventLoop, fastaio.new_event_loop):
        with asyncio.Runner(loop_factory=factory, **runner) as r:
            results.append(r.run(main()))
    assert results[1] == results[0]
    return results[0]


async def error_of(awaitable):
    """Type and text of what an awaitable raises."""
    try:
        result = await awaitable
    except Exception as exc:
        # Which number a socket has depends on what the loop has opened before.
        return type(exc), re.sub(r"fd=\d+", "fd=N", str(exc))
    return "no error", result


# -- the loop itself -------------------------------------------------------------------------------


def test_is_asyncios_loop(loop):
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.BaseEventLoop)
    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_every_method_is_there(loop):
    for name, value in inspect.getmembers(asyncio.AbstractEventLoop):
        if not name.startswith("_"):
            assert callable(getattr(loop, name)), name
            assert value.__doc__ is None or getattr(loop, name) is not None


def test_unknown_attributes_can_be_set(loop):
    loop.note = 7
    assert loop.note == 7


@since_3_12
def test_shutdown_default_executor_takes_a_time(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, int, "7") == 7
        await loop.shutdown_default_executor(timeout=60)
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, int)

    run(main())


def test_set_default_executor_takes_only_threads(loop):
    with pytest.raises(TypeError, match="ThreadPoolExecutor"):
        loop.set_default_executor(object())


def test_run_in_executor_refuses_coroutines_in_debug_mode(loop):
    async def coroutine():
        pass

    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
        loop.run_in_executor(None, coroutine)


@pytest.mark.without_debug
def test_default_exception_handler(caplog):
    async def main():
        loop = asyncio.get_running_loop()
        caplog.clear()
        loop.call_exception_handler(
            {"message": "words", "exception": LookupError("x"), "b": 2, "a": [1]}
        )
        loop.default_exception_handler({"message": "more"})
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        assert on_both(main) == ["words\na: [1]\nb: 2", "more"]


def test_exception_handler_is_checked(loop):
    assert loop.get_exception_handler() is not None
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError, match="A callable object or None is expected"):
        loop.set_exception_handler(1)


def test_exception_handler_runs_in_the_context_of_the_callback(loop):
    """Python 3.12 and newer."""
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []

    def fail():
        variable.set("inside")
        raise LookupError

    loop.set_exception_handler(lambda loop, context: seen.append(variable.get()))
    loop.call_soon(fail)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["inside" if sys.version_info >= (3, 12) else "outside"]


def test_task_factory_is_called_as_asyncio_calls_it():
    async def main():
        loop = asyncio.get_running_loop()
        calls = []

        def factory(loop, coroutine, *args, **kwargs):
            calls.append((args, sorted(kwargs.items(), key=str)))
            kwargs.pop("eager_start", None)
            return asyncio.Task(coroutine, loop=loop, **kwargs)

        async def nothing():
            pass

        async def outcome(**kwargs):
            coroutine = nothing()
            try:
                task = loop.create_task(coroutine, **kwargs)
            except TypeError as exc:
                coroutine.close()
                return str(exc).rpartition(".")[2].replace("factory", "")
            await task
            name = task.get_name()
            return "automatic" if name.startswith("Task-") else name

        results = []
        loop.set_task_factory(factory)
        for name in ({}, {"name": "n"}, {"name": None}, {"name": 7}):
            for context in ({}, {"context": None}, {"context": context_of_tests}):
                results.append(await outcome(**name, **context))
        results.append(await outcome(eager_start=None) if sys.version_info >= (3, 14) else None)
        loop.set_task_factory(None)
        return results, calls

    context_of_tests = contextvars.copy_context()
    on_both(main)


@since_3_12
def test_eager_tasks_in_groups(run):
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        ran = []

        async def step(number):
            ran.append(number)
            if number % 2:
                await asyncio.sleep(0)
                ran.append(-number)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step(number)) for number in range(4)]
            assert ran == [0, 1, 2, 3]
            assert [task.done() for task in tasks] == [True, False, True, False]
        assert ran == [0, 1, 2, 3, -1, -3]

    run(main())


@since_3_12
def test_eager_task_factory_of_another_class(run):
    class Task(asyncio.Task):
        pass

    async def main():
        factory = asyncio.create_eager_task_factory(Task)
        asyncio.get_running_loop().set_task_factory(factory)
        task = asyncio.create_task(asyncio.sleep(0, 7))
        assert type(task) is Task
        assert await task == 7

    run(main())


def test_patched_time_is_honoured(loop, monkeypatch):
    """As libraries that freeze the time do it."""
    now = [100.0]
    monkeypatch.setattr(loop, "time", lambda: now[0])
    ran = []
    handle = loop.call_later(50, ran.append, 1)
    assert handle.when() == 150.0
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == []
    now[0] = 151.0
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert ran == [1]


def test_time_is_not_that_of_the_turns_begin(loop):
    def busy():
        before = loop.time()
        deadline = time.monotonic() + 0.002
        while time.monotonic() < deadline:
            pass
        differences.append(loop.time() - before)

    differences = []
    loop.call_soon(busy)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert differences[0] >= 0.002


def test_idle_loop_uses_no_processor(run):
    async def main():
        async with listening() as (factory, _):
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            # Unread input, a paused reader and a writer that waits are no reason to spin.
            writer, _ = await loop.create_connection(factory, sock=ours)
            reader, _ = await loop.create_connection(factory, sock=theirs)
            reader.pause_reading()
            writer.write(bytes(5_000_000))
            udp, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=LOOPBACK
            )
            for _ in range(3):
                await asyncio.sleep(0.01)
            before = time.process_time()
            await asyncio.sleep(0.3)
            used = time.process_time() - before
            udp.close()
        assert used < 0.1

    run(main())


def test_greedy_sender_does_not_starve_others(run):
    async def main():
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def send(sock):
            with sock, contextlib.suppress(OSError):
                while not stop.is_set():
                    sock.sendall(bytes(1_000_000))

        async with recorders() as factory:
            greedy, its_peer = socket.socketpair()
            shy, my_peer = socket.socketpair()
            await loop.create_connection(factory, sock=greedy)
            await loop.create_connection(factory, sock=shy)
            thread = threading.Thread(target=send, args=(its_peer,))
            thread.start()
            try:
                with my_peer:
                    for _ in range(5):
                        my_peer.send(b"x")
                        await asyncio.sleep(0.01)
                    while len(factory.all[1].data) < 5:
                        await asyncio.sleep(0)
            finally:
                stop.set()
                factory.all[0].transport.abort()
                await factory.all[0].lost
                factory.all.pop(0)
                await loop.run_in_executor(None, thread.join)

    run(main())


@pytest.mark.parametrize("kind", ["stream", "datagram", "read pipe", "write pipe"])
def test_unclosed_transports_warn_with_their_source(loop_factory, kind):
    loop = loop_factory()

    async def make():
        ours, theirs = socket.socketpair()
        read_fd, write_fd = os.pipe()
        files = {"ours": ours, "theirs": theirs}
        files |= {"reader": open(read_fd, "rb", 0), "writer": open(write_fd, "wb", 0)}
        if kind == "stream":
            make = loop.create_connection(asyncio.Protocol, sock=files.pop("ours"))
        elif kind == "datagram":
            make = loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=LOOPBACK)
        elif kind == "read pipe":
            make = loop.connect_read_pipe(asyncio.Protocol, files.pop("reader"))
        else:
            make = loop.connect_write_pipe(asyncio.BaseProtocol, files.pop("writer"))
        transport, _ = await make
        await asyncio.sleep(0)
        return transport, files

    transport, files = loop.run_until_complete(make())
    cls = type(transport)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.close()  # lets go of the transports that it reads for
        del transport
        gc.collect()
    for file in files.values():
        file.close()
    unclosed = [w for w in caught if str(w.message).startswith("unclosed transport <")]
    assert [w.category for w in unclosed] == [ResourceWarning]
    assert type(unclosed[0].source) is cls


def test_subinterpreter_free_names(loop):
    """What libraries look at to know an asyncio loop."""
    assert type(loop).__module__.partition(".")[0] in {"asyncio", "fastaio"}
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 5
    assert loop.slow_callback_duration == 5


# -- connecting ------------------------------------------------------------------------------------


def test_create_connection_complains_as_asyncio_does():
    async def main():
        loop = asyncio.get_running_loop()
        errors = []
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            for args, kwargs in [
                ((), {}),
                (("127.0.0.1", 1), {"sock": tcp}),
                ((), {"sock": udp}),
                (("127.0.0.1", 1), {"server_hostname": "x"}),
                (("127.0.0.1", 1), {"ssl_handshake_timeout": 1}),
                (("127.0.0.1", 1), {"ssl_shutdown_timeout": 1}),
                (("",), {"ssl": True}),
                ((), {"sock": tcp, "ssl": True}),
                ((), {"sock": tcp, "interleave": 1}),
                (("127.0.0.1", 1), {"family": socket.AF_INET6}),
                (("127.0.0.1", 1), {"local_addr": ("not-an-address.invalid", 1)}),
            ]:
                call = loop.create_connection(asyncio.Protocol, *args, **kwargs)
                error = await error_of(call)
                if error[0] == "no error":
                    transport, _ = error[1]
                    transport.abort()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    error = "connected"
                errors.append(error if error[0] is not socket.gaierror else "gaierror")
        return errors

    on_both(main)


def free_port():
    with socket.socket() as sock:
        sock.bind(LOOPBACK)
        return sock.getsockname()[1]


def test_refused_connection_says_where():
    port = free_port()

    async def main():
        loop = asyncio.get_running_loop()
        errors = [await error_of(loop.create_connection(asyncio.Protocol, "127.0.0.1", port))]
        try:
            await loop.create_connection(asyncio.Protocol, "localhost", port, family=2)
        except OSError as exc:
            errors.append((type(exc), exc.errno, str(exc)))
        return errors

    on_both(main)


@since_3_12
def test_all_errors(run):
    port = free_port()

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ExceptionGroup) as caught:
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", port, all_errors=True)
        assert [type(exc) for exc in caught.value.exceptions] == [ConnectionRefusedError]

    run(main())


@pytest.mark.parametrize("keywords", [{"happy_eyeballs_delay": 0.01}, {"interleave": 1}, {}])
def test_several_addresses_are_tried(run, monkeypatch, keywords):
    """The first two refuse; with happy eyeballs one after the other without waiting."""
    closed = free_port()

    async def main():
        loop = asyncio.get_running_loop()
        async with listening() as (factory, (_, port)):

            async def getaddrinfo(host, port_, **hints):
                kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
                return [(*kind, ("127.0.0.1", p)) for p in (closed, closed, port)]

            monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
            transport, _ = await loop.create_connection(factory, "name.invalid", port, **keywords)
            assert transport.get_extra_info("peername")[1] == port
            await factory.next()
            await factory.next()

    run(main())


def test_local_address(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with listening() as (factory, address):
            transport, protocol = await loop.create_connection(
                factory, *address, local_addr=("127.0.0.2", 0)
            )
            accepted = await factory.next()
            if accepted is protocol:
                accepted = await factory.next()
            assert transport.get_extra_info("sockname")[0] == "127.0.0.2"
            assert accepted.transport.get_extra_info("peername")[0] == "127.0.0.2"

    run(main())


def test_family_proto_and_flags(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with listening() as (factory, address):
            transport, _ = await loop.create_connection(
                factory,
                *address,
                family=socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            sock = transport.get_extra_info("socket")
            assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
            await factory.next()
            await factory.next()

    run(main())


def test_cancelled_connect_leaves_no_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)  # the loop has all it needs
        with socket.socket() as full:
            # A queue of one: whoever comes later waits for an answer.
            full.bind(LOOPBACK)
            full.listen(0)
            address = full.getsockname()
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            before = len(os.listdir("/proc/self/fd"))
            task = asyncio.create_task(loop.create_connection(asyncio.Protocol, *address))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            gc.collect()
            assert len(os.listdir("/proc/self/fd")) == before
            for filler in fillers:
                filler.close()

    run(main())


def test_no_delay_is_set(run):
    """Also where the socket was made without a protocol number."""

    async def main():
        loop = asyncio.get_running_loop()

        def no_delay(transport):
            sock = transport.get_extra_info("socket")
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

        async with listening() as (factory, address):
            await loop.create_connection(factory, *address)
            for _ in range(2):
                assert no_delay((await factory.next()).transport)

    run(main())


def test_socket_of_a_transport(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with listening() as (factory, address):
            transport, protocol = await loop.create_connection(factory, *address)
            accepted = await factory.next()
            if accepted is protocol:
                accepted = await factory.next()
            sock = transport.get_extra_info("socket")
            assert type(sock) is asyncio.trsock.TransportSocket
            assert sock.fileno() > 0
            sock.dup().close()
            assert sock.getpeername() == address
            assert sock.gettimeout() == 0
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
            assert not hasattr(sock, "send")
            sock.shutdown(socket.SHUT_WR)
            assert await accepted.lost is None
            factory.all.remove(accepted)

    run(main())


def test_write_after_close_is_silent_at_first(run, caplog):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        async with recorders() as factory:
            with theirs:
                transport, _ = await loop.create_connection(factory, sock=ours)
                transport.abort()
                transport.write(b"x")
                transport.writelines([b"x", b"y"])
                transport.write_eof() if sys.version_info < (3, 12) else None
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                transport.write(b"x")
                assert theirs.recv(10) == b""
                assert caplog.messages == []
                for _ in range(5):
                    transport.write(b"x")
                assert set(caplog.messages) == {"socket.send() raised exception."}

    run(main())


def test_default_write_limits(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        async with recorders() as factory:
            with theirs:
                transport, _ = await loop.create_connection(factory, sock=ours)
                assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
                transport.set_write_buffer_limits(high=0)
                assert transport.get_write_buffer_limits() == (0, 0)
                transport.set_write_buffer_limits(low=10)
                assert transport.get_write_buffer_limits() == (10, 40)
                with pytest.raises(ValueError, match="must be >= low"):
                    transport.set_write_buffer_limits(high=1, low=2)

    run(main())
