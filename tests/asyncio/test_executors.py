"""run_in_executor(): what threads have done gets to the loop, and cancellation to them."""

import asyncio
import concurrent.futures
import contextvars
import gc
import sys
import threading
import weakref

import pytest

#: What has ended in the loop's own thread is told at once.
TELLS_AT_ONCE = sys.version_info >= (3, 14, 3) or (3, 13, 12) <= sys.version_info < (3, 14)

VAR = contextvars.ContextVar("VAR", default=0)


class Held(concurrent.futures.Executor):
    """Its futures are in the hands of the test."""

    def __init__(self, kind=concurrent.futures.Future):
        self.kind = kind
        self.calls = []

    def submit(self, function, *args):
        future = self.kind()
        self.calls.append((future, function, args))
        return future


def test_result(run):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, divmod, 17, 5)
        assert type(future) is asyncio.Future
        assert future.get_loop() is loop
        assert await future == (3, 2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert await loop.run_in_executor(pool, threading.get_ident) != threading.get_ident()

    run(main())


def test_exceptions_are_asyncios(run):
    async def raised(exc):
        executor = Held()
        future = asyncio.get_running_loop().run_in_executor(executor, print)
        executor.calls[0][0].set_exception(exc)
        with pytest.raises(BaseException) as caught:
            await future
        return caught.value

    async def main():
        error = ZeroDivisionError("x")
        assert await raised(error) is error
        assert type(await raised(concurrent.futures.TimeoutError("x"))) is TimeoutError
        invalid = await raised(concurrent.futures.InvalidStateError("x"))
        assert type(invalid) is asyncio.InvalidStateError and invalid.args == ("x",)

    run(main())


def test_cancelling_reaches_the_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        executor = Held()
        future = loop.run_in_executor(executor, print)
        source = executor.calls[0][0]
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        await asyncio.sleep(0)
        assert source.cancelled()

    run(main())


def test_what_runs_is_not_cancelled(run):
    async def main():
        loop = asyncio.get_running_loop()
        executor = Held()
        future = loop.run_in_executor(executor, print)
        source = executor.calls[0][0]
        assert source.set_running_or_notify_cancel()
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert source.running()
        source.set_result(1)
        for _ in range(3):
            await asyncio.sleep(0)
        assert future.cancelled()

    run(main())


def test_an_interrupt_while_the_result_is_read(loop):
    executor = Held()
    future = loop.run_in_executor(executor, print)
    source = executor.calls[0][0]

    name = "_get_snapshot" if hasattr(source, "_get_snapshot") else "exception"  # 3.15

    def interrupted(timeout=None):
        delattr(source, name)
        raise KeyboardInterrupt

    setattr(source, name, interrupted)
    source.set_result(1)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(future)
    assert not future.done()


def test_the_executor_cancels(run):
    async def main():
        executor = Held()
        future = asyncio.get_running_loop().run_in_executor(executor, print)
        executor.calls[0][0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await future

    run(main())


def test_done_before_it_is_returned(run):
    class AtOnce(Held):
        def submit(self, function, *args):
            future = super().submit(function, *args)
            future.set_result(function(*args))
            return future

    async def main():
        future = asyncio.get_running_loop().run_in_executor(AtOnce(), int, "5")
        assert future.done() is TELLS_AT_ONCE
        assert await future == 5

    run(main())


def test_futures_of_other_kinds(run):
    class Kind(concurrent.futures.Future):
        pass

    async def main():
        loop = asyncio.get_running_loop()
        executor = Held(Kind)
        future = loop.run_in_executor(executor, print)
        executor.calls[0][0].set_result(3)
        assert await future == 3
        ready = loop.create_future()

        class Gives(concurrent.futures.Executor):
            def submit(self, function, *args):
                return ready

        assert loop.run_in_executor(Gives(), print) is ready

    run(main())


def test_the_loop_is_told_by_its_methods(loop):
    """Both are looked up: subclasses and tests replace them."""
    told = []
    threadsafe, new = loop.call_soon_threadsafe, loop.create_future
    loop.call_soon_threadsafe = lambda *args, **kw: told.append("soon") or threadsafe(*args, **kw)
    loop.create_future = lambda: told.append("future") or new()

    async def main():
        executor = Held()
        future = loop.run_in_executor(executor, print)
        thread = threading.Thread(target=executor.calls[0][0].set_result, args=(None,))
        thread.start()
        await future
        thread.join()

    loop.run_until_complete(main())
    assert told == ["future", "soon"]
    del loop.call_soon_threadsafe, loop.create_future


def test_a_result_after_the_loop_is_closed(loop, caplog):
    executor = Held()
    future = loop.run_in_executor(executor, print)
    loop.close()
    executor.calls[0][0].set_result(1)
    assert not future.done()
    assert caplog.records == []


def test_a_closed_loop_and_an_executor_that_is_shut_down(loop):
    executor = Held()
    loop.run_until_complete(loop.run_in_executor(None, int))
    loop.run_until_complete(loop.shutdown_default_executor())
    with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
        loop.run_in_executor(None, int)
    loop.run_in_executor(executor, int)
    loop.close()
    for given in (None, executor):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.run_in_executor(given, int)
    assert len(executor.calls) == 1


def test_debug_mode_refuses_coroutines(loop):
    async def coroutine():
        pass

    loop.set_debug(True)
    for executor in (None, Held()):
        with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
            loop.run_in_executor(executor, coroutine)


def test_errors_of_submit_come_out(loop):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        loop.run_in_executor(pool, int)


def test_results_are_not_kept(run):
    """Not even until the garbage collector comes."""

    class Thing:
        pass

    async def main():
        thing = Thing()
        alive = weakref.ref(thing)
        assert await asyncio.to_thread(lambda value: value, thing) is thing
        executor = Held()
        loop = asyncio.get_running_loop()
        for outcome in ("result", "cancelled"):
            future = loop.run_in_executor(executor, print)
            source = executor.calls.pop()[0]
            source.set_running_or_notify_cancel()
            if outcome == "cancelled":
                future.cancel()
                await asyncio.sleep(0)
            source.set_result(thing)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        del thing, future, source
        # The thread of the pool takes the next call before it lets go of all that was of the last.
        await asyncio.to_thread(int)
        return alive

    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()


def test_an_abandoned_call_is_collected(run):
    class Thing:
        pass

    async def main():
        thing = Thing()
        executor = Held()
        future = asyncio.get_running_loop().run_in_executor(executor, print)
        future.thing = executor.calls[0][0].thing = thing
        return weakref.ref(thing)

    alive = run(main())
    gc.collect()
    assert alive() is None


def test_contexts(run):
    async def main():
        VAR.set(3)
        assert await asyncio.to_thread(VAR.get) == 3
        # From 3.14 on threads may begin with the context of who starts them.
        inherited = 3 if getattr(sys.flags, "thread_inherit_context", 0) else 0
        assert await asyncio.get_running_loop().run_in_executor(None, VAR.get) == inherited
        seen = []
        executor = Held()
        future = asyncio.get_running_loop().run_in_executor(executor, print)
        future.add_done_callback(lambda _: seen.append(VAR.get()))
        VAR.set(4)
        executor.calls[0][0].set_result(None)
        await future
        await asyncio.sleep(0)
        assert seen == [3]

    run(main())


def test_many_threads(run):
    async def main():
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [loop.run_in_executor(pool, int, str(i)) for i in range(500)]
            assert await asyncio.gather(*futures) == list(range(500))

    run(main())
