"""What the twins of tests/asyncio cannot see of the sock_ calls."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import fastaio

ALLOCATIONS_MAX = 100

Call = Any


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    """Two connected streams, two datagram sockets and a listener."""
    a, b = socket.socketpair()
    made = {"a": a, "b": b, "listener": socket.socket(), "client": socket.socket()}
    for name in ("c", "d"):
        made[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made[name].bind(("127.0.0.1", 0))
    made["listener"].bind(("127.0.0.1", 0))
    made["listener"].listen()
    for sock in made.values():
        sock.setblocking(False)
    yield made
    for sock in made.values():
        sock.close()


def calls(loop: Any, s: dict[str, socket.socket]) -> dict[str, Any]:
    """Functions that make a call; data is there, or not, as the test arranges it."""
    return {
        "sock_recv": lambda: loop.sock_recv(s["a"], 10),
        "sock_recv_into": lambda: loop.sock_recv_into(s["a"], bytearray(10)),
        "sock_recvfrom": lambda: loop.sock_recvfrom(s["c"], 10),
        "sock_recvfrom_into": lambda: loop.sock_recvfrom_into(s["c"], bytearray(10)),
        "sock_sendall": lambda: loop.sock_sendall(s["a"], b"x"),
        "sock_sendto": lambda: loop.sock_sendto(s["c"], b"x", s["d"].getsockname()),
        "sock_accept": lambda: loop.sock_accept(s["listener"]),
        "sock_connect": lambda: loop.sock_connect(s["client"], s["listener"].getsockname()),
    }


NAMES = sorted(calls(None, {}))


@pytest.mark.without_debug
@pytest.mark.parametrize("name", NAMES)
def test_is_c(loop: Any, sockets: dict[str, socket.socket], name: str) -> None:
    call = calls(loop, sockets)[name]()
    assert type(call).__name__ == "SockCall"
    assert (call.__name__, call.__qualname__) == (name, f"Loop.{name}")
    call.close()
    assert call.close() is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ready", [False, True])
def test_every_allocation_fails_once(
    loop: Any, sockets: dict[str, socket.socket], name: str, ready: bool
) -> None:
    testcapi = pytest.importorskip("_testcapi", reason="this Python lacks its own test module")
    make = calls(loop, sockets)[name]
    loop.run_until_complete(asyncio.sleep(0))
    failed = 0
    for start in range(ALLOCATIONS_MAX):
        if ready:
            sockets["b"].send(b"x")
            sockets["d"].sendto(b"x", sockets["c"].getsockname())
        call = make()
        succeeded = False
        testcapi.set_nomemory(start, start + 1)
        try:
            call.send(None)
            succeeded = True
        except StopIteration:
            succeeded = True
        except (MemoryError, OSError):  # a connected socket says that it is
            failed += 1
        finally:
            testcapi.remove_mem_hooks()
        call.close()
        if succeeded and start > 40:
            break
    assert failed > 0 or name.startswith("sock_send")


@pytest.mark.without_debug
def test_waiting_calls_and_their_loop_can_go(sockets: dict[str, socket.socket]) -> None:
    loop = fastaio.new_event_loop()
    waiting: list[Call] = []
    for name in ("sock_recv", "sock_recvfrom", "sock_accept", "sock_connect"):
        call = calls(loop, sockets)[name]()
        assert call.send(None) is not None
        waiting.append(call)
    loop.close()
    seen = [weakref.ref(call) for call in waiting]
    waiting.pop().close()
    waiting.clear()
    del call
    gc.collect()
    assert [ref() for ref in seen] == [None] * len(seen)


def test_cancelled_from_inside_an_attempt(loop: Any, sockets: dict[str, socket.socket]) -> None:
    """The buffer's own code runs while the kernel is about to be asked."""
    buffer = bytearray(10)

    class Size:
        def __index__(self) -> int:
            task.cancel()
            return 5

    async def main() -> None:
        nonlocal task
        task = loop.create_task(loop.sock_recvfrom_into(sockets["c"], buffer, Size()))
        await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    task: asyncio.Task[Any]
    loop.run_until_complete(main())
