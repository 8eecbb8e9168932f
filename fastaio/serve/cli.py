"""The command line of ``python -m fastaio``: one process that serves one application."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import shlex
import socket
import stat
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["main"]

#: Host and port, or the path of a Unix socket.
Place: TypeAlias = tuple[str, int] | str

DESCRIPTION = "Serve a fastaio.web application."
EPILOG = """\
APP is an application, or a function without arguments that makes one:

  python -m fastaio docs/examples/article.py:app
  python -m fastaio shop.web:make_app --port 8000
  python -m fastaio shop.web:app --unix shop.sock
"""


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (0 to 65535; 0: any free one)")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastaio",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="MODULE_OR_FILE:APP", help="what to serve")
    parser.add_argument("--host", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port; 0: any free one (default: 8080)")
    parser.add_argument("--unix", metavar="PATH", help="Unix socket to listen at, instead")
    return parser


def _place(options: argparse.Namespace) -> Place:
    if options.unix is not None:
        return str(options.unix)
    host = "127.0.0.1" if options.host is None else options.host
    return host, 8080 if options.port is None else options.port


def _listen(host: str, port: int) -> socket.socket:
    """A bound TCP socket, so that a port in use is known before the application is started."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_socket(path: str) -> None:
    """Removes the Unix socket that an earlier process, or this one, has left; no other file."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)


def _listen_unix(path: str) -> socket.socket:
    _remove_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _url(sock: socket.socket) -> str:
    """Where a client on this machine reaches the socket."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _example_path(app: object) -> str:
    """A path that a resource answers GET at, if possible without variables; "/" where none is seen.

    Variables are given their own name or, where that does not match, "1".
    """
    from ..web import Application

    filled = []
    for route in app.router.routes() if isinstance(app, Application) else ():
        path = route.resource.canonical if route.resource is not None else ""
        if route.method not in ("GET", "*") or not path.startswith("/"):
            continue
        if "{" not in path:
            return path
        pattern = route.get_info().get("pattern")
        for example in (r"\1", "1"):
            candidate = re.sub(r"\{(\w+)\}", example, path)
            if pattern is not None and pattern.fullmatch(candidate):
                filled.append(candidate)
    return filled[0] if filled else "/"


def _example_request(place: Place, url: str, path: str) -> str:
    if isinstance(place, str):
        return f"curl -iL --unix-socket {shlex.quote(place)} http://localhost{path}"
    return f"curl -iL {shlex.quote(url + path)}"


def _bind(place: Place) -> socket.socket:
    return _listen(*place) if isinstance(place, tuple) else _listen_unix(place)


def _serve(parser: argparse.ArgumentParser, target: str, place: Place, sock: socket.socket) -> None:
    from ..web import run_app
    from .load import LoadError, load_application

    try:
        app = load_application(target)
    except LoadError as error:
        parser.error(str(error))

    def announce(_: str) -> None:
        url = _url(sock) if isinstance(place, tuple) else place
        request = _example_request(place, url, _example_path(app))
        print(f"fastaio serves {target} at {url} (Ctrl-C ends it)", flush=True)
        print(f"try: {request}", flush=True)

    run_app(app, sock=sock, print=announce)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the command line names until Ctrl-C or SIGTERM; the exit status.

    arguments: those after the program's name, ``sys.argv[1:]`` when None. Wrong ones, and an
    address that cannot be listened at, end the program with status 2 and one line that says why.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.unix is not None and (options.host is not None or options.port is not None):
        parser.error("--unix stands alone, without --host and --port")
    try:
        importlib.import_module("fastaio.web")
    except ImportError as error:
        parser.error(str(error))
    place = _place(options)
    try:
        sock = _bind(place)
    except OSError as error:
        where = "{} port {}".format(*place) if isinstance(place, tuple) else place
        parser.error(f"cannot listen at {where}: {error.strerror or error}")
    try:
        with sock:
            _serve(parser, options.target, place, sock)
    finally:
        if isinstance(place, str):
            _remove_socket(place)
    return 0
