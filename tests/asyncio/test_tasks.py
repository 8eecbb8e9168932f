"""create_future(), create_task() and task factories."""

import asyncio
import contextvars
import gc
import sys

import pytest

VAR = contextvars.ContextVar("VAR", default=0)


async def number():
    return 5


def test_future(loop):
    future = loop.create_future()
    assert type(future) is asyncio.Future
    assert future.get_loop() is loop


def test_task(run):
    async def main():
        loop = asyncio.get_running_loop()
        task = loop.create_task(number())
        assert type(task) is asyncio.Task
        assert task.get_loop() is loop
        assert task.get_name().startswith("Task-")
        named = loop.create_task(number(), name="named")
        assert named.get_name() == "named"
        context = contextvars.copy_context()
        context.run(VAR.set, 7)

        async def value():
            return VAR.get()

        assert await loop.create_task(value(), context=context, name=None) == 7
        assert await task == await named == 5

    run(main())


@pytest.mark.parametrize("args", [(), (1,)])
def test_bad_arguments(loop, args):
    with pytest.raises(TypeError):
        loop.create_task(*args)


def test_unknown_keyword(loop):
    coroutine = number()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, colour=1)
    coroutine.close()


def test_closed_loop(loop):
    loop.close()
    coroutine = number()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.create_task(coroutine)
    coroutine.close()


def test_factory(loop):
    calls = []

    def factory(loop, coroutine, **kwargs):
        calls.append(kwargs)
        kwargs.pop("name", None)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    task = loop.create_task(number())
    context = contextvars.copy_context()
    other = loop.create_task(number(), context=context)
    assert calls[0] == {}
    assert calls[1]["context"] is context
    loop.run_until_complete(asyncio.wait([task, other]))
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory(1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_factory(loop):
    async def main():
        loop.set_task_factory(asyncio.eager_task_factory)
        task = asyncio.create_task(number())
        assert task.done()
        return await task

    assert loop.run_until_complete(main()) == 5


def test_debug_mode_remembers_where(loop):
    loop.set_debug(True)
    task = loop.create_task(number())
    assert task._source_traceback[-1].name == "test_debug_mode_remembers_where"
    future = loop.create_future()
    assert future._source_traceback[-1].name in {
        "test_debug_mode_remembers_where",
        "create_future",  # asyncio's own is a Python function
    }
    loop.run_until_complete(task)


def test_exception_never_retrieved(loop, reports):
    async def fail():
        raise LookupError

    task = loop.create_task(fail())
    loop.run_until_complete(asyncio.wait([task]))
    del task
    gc.collect()
    assert reports.pop()["message"] == "Task exception was never retrieved"


def test_groups_and_timeouts(run):
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.001 * n, n)) for n in range(5)]
        assert [task.result() for task in tasks] == list(range(5))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    run(main())
