"""``python -m fastaio MODULE_OR_FILE:APP``: what it serves, what it says, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastaio
from fastaio import web
from fastaio.serve.cli import main
from fastaio.serve.load import LoadError, load_application

ROOT = Path(__file__).resolve().parents[2]

APP = """\
from fastaio import web
import neighbour

routes = web.RouteTableDef()

@routes.post("/form")
async def form(request):
    return web.Response()

@routes.get("/{name}")
async def greet(request):
    return web.Response(text=neighbour.greeting + request.match_info["name"])

@routes.get("/plain")
async def plain(request):
    return web.Response(text="plain")

def make_app():
    app = web.Application()
    app.add_routes(routes)
    return app

async def make_app_later():
    return make_app()

def make_with(settings):
    return make_app()

def make_nothing():
    return None

app = make_app()
number = 7

class holder:
    inner = app
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with cli_sample.py and a module that it imports; both forgotten afterwards."""
    (tmp_path / "cli_sample.py").write_text(APP)
    (tmp_path / "neighbour.py").write_text("greeting = 'hello '\n")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name in ("cli_sample", "neighbour", "cli_broken", "cli_foreign"):
            del sys.modules[name]


@contextlib.contextmanager
def serving(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, what it says it serves at, and the request that it tells to try."""
    command = [sys.executable, "-W", "error", "-m", "fastaio", *arguments]
    # The fastaio under test, which need not be the installed one.
    env = os.environ | {"PYTHONPATH": str(Path(fastaio.__file__).parents[1])}
    with subprocess.Popen(
        command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            first = process.stdout.readline()
            found = re.search(r" at (\S+) \(Ctrl-C ends it\)$", first.rstrip())
            assert found, first + process.stderr.read()
            yield process, found[1], process.stdout.readline().removeprefix("try: ").rstrip()
        finally:
            process.kill()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        body: bytes = response.read()
        return body


@pytest.mark.parametrize("target", ["cli_sample.py:app", "cli_sample:app", "./cli_sample.py:app"])
def test_serves_a_file_and_a_module(folder: Path, target: str) -> None:
    with serving(target, "--port", "0", cwd=folder) as (_, url, _):
        assert get(url + "/you") == b"hello you"


@pytest.mark.parametrize("factory", ["make_app", "make_app_later", "holder.inner"])
def test_serves_what_a_factory_makes(folder: Path, factory: str) -> None:
    with serving(f"cli_sample:{factory}", "--port", "0", cwd=folder) as (_, url, _):
        assert get(url + "/you") == b"hello you"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ends_in_order(folder: Path, how: signal.Signals) -> None:
    with serving("cli_sample:app", "--port", "0", cwd=folder) as (process, url, _):
        get(url + "/you")
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_shows_a_request_that_answers(folder: Path) -> None:
    with serving("cli_sample:app", "--port", "0", cwd=folder) as (_, url, request):
        assert request == f"curl -iL {url}/plain"
        assert get(request.split()[-1]) == b"plain"


@pytest.mark.parametrize(
    "paths, example",
    [
        (["/hello/{name}", "/plain"], "/plain"),
        (["/hello/{name}"], "/hello/name"),
        ([r"/items/{number:\d+}/{part}"], "/items/1/1"),
        ([r"/{code:[A-Z]{3}}", r"/x/{rest:.+}"], "/x/rest"),
        ([r"/{code:[A-Z]{3}}"], "/"),
        ([], "/"),
    ],
)
def test_shows_a_request_that_routes_with_variables_answer(
    tmp_path: Path, paths: list[str], example: str
) -> None:
    lines = ["from fastaio import web", "async def show(request): return web.Response()"]
    lines.append("app = web.Application()")
    lines += [f"app.router.add_get({path!r}, show)" for path in paths]
    (tmp_path / "variables.py").write_text("\n".join(lines))
    with serving("variables:app", "--port", "0", cwd=tmp_path) as (_, url, request):
        assert request == f"curl -iL {url}{example}"
        if example != "/":
            assert get(url + example) == b""


def test_serves_the_example_of_the_readme(tmp_path: Path) -> None:
    target = "docs/examples/article.py:app"
    assert f"python -m fastaio {target}" in (ROOT / "README.rst").read_text()
    # Not in the checkout itself: its ./fastaio hides the one that is installed.
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    with serving(target, "--port", "0", cwd=tmp_path) as (_, url, request):
        assert get(request.split()[-1])
        assert b'"you"' in get(url + "/api/you?a=1")


def test_host(folder: Path) -> None:
    with serving("cli_sample:app", "--host", "0.0.0.0", "--port", "0", cwd=folder) as (_, url, _):
        assert url.startswith("http://127.0.0.1:")
        assert get(url + "/plain") == b"plain"


def test_unix_socket(folder: Path) -> None:
    with serving("cli_sample:app", "--unix", "a.sock", cwd=folder) as (process, place, request):
        assert place == "a.sock"
        assert request == "curl -iL --unix-socket a.sock http://localhost/plain"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(folder / "a.sock"))
            client.sendall(b"GET /plain HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.endswith(b"\r\n\r\nplain")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert not (folder / "a.sock").exists()


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line that main() leaves on stderr before it ends with status 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("python -m fastaio: error: ")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("cli_sample", "'cli_sample' is not of the form MODULE_OR_FILE:APP"),
        ("cli_sample:", "'cli_sample:' is not of the form MODULE_OR_FILE:APP"),
        (":app", "':app' is not of the form MODULE_OR_FILE:APP"),
        ("missing.py:app", "there is no file 'missing.py'"),
        ("missing_module:app", "there is no module 'missing_module'"),
        ("json.missing:app", "there is no module 'json.missing'"),
        ("json.py:app", "there is no file 'json.py'"),
        ("cli_sample:nothing", "'cli_sample' has no 'nothing'; its applications: app"),
        (
            "cli_sample:holder.nothing",
            "'cli_sample' has no 'holder.nothing'; its applications: app",
        ),
        (
            "cli_sample:number",
            "'cli_sample:number' is a builtins.int, not a fastaio.web.Application",
        ),
        (
            "cli_sample:make_nothing",
            "'cli_sample:make_nothing' is a builtins.NoneType, not a fastaio.web.Application",
        ),
        (
            "cli_sample:make_with",
            "'cli_sample:make_with' takes arguments; a factory must take none",
        ),
    ],
)
def test_says_what_is_wrong_with_the_target(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: str,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert complaint(capsys, target, "--port", "0") == message


def test_says_that_a_file_shadows_a_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "signal.py").write_text("app = None\n")
    message = complaint(capsys, "signal.py:app", "--port", "0")
    assert message == "'signal.py' has the name of a module in use, 'signal': rename it"


