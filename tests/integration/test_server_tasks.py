"""Handlers and asyncio: the current task, time-outs, groups, cancellation, context variables."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import weakref

import pytest

from fastaio.http import Response

number = contextvars.ContextVar("number", default=0)


def serve_once(run, serving, req, handler, *, requests=1, **settings):
    """The bodies of `requests` answers by `handler`, on one connection."""

    async def main():
        async with serving(handler, **settings) as server:
            client = await server.connect()
            return [(await client.ask(req(f"/{i}"))).body.decode() for i in range(requests)]

    return run(main())


def test_current_task_is_a_task(run, serving, req):
    async def handler(request):
        task = asyncio.current_task()
        assert isinstance(task, asyncio.Task)
        assert asyncio.current_task() is task
        assert not task.done()
        assert task in asyncio.all_tasks()  # once something was asked of it
        assert request.task is task
        return Response(text=f"{task.get_name()} {task.get_coro().__name__}")

    bodies = serve_once(run, serving, req, handler, requests=3)
    assert len({body.split()[0] for body in bodies}) == 3
    assert {body.split()[1] for body in bodies} == {"handler"}


METHODS_ON_A_STAND_IN = """
import asyncio
from fastaio.http import Response, serve

names = [name for name in dir(asyncio.Task) if name not in dir(object)] + ["__repr__"]
left = []

async def handler(request):
    task = asyncio.current_task()
    name = left.pop()
    method = getattr(asyncio.Task, name)
    for args in ((), (print,), (None,)):
        try:
            call = method if callable(method) else method.__get__
            call(*args) if name == "__class_getitem__" else call(task, *args)
        except Exception:
            pass
    return Response(text=name)

async def main():
    server = await serve(handler, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(2):
        left.extend(names)
        for name in reversed(names):
            writer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            assert (await reader.readexactly(len(name))).decode() == name, head
    writer.close()
    server.close()

import fastaio
fastaio.run(main())
print("done")
"""


def test_methods_called_on_the_class_of_the_task():
    """asyncio's do not look whether the task was ever initialised."""
    ran = subprocess.run([sys.executable, "-c", METHODS_ON_A_STAND_IN], capture_output=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(b"done\n")


def test_the_task_stays_the_same_when_the_handler_waits(run, serving, req):
    async def handler(request):
        before = asyncio.current_task()
        await asyncio.sleep(0)
        middle = asyncio.current_task()
        await asyncio.sleep(0.001)
        assert before is middle is asyncio.current_task()
        return Response(text=str(before.done()))

    assert serve_once(run, serving, req, handler, requests=3) == ["False"] * 3


def test_there_is_no_current_task_afterwards(run, serving, req):
    seen = []

    async def handler(request):
        asyncio.get_running_loop().call_soon(lambda: seen.append(asyncio.current_task()))
        return Response(text="ok")

    serve_once(run, serving, req, handler)
    assert seen == [None]


def test_an_untouched_task_costs_none(run, serving, req):
    made = []

    async def handler(request):
        return Response(text="ok")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.ask(req())
            before = len(asyncio.all_tasks())
            for _ in range(10):
                await client.ask(req())
            made.append(len(asyncio.all_tasks()) - before)

    run(main())
    assert made == [0]


def test_a_task_that_was_kept_looks_finished(run, serving, req):
    kept = []

    async def handler(request):
        kept.append(asyncio.current_task())
        return Response(text="ok")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            for _ in range(3):
                await client.ask(req())
            await asyncio.wait_for(asyncio.gather(*kept), 5)

    run(main())
    assert len({id(task) for task in kept}) == 3
    assert all(task.done() and task.result() is None for task in kept)
    assert "finished" in repr(kept[0])


def test_a_weakly_held_task_is_not_used_again(run, serving, req):
    refs = []

    async def handler(request):
        refs.append(weakref.ref(asyncio.current_task()))
        return Response(text="ok")

    serve_once(run, serving, req, handler, requests=3)
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3


def test_tasks_are_dict_keys(run, serving, req):
    seen = {}

    async def handler(request):
        seen[asyncio.current_task()] = request.path
        await asyncio.sleep(0)
        return Response(text=seen[asyncio.current_task()])

    assert serve_once(run, serving, req, handler, requests=2) == ["/0", "/1"]


def test_attributes_can_be_set(run, serving, req):
    async def handler(request):
        asyncio.current_task().set_name("mine")
        await asyncio.sleep(0)
        return Response(text=asyncio.current_task().get_name())

    assert serve_once(run, serving, req, handler) == ["mine"]


def test_done_callbacks_run(run, serving, req):
    async def handler(request):
        asyncio.current_task().add_done_callback(finished.append)
        return Response(text="ok")

    finished = []
    serve_once(run, serving, req, handler)
    assert [task.done() for task in finished] == [True]


def test_time_out_in_the_first_step(run, serving, req):
    async def handler(request):
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            return Response(text="late")
        return Response(text="early")

    assert serve_once(run, serving, req, handler, requests=2) == ["late", "late"]


def test_time_out_that_is_over_before_the_first_wait(run, serving, req):
    async def handler(request):
        try:
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return Response(text="late")
        return Response(text="early")

    assert serve_once(run, serving, req, handler, requests=2) == ["late", "late"]


def test_time_out_not_reached(run, serving, req):
    async def handler(request):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            pass
        return Response(text=str(asyncio.current_task().cancelling()))

    assert serve_once(run, serving, req, handler, requests=2) == ["0", "0"]


def test_task_group(run, serving, req):
    async def double(value):
        await asyncio.sleep(0)
        return 2 * value

    async def handler(request):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(i)) for i in range(3)]
        return Response(text=str(sum(task.result() for task in tasks)))

    assert serve_once(run, serving, req, handler, requests=2) == ["6", "6"]


