"""The turn (csrc/loop/loop.c) and the Loop type (csrc/loop/py_loop.c)."""

import asyncio
import gc
import os
import resource
import socket
import threading
import time

import pytest

import fastaio
from fastaio import _core


def test_descriptors_do_not_wait_for_many_slow_callbacks(loop):
    a, b = socket.socketpair()
    turns = []

    def slow():
        turns.append(1)
        time.sleep(0.001)
        if len(turns) == 20:
            b.send(b"x")
        loop.call_soon(slow)

    loop.add_reader(a, loop.stop)
    loop.call_soon(slow)
    loop.run_forever()
    loop.remove_reader(a)
    a.close()
    b.close()
    assert len(turns) <= 22


def test_other_threads_run_while_the_loop_waits(loop):
    done = []

    def work():
        for _ in range(100):
            done.append(1)
            time.sleep(0)
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert len(done) == 100


def test_one_turn_by_hand(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop._run_once()
    assert seen == [1]
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop._run_once()


def test_close_gives_all_descriptors_back():
    def count():
        return len(os.listdir("/proc/self/fd"))

    def use(seconds):
        loop = fastaio.new_event_loop()
        a, b = socket.socketpair()
        loop.add_reader(a, print)
        loop.call_later(seconds, loop.stop)
        loop.run_forever()
        loop.close()
        a.close()
        b.close()

    use(0.01)  # the first loop that waits has libuv open a pipe for the process
    before = count()
    for _ in range(20):
        use(0.0001)
    gc.collect()
    assert count() == before


def test_runs_without_a_descriptor_left():
    loop = fastaio.new_event_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(loop.stop))
        thread.start()
        loop.run_forever()
        thread.join()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        loop.close()


def test_no_loop_without_a_descriptor():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            fastaio.new_event_loop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    gc.collect()


def test_attributes(loop):
    for name in ("_stopping", "_debug"):
        delattr(loop, name)
        with pytest.raises(AttributeError):
            delattr(loop, name)
        assert not hasattr(loop, name)
        setattr(loop, name, False)
    loop._stopping = True
    assert loop._stopping is True
    loop.run_forever()
    assert loop._stopping is False
    with pytest.raises((TypeError, OverflowError)):
        loop._thread_id = "x"


def test_base_type_alone_closes():
    loop = _core.Loop()
    loop.call_soon(print)
    assert loop._ready != []
    loop.close()
    assert loop._ready == []
    with pytest.raises(TypeError):
        _core.Loop(1)


def test_what_epoll_refuses_can_be_kept_back():
    """A program's own select() hears of it until it hands it over."""

    async def main():
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        seen = []
        original = loop._selector.select

        def select(timeout):
            found = original(0)
            seen.append([key.fd for key, _ in found])
            return found if len(seen) > 5 else [item for item in found if item[0].fd != fd]

        class Reader(asyncio.Protocol):
            def eof_received(self):
                ended.set_result(None)

        with open("/dev/null", "rb", 0) as device:
            fd = device.fileno()
            loop._selector.select = select
            transport, _ = await loop.connect_read_pipe(Reader, device)
            await ended
            del loop._selector.select
            assert all(fd in found for found in seen[3:6])
            transport.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        runner.run(main())
