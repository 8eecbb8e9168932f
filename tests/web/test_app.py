"""Application: state, life cycle, signals, sub-applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest


async def started(web: Any, app: Any) -> Any:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    return runner


def test_state(web: Any) -> None:
    key = web.AppKey("key", int)
    app = web.Application()
    app[key] = 1
    assert app[key] == 1
    assert key in app
    assert (len(app), list(app)) == (1, [key])
    assert app.get(key) == 1
    assert app.get("none") is None
    assert app.get("none", 2) == 2
    del app[key]
    with pytest.raises(KeyError):
        app[key]
    assert bool(app)
    assert app == app
    assert app != web.Application()
    assert len({app, app}) == 1
    with pytest.warns(web.NotAppKeyWarning):
        app["text"] = 1


def test_keys(web: Any) -> None:
    assert repr(web.AppKey("k", int)).endswith(".k, type=int)>")
    assert repr(web.AppKey("k")).endswith(".k, type=<<Unknown>>)>")
    assert repr(web.AppKey[list[int]]("k")).endswith(".k, type=list[int])>")
    assert repr(web.RequestKey("k", web.Request)).endswith(".Request)>")
    assert web.AppKey("a") != web.AppKey("a")
    assert sorted([web.AppKey("b"), web.AppKey("a")])[0] < web.AppKey("b")


def test_a_started_application_is_closed(web: Any) -> None:
    async def main() -> None:
        app = web.Application()
        key = web.AppKey("key", int)
        app[key] = 1
        runner = await started(web, app)
        assert app.frozen
        assert app.pre_frozen
        with pytest.warns(DeprecationWarning):
            app[key] = 2
        with pytest.warns(DeprecationWarning):
            del app[key]
        for change in (
            lambda: app.on_startup.append(print),
            lambda: app.middlewares.append(print),
            lambda: app.cleanup_ctx.append(print),
            lambda: app.router.add_get("/", print),
            lambda: app.add_subapp("/x", web.Application()),
        ):
            with pytest.raises(RuntimeError):
                change()
        await runner.cleanup()

    asyncio.run(main())


def test_life_cycle(web: Any) -> None:
    calls: list[str] = []

    def note(name: str) -> Any:
        async def receiver(app: Any) -> None:
            calls.append(name)

        return receiver

    async def generator(app: Any) -> AsyncIterator[None]:
        calls.append("enter 1")
        yield
        calls.append("leave 1")

    @asynccontextmanager
    async def context(app: Any) -> AsyncIterator[None]:
        calls.append("enter 2")
        yield
        calls.append("leave 2")

    async def main() -> None:
        app, inner = web.Application(), web.Application()
        for it, name in ((app, "outer"), (inner, "inner")):
            it.on_startup.append(note(f"{name} startup"))
            it.on_shutdown.append(note(f"{name} shutdown"))
            it.on_cleanup.append(note(f"{name} cleanup"))
        app.add_subapp("/x", inner)
        app.cleanup_ctx.append(generator)
        app.cleanup_ctx.append(context)
        runner = await started(web, app)
        calls.append("serving")
        await runner.cleanup()

    asyncio.run(main())
    assert calls == [
        "enter 1", "enter 2", "outer startup", "inner startup", "serving",
        "outer shutdown", "inner shutdown",
        "leave 2", "leave 1", "outer cleanup", "inner cleanup",
    ]  # fmt: skip


def test_a_signal_as_decorator(web: Any) -> None:
    app = web.Application()

    @app.on_startup
    async def receiver(app: Any) -> None: ...

    assert list(app.on_startup)[-1] is receiver
    with pytest.raises(RuntimeError, match="non-frozen"):
        asyncio.run(app.on_startup.send(app))


def test_failing_cleanups(web: Any) -> None:
    def failing(error: Exception) -> Any:
        async def generator(app: Any) -> AsyncIterator[None]:
            yield
            raise error

        return generator

    async def main(*errors: Exception) -> None:
        app = web.Application()
        app.cleanup_ctx.extend(map(failing, errors))
        runner = await started(web, app)
        await runner.cleanup()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(ZeroDivisionError()))
    with pytest.raises(web.CleanupError) as caught:
        asyncio.run(main(ZeroDivisionError("1"), KeyError("2")))
    assert [repr(error) for error in caught.value.exceptions] == [
        "KeyError('2')", "ZeroDivisionError('1')",
    ]  # fmt: skip


def test_a_generator_that_yields_twice(web: Any) -> None:
    async def generator(app: Any) -> AsyncIterator[None]:
        yield
        yield

    async def main() -> None:
        app = web.Application()
        app.cleanup_ctx.append(generator)
        runner = await started(web, app)
        await runner.cleanup()

    with pytest.raises(RuntimeError, match="didn't stop"):
        asyncio.run(main())


def test_contexts_are_left_after_a_failed_startup(web: Any) -> None:
    left: list[int] = []

    async def good(app: Any) -> AsyncIterator[None]:
        yield
        left.append(1)

    async def bad(app: Any) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    async def main() -> None:
        app = web.Application()
        app.cleanup_ctx.extend([good, bad])
        runner = web.AppRunner(app)
        with pytest.raises(ZeroDivisionError):
            await runner.setup()
        await runner.cleanup()

    asyncio.run(main())
    assert left == [1]


def test_state_set_at_startup(web: Any, serve: Any) -> None:
    key = web.AppKey("key", str)

    async def startup(app: Any) -> None:
        app[key] = "made"

    async def handler(request: Any) -> Any:
        return web.Response(text=request.app[key] + request.config_dict[key])

    app = web.Application()
    app.on_startup.append(startup)
    app.router.add_get("/", handler)
    assert serve(app).get("/").text == "mademade"


def test_config_dict(web: Any, serve: Any) -> None:
    one, two = web.AppKey("one", str), web.AppKey("two", str)
    seen: dict[str, Any] = {}

    async def handler(request: Any) -> Any:
        config = request.config_dict
        seen.update(one=config[one], two=config[two], length=len(config), keys=set(config))
        seen.update(none=config.get("none", "default"), app=request.app, has="x" in config)
        with pytest.raises(KeyError):
            config["x"]
        return web.Response()

    app, inner = web.Application(), web.Application()
    app[one], app[two], inner[two] = "outer 1", "outer 2", "inner 2"
    inner.router.add_get("/", handler)
    app.add_subapp("/x", inner)
    assert serve(app).get("/x/").status == 200
    assert (seen["one"], seen["two"], seen["length"]) == ("outer 1", "inner 2", 2)
    assert (seen["keys"], seen["none"], seen["has"]) == ({one, two}, "default", False)
    assert seen["app"] is inner


def test_on_response_prepare(web: Any, serve: Any) -> None:
    async def outer(request: Any, response: Any) -> None:
        response.headers["X-Order"] = "outer"

    async def inner_receiver(request: Any, response: Any) -> None:
        response.headers["X-Order"] += ",inner"

    async def handler(request: Any) -> Any:
        return web.Response(text="body")

    async def stream(request: Any) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write_eof(b"streamed")
        return response

    app, inner = web.Application(), web.Application()
    app.on_response_prepare.append(outer)
    inner.on_response_prepare.append(inner_receiver)
    inner.router.add_get("/plain", handler)
    inner.router.add_get("/stream", stream)
    app.router.add_get("/", handler)
    app.add_subapp("/x", inner)
    server = serve(app)
    assert server.get("/").headers["X-Order"] == "outer"
    for path, text in (("/x/plain", "body"), ("/x/stream", "streamed")):
        answer = server.get(path)
        assert (answer.headers["X-Order"], answer.text) == ("outer,inner", text)
    for _ in range(2):
        answer = server.get("/none")
        assert (answer.status, answer.headers["X-Order"]) == (404, "outer")


def test_deprecated_arguments(web: Any) -> None:
    with pytest.warns(DeprecationWarning):
        web.Application(debug=True)
    with pytest.warns(DeprecationWarning):
        web.Application(router=web.UrlDispatcher())
    with pytest.warns(DeprecationWarning):
        type("Mine", (web.Application,), {})


def test_a_subapp_is_added_once_started(web: Any) -> None:
    app, inner = web.Application(), web.Application()
    inner.freeze()
    with pytest.raises(RuntimeError, match="frozen application"):
        app.add_subapp("/x", inner)


def test_it_is_its_own_factory(web: Any) -> None:
    app = web.Application()
    assert app() is app
    assert repr(app).startswith("<Application 0x")
