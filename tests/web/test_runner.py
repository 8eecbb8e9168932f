"""Runners and sites: listening, stopping, and an orderly end."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

import fastaio

LOOPS = {
    "fastaio": fastaio.new_event_loop,
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Any:
    """run(coroutine) on each of the three loops."""

    def on_loop(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(asyncio.wait_for(coroutine, 30))

    return on_loop


def hello(web: Any) -> Any:
    async def handler(request: Any) -> Any:
        return web.Response(text="hello " + await request.text())

    app = web.Application()
    app.router.add_route("*", "/", handler)
    return app


async def runner_of(web: Any, app: Any, **kwargs: Any) -> Any:
    runner = web.AppRunner(app, access_log=None, **kwargs)
    await runner.setup()
    return runner


async def fetch(url: str, path: str | None = None, data: bytes | None = None) -> str:
    connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post(url, data=data) as response:
            return await response.text()


def test_tcp_site(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web))
        site = web.TCPSite(runner, "127.0.0.1", 0)
        assert site.port == 0
        await site.start()
        (address,) = runner.addresses
        assert address == ("127.0.0.1", site.port)
        assert site.name == f"http://127.0.0.1:{site.port}"
        assert runner.sites == {site}
        assert await fetch(site.name, data=b"x" * 100_000) == "hello " + "x" * 100_000
        await site.stop()
        assert runner.sites == set()
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(f"http://127.0.0.1:{address[1]}/")
        await runner.cleanup()
        assert runner.server is None

    run(main())


def test_unix_site(web: Any, run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        runner = await runner_of(web, hello(web))
        site = web.UnixSite(runner, path)
        await site.start()
        assert site.name == f"http://unix:{path}:"
        assert await fetch("http://localhost/", path, b"u") == "hello u"
        await runner.cleanup()

    run(main())


def test_sock_site(web: Any, run: Any, tmp_path: Path) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web))
        sock = socket.create_server(("127.0.0.1", 0))
        site = web.SockSite(runner, sock)
        assert site.name == f"http://127.0.0.1:{sock.getsockname()[1]}"
        await site.start()
        assert await fetch(site.name) == "hello "
        await runner.cleanup()
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(tmp_path / "s"))
            runner = await runner_of(web, hello(web))
            assert web.SockSite(runner, unix).name == f"http://unix:{tmp_path / 's'}:"
            await runner.cleanup()

    run(main())


def test_names(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web))
        assert web.TCPSite(runner).name == "http://0.0.0.0:8080"
        assert web.TCPSite(runner, "::1", 1).name == "http://[::1]:1"
        await runner.cleanup()

    run(main())


def test_misuse(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = web.AppRunner(hello(web))
        with pytest.raises(RuntimeError, match="setup"):
            web.TCPSite(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        with pytest.raises(RuntimeError, match="not registered"):
            await site.stop()
        await site.start()
        with pytest.raises(RuntimeError, match="already registered"):
            await site.start()
        await runner.cleanup()
        with pytest.raises(TypeError, match="web.Application instance"):
            web.AppRunner(object())

    run(main())


def test_a_port_in_use(web: Any, run: Any) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            runner = await runner_of(web, hello(web))
            site = web.TCPSite(runner, "127.0.0.1", taken.getsockname()[1])
            with pytest.raises(OSError):
                await site.start()
            await runner.cleanup()

    run(main())


def test_two_sites_of_a_runner(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web))
        sites = [web.TCPSite(runner, "127.0.0.1", 0) for _ in range(2)]
        for site in sites:
            await site.start()
        assert [await fetch(site.name) for site in sites] == ["hello ", "hello "]
        assert len(runner.addresses) == 2
        await runner.cleanup()

    run(main())


def test_a_handler_may_end_at_cleanup(web: Any, run: Any) -> None:
    async def main() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()
        order: list[str] = []

        async def slow(request: Any) -> Any:
            entered.set()
            await go_on.wait()
            order.append("handled")
            return web.Response(text="done")

        async def shutdown(app: Any) -> None:
            order.append("shutdown")
            asyncio.get_running_loop().call_later(0.05, go_on.set)

        async def cleanup(app: Any) -> None:
            order.append("cleanup")

        app = web.Application()
        app.router.add_post("/", slow)
        app.on_shutdown.append(shutdown)
        app.on_cleanup.append(cleanup)
        runner = await runner_of(web, app, shutdown_timeout=10)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        request = asyncio.create_task(fetch(site.name))
        await entered.wait()
        await runner.cleanup()
        assert await request == "done"
        assert order == ["shutdown", "handled", "cleanup"]

    run(main())


def test_a_handler_is_cancelled_after_the_timeout(web: Any, run: Any) -> None:
    async def main() -> None:
        entered = asyncio.Event()
        seen: list[str] = []

        async def endless(request: Any) -> Any:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        app = web.Application()
        app.router.add_post("/", endless)
        runner = await runner_of(web, app, shutdown_timeout=0.05)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        request = asyncio.create_task(fetch(site.name))
        await entered.wait()
        await runner.cleanup()
        assert seen == ["cancelled"]
        with pytest.raises(aiohttp.ClientError):
            await request

    run(main())


def test_idle_connections_are_closed(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web), shutdown_timeout=10)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"hello ")).startswith(b"HTTP/1.1 200 OK\r\n")
        async with asyncio.timeout(5):
            await runner.cleanup()
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("cancellation", [False, True])
def test_handler_cancellation(web: Any, run: Any, cancellation: bool) -> None:
    async def main() -> None:
        entered, ended = asyncio.Event(), asyncio.Event()
        seen: list[str] = []

        async def handler(request: Any) -> Any:
            entered.set()
            try:
                await asyncio.sleep(0.2)
                seen.append("slept")
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                ended.set()
            return web.Response()

        app = web.Application()
        app.router.add_get("/", handler)
        runner = await runner_of(web, app, handler_cancellation=cancellation)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await entered.wait()
        writer.close()
        await writer.wait_closed()
        await ended.wait()
        assert seen == ["cancelled" if cancellation else "slept"]
        await runner.cleanup()

    run(main())


def test_low_level_server(web: Any, run: Any) -> None:
    async def main() -> None:
        async def handler(request: Any) -> Any:
            if request.path == "/not-found":
                raise web.HTTPNotFound()
            assert isinstance(request, web.BaseRequest)
            return web.Response(text=f"{request.method} {request.path}")

        server = web.Server(handler, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        assert runner.server is server
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert await fetch(f"{site.name}/any/path") == "POST /any/path"
        assert await fetch(f"{site.name}/not-found") == "404: Not Found"
        assert server.requests_count == 2
        await runner.cleanup()

    run(main())


def test_a_server_on_create_server(web: Any, run: Any) -> None:
    async def main() -> None:
        async def handler(request: Any) -> Any:
            return web.Response(text="direct")

        server = web.Server(handler, access_log=None)
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        assert await fetch(f"http://127.0.0.1:{port}/") == "direct"
        listening.close()
        await server.shutdown(1)

    run(main())


def test_an_application_on_two_loops(web: Any) -> None:
    app = web.Application()

    async def once() -> None:
        runner = await runner_of(web, app)
        await runner.cleanup()

    asyncio.run(once())
    with pytest.raises(RuntimeError, match="different loop"):
        asyncio.run(once())


def test_client_and_server_in_one_loop(web: Any, run: Any) -> None:
    async def main() -> None:
        runner = await runner_of(web, hello(web))
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession() as session:

            async def one(number: int) -> str:
                async with session.post(site.name, data=str(number).encode()) as response:
                    return await response.text()

            texts = await asyncio.gather(*(one(number) for number in range(200)))
        assert texts == [f"hello {number}" for number in range(200)]
        await runner.cleanup()

    run(main())
