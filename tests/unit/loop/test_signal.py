"""The pipe that signals ring (csrc/loop/signal.c)."""

import contextlib
import os
import signal
import threading

import pytest

import fastaio


@pytest.fixture
def other_thread():
    """Sends itself a signal: the main thread's wait is not interrupted by it."""
    go = threading.Event()

    def work():
        go.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    thread = threading.Thread(target=work)
    thread.start()
    yield go
    go.set()
    thread.join()


def test_signal_of_another_thread_ends_the_wait(loop, other_thread):
    def handler(number, frame):
        raise LookupError

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        loop.call_soon(other_thread.set)
        with pytest.raises(LookupError):
            loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_no_pipe_off_the_main_thread():
    counts = []

    def pipes():
        count = 0
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # that of the listing itself
                count += os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")
        return count

    def work():
        loop = fastaio.new_event_loop()
        before = pipes()
        loop.call_soon(loop.stop)
        loop.run_forever()
        counts.append(pipes() - before)
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert counts == [0]


def test_closed_loop_has_none(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop._signal_wakeup_fd()
