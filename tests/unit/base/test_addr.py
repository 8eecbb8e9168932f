"""csrc/base/addr.c, py_addr.c: socket addresses of numeric hosts."""

from __future__ import annotations

import asyncio
import socket

import pytest

import fastaio
from fastaio import _core


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 80, ("127.0.0.1", 80)),
        (b"127.0.0.1", 0, ("127.0.0.1", 0)),
        ("2001:db8:0::1", 65535, ("2001:db8::1", 65535, 0, 0)),
        ("::ffff:1.2.3.4", 1, ("::ffff:1.2.3.4", 1, 0, 0)),
        ("127.1", 80, None),
        ("010.0.0.1", 80, None),
        ("fe80::1%lo", 80, None),
        ("127.0.0.1\0", 80, None),
        ("1" * 46, 80, None),
        ("1" * 47, 80, None),
        ("\u0661.2.3.4", 80, None),
        ("", 80, None),
        (bytearray(b"127.0.0.1"), 80, None),
        (None, 80, None),
        ("127.0.0.1", 65536, None),
        ("127.0.0.1", -1, None),
        ("127.0.0.1", 1 << 70, None),
        ("127.0.0.1", True, None),
        ("127.0.0.1", "80", None),
    ],
)
def test_numeric_address(host, port, address):
    assert _core.numeric_address(host, port) == address


def test_hints_are_ints():
    assert _core.numeric_address("::1", 1, socket.AF_INET6, 0, 0, 0) is not None
    assert _core.numeric_address("::1", 1, 0, 1.0, 0, 0) is None
    with pytest.raises(TypeError, match="at least 2 arguments"):
        _core.numeric_address("::1")


@pytest.mark.without_debug
@pytest.mark.parametrize(
    ("host", "port", "hints"),
    [
        ("127.0.0.1", 80, {}),
        ("127.0.0.1", 80, {"type": socket.SOCK_STREAM}),
        ("::1", 80, {"family": socket.AF_INET6, "flags": socket.AI_PASSIVE}),
        ("127.1", "80", {}),
        ("fe80::1%lo", 80, {}),
        (None, b"80", {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
        ("127.0.0.1", 80, {"flags": socket.AI_CANONNAME}),
    ],
)
def test_no_thread_is_asked_for_numbers(host, port, hints):
    async def main():
        loop = asyncio.get_running_loop()
        loop.run_in_executor = None
        for _ in range(2):
            await loop.getaddrinfo(host, port, **hints)
        await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    fastaio.run(main())


def test_what_has_to_be_looked_up_is_left_to_a_thread(monkeypatch):
    """Also by a getaddrinfo() that somebody else has put in place."""
    names = []

    async def main():
        loop = asyncio.get_running_loop()

        def run_in_executor(executor, function, *args):
            names.append(args[0])
            future = loop.create_future()
            future.set_result([])
            return future

        loop.run_in_executor = run_in_executor
        await loop.getaddrinfo("localhost", 80)
        await loop.getaddrinfo("127.0.0.1", "http")
        await loop.getaddrinfo("", 80)
        await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args: [])
        await loop.getaddrinfo("127.0.0.1", 80)

    fastaio.run(main())
    assert names == ["localhost", "127.0.0.1", "", ("127.0.0.1", 80), "127.0.0.1"]
