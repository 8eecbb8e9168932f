"""Signals: handlers of the loop's own, Python's, and Ctrl-C."""

import asyncio
import os
import signal
import socket
import sys
import threading

import pytest


@pytest.fixture(autouse=True)
def interrupts():
    """Ctrl-C as in a terminal: a shell starts background processes with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def later(number):
    """Sends the signal to this process, mostly while the loop waits; the tests hold either way."""
    timer = threading.Timer(0.01, os.kill, (os.getpid(), number))
    timer.start()
    return timer


def test_handler(run):
    async def main():
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set_result, 3)
        timer = later(signal.SIGUSR1)
        assert await arrived == 3
        timer.join()
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert loop.remove_signal_handler(signal.SIGUSR1) is False

    run(main())
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_handler_is_replaced(run):
    async def main():
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.add_signal_handler(signal.SIGUSR1, arrived.set_result, 1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert await arrived == 1

    run(main())  # close() removes it
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


def test_signal_between_two_runs_is_kept(loop):
    seen = []

    async def nothing():
        pass

    async def wait():
        while not seen:
            await asyncio.sleep(0)

    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    loop.run_until_complete(nothing())
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.run_until_complete(asyncio.wait_for(wait(), 5))
    assert seen == [1]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_pythons_handler_runs_while_the_loop_waits(loop):
    seen = []

    def handler(number, frame):
        seen.append(number)
        loop.call_soon_threadsafe(loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = later(signal.SIGUSR1)
        loop.run_forever()
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_handlers_exception_ends_the_run(loop):
    def handler(number, frame):
        raise LookupError

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer = later(signal.SIGUSR1)
        with pytest.raises(LookupError):
            loop.run_forever()
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_interrupt_ends_run_forever(loop):
    timer = later(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    timer.join()
    assert not loop.is_running()


def test_interrupt_cancels_the_main_task(run):
    cancelled = []

    async def main():
        timer = later(signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        finally:
            timer.join()

    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert cancelled == [True]


def test_somebody_elses_wakeup_descriptor_is_left(loop):
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno())
    try:
        loop.call_soon(loop.stop)
        loop.run_forever()
    finally:
        assert signal.set_wakeup_fd(before) == theirs.fileno()
        ours.close()
        theirs.close()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="a difference there")
def test_a_run_shows_no_wakeup_descriptor(loop):
    """Its own, which ends its waits: programs as trio's guest mode ask whether there is one."""
    seen = []

    def look(*_):
        seen.append(signal.set_wakeup_fd(-1))

    async def main():
        look()
        await asyncio.sleep(0.001)
        look()
        loop.add_signal_handler(signal.SIGUSR2, print)
        assert signal.set_wakeup_fd(-1) >= 0
        loop.remove_signal_handler(signal.SIGUSR2)
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, print)
        look()
        timer = later(signal.SIGUSR1)
        while len(seen) < 4:
            await asyncio.sleep(1)
        timer.join()
        look()

    before = signal.signal(signal.SIGUSR1, look)
    try:
        loop.run_until_complete(main())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [-1] * 5


def test_a_wakeup_descriptor_set_while_the_loop_runs_is_rung(run):
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    got = []

    async def main():
        loop = asyncio.get_running_loop()
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        await asyncio.sleep(0.001)
        arrived = loop.create_future()
        loop.add_reader(ours, lambda: arrived.done() or arrived.set_result(ours.recv(10)))
        timer = later(signal.SIGUSR1)
        got.append(await arrived)
        timer.join()
        loop.remove_reader(ours)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        run(main())
        assert signal.set_wakeup_fd(-1) == theirs.fileno()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, before)
        ours.close()
        theirs.close()
    assert got == [bytes([signal.SIGUSR1])]


def test_work_of_a_signal_handler_is_not_waited_for(loop):
    """A handler's callbacks and timers count for the wait that its signal comes before."""

    def handler(*_):
        loop.call_later(0.001, loop.stop)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(200):
            loop.call_soon(signal.raise_signal, signal.SIGUSR1)
            loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_of_two_loops_the_one_that_asked_last_hears(loop_factory):
    """Also of signals that came while the other ran; nothing waits for the first one's next run."""
    heard = []

    async def send():
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(10):
            await asyncio.sleep(0.001)

    first, second = loop_factory(), loop_factory()
    first.add_signal_handler(signal.SIGUSR1, heard.append, "first")
    second.add_signal_handler(signal.SIGUSR1, heard.append, "second")
    second.run_until_complete(send())
    first.run_until_complete(asyncio.sleep(0.01))
    assert heard == ["second"]
    first.run_until_complete(send())
    assert heard == ["second"]
    second.run_until_complete(asyncio.sleep(0.01))
    assert heard == ["second", "second"]
    first.add_signal_handler(signal.SIGUSR2, print)
    first.run_until_complete(send())
    assert heard == ["second", "second", "first"]
    first.close()
    second.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_a_loop_with_handlers_takes_the_wakeup_descriptor(loop):
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno())
    try:
        loop.add_signal_handler(signal.SIGUSR1, loop.stop)
        timer = later(signal.SIGUSR1)
        loop.run_forever()
        timer.join()
        with pytest.raises(BlockingIOError):
            ours.recv(10)
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.set_wakeup_fd(before)
        ours.close()
        theirs.close()


def test_errors(loop):
    async def coroutine():
        pass

    with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine)
    with pytest.raises(TypeError, match="sig must be an int"):
        loop.add_signal_handler("SIGUSR1", print)
    with pytest.raises(ValueError, match="invalid signal number"):
        loop.add_signal_handler(10000, print)
    with pytest.raises(RuntimeError, match="sig 9 cannot be caught"):
        loop.add_signal_handler(signal.SIGKILL, print)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_only_on_the_main_thread(loop):
    errors = []

    def work():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as exc:
            errors.append(str(exc))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == ["set_wakeup_fd only works in main thread of the main interpreter"]


def test_wakeup_descriptor_after_a_handler_was_removed(loop):
    async def main():
        loop.remove_signal_handler(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.run_until_complete(main())
    assert signal.set_wakeup_fd(-1) == -1


def test_a_wakeup_descriptor_that_its_owner_has_closed(loop):
    before = signal.set_wakeup_fd(-1)
    try:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop.run_until_complete(asyncio.sleep(0))
        signal.set_wakeup_fd(ours.fileno())
        ours.close()
        theirs.close()
        assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    finally:
        signal.set_wakeup_fd(before)
