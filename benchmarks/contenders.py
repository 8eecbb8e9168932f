"""Who is measured, what each needs to be there, and how each is started."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import native
from benchmarks.workloads import HELLO, WORKLOADS

SERVERS = Path(__file__).resolve().parent / "servers"


@dataclass(frozen=True)
class Start:
    """What a contender is started with."""

    port: int
    page: Path
    layers: int
    folder: Path
    """A folder of its own for what it must write."""


@dataclass(frozen=True)
class Contender:
    name: str
    about: str
    command: Callable[[Start], list[str]]
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    workloads: frozenset[str] = frozenset(WORKLOADS)
    prepare: Callable[[], object] | None = None
    """Builds what has to be built; raises native.UnavailableError."""

    def absent(self) -> str | None:
        """Why it cannot run here, or None."""
        missing = [name for name in self.modules if not _can_import(name)]
        missing += [name for name in self.programs if shutil.which(name) is None]
        if missing:
            return f"no {', '.join(missing)}"
        try:
            if self.prepare is not None:
                self.prepare()
        except native.UnavailableError as error:
            return str(error)
        return None


def _can_import(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def environment(start: Start) -> dict[str, str]:
    """What the servers that take no arguments of ours read instead."""
    return os.environ | {"BENCH_PAGE": str(start.page), "BENCH_LAYERS": str(start.layers)}


def _web(package: str, loop: str) -> Callable[[Start], list[str]]:
    def command(start: Start) -> list[str]:
        return [
            *(sys.executable, str(SERVERS / "web.py"), "--package", package, "--loop", loop),
            *("--port", str(start.port), "--page", str(start.page)),
            *("--layers", str(start.layers)),
        ]

    return command


def _uvicorn(start: Start) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "--app-dir", str(SERVERS), "asgi:app"),
        *("--host", "127.0.0.1", "--port", str(start.port), "--http", "httptools"),
        *("--loop", "uvloop", "--lifespan", "off", "--no-access-log", "--log-level", "error"),
        *("--timeout-keep-alive", "75"),
    ]


def _granian(start: Start) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "rsgi", "--http", "1"),
        *("--host", "127.0.0.1", "--port", str(start.port), "--workers", "1"),
        *(
            "--loop",
            "uvloop",
            "--no-log",
            "--no-ws",
            "--backlog",
            "8192",
            "--backpressure",
            "8192",
            "--working-dir",
            str(SERVERS),
            "rsgi:app",
        ),
    ]


def _nginx(start: Start) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    config = f"""{user}
daemon off;
worker_processes 1;
pid {start.folder}/pid;
error_log {start.folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    client_body_temp_path {start.folder}/body;
    proxy_temp_path {start.folder}/proxy;
    fastcgi_temp_path {start.folder}/fastcgi;
    uwsgi_temp_path {start.folder}/uwsgi;
    scgi_temp_path {start.folder}/scgi;
    server {{
        listen 127.0.0.1:{start.port} backlog=4096;
        location = / {{
            default_type "text/plain; charset=utf-8";
            return 200 '{HELLO.decode()}';
        }}
        location = /json {{
            default_type application/json;
            return 200 '{{"message": "{HELLO.decode()}"}}';
        }}
        location = /page {{
            default_type text/html;
            alias {start.page};
        }}
        location ~ ^/api/(?<name>[^/]+)$ {{
            default_type application/json;
            return 200 '{{"name": "$name", "a": "$arg_a", "b": "$arg_b"}}';
        }}
    }}
}}
"""
    path = start.folder / "nginx.conf"
    path.write_text(config)
    return ["nginx", "-p", str(start.folder), "-c", str(path)]


def _climit_program() -> Path:
    return native.program("servers/climit.c", with_libraries=True)


def _climit(start: Start) -> list[str]:
    return [str(_climit_program()), str(start.port), str(start.page), str(start.layers)]


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            "c", "bare C on libuv and llhttp", _climit, programs=("gcc",), prepare=_climit_program
        ),
        Contender(
            "nginx",
            "nginx, where its configuration can give the answer",
            _nginx,
            programs=("nginx",),
            workloads=frozenset({"plaintext", "json", "headers", "file", "path", "pipeline"}),
        ),
        Contender(
            "fastaio",
            "fastaio.web on its own loop",
            _web("fastaio", "fastaio"),
            ("fastaio._core", "fastaio.web"),
        ),
        Contender("granian", "granian, RSGI on uvloop", _granian, ("granian", "uvloop"), ()),
        Contender(
            "uvicorn",
            "uvicorn, raw ASGI on httptools and uvloop",
            _uvicorn,
            ("uvicorn", "httptools", "uvloop"),
        ),
        Contender(
            "aiohttp-uvloop",
            "aiohttp.web on uvloop",
            _web("aiohttp", "uvloop"),
            ("aiohttp", "uvloop"),
        ),
        Contender("aiohttp", "aiohttp.web on asyncio", _web("aiohttp", "asyncio"), ("aiohttp",)),
        Contender(
            "fastaio-asyncio",
            "fastaio.web on asyncio's loop",
            _web("fastaio", "asyncio"),
            ("fastaio._core", "fastaio.web"),
        ),
    )
}
DEFAULT = tuple(name for name in CONTENDERS if name != "fastaio-asyncio")
