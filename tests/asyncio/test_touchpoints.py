"""What other projects read and set on a loop and its transports without asking asyncio's leave.

The names are private, the programs that use them are not: anyio, aiohttp, aiosmtpd, nest_asyncio,
Twisted, Scrapy, psycopg, trio in guest mode.
"""

import asyncio
import contextlib
import gc
import os
import queue
import signal
import socket
import threading
import warnings
import weakref
from asyncio import base_events
from concurrent.futures import ThreadPoolExecutor

import pytest

import fastaio


class Recorder(asyncio.Protocol):
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.received = loop.create_future()
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received.set_result(data)

    def datagram_received(self, data, address):
        self.received.set_result(data)

    def error_received(self, exc):
        pass

    def connection_lost(self, exc):
        self.lost.set_result(exc)


async def stream(server, client):
    """A connected pair: the protocols of both ends."""
    loop = asyncio.get_running_loop()
    made = loop.create_future()

    class Peer(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.set_result(self)

    listening = await server(Peer)
    try:
        _, protocol = await client(listening)
        return await made, protocol
    finally:
        listening.close()


@contextlib.asynccontextmanager
async def transports(kind, contexts, tmp_path):
    """A transport of that kind and the protocol it was made with; all is closed afterwards."""
    loop = asyncio.get_running_loop()
    name = str(tmp_path / "socket")
    secrets = {}
    if kind == "tls":
        secrets = {"server": {"ssl": contexts[0]}, "client": {"ssl": contexts[1]}}
        secrets["client"]["server_hostname"] = "localhost"
    protocols = []
    if kind in ("tcp", "tls"):
        protocols = await stream(
            lambda made: loop.create_server(made, "127.0.0.1", 0, **secrets.get("server", {})),
            lambda server: loop.create_connection(
                Recorder, *server.sockets[0].getsockname(), **secrets.get("client", {})
            ),
        )
    elif kind == "unix":
        protocols = await stream(
            lambda made: loop.create_unix_server(made, name),
            lambda server: loop.create_unix_connection(Recorder, name),
        )
    elif kind == "udp":
        _, protocol = await loop.create_datagram_endpoint(Recorder, ("127.0.0.1", 0))
        protocols = [protocol]
    else:
        read, write = (open(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        _, reader = await loop.connect_read_pipe(Recorder, read)
        _, writer = await loop.connect_write_pipe(Recorder, write)
        protocols = [reader, writer] if kind == "write pipe" else [writer, reader]
    try:
        yield protocols[-1].transport, protocols[-1]
    finally:
        for protocol in protocols:
            getattr(protocol.transport, "abort", protocol.transport.close)()
        for protocol in protocols:
            await protocol.lost


SOCKETS = ("tcp", "unix", "udp")
STREAMS = ("tcp", "unix", "tls")
PIPES = ("read pipe", "write pipe")
ALL = (*STREAMS, "udp", *PIPES)


# -- the loop --------------------------------------------------------------------------------------


def test_loop_before_it_runs(loop):
    assert loop._thread_id is None
    assert loop._closed is False
    assert loop._stopping is False
    assert loop._default_executor is None
    assert loop._executor_shutdown_called is False
    assert loop._exception_handler is not None  # the fixture's
    assert loop._task_factory is None
    assert loop._current_handle is None
    assert loop._signal_handlers == {}
    assert loop._asyncgens_shutdown_called is False
    assert isinstance(loop._asyncgens, weakref.WeakSet)
    assert isinstance(loop._transports, weakref.WeakValueDictionary)
    assert loop._coroutine_origin_tracking_enabled is False
    assert loop._coroutine_origin_tracking_saved_depth is None
    assert 0 < loop._clock_resolution <= 0.001
    assert loop.slow_callback_duration == 0.1
    assert len(loop._ready) == len(loop._scheduled) == 0
    assert loop._check_closed() is None
    assert loop._check_running() is None


@pytest.mark.without_debug
def test_loop_while_it_runs(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert loop._thread_id == threading.get_ident()
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop._check_running()
        assert not loop._coroutine_origin_tracking_enabled

        async def numbers():
            yield 1
            yield 2

        generator = numbers()
        assert await anext(generator) == 1
        assert list(loop._asyncgens) == [generator]
        await loop.run_in_executor(None, int)
        assert isinstance(loop._default_executor, ThreadPoolExecutor)
        assert loop._default_executor._max_workers
        await generator.aclose()
        return loop

    loop = run(main())
    assert loop._thread_id is None
    assert loop._closed
    assert loop._executor_shutdown_called
    assert loop._asyncgens_shutdown_called
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop._check_closed()


def test_loop_attributes_that_are_set(loop):
    """They are obeyed, as if the public method had been called."""
    seen = []
    loop._debug = True
    assert loop.get_debug() is True
    loop._debug = False
    loop._exception_handler = None
    assert loop.get_exception_handler() is None
    loop._exception_handler = lambda loop, context: seen.append(context["message"])
    loop.call_exception_handler({"message": "told"})
    assert seen == ["told"]
    factory = lambda loop, coro, **kwargs: asyncio.Task(coro, loop=loop, **kwargs)  # noqa: E731
    loop._task_factory = factory
    assert loop.get_task_factory() is factory
    loop._task_factory = None
    executor = ThreadPoolExecutor(1)
    loop._default_executor = executor
    name = loop.run_until_complete(loop.run_in_executor(None, threading.get_ident))
    assert name in {thread.ident for thread in executor._threads}
    loop._executor_shutdown_called = True
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        loop.run_in_executor(None, int)
    loop.slow_callback_duration = 5
    loop._clock_resolution = 0.25
    assert (loop.slow_callback_duration, loop._clock_resolution) == (5, 0.25)
    executor.shutdown()


def test_signal_handlers_by_number(loop):
    loop.add_signal_handler(signal.SIGUSR1, print, "x")
    assert list(loop._signal_handlers) == [signal.SIGUSR1]
    handle = loop._signal_handlers[signal.SIGUSR1]
    assert isinstance(handle, asyncio.Handle)
    assert (handle._callback, handle._args) == (print, ("x",))
    assert loop.remove_signal_handler(signal.SIGUSR1)
    assert not loop._signal_handlers


def test_constructor_takes_nothing(loop):
    """Scrapy's ASYNCIO_EVENT_LOOP names a class and calls it."""
    another = type(loop)()
    assert another.run_until_complete(asyncio.sleep(0, "done")) == "done"
    another.close()
    assert issubclass(fastaio.Loop, asyncio.SelectorEventLoop)


# -- transports ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_transport_attributes(run, contexts, tmp_path, kind):
    async def main():
        loop = asyncio.get_running_loop()
        async with transports(kind, contexts, tmp_path) as (transport, protocol):
            assert transport._loop is loop
            assert transport.get_protocol() is protocol
            assert transport.is_closing() is False
            assert getattr(transport, "_start_tls_compatible", False) is (kind in STREAMS)
            mode = getattr(transport, "_sendfile_compatible", None)
            wanted = {"tcp": "TRY_NATIVE", "unix": "TRY_NATIVE", "tls": "FALLBACK"}
            assert (mode and mode.name) == wanted.get(kind)
            if kind == "tls":
                assert transport._ssl_protocol._transport._protocol is transport._ssl_protocol
                assert transport._ssl_protocol._app_protocol is protocol
            else:
                assert transport._protocol is protocol
                assert transport._closing is False
            if kind in SOCKETS:
                sock = transport._sock
                assert isinstance(sock, socket.socket)
                assert sock.fileno() == transport._sock_fd
                assert transport.get_extra_info("socket").fileno() == sock.fileno()
                assert transport._extra["sockname"] == sock.getsockname()
            if kind in PIPES:
                assert transport._pipe.fileno() == transport._fileno
                assert transport._extra == {"pipe": transport._pipe}
            if kind in ("tcp", "unix", "udp", "read pipe"):
                assert transport._paused is False
                transport.pause_reading()
                assert transport._paused is True
                transport.resume_reading()
                assert transport._paused is False
            if kind != "read pipe":
                assert transport._protocol_paused is False
                assert transport.get_write_buffer_size() == 0
            if kind in SOCKETS:
                assert transport._conn_lost == 0
                assert (transport._low_water, transport._high_water) == (16384, 65536)

    run(main())


def test_subprocess_attributes(run):
    async def main():
        loop = asyncio.get_running_loop()

        class Protocol(asyncio.SubprocessProtocol):
            exited = loop.create_future()

            def process_exited(self):
                self.exited.set_result(None)

        transport, protocol = await loop.subprocess_exec(Protocol, "cat")
        assert transport._protocol is protocol
        assert transport._pid == transport._proc.pid == transport.get_pid()
        assert transport._returncode is None
        assert transport._closed is False
        assert transport._extra == {"subprocess": transport._proc}
        assert sorted(transport._pipes) == [0, 1, 2]
        assert transport._pipes[0].pipe is transport.get_pipe_transport(0)
        assert not hasattr(transport, "_start_tls_compatible")
        transport.get_pipe_transport(0).close()
        await protocol.exited
        assert transport._returncode == 0
        transport.close()
        assert transport._closed is True
        await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("kind", ALL)
def test_extra_can_be_added_to(run, contexts, tmp_path, kind):
    async def main():
        async with transports(kind, contexts, tmp_path) as (transport, _):
            carrier = transport._ssl_protocol._transport if kind == "tls" else transport
            carrier._extra["mark"] = 7
            assert transport.get_extra_info("mark") == 7
            carrier._extra = {"mark": 8}
            assert transport.get_extra_info("mark") == 8
            assert transport.get_extra_info("nothing", "default") == "default"

    run(main())


@pytest.mark.parametrize("kind", ["tcp", "unix", "udp", "read pipe"])
def test_protocol_assigned(run, contexts, tmp_path, kind):
    """Older programs do not call set_protocol()."""

    async def main():
        async with transports(kind, contexts, tmp_path) as (transport, before):
            after = Recorder()
            transport._protocol = after
            assert transport.get_protocol() is transport._protocol is after
            if kind == "udp":
                transport.sendto(b"x", transport.get_extra_info("sockname"))
                assert await after.received == b"x"
            transport.close()
            assert await after.lost is None
            assert not before.lost.done()
            before.lost.set_result(None)

    run(main())


def test_socket_taken_away(run, contexts, tmp_path):
    """The transport gives up its socket: it neither reads nor closes nor warns any more."""

    async def main():
        loop = asyncio.get_running_loop()
        ends = socket.socketpair()
        transport, protocol = await loop.create_connection(Recorder, sock=ends[0])
        transport.pause_reading()
        sock, transport._sock = transport._sock, None
        assert transport._sock is None
        assert transport.get_extra_info("peername") == ends[0].getpeername()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del transport, protocol.transport
            gc.collect()
        ends[1].setblocking(False)
        await loop.sock_sendall(ends[1], b"still open")
        assert await loop.sock_recv(sock, 100) == b"still open"
        assert not protocol.received.done()
        for end in (sock, *ends):
            end.close()

    run(main())


# -- descriptors -----------------------------------------------------------------------------------


def test_readded_after_the_descriptor_was_replaced(loop):
    """libpq closes its socket and opens another under the same number while it is watched."""
    loop.run_until_complete(asyncio.sleep(0))  # the loop has all descriptors of its own now
    seen = []
    ends = socket.socketpair()
    number = ends[0].fileno()
    loop.add_reader(number, seen.append, "first")
    for end in ends:
        end.close()
    others = socket.socketpair()
    if others[0].fileno() != number:
        os.dup2(others[0].fileno(), number)
    loop.add_reader(number, seen.append, "second")
    assert loop.remove_reader(number) is True
    loop.add_reader(number, lambda: (seen.append("third"), loop.stop()))
    others[1].send(b"x")
    loop.run_forever()
    assert seen == ["third"]
    assert loop.remove_reader(number) is True
    loop.add_writer(number, lambda: (seen.append("writable"), loop.stop()))
    loop.run_forever()
    assert loop.remove_writer(number) is True
    assert seen == ["third", "writable"]
    if others[0].fileno() != number:
        os.close(number)
    for end in others:
        end.close()


def test_selector_of_a_refused_file(loop, tmp_path):
    """Twisted's reactor, told EPERM, tidies the selector up and reads the file itself."""
    with open(tmp_path / "file", "w+b") as file:
        with pytest.raises(PermissionError):
            loop.add_reader(file.fileno(), print)
        with pytest.raises(KeyError):
            loop._selector.unregister(file.fileno())
        with pytest.raises(KeyError):
            loop._selector.get_key(file.fileno())
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    loop.add_reader(ends[0], print)
    key = loop._selector.unregister(ends[0])
    assert (key.fileobj, key.fd) == (ends[0], ends[0].fileno())
    assert loop.remove_reader(ends[0]) is False
    for end in ends:
        end.close()


# -- tasks -----------------------------------------------------------------------------------------


def test_root_task_is_found_by_its_callback(loop):
    """anyio ends its worker threads with the task that run_until_complete() was given."""

    def root():
        return [
            task
            for task in asyncio.all_tasks()
            for callback, _ in task._callbacks or ()
            if callback is base_events._run_until_complete_cb
        ]

    async def inner():
        return root()

    async def main():
        found = await asyncio.create_task(inner())
        assert found == [asyncio.current_task()]
        return asyncio.all_tasks(loop)

    assert len(loop.run_until_complete(main())) == 1
    assert asyncio.all_tasks(loop) == set()


def test_two_runs_of_one_loop_see_their_own_tasks(loop):
    async def leave():
        return asyncio.create_task(asyncio.Event().wait(), name="left")

    task = loop.run_until_complete(leave())
    assert asyncio.all_tasks(loop) == {task}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    assert asyncio.all_tasks(loop) == set()


def test_guest_of_the_loop(loop):
    """trio in guest mode: a thread polls, the loop runs each tick that it hands over."""
    ticks = queue.SimpleQueue()
    done = []

    def poll():
        while (tick := ticks.get()) is not None:
            loop.call_soon_threadsafe(tick)

    def tick():
        done.append(threading.get_ident())
        if len(done) == 500:
            ticks.put(None)
            loop.stop()
        elif len(done) % 2:
            ticks.put(tick)  # by way of the thread
        else:
            loop.call_soon_threadsafe(tick)

    thread = threading.Thread(target=poll)
    thread.start()
    loop.call_soon_threadsafe(tick)
    loop.run_forever()
    thread.join()
    assert done == [threading.get_ident()] * 500


def test_loop_runs_another_turn_by_turn(loop):
    """Reactors and notebooks: run_forever() in pieces, stop() called from a callback."""
    seen = []
    loop.call_later(0.01, seen.append, "timer")
    loop.call_soon(seen.append, "soon")
    while "timer" not in seen:
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == ["soon", "timer"]


@pytest.mark.parametrize("kind", ALL)
def test_reprs_name_the_descriptor(run, contexts, tmp_path, kind):
    async def main():
        async with transports(kind, contexts, tmp_path) as (transport, _):
            if kind != "tls":
                number = transport._sock_fd if kind in SOCKETS else transport._fileno
                assert f" fd={number} " in repr(transport)

    run(main())
