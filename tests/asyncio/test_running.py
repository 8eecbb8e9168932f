"""run_forever(), run_until_complete(), stop(), close() and what surrounds a run."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import warnings
import weakref

import pytest

import fastaio


def test_stop_before_the_run_takes_one_turn(loop):
    seen = []
    loop.stop()
    loop.call_soon(seen.append, 1)
    loop.run_forever()
    assert seen == [1]


def test_stop_finishes_the_turn(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(seen.append, 1)
    loop.call_soon(lambda: loop.call_soon(seen.append, 2))
    loop.run_forever()
    assert seen == [1]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [1, 2]


def test_state(loop):
    assert not loop.is_running()
    assert not loop.is_closed()
    assert loop._thread_id is None
    seen = []

    def look():
        seen.append((loop.is_running(), asyncio.get_running_loop() is loop, loop._thread_id))
        loop.stop()

    loop.call_soon(look)
    loop.run_forever()
    assert seen == [(True, True, threading.get_ident())]
    loop.close()
    loop.close()
    assert loop.is_closed()
    for call in (loop.run_forever, lambda: loop.run_until_complete(loop.create_future())):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call()


def test_repr(loop):
    loop.set_debug(False)
    name = type(loop).__name__
    name = name if name == "Loop" else "_UnixSelectorEventLoop"
    assert repr(loop) == f"<{name} running=False closed=False debug=False>"


def test_takes_no_second_run(loop, loop_factory):
    if sys.version_info[:3] == (3, 13, 0) and not isinstance(loop, fastaio.Loop):
        pytest.skip("asyncio 3.13.0 forgets the loop that runs when it refuses the second run")
    other = loop_factory()

    async def main():
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="while another loop is running"):
            other.run_forever()
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())


def test_run_until_complete_result_and_error(loop):
    async def value():
        return 5

    async def error():
        raise LookupError("x")

    assert loop.run_until_complete(value()) == 5
    with pytest.raises(LookupError):
        loop.run_until_complete(error())


def test_run_until_complete_stopped(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(future)


def test_unclosed_loop_warns(loop_factory):
    # Not one of the fixture's: those are kept and closed.
    loop = type(loop_factory())()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        del loop
        gc.collect()


LEFT = """
import asyncio
from {module} import {name} as make
asyncio.set_event_loop(make())
asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))
"""


def test_a_loop_left_to_the_end_of_the_program_closes_in_silence(loop):
    """By then the interpreter has cleared the modules."""
    program = LEFT.format(module=type(loop).__module__, name=type(loop).__name__)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_closed_loop_does_not_warn(loop_factory):
    loop = type(loop_factory())()
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del loop
        gc.collect()


def test_asyncgens_are_closed(run):
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def main():
        generator = numbers()
        assert await generator.__anext__() == 1
        main.generator = generator

    run(main())
    assert closed == [True]


def test_forgotten_asyncgen_is_closed(run):
    closed = []

    async def main():
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        async for _ in numbers():
            break
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == [True]

    run(main())


def test_hooks_are_restored(loop):
    before = sys.get_asyncgen_hooks()
    depth = sys.get_coroutine_origin_tracking_depth()
    loop.set_debug(True)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert sys.get_asyncgen_hooks() == before
    assert sys.get_coroutine_origin_tracking_depth() == depth


def test_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, lambda: threading.get_ident()) != (
            threading.get_ident()
        )
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            loop.run_in_executor(None, print)

    run(main())


def test_getaddrinfo(run):
    async def main():
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo("127.0.0.1", 80)
        assert infos[0][4] == ("127.0.0.1", 80)
        host, port = await loop.getnameinfo(("127.0.0.1", 80), 3)
        assert (host, port) == ("127.0.0.1", "80")

    run(main())


def test_threads_have_their_own_loops(loop_factory):
    results = []

    def work(number):
        async def main():
            for _ in range(50):
                await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return number

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.append(runner.run(main()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]


def sleeps(loop):
    loop.create_task(asyncio.sleep(100))
    loop.call_soon(loop.stop)
    loop.run_forever()


def connects(loop):
    async def main():
        ours, theirs = socket.socketpair()
        await loop.create_connection(asyncio.Protocol, sock=ours)
        theirs.close()

    loop.run_until_complete(main())


def serves(loop):
    loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", 0))


def listens(loop):
    address = ("127.0.0.1", 0)
    loop.run_until_complete(loop.create_datagram_endpoint(asyncio.DatagramProtocol, address))


def reads(loop):
    ours, theirs = socket.socketpair()
    loop.add_reader(ours, lambda: (loop, ours, theirs))


class Holder:
    """Refers to the loop by a handle, which refers to it."""


def holds_handles(method, *args):
    def begin(loop):
        holder = Holder()
        schedule = getattr(loop, method)
        schedule(*args, lambda: holder)
        holder.first = schedule(*args, lambda: holder)
        holder.second = schedule(*args, lambda: holder)
        schedule(*args, lambda: holder)
        schedule(*args, lambda: holder)
        holder.last = schedule(*args, lambda: holder)

    return begin


def finds_handles(loop):
    holder = Holder()
    for _ in range(3):
        loop.call_soon(lambda: holder)
        loop.call_later(100, lambda: holder)
    holder.found = [*loop._ready, *loop._scheduled]


def keeps_a_timer_that_is_cancelled(loop):
    loop.kept = loop.call_later(100, int)
    loop.kept.cancel()
    loop.call_soon(int)


def finds_a_handle_by_its_weak_reference(loop):
    holder = Holder()
    weak = weakref.ref(loop.call_later(100, lambda: holder))
    loop.call_later(100, lambda: holder)
    holder.found = weak()


@pytest.mark.parametrize(
    "begin",
    [
        sleeps,
        connects,
        serves,
        listens,
        reads,
        holds_handles("call_soon"),
        holds_handles("call_soon_threadsafe"),
        holds_handles("call_later", 100),
        finds_handles,
        finds_a_handle_by_its_weak_reference,
        keeps_a_timer_that_is_cancelled,
    ],
    ids=[
        "sleep",
        "connection",
        "server",
        "datagrams",
        "reader",
        "call_soon",
        "call_soon_threadsafe",
        "call_later",
        "handles found",
        "weak reference",
        "cancelled timer",
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [asyncio.SelectorEventLoop, fastaio.Loop])
def test_an_unclosed_loop_is_collected(kind, begin, caplog):
    loop = kind()
    alive = weakref.ref(loop)
    begin(loop)
    del loop
    gc.collect()
    gc.collect()
    assert alive() is None


def test_a_run_holds_the_descriptors_that_it_begins_with(run):
    def descriptors():
        return set(os.listdir("/proc/self/fd"))

    async def main():
        before = descriptors()
        await asyncio.sleep(0.001)
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()
        await asyncio.sleep(0)
        assert descriptors() == before

    run(main())
