"""getaddrinfo() and getnameinfo() of numbers and names."""

from __future__ import annotations

import _socket
import asyncio
import concurrent.futures
import inspect
import itertools
import logging
import socket
import sys
import types

import pytest

HOSTS = [
    "127.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    b"10.1.2.3",
    "::1",
    "::",
    "2001:DB8:0:0:0:0:0:1",
    "::ffff:1.2.3.4",
    b"::1",
    "fe80::1%lo",
    "fe80::1%1",
    "127.1",
    "0x7f.1",
    "010.0.0.1",
    "2130706433",
    None,
]
#: What looks like an address and is none: libc decides, without asking anybody.
NOT_HOSTS = ["256.1.1.1", "1.2.3.4.5", ":::", "1::2::3", "::1 ", "127.0.0.1 x", "::1%", "1..2"]
NOT_HOSTS += ["fe80::1%no-such-device", "::1\0", "127.0.0.1\0", b"\xff", "x" * 70, 7, 1.5, [], ""]
PORTS = [80, 0, 65535, 65536, -1, 2**40, 2**70, True, "80", b"443", "00080", "99999", None]
NOT_PORTS = ["", "*", "+80", " 80", "8x", b"", 1.0, [], "no-such-service", "\0", "80\0"]
FAMILIES = [0, socket.AF_INET, socket.AF_INET6, 1, 99, -1, 2.0, "2", None, 2**40]
TYPES = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, 5, 77, 1.0, None]
PROTOS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, 132, 255, 1.5, None]
FLAGS = [
    0,
    socket.AI_PASSIVE,
    socket.AI_CANONNAME,
    socket.AI_NUMERICHOST,
    socket.AI_NUMERICSERV,
    socket.AI_PASSIVE | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    socket.AI_V4MAPPED,
    socket.AI_V4MAPPED | socket.AI_ALL,
    socket.AI_ADDRCONFIG,
    1 << 30,
    0.0,
    None,
]


def questions(hosts, ports):
    """Arguments: families with all types, flags with all families, and so on."""
    yield from itertools.product(hosts, ports, [0], [0, 1], [0], [0])
    yield from itertools.product(hosts, [80], FAMILIES, TYPES, [0], [0])
    yield from itertools.product(hosts[::3], ["80"], [0, 2, 10], [0, 1, 2, 3], PROTOS, [0])
    yield from itertools.product(hosts, [80, None], [0, 2, 10], [0, 1], [0], FLAGS)


def outcome(function, *args, **kwargs):
    """Whatever a call ends with, to compare."""
    try:
        result = function(*args, **kwargs)
    except Exception as exc:
        return type(exc), exc.args
    return [(type(entry[0]), type(entry[1]), type(entry[4]), entry) for entry in result]


async def outcome_of(awaitable):
    try:
        result = await awaitable
    except Exception as exc:
        return type(exc), exc.args
    return [(type(entry[0]), type(entry[1]), type(entry[4]), entry) for entry in result]


def compare(run, hosts, ports):
    async def main():
        loop = asyncio.get_running_loop()
        differ = []
        for host, port, family, kind, proto, flags in questions(hosts, ports):
            hints = dict(family=family, type=kind, proto=proto, flags=flags)
            # Twice: the second answer may come from what the first one has shown.
            for _ in range(2):
                got = await outcome_of(loop.getaddrinfo(host, port, **hints))
            expected = outcome(socket.getaddrinfo, host, port, **hints)
            if got != expected:
                differ.append((host, port, hints, got, expected))
        assert differ == []

    run(main())


def test_numbers(run):
    compare(run, HOSTS, PORTS)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None])
def test_ports_that_are_none(run, host):
    compare(run, [host], NOT_PORTS)


def test_what_only_looks_like_numbers(run):
    async def main():
        loop = asyncio.get_running_loop()
        for host in NOT_HOSTS:
            for flags in (socket.AI_NUMERICHOST, socket.AI_NUMERICHOST | socket.AI_PASSIVE):
                got = await outcome_of(loop.getaddrinfo(host, 80, flags=flags))
                assert got == outcome(socket.getaddrinfo, host, 80, flags=flags), host

    run(main())


def test_names(run):
    async def main():
        loop = asyncio.get_running_loop()
        for args in [("localhost", 80), ("127.0.0.1", "http"), ("localhost", "domain")]:
            got = await outcome_of(loop.getaddrinfo(*args))
            assert got == outcome(socket.getaddrinfo, *args)

    run(main())


