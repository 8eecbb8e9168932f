"""call_soon_threadsafe(): the one way into a loop from another thread."""

import asyncio
import sys
import threading

import pytest


def test_wakes_a_waiting_loop(loop):
    thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(loop.stop))
    thread.start()
    loop.run_forever()
    thread.join()


def test_wakes_a_loop_that_waits_for_a_timer(loop):
    handle = loop.call_later(3600, print)
    thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(loop.stop))
    thread.start()
    loop.run_forever()
    thread.join()
    handle.cancel()


def test_many_threads(loop):
    count, each = 8, 500
    seen = []
    done = []

    def work(number):
        for step in range(each):
            loop.call_soon_threadsafe(seen.append, (number, step))
        loop.call_soon_threadsafe(finish)

    def finish():
        done.append(1)
        if len(done) == count:
            loop.stop()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    loop.run_forever()
    for thread in threads:
        thread.join()
    assert len(seen) == count * each
    for number in range(count):
        steps = [step for who, step in seen if who == number]
        assert steps == list(range(each))


def test_closing_while_others_call(loop):
    started = threading.Event()
    ended = []

    def work():
        try:
            while True:
                loop.call_soon_threadsafe(int)
                started.set()
        except RuntimeError as exc:
            ended.append(str(exc))

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    thread.join()
    assert ended == ["Event loop is closed"]


def test_handle_is_a_handle(loop):
    loop.set_debug(False)
    handle = loop.call_soon_threadsafe(print, 3)
    assert isinstance(handle, asyncio.Handle)
    # From 3.13 on arguments are shown in debug mode only.
    call = "print(3)" if sys.version_info < (3, 13) else "print()"
    assert repr(handle) == f"<Handle {call}>"
    handle.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_other_thread_is_refused_in_debug_mode(loop):
    loop.set_debug(True)
    errors = []

    def work():
        for call in (loop.call_soon, lambda callback: loop.call_later(1, callback)):
            try:
                call(print)
            except RuntimeError as exc:
                errors.append(str(exc))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    assert len(errors) == 2
    assert all("Non-thread-safe operation" in error for error in errors)


def test_run_coroutine_threadsafe(loop):
    async def value():
        await asyncio.sleep(0)
        return 7

    results = []

    def work():
        results.append(asyncio.run_coroutine_threadsafe(value(), loop).result())
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [7]


@pytest.mark.parametrize("count", [1, 50])
def test_to_thread(run, count):
    async def main():
        return await asyncio.gather(*[asyncio.to_thread(lambda n=n: n) for n in range(count)])

    assert run(main()) == list(range(count))