def test_says_when_the_application_is_aiohttps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.chdir(folder)
    (folder / "cli_foreign.py").write_text("from aiohttp import web\napp = web.Application()\n")
    message = complaint(capsys, "cli_foreign:app", "--port", "0")
    assert message.endswith(": import web from fastaio, not from aiohttp")


def test_errors_of_the_application_keep_their_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "cli_broken.py").write_text("import not_there_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        load_application("cli_broken:app")


def test_says_that_the_port_is_in_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = complaint(capsys, "cli_sample:app", "--port", str(port))
    assert message == f"cannot listen at 127.0.0.1 port {port}: Address already in use"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "65536"], "argument --port: '65536' is no port (0 to 65535; 0: any free one)"),
        (["--port", "http"], "argument --port: 'http' is no port (0 to 65535; 0: any free one)"),
        (["--unix", "a", "--port", "1"], "--unix stands alone, without --host and --port"),
        (["--unix", "a", "--host", "b"], "--unix stands alone, without --host and --port"),
        (["--unix", "missing/a"], "cannot listen at missing/a: No such file or directory"),
        (["--unix", "cli_sample.py"], "cannot listen at cli_sample.py: Address already in use"),
    ],
)
def test_says_what_is_wrong_with_the_place(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    assert complaint(capsys, "cli_sample:app", *arguments).startswith(message)


def test_loads_what_the_target_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    app = load_application("cli_sample:app")
    assert isinstance(app, web.Application)
    assert load_application("cli_sample:holder.inner") is app
    assert isinstance(load_application("cli_sample:make_app"), web.Application)
    later = load_application("cli_sample:make_app_later")
    assert asyncio.iscoroutine(later)
    later.close()
    with pytest.raises(LoadError):
        load_application("cli_sample:number")
