"""Programs that make loops themselves and can be told which: the table of docs/loop.rst.

Each runs in a process of its own: pytest's plug-ins shall not meddle with this run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

WHICH_LOOP = """
import asyncio

async def which_loop():
    before = type(asyncio.get_running_loop())
    await asyncio.sleep(0)
    return f"{before.__module__}.{before.__qualname__}"
"""

APP = """
from which import which_loop

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = (await which_loop()).encode()
    head = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""

AIOHTTP_APP = """
import fastaio
from aiohttp import web
from aiohttp.worker import GunicornWebWorker
from which import which_loop

class Worker(GunicornWebWorker):
    def init_process(self):
        fastaio.install()
        super().init_process()

async def handler(request):
    return web.Response(text=await which_loop())

app = web.Application()
app.router.add_get("/", handler)
"""

PYTEST_ASYNCIO = """
import pytest
import fastaio
from which import which_loop

class TestLoop:
    @pytest.mark.asyncio
    async def test_is_ours(self):
        assert await which_loop() == "fastaio.loop.Loop"

@pytest.mark.asyncio
async def test_is_ours_too():
    assert await which_loop() == "fastaio.loop.Loop"
"""

PYTEST_ASYNCIO_HOOK = """
import fastaio

def pytest_asyncio_loop_factories(config, item):
    return {"fastaio": fastaio.new_event_loop}
"""

ANYIO = """
import anyio
import pytest
import fastaio
from which import which_loop

@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": fastaio.new_event_loop})

@pytest.mark.anyio
async def test_is_ours():
    assert await which_loop() == "fastaio.loop.Loop"

@pytest.mark.anyio
async def test_task_group_over_a_stream():
    send, receive = anyio.create_memory_object_stream(0)
    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(send.send, 1)
        assert await receive.receive() == 1

def test_run():
    options = {"loop_factory": fastaio.new_event_loop}
    assert anyio.run(which_loop, backend_options=options) == "fastaio.loop.Loop"
"""


def needs(module: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"{package} is not installed"
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "which.py").write_text(WHICH_LOOP)
    return tmp_path


def run_pytest(folder, plugin, *options):
    (folder / "pytest.ini").write_text("\n".join(["[pytest]", "filterwarnings = error", *options]))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", plugin],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )


def check_server(folder, command, running, ended):
    """Starts a server, asks it which loop it runs on, and ends it; `running` finds its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},  # gunicorn puts a socket there
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        said = ""
        for line in process.stderr:
            said += line
            if address := re.search(running, line):
                break
        else:
            pytest.fail(said)
        with urllib.request.urlopen(address[1], timeout=20) as answer:
            assert answer.read() == b"fastaio.loop.Loop"
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read()
        process.wait(20)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
    assert ended in said
    assert "Traceback" not in said


@needs("uvicorn", "uvicorn")
def test_uvicorn(folder):
    (folder / "app.py").write_text(APP)
    options = ("--loop", "fastaio:new_event_loop", "--port", "0", "--no-use-colors")
    running = r"running on (http://[\d.:]+)"
    check_server(folder, ["uvicorn", "app:app", *options], running, "Finished server process")


@needs("gunicorn", "gunicorn")
@needs("aiohttp", "aiohttp")
def test_gunicorn_with_the_worker_of_aiohttp(folder):
    (folder / "app.py").write_text(AIOHTTP_APP)
    options = ("--bind", "127.0.0.1:0", "--worker-class", "app.Worker")
    running = r"Listening at: (http://[\d.:]+)"
    check_server(folder, ["gunicorn", "app:app", *options], running, "Shutting down: Master")


@needs("pytest_asyncio", "pytest-asyncio")
def test_pytest_asyncio(folder):
    (folder / "conftest.py").write_text(PYTEST_ASYNCIO_HOOK)
    (folder / "test_loop.py").write_text(PYTEST_ASYNCIO)
    scope = "asyncio_default_fixture_loop_scope = function"
    ended = run_pytest(folder, "pytest_asyncio.plugin", scope)
    assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout


@needs("anyio", "anyio")
def test_anyio(folder):
    (folder / "test_loop.py").write_text(ANYIO)
    ended = run_pytest(folder, "anyio.pytest_plugin")
    assert ended.returncode == 0 and "3 passed" in ended.stdout, ended.stdout
