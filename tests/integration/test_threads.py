"""Several threads, each with a loop and a server of its own, in one process. Where there is no GIL
they run Python at the same time."""

import asyncio
import os
import subprocess
import sys
import sysconfig
import threading

import pytest

from fastaio import http, new_event_loop, web

THREADS = 4
ROUNDS = 30
NO_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


class Threads:
    """Runs ``main(number)`` on a loop of its own in each of some threads, begun at once."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count)
        self.loops = [None] * count
        self.errors = []

    def work(self, number, main):
        async def until_all_are_done():
            await main(number)
            # Others may still call this loop.
            await asyncio.to_thread(self.barrier.wait, 60)

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                self.loops[number] = runner.get_loop()
                self.barrier.wait(20)
                runner.run(asyncio.wait_for(until_all_are_done(), 60))
        except BaseException as exc:
            self.barrier.abort()
            self.errors.append(exc)

    def run(self, main):
        count = len(self.loops)
        threads = [threading.Thread(target=self.work, args=(n, main)) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise ExceptionGroup("in threads", self.errors)


@pytest.fixture
def threads():
    return Threads(THREADS)


async def get(reader, writer, path):
    """The status and body of one answer that has a Content-Length."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split(" ", 2)[1]), await reader.readexactly(size)


def test_a_server_in_each_thread(threads, tmp_path):
    (tmp_path / "file").write_text("in a file")

    async def handle(request):
        if request.query_string == "wait":
            await asyncio.sleep(0)
        if request.path == "/json":
            return web.json_response({"numbers": [1, 2.5, None], "path": request.path})
        if request.path == "/cookie":
            return http.Response(text=request.cookies["a"])
        if request.path == "/file":
            return web.FileResponse(tmp_path / "file")
        return http.Response(text=request.path)

    expected = {
        "/": b"/",
        "/?wait": b"/",
        "/cookie": b"b",
        "/file": b"in a file",
        "/json": b'{"numbers": [1, 2.5, null], "path": "/json"}',
    }

    async def client(address):
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(ROUNDS):
            for path, body in expected.items():
                assert await get(reader, writer, path) == (200, body)
        writer.close()
        await writer.wait_closed()

    async def main(number):
        async with await http.serve(handle) as server:
            address = server.sockets[0].getsockname()
            await asyncio.gather(*[client(address) for _ in range(4)])

    threads.run(main)


def test_loops_that_call_each_other(threads):
    async def answer(number):
        await asyncio.sleep(0)
        return number

    async def main(number):
        own = asyncio.get_running_loop()
        for round_ in range(ROUNDS):
            other = threads.loops[(number + round_) % THREADS]
            handle = other.call_soon_threadsafe(int)
            handle.cancel()
            if other is not own:
                future = asyncio.run_coroutine_threadsafe(answer(round_), other)
                assert await asyncio.wrap_future(future) == round_
            timer = own.call_later(60, int)
            assert await asyncio.to_thread(lambda value: value, round_) == round_
            timer.cancel()

    threads.run(main)


def test_streams_from_thread_to_thread(threads):
    addresses = [None] * THREADS
    listening = threading.Barrier(THREADS)

    async def echo(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def main(number):
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            addresses[number] = server.sockets[0].getsockname()
            await asyncio.to_thread(listening.wait, 60)
            reader, writer = await asyncio.open_connection(*addresses[number - 1])
            for round_ in range(ROUNDS):
                data = bytes([number]) * (1 << round_ % 18)
                writer.write(data)
                assert await reader.readexactly(len(data)) == data
            writer.close()
            await writer.wait_closed()
            await asyncio.to_thread(listening.wait, 60)

    threads.run(main)


@pytest.mark.skipif(not NO_GIL, reason="about the build without a GIL")
def test_the_import_leaves_the_gil_off():
    program = "import sys, fastaio._core; print(sys._is_gil_enabled())"
    env = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.check_output(command, text=True, timeout=60, env=env) == "False\n"