#: Looked up in this machine's files, or refused; a name server would have to be waited for.
NAMES = [
    ("localhost", 80, {}),
    (b"localhost", b"80", {"family": socket.AF_INET}),
    ("LOCALHOST", "http", {"type": socket.SOCK_STREAM}),
    ("localhost", None, {"type": socket.SOCK_DGRAM, "flags": socket.AI_PASSIVE}),
    ("localhost", 80, {"family": socket.AF_INET, "flags": socket.AI_CANONNAME}),
    ("localhost", -1, {}),
    ("localhost", 70000, {}),
    ("localhost", True, {}),
    ("localhost", 2**70, {}),
    ("localhost", 80, {"family": 99}),
    ("localhost", 80, {"family": 2**40}),
    ("localhost", 80, {"family": None}),
    ("localhost", 80, {"type": 77}),
    ("localhost", 80, {"flags": 1 << 30}),
    ("localhost", "no-such-service", {}),
    ("localhost", "\0", {}),
    ("localhost", "", {}),
    ("localhost", "80" * 50, {}),
    ("localhost\0x", 80, {"flags": socket.AI_NUMERICHOST}),
    ("no-number", 80, {"flags": socket.AI_NUMERICHOST}),
    ("under_score.x", 80, {"flags": socket.AI_NUMERICHOST}),
    ("a..b", 80, {"flags": socket.AI_NUMERICHOST}),
    (".a", 80, {"flags": socket.AI_NUMERICHOST}),
    ("x" * 64, 80, {"flags": socket.AI_NUMERICHOST}),
    ("x." * 200, 80, {"flags": socket.AI_NUMERICHOST}),
    ("b\u00fccher", 80, {"flags": socket.AI_NUMERICHOST}),
    (None, "http", {}),
    (None, None, {}),
]


@pytest.mark.parametrize("host, port, hints", NAMES)
def test_what_names_give(run, host, port, hints):
    async def main():
        loop = asyncio.get_running_loop()
        got = await asyncio.gather(
            *[outcome_of(loop.getaddrinfo(host, port, **hints)) for _ in range(3)]
        )
        assert got == [outcome(socket.getaddrinfo, host, port, **hints)] * 3

    run(main())


def test_a_program_s_executor_is_asked_for_names(run):
    class Executor(concurrent.futures.ThreadPoolExecutor):
        def submit(self, function, /, *args):
            calls.append(args)
            return super().submit(function, *args)

    calls = []

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(int)  # makes one of the loop's own
        loop.set_default_executor(Executor(1))
        await loop.getaddrinfo("localhost", 80)
        await loop.shutdown_default_executor()

    run(main())
    assert calls == [("localhost", 80, 0, 0, 0, 0)]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("module", [socket, _socket])
def test_a_patched_function_is_asked(run, monkeypatch, module, host):
    calls = []

    def getaddrinfo(*args):
        calls.append(args[:2])
        return []

    async def main():
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo(host, 80)
        monkeypatch.setattr(module, "getaddrinfo", getaddrinfo)
        assert await loop.getaddrinfo(host, 80) == []

    run(main())
    assert calls == [(host, 80)]


def test_run_in_executor_of_a_subclass_is_asked_for_names(loop):
    class Loop(type(loop)):
        def run_in_executor(self, executor, function, *args):
            calls.append(args)
            return super().run_in_executor(executor, function, *args)

    calls = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(runner.get_loop().getaddrinfo("localhost", 80))
    assert calls == [("localhost", 80, 0, 0, 0, 0)]


def test_run_in_executor_put_into_the_class_is_asked_for_names(run, loop, monkeypatch):
    def run_in_executor(self, executor, function, *args):
        calls.append(args)
        return genuine(self, executor, function, *args)

    calls = []
    genuine = type(loop).run_in_executor
    monkeypatch.setattr(type(loop), "run_in_executor", run_in_executor)

    async def main():
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    run(main())
    assert calls == [("localhost", 80, 0, 0, 0, 0)]