def test_task_group_with_a_failing_member(run, serving, req):
    async def fail():
        raise ValueError

    async def handler(request):
        outcome = "missed"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(10)
        except* ValueError:
            outcome = "caught"
        return Response(text=outcome)

    assert serve_once(run, serving, req, handler, requests=2) == ["caught", "caught"]


def test_wait_for_gather_and_shield(run, serving, req):
    async def value(result):
        await asyncio.sleep(0)
        return result

    async def handler(request):
        one = await asyncio.wait_for(value("a"), 5)
        two, three = await asyncio.gather(value("b"), asyncio.shield(value("c")))
        try:
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.001)
        except TimeoutError:
            return Response(text=one + two + three)
        return Response(text="no time-out")

    assert serve_once(run, serving, req, handler, requests=2) == ["abc", "abc"]


def test_to_thread_and_executor(run, serving, req):
    async def handler(request):
        return Response(text=await asyncio.to_thread(str.upper, request.path + "x"))

    assert serve_once(run, serving, req, handler, requests=2) == ["/0X", "/1X"]


def test_context_variables_belong_to_the_request(run, serving, req):
    async def handler(request):
        before = number.get()
        number.set(before + 1)
        if request.path == "/1":
            await asyncio.sleep(0)
        return Response(text=f"{before}{number.get()}")

    def plain(request):
        number.set(number.get() + 1)
        return Response(text=str(number.get()))

    assert serve_once(run, serving, req, handler, requests=3) == ["01"] * 3
    assert serve_once(run, serving, req, plain, requests=3) == ["1"] * 3


@pytest.mark.parametrize("path", ["/", "/wait"])
def test_handlers_see_the_context_of_the_server(run, serving, req, path):
    async def handler(request):
        before = number.get()
        number.set(before + 1)
        if request.path == "/wait":
            await asyncio.sleep(0)
        return Response(text=f"{before}{number.get()}")

    async def main():
        number.set(7)
        async with serving(handler) as server:
            number.set(1)
            for _ in range(2):
                client = await server.connect()
                for _ in range(2):
                    assert (await client.ask(req(path))).body == b"78"

    run(main())


@pytest.mark.parametrize("when", ["held", "yielded", "waiting"])
def test_cancelled_from_outside(run, serving, req, when):
    """Before the task has taken its own first step, and after."""
    outcomes = []

    async def handler(request):
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        try:
            if when == "held":
                loop.call_soon(task.cancel)
                await loop.create_future()
            elif when == "yielded":
                loop.call_soon(task.cancel)
                await asyncio.sleep(0)
                await asyncio.sleep(10)
            else:
                loop.call_later(0.005, task.cancel, "enough")
                await loop.create_future()
        except asyncio.CancelledError as exc:
            outcomes.append(exc.args)
            raise

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.read()

    run(main())
    assert outcomes == [("enough",) if when == "waiting" else ()]


