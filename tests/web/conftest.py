"""Every test here runs against fastaio.web and against aiohttp.web: what differs is a bug."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import fastaio

MODULES = ("fastaio.web", "aiohttp.web")


@pytest.fixture(params=MODULES)
def web(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


@pytest.fixture
def fastweb() -> Any:
    """Only ours, for what aiohttp.web does not have."""
    return importlib.import_module("fastaio.web")


class Answer:
    """A response as the client sees it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.reason = response.reason
        self.version = response.version
        self.headers = response.headers
        self.body = response.read()
        self.text = self.body.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.headers.items()} {self.body!r}>"


class _Wire:
    """What http.client reads a response from: a file made once."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def makefile(self, mode: str) -> Any:
        return self.file


def parse(file: Any, method: str = "GET") -> Answer:
    """The next response in `file`, by the standard library's parser."""
    response = http.client.HTTPResponse(_Wire(file), method=method)  # type: ignore[arg-type]
    response.begin()
    # It would close the file, which has the next response.
    response.close = lambda: None  # type: ignore[method-assign]
    response._close_conn = lambda: None  # type: ignore[attr-defined]
    return Answer(response)


class Server:
    """An application served by a thread with a loop of its own."""

    def __init__(self, web: Any, app: Any, make_loop: Any, kwargs: dict[str, Any]) -> None:
        self.web = web
        self.app = app
        self.kwargs = kwargs
        self.make_loop = make_loop
        self.errors: list[dict[str, Any]] = []
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self.make_loop) as runner:
                runner.run(self._main())
        except BaseException as exc:
            self._failure = exc
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self._stop = asyncio.Event()
        self.runner = self.web.AppRunner(self.app, **self.kwargs)
        try:
            await self.runner.setup()
            site = self.web.TCPSite(self.runner, "127.0.0.1", 0)
            await site.start()
            self.port = self.runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
        finally:
            await self.runner.cleanup()

    def close(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(30)
            assert not self._thread.is_alive(), "the server did not stop"
        if self._failure is not None:
            raise self._failure

    @contextlib.contextmanager
    def connect(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            yield sock

    def raw(self, data: bytes, *methods: str) -> list[Answer]:
        """Sends `data` as it is; returns an answer for each of `methods` (GET by default)."""
        with self.connect() as sock:
            sock.sendall(data)
            with sock.makefile("rb") as file:
                return [parse(file, method) for method in methods or ("GET",)]

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        fields = {"Host": "localhost", "Connection": "close"}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        fields.update(headers or {})
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        head = "\r\n".join([*lines, "", ""]).encode("utf-8")
        return self.raw(head + (body or b""), method)[0]

    def get(self, target: str, **kwargs: Any) -> Answer:
        return self.request("GET", target, **kwargs)

    def post(self, target: str, body: bytes = b"", **kwargs: Any) -> Answer:
        return self.request("POST", target, body=body, **kwargs)


@pytest.fixture
def make_loop() -> Any:
    """The loop that servers run on; a test may override it."""
    return fastaio.new_event_loop


def _serving(web: Any, make_loop: Any) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def start(app: Any, **kwargs: Any) -> Server:
            kwargs.setdefault("access_log", None)
            server = Server(web, app, make_loop, kwargs)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def serve(web: Any, make_loop: Any) -> Iterator[Any]:
    """serve(app, **runner arguments) -> Server, closed after the test."""
    yield from _serving(web, make_loop)


@pytest.fixture
def serve_ours(fastweb: Any, make_loop: Any) -> Iterator[Any]:
    """serve(app), only for our module."""
    yield from _serving(fastweb, make_loop)


def answers_of(data: bytes, *methods: str) -> list[Answer]:
    """The answers in `data`."""
    file = io.BytesIO(data)
    return [parse(file, method) for method in methods]
