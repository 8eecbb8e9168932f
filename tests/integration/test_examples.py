"""The files of docs/examples/ as a reader runs them: the application on fastaio and, unchanged,
on aiohttp, and by the README's command; the client against it."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ARTICLE = EXAMPLES / "article.py"
START_TIMEOUT = 20

#: Serves the example with the package named first, on a port of the kernel's choice. On another
#: package than fastaio, that package stands in its place.
SERVE = """
import asyncio, importlib, runpy, sys

package, path = sys.argv[1:]
web = importlib.import_module(f"{package}.web")
run = sys.modules[package].run if package == "fastaio" else asyncio.run
sys.modules["fastaio"] = sys.modules[package]


async def main():
    runner = web.AppRunner(runpy.run_path(path)["app"])
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


try:
    run(main())
except KeyboardInterrupt:
    pass
"""

SERVERS = {package: ["-c", SERVE, package, str(ARTICLE)] for package in ("fastaio", "aiohttp")}
SERVERS["command line"] = ["-m", "fastaio", f"{ARTICLE}:app", "--port", "0"]


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """Runs a server that prints its address; ends it with Ctrl-C's signal."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        seen = ""
        address = None
        while address is None:
            line = process.stdout.readline()
            seen += line
            address = re.search(r"http://(127\.0\.0\.1):(\d+)", line)
            if not line and address is None:
                pytest.fail(f"the server printed no address: {seen}{process.communicate()[1]}")
        yield address[1], int(address[2])
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=START_TIMEOUT)
        assert errors == ""


@pytest.fixture(params=SERVERS, scope="module")
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    with serving(SERVERS[request.param]) as found:
        yield found


def get(address: tuple[str, int], target: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_index_is_redirected(address: tuple[str, int]) -> None:
    response, _ = get(address, "/")
    assert response.status == 302
    assert response.headers["Location"] == "/page"


def test_empty_has_no_body(address: tuple[str, int]) -> None:
    response, body = get(address, "/empty")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == "0"


def test_page_is_the_file(address: tuple[str, int]) -> None:
    response, body = get(address, "/page")
    assert response.status == 200
    assert response.headers["Content-Type"].partition(";")[0] == "text/html"
    assert body == (EXAMPLES / "page.html").read_bytes()


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/api", {"name": "world", "query": {}}),
        ("/api/reader", {"name": "reader", "query": {}}),
        (
            "/api/reader?a=1&b=two%20words",
            {"name": "reader", "query": {"a": "1", "b": "two words"}},
        ),
        ("/api?page=3", {"name": "world", "query": {"page": "3"}}),
        ("/api/%C3%A4", {"name": "ä", "query": {}}),
    ],
)
def test_api_answers_json(address: tuple[str, int], target: str, answer: object) -> None:
    response, body = get(address, target)
    assert response.status == 200
    assert response.headers["Content-Type"].partition(";")[0] == "application/json"
    assert json.loads(body) == answer


def test_an_unknown_path_is_not_found(address: tuple[str, int]) -> None:
    response, _ = get(address, "/nowhere")
    assert response.status == 404


def test_client_fetches_the_pages(address: tuple[str, int]) -> None:
    host, port = address
    url = f"http://{host}:{port}/api/reader"
    done = subprocess.run(
        [sys.executable, EXAMPLES / "client.py", url, "--count", "400", "--chunk", "100"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\d+) pages", done.stdout, re.MULTILINE) == ["30", "400"]
    assert done.stderr == ""