def test_cancellation_reaches_the_awaited_future_first(run, serving, req):
    futures = []

    async def handler(request):
        loop = asyncio.get_running_loop()
        futures.append(loop.create_future())
        loop.call_soon(asyncio.current_task().cancel)
        try:
            await futures[0]
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return Response(text=f"{futures[0].cancelled()}")

    assert serve_once(run, serving, req, handler) == ["True"]


def test_cancelling_itself_takes_effect_at_the_next_wait(run, serving, req):
    async def handler(request):
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return Response(text="cancelled")
        return Response(text="went on")

    assert serve_once(run, serving, req, handler, requests=2) == ["cancelled"] * 2


def test_nested_coroutines_and_async_generators(run, serving, req):
    async def count(to):
        for i in range(to):
            if i % 2:
                await asyncio.sleep(0)
            yield i

    async def deeper(request, depth):
        if depth == 0:
            return [i async for i in count(4)]
        return await deeper(request, depth - 1)

    async def handler(request):
        return Response(text=str(await deeper(request, 5)))

    assert serve_once(run, serving, req, handler, requests=2) == ["[0, 1, 2, 3]"] * 2


def test_background_tasks_live_on(run, serving, req):
    done = []

    async def background(path):
        await asyncio.sleep(0)
        done.append(path)

    async def handler(request):
        tasks.append(asyncio.create_task(background(request.path)))
        return Response(text="ok")

    tasks = []
    serve_once(run, serving, req, handler, requests=3)
    assert done == ["/0", "/1", "/2"]


def test_a_task_factory_is_honoured(run, serving, req):
    made = []

    class OwnTask(asyncio.Task):
        pass

    def factory(loop, coro, **kwargs):
        task = OwnTask(coro, loop=loop, **kwargs)
        made.append(task)
        return task

    async def handler(request):
        assert type(asyncio.current_task()) is OwnTask
        await asyncio.sleep(0)
        return Response(text=request.path)

    async def main():
        asyncio.get_running_loop().set_task_factory(factory)
        async with serving(handler) as server:
            client = await server.connect()
            assert (await client.ask(req("/a"))).body == b"/a"
            assert (await client.ask(req("/b"))).body == b"/b"
        asyncio.get_running_loop().set_task_factory(None)

    run(main())
    assert len(made) >= 2


def test_system_exit_ends_the_loop(loop_factory, serving, req):
    async def handler(request):
        raise SystemExit(3)

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            await client.send(req())
            await client.reader.read()
            await asyncio.sleep(5)

    with pytest.raises(SystemExit) as caught, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert caught.value.code == 3


def test_debug_mode(run, serving, req):
    async def handler(request):
        await asyncio.sleep(0)
        return Response(text=repr(asyncio.current_task())[:20])

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            assert b"HandlerTask pending" in (await client.ask(req())).body

    run(main(), debug=True)


def test_a_handlers_task_is_not_initialised_again(run, serving, req):
    async def other():
        pass

    async def handler(request):
        coroutine = other()
        if request.path == "/waits":
            await asyncio.sleep(0)
        try:
            with pytest.raises(RuntimeError, match="initialised again"):
                asyncio.current_task().__init__(coroutine)
        finally:
            coroutine.close()
        await asyncio.sleep(0)
        return Response(text="ok")

    async def main():
        async with serving(handler) as server:
            client = await server.connect()
            assert (await client.ask(req("/"))).body == b"ok"
            assert (await client.ask(req("/waits"))).body == b"ok"

    run(main())


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_cancelled_future_cannot_end_its_handler_meanwhile(run, serving, req, is_cancelled):
    refused = []

    class Meddler(asyncio.Future):
        def cancel(self, msg=None):
            coroutine = self.task.get_coro()
            for meddle in (coroutine.close, lambda: coroutine.send(None)):
                try:
                    meddle()
                except ValueError as error:
                    refused.append(str(error))
            return super().cancel(msg) if is_cancelled else False

    async def handler(request):
        future = Meddler()
        future.task = asyncio.current_task()
        future.task.cancel()
        try:
            await future
        except asyncio.CancelledError:
            return Response(text="cancelled")

    assert serve_once(run, serving, req, handler) == ["cancelled"]
    assert refused == ["coroutine already executing"] * 2