def test_names_for_nobody(run):
    """Cancelled, asked or not, and left over when the loop is closed."""

    async def main():
        loop = asyncio.get_running_loop()
        for turns in range(3):
            tasks = [asyncio.ensure_future(loop.getaddrinfo("localhost", 80)) for _ in range(50)]
            for _ in range(turns):
                await asyncio.sleep(0)
            # One that was found while it was asked for is told at once, from 3.14.3 on.
            late = [task for task in tasks[::2] if not task.cancel()]
            assert turns or not late
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, list) for each in found[1::2])
            if turns < 2:
                assert all(task.cancelled() for task in tasks[::2] if task not in late)
        for _ in range(50):
            tasks.append(asyncio.ensure_future(loop.getaddrinfo("localhost", 80)))
        await asyncio.sleep(0)

    run(main())


def test_is_a_coroutine_function(loop):
    for function in (loop.getaddrinfo, loop.getnameinfo):
        assert inspect.iscoroutinefunction(function)
    coroutine = loop.getaddrinfo("127.0.0.1", 80)
    assert isinstance(coroutine, types.CoroutineType)
    coroutine.close()


def test_parameters(loop):
    for name in ("getaddrinfo", "getnameinfo"):
        theirs = inspect.signature(getattr(asyncio.BaseEventLoop, name)).parameters
        ours = inspect.signature(getattr(type(loop), name)).parameters
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]


def test_patched_functions_are_called(run, monkeypatch):
    def getaddrinfo(*args, **kwargs):
        return ["addrinfo", args, kwargs]

    def getnameinfo(*args):
        return "nameinfo", args

    async def main():
        loop = asyncio.get_running_loop()
        await loop.getaddrinfo("127.0.0.1", 80)
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr(socket, "getnameinfo", getnameinfo)
        found = await loop.getaddrinfo("127.0.0.1", 80, type=1)
        assert found == ["addrinfo", ("127.0.0.1", 80, 0, 1, 0, 0), {}]
        assert await loop.getnameinfo(("::1", 1), 3) == ("nameinfo", (("::1", 1), 3))

    run(main())


def test_audit_events(run):
    events = []
    watching = True

    def hook(event, args):
        if watching and event.startswith("socket.get"):
            events.append((event, args, [type(arg) for arg in args]))

    sys.addaudithook(hook)
    hints = dict(family=socket.AF_INET, type=socket.SOCK_STREAM)

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(2):
            await loop.getaddrinfo("127.0.0.1", 80, **hints)
            await loop.getaddrinfo("localhost", 80, **hints)
        await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    try:
        run(main())
        seen = list(events)
        events.clear()
        for _ in range(2):
            socket.getaddrinfo("127.0.0.1", 80, **hints)
            socket.getaddrinfo("localhost", 80, **hints)
        socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        assert seen == events
    finally:
        watching = False


def test_debug_mode_logs(run, caplog):
    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)

    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        run(main(), debug=True)
    assert "Get address info 127.0.0.1:80, type=<SocketKind.SOCK_STREAM: 1>" in caplog.text


def test_without_an_executor(run):
    async def main():
        loop = asyncio.get_running_loop()
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            await loop.getaddrinfo("127.0.0.1", 80)
        with pytest.raises(RuntimeError, match="Executor shutdown has been called"):
            await loop.getnameinfo(("127.0.0.1", 80), 3)

    run(main())


def test_on_a_closed_loop(loop):
    loop.close()
    for coroutine in (loop.getaddrinfo("::1", 80), loop.getnameinfo(("::1", 80), 3)):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            coroutine.send(None)


SOCKADDRS = [
    ("127.0.0.1", 80),
    ("::1", 80),
    ("::1", 80, 0, 0),
    ("fe80::1", 80, 0, 1),
    ("fe80::1%lo", 80),
    ("127.1", 80),
    ("127.0.0.1", 70000),
    ("127.0.0.1", "80"),
    ("not-a-number.invalid", 80),
    ("", 80),
    ("127.0.0.1",),
    (),
    ["127.0.0.1", 80],
    None,
]


def test_getnameinfo(run):
    async def main():
        loop = asyncio.get_running_loop()
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        for sockaddr in SOCKADDRS:
            for flags in (numeric, numeric | socket.NI_DGRAM, numeric | socket.NI_NAMEREQD, 3.0):
                try:
                    got = await loop.getnameinfo(sockaddr, flags)
                except Exception as exc:
                    got = type(exc), exc.args
                try:
                    expected = socket.getnameinfo(sockaddr, flags)
                except Exception as exc:
                    expected = type(exc), exc.args
                assert got == expected, sockaddr
        services = await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
        assert services == socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)

    run(main())
