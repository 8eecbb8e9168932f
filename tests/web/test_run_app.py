"""run_app(), as a program of its own."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, sys
import {module} as web

async def handler(request):
    return web.Response(text=type(asyncio.get_running_loop()).__module__)

async def slow(request):
    await asyncio.sleep(0.3)
    return web.Response(text="slow")

async def started(app):
    print("started", flush=True)
    yield
    print("cleaned up", flush=True)

async def make():
    return app

app = web.Application()
app.router.add_get("/", handler)
app.router.add_get("/slow", slow)
app.cleanup_ctx.append(started)
{before}
web.run_app({app}, access_log=None, {arguments})
print("returned", flush=True)
"""


class Program:
    def __init__(self, module: str, arguments: str, before: str = "", app: str = "app") -> None:
        code = PROGRAM.format(module=module, arguments=arguments, before=before, app=app)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def end(self, number: int = signal.SIGINT) -> tuple[str, str, int]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return out, err, self.process.returncode

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def program(web: Any) -> Any:
    programs: list[Program] = []

    def start(arguments: str, before: str = "", app: str = "app") -> Program:
        programs.append(Program(web.__name__, arguments, before, app))
        return programs[-1]

    yield start
    for it in programs:
        it.kill()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(response.read().decode())


def url_of(lines: list[str]) -> str:
    match = re.search(r"http://\S+", " ".join(lines))
    assert match is not None, lines
    return match[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("app", ["app", "make()"])
def test_from_start_to_end(web: Any, program: Any, number: int, app: str) -> None:
    it = program('host="127.0.0.1", port=0', app=app)
    lines = it.lines(3)
    assert lines[0] == "started"
    assert re.fullmatch(r"======== Running on http://127\.0\.0\.1:\d+ ========", lines[1])
    assert lines[2] == "(Press CTRL+C to quit)"
    expected = "fastaio" if web.__name__ == "fastaio.web" else "asyncio"
    assert get(url_of(lines)).partition(".")[0] == expected
    assert it.end(number) == ("cleaned up\nreturned\n", "", 0)


def test_the_loop_that_is_given(program: Any) -> None:
    it = program('host="127.0.0.1", port=0, loop=asyncio.SelectorEventLoop()')
    assert get(url_of(it.lines(3))) == "asyncio.unix_events"
    assert it.end()[2] == 0


def test_the_policy_that_is_installed(program: Any) -> None:
    before = "import uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())"
    it = program('host="127.0.0.1", port=0', before)
    assert get(url_of(it.lines(3))) == "uvloop"
    assert it.end()[2] == 0


def test_quiet(program: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    before = "import threading"
    it = program(f"path={str(path)!r}, print=None", before)
    assert it.lines(1) == ["started"]
    assert it.end()[0] == "cleaned up\nreturned\n"


def test_several_addresses(program: Any, tmp_path: Path) -> None:
    paths = [str(tmp_path / "1"), str(tmp_path / "2")]
    before = "import socket; s = socket.create_server(('127.0.0.1', 0))"
    it = program(f'host=["127.0.0.1"], port=0, path={paths}, sock=s', before)
    names = it.lines(3)[1].removeprefix("======== Running on ").split(" ========")[0]
    assert len(names.split(", ")) == 4
    assert f"http://unix:{paths[0]}:" in names
    urls = re.findall(r"http://127\.0\.0\.1:\d+", names)
    assert len(set(urls)) == 2
    assert {get(url) for url in urls} in ({"fastaio.loop"}, {"asyncio.unix_events"})
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(paths[1])
        sock.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.")
    assert it.end()[2] == 0


def test_a_request_ends_before_the_program(program: Any) -> None:
    it = program('host="127.0.0.1", port=0')
    port = int(url_of(it.lines(3)).rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        data = sock.recv(1000)  # the first answer: the slow handler runs
        it.process.send_signal(signal.SIGINT)
        while piece := sock.recv(1000):
            data += piece
    assert data.endswith(b"slow")
    assert it.end(0)[0] == "cleaned up\nreturned\n"


def test_a_failing_start(web: Any) -> None:
    async def fails(app: Any) -> None:
        raise ZeroDivisionError("at start-up")

    app = web.Application()
    app.on_startup.append(fails)
    loop = asyncio.new_event_loop()
    with pytest.raises(ZeroDivisionError, match="at start-up"):
        web.run_app(app, loop=loop, print=None)
    assert loop.is_closed()
    asyncio.set_event_loop(None)


def test_a_port_in_use(web: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        loop = asyncio.new_event_loop()
        with pytest.raises(OSError):
            web.run_app(
                web.Application(),
                host="127.0.0.1",
                port=taken.getsockname()[1],
                loop=loop,
                print=None,
            )
    assert loop.is_closed()
    asyncio.set_event_loop(None)


def test_tasks_left_are_cancelled(web: Any) -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    tasks: list[Any] = []

    async def start(app: Any) -> None:
        tasks.append(asyncio.create_task(endless()))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(stop)

    def stop() -> None:
        raise web.GracefulExit

    app = web.Application()
    app.on_startup.append(start)
    web.run_app(app, host="127.0.0.1", port=0, loop=asyncio.new_event_loop(), print=None)
    assert ended == ["cancelled"]
    asyncio.set_event_loop(None)


def test_import_alone_costs_nothing() -> None:
    code = "import fastaio, sys; sys.exit('fastaio.web' in sys.modules or 'yarl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


WITHOUT_YARL = (
    "import sys; sys.modules['yarl'] = None\n"
    "import importlib.util as u; find = u.find_spec\n"
    "u.find_spec = lambda name, *a: None if name == 'yarl' else find(name, *a)\n"
)


def test_the_extra_is_named() -> None:
    code = WITHOUT_YARL + (
        "try:\n    import fastaio.web\nexcept ImportError as exc:\n    print(exc, exc.name)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == ("fastaio.web needs yarl: pip install multidict yarl yarl"), (
        result.stderr
    )


def test_the_command_line_names_the_extra() -> None:
    code = WITHOUT_YARL + "from fastaio.serve.cli import main; main(['x:app'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.endswith(": error: fastaio.web needs yarl: pip install multidict yarl\n")
