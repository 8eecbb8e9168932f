"""The sock_ methods that have to do with addresses: datagrams, connecting, accepting."""

import array
import asyncio
import errno
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

FAMILIES = {
    "ipv4": (socket.AF_INET, "127.0.0.1"),
    "ipv6": (socket.AF_INET6, "::1"),
    "unix": (socket.AF_UNIX, None),
}


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def make(tmp_path):
    """Makes non-blocking sockets, bound unless told otherwise."""
    made = []

    def make(family="ipv4", kind=socket.SOCK_DGRAM, *, bind=True):
        number, host = FAMILIES[family]
        if family == "ipv6" and not has_ipv6():
            pytest.skip("no IPv6 here")
        sock = socket.socket(number, kind)
        sock.setblocking(False)
        made.append(sock)
        if bind:
            sock.bind(str(tmp_path / str(len(made))) if host is None else (host, 0))
        return sock

    yield make
    for sock in made:
        sock.close()


@pytest.fixture
def listen(make):
    def listen(family="ipv4"):
        listener = make(family, socket.SOCK_STREAM)
        listener.listen()
        return listener

    return listen


@pytest.fixture
def unused():
    """An address where nobody listens, for as long as the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


# -- datagrams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams(run, make, family):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(family), make(family)
        task = loop.create_task(loop.sock_recvfrom(b, 100))
        await asyncio.sleep(0)
        assert not task.done()
        assert await loop.sock_sendto(a, b"x", b.getsockname()) == 1
        assert await task == (b"x", a.getsockname())
        buffer = bytearray(5)
        task = loop.create_task(loop.sock_recvfrom_into(b, buffer))
        await asyncio.sleep(0)
        assert await loop.sock_sendto(a, memoryview(b"yz"), b.getsockname()) == 2
        assert await task == (2, a.getsockname())
        assert buffer == b"yz" + bytes(3)
        # At once, and cut off where there is no room.
        await loop.sock_sendto(a, b"12345", b.getsockname())
        assert await loop.sock_recvfrom(b, 3) == (b"123", a.getsockname())
        await loop.sock_sendto(a, b"12345", b.getsockname())
        assert await loop.sock_recvfrom_into(b, buffer, 4) == (4, a.getsockname())
        assert buffer == b"1234\0"

    run(main())


def test_echo(run, make):
    async def echo(loop, sock):
        while True:
            data, address = await loop.sock_recvfrom(sock, 2000)
            await loop.sock_sendto(sock, data, address)
            if not data:
                break

    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        task = loop.create_task(echo(loop, b))
        for message in [b"%d" % number * 50 for number in range(300)] + [b""]:
            await loop.sock_sendto(a, message, b.getsockname())
            assert await loop.sock_recvfrom(a, 2000) == (message, b.getsockname())
        await task

    run(main())


def test_empty_datagrams(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        assert await loop.sock_sendto(a, b"", b.getsockname()) == 0
        assert await loop.sock_recvfrom(b, 10) == (b"", a.getsockname())
        # No room is no reason not to take one.
        for room in (loop.sock_recvfrom(b, 0), loop.sock_recvfrom_into(b, bytearray())):
            task = loop.create_task(room)
            await asyncio.sleep(0)
            assert not task.done()
            await loop.sock_sendto(a, b"lost", b.getsockname())
            assert (await task)[1] == a.getsockname()
        await loop.sock_sendto(a, b"next", b.getsockname())
        assert (await loop.sock_recvfrom(b, 10))[0] == b"next"

    run(main())


def test_large_datagram(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        data = bytes(range(250)) * 200
        assert await loop.sock_sendto(a, data, b.getsockname()) == len(data)
        assert await loop.sock_recvfrom(b, 1_000_000) == (data, a.getsockname())
        with pytest.raises(OSError) as caught:
            await loop.sock_sendto(a, bytes(70_000), b.getsockname())
        assert caught.value.errno == errno.EMSGSIZE

    run(main())


def test_senders_without_a_name(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make("unix", bind=False), make("unix")
        await loop.sock_sendto(a, b"x", b.getsockname())
        assert await loop.sock_recvfrom(b, 10) == (b"x", None)
        b.close()
        c = make("unix", bind=False)
        c.bind("")  # Linux gives it an abstract name
        d = make("unix", bind=False)
        d.bind("")
        await loop.sock_sendto(c, b"y", d.getsockname())
        assert await loop.sock_recvfrom(d, 10) == (b"y", c.getsockname())
        assert isinstance(c.getsockname(), bytes)

    run(main())


def test_recvfrom_of_a_stream(run):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        with a, b:
            a.setblocking(False)
            b.send(b"x")
            assert await loop.sock_recvfrom(a, 10) == (b"x", None)
            b.send(b"yz")
            assert await loop.sock_recvfrom_into(a, bytearray(10)) == (2, None)
            b.close()
            assert (await loop.sock_recvfrom(a, 10))[0] == b""

    run(main())


def test_recvfrom_into_sizes(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        numbers = array.array("i", [0] * 10)
        await loop.sock_sendto(a, b"x" * 30, b.getsockname())
        # As many bytes as there are items.
        assert (await loop.sock_recvfrom_into(b, numbers))[0] == 10
        await loop.sock_sendto(a, b"x" * 30, b.getsockname())
        assert (await loop.sock_recvfrom_into(b, numbers, 20))[0] == 20
        await loop.sock_sendto(a, b"x" * 30, b.getsockname())
        assert (await loop.sock_recvfrom_into(b, bytearray(25), nbytes=None))[0] == 25
        with pytest.raises(ValueError, match="nbytes is greater than the length of the buffer"):
            await loop.sock_recvfrom_into(b, bytearray(10), 11)
        with pytest.raises(ValueError, match="negative buffersize in recvfrom_into"):
            await loop.sock_recvfrom_into(b, bytearray(10), -1)
        with pytest.raises(TypeError, match="argument 1 must be read-write bytes-like object, not"):
            await loop.sock_recvfrom_into(b, b"read only")
        with pytest.raises(TypeError, match="has no len"):
            await loop.sock_recvfrom_into(b, None)
        with pytest.raises(TypeError, match="not None"):
            await loop.sock_recvfrom_into(b, None, 10)
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            await loop.sock_recvfrom_into(b, bytearray(10), "x")

    run(main())


def test_recvfrom_sizes(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        sock = make()
        with pytest.raises(ValueError, match="negative buffersize in recvfrom"):
            await loop.sock_recvfrom(sock, -1)
        for wrong in ("10", 1.0, None):
            with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
                await loop.sock_recvfrom(sock, wrong)
        with pytest.raises(OverflowError, match="Python int too large to convert to C ssize_t"):
            await loop.sock_recvfrom(sock, 1 << 80)

    run(main())


def test_sendto_by_name_and_with_scope(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        port = b.getsockname()[1]
        assert await loop.sock_sendto(a, b"x", ("localhost", port)) == 1
        assert (await loop.sock_recvfrom(b, 10))[0] == b"x"
        c, d = make("ipv6"), make("ipv6")
        port = d.getsockname()[1]
        for address in (("::1", port), ("::1", port, 0), ("0::0:1", port, 0, 0)):
            assert await loop.sock_sendto(c, b"x", address) == 1
            assert await loop.sock_recvfrom(d, 10) == (b"x", c.getsockname())

    run(main())


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("127.0.0.1", 70_000), OverflowError),
        (("127.0.0.1", -1), OverflowError),
        (("127.0.0.1", "80"), TypeError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", 80, 0), TypeError),
        (["127.0.0.1", 80], TypeError),
        ((1, 80), TypeError),
        (("\0", 80), TypeError),
        ("127.0.0.1", TypeError),
        (None, TypeError),
    ],
    ids=repr,
)
def test_sendto_wrong_addresses(run, make, address, error):
    async def main():
        with pytest.raises(error):
            await asyncio.get_running_loop().sock_sendto(make(), b"x", address)

    run(main())


def test_sendto_wrong_data(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a = make()
        with pytest.raises(TypeError, match="a bytes-like object is required, not 'str'"):
            await loop.sock_sendto(a, "text", a.getsockname())
        with pytest.raises(TypeError, match="a bytes-like object is required, not 'str'"):
            await loop.sock_sendto(a, "text", None)

    run(main())


def test_sendto_waits_for_room(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make("unix"), make("unix")
        a.connect(b.getsockname())  # so that it is writable only where there is room
        sent = 0
        with pytest.raises(BlockingIOError):
            while True:
                a.send(b"x")
                sent += 1
        task = loop.create_task(loop.sock_sendto(a, b"last", b.getsockname()))
        await asyncio.sleep(0)
        assert not task.done()
        for _ in range(sent):
            assert await loop.sock_recvfrom(b, 10) == (b"x", a.getsockname())
        assert await task == 4
        assert await loop.sock_recvfrom(b, 10) == (b"last", a.getsockname())

    run(main())


# -- connecting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_connect_and_accept(run, make, listen, family):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen(family)
        client = make(family, socket.SOCK_STREAM, bind=False)
        task = loop.create_task(loop.sock_accept(listener))
        await asyncio.sleep(0)
        assert not task.done()
        assert await loop.sock_connect(client, listener.getsockname()) is None
        accepted, address = await task
        with accepted:
            assert address == client.getsockname()
            assert type(accepted) is socket.socket
            assert accepted.gettimeout() == 0
            assert not os.get_inheritable(accepted.fileno())
            for name in ("family", "type", "proto"):
                assert getattr(accepted, name) == getattr(listener, name)
            await loop.sock_sendall(client, b"hi")
            assert await loop.sock_recv(accepted, 10) == b"hi"
            await loop.sock_sendall(accepted, b"there")
            assert await loop.sock_recv(client, 10) == b"there"

    run(main())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", b"127.0.0.1", b"localhost", "", None], ids=repr
)
@pytest.mark.parametrize("port", [int, str, float], ids=lambda made: made.__name__)
def test_connect_hosts_and_ports(run, make, listen, host, port):
    """What _ensure_resolved() makes of them, and of what there is no sense in."""

    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        address = (host, port(listener.getsockname()[1]))
        if port is float and host in (b"localhost", "localhost", "", None):
            with pytest.raises(OSError, match="Int or String expected"):
                await loop.sock_connect(client, address)
            return
        if host == "":
            with pytest.raises(socket.gaierror):
                await loop.sock_connect(client, address)
            return
        await loop.sock_connect(client, address)
        accepted, _ = await loop.sock_accept(listener)
        accepted.close()

    run(main())


def test_connect_ipv6_forms(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen("ipv6")
        port = listener.getsockname()[1]
        for address in (("::1", port), ("::1", port, 0), ("0::1", port, 0, 0), ["::1", port]):
            client = make("ipv6", socket.SOCK_STREAM, bind=False)
            await loop.sock_connect(client, address)
            assert client.getpeername() == listener.getsockname()
        with pytest.raises(OSError):
            await loop.sock_connect(
                make("ipv6", socket.SOCK_STREAM, bind=False), ("::1%none", port)
            )
        with pytest.raises(OSError):  # no such interface
            await loop.sock_connect(
                make("ipv6", socket.SOCK_STREAM, bind=False), ("fe80::1", port, 0, 1 << 30)
            )

    run(main())


def test_connect_refused(run, make, unused):
    async def main():
        loop = asyncio.get_running_loop()
        for host in ("127.0.0.1", "localhost"):
            client = make("ipv4", socket.SOCK_STREAM, bind=False)
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, (host, unused[1]))
            assert caught.value.errno == errno.ECONNREFUSED
            assert caught.value.strerror == f"Connect call failed {unused}"
            assert loop.remove_writer(client) is False

    run(main())


def test_connect_refused_ipv6(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        address = make("ipv6", socket.SOCK_STREAM).getsockname()
        for length in (2, 3, 4):
            client = make("ipv6", socket.SOCK_STREAM, bind=False)
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, address[:length])
            assert caught.value.strerror == f"Connect call failed {address}"

    run(main())


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("127.0.0.1",), ValueError),
        ((), ValueError),
        (5, TypeError),
        (None, TypeError),
        ("ab", OSError),
        (("127.0.0.1", 70_000), OverflowError),
        (("127.0.0.1", -1), OverflowError),
        (("127.0.0.1", 80, 0, 0, 0), TypeError),
        (("no.such.host.invalid", 80), OSError),
        ((5, 80), TypeError),
    ],
    ids=repr,
)
def test_connect_wrong_addresses(run, make, address, error):
    async def main():
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        with pytest.raises(error):
            await asyncio.get_running_loop().sock_connect(client, address)

    run(main())


def test_connect_unix_paths(run, make, listen, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = listen("unix").getsockname()
        abstract = make("unix", socket.SOCK_STREAM, bind=False)
        abstract.bind("")
        abstract.listen()
        for address in (path, os.fsencode(path), abstract.getsockname(), bytearray(path, "utf-8")):
            client = make("unix", socket.SOCK_STREAM, bind=False)
            assert await loop.sock_connect(client, address) is None
            assert client.getpeername() in (path, abstract.getsockname())
        for address, error in (
            (pathlib.Path(path), TypeError),
            (str(tmp_path / "none"), FileNotFoundError),
            ("x" * 200, OSError),
            (("127.0.0.1", 80), TypeError),
            ("", OSError),
        ):
            with pytest.raises(error) as caught:
                await loop.sock_connect(make("unix", socket.SOCK_STREAM, bind=False), address)
            assert "Connect call failed" not in str(caught.value)

    run(main())


def test_connect_datagrams(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = make(), make()
        await loop.sock_connect(a, b.getsockname())
        await loop.sock_sendall(a, b"x")
        assert await loop.sock_recvfrom(b, 10) == (b"x", a.getsockname())

    run(main())


def test_connect_twice(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        for _ in range(2):  # the second only asks how the first went
            await loop.sock_connect(client, listener.getsockname())
        with pytest.raises(OSError) as caught:
            await loop.sock_connect(client, listener.getsockname())
        assert caught.value.errno == errno.EISCONN
        assert str(caught.value) == f"[Errno {errno.EISCONN}] {os.strerror(errno.EISCONN)}"

    run(main())


def test_connect_cancelled(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        task = loop.create_task(loop.sock_connect(client, listener.getsockname()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert loop.remove_writer(client) is False

    run(main())


def test_connect_closed_under_it(run, make, listen):
    """The descriptor stays open elsewhere, so that the wait ends."""

    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        task = loop.create_task(loop.sock_connect(client, listener.getsockname()))
        await asyncio.sleep(0)
        fd = client.detach()
        with pytest.raises(OSError) as caught:
            await task
        assert caught.value.errno == errno.EBADF
        socket.close(fd)

    run(main())


# -- accepting ------------------------------------------------------------------------------------


def test_accept_many(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        clients = [make("ipv4", socket.SOCK_STREAM, bind=False) for _ in range(20)]
        await asyncio.gather(
            *(loop.sock_connect(client, listener.getsockname()) for client in clients)
        )
        names = set()
        for _ in clients:
            accepted, address = await loop.sock_accept(listener)
            names.add(address)
            accepted.close()
        assert names == {client.getsockname() for client in clients}

    run(main())


def test_accept_cancelled(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        task = loop.create_task(loop.sock_accept(listener))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert loop.remove_reader(listener) is False
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        await loop.sock_connect(client, listener.getsockname())
        accepted, address = await loop.sock_accept(listener)
        with accepted:
            assert address == client.getsockname()

    run(main())


def test_accept_with_a_default_timeout(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        await loop.sock_connect(client, listener.getsockname())
        socket.setdefaulttimeout(5)
        try:
            accepted, _ = await loop.sock_accept(listener)
        finally:
            socket.setdefaulttimeout(None)
        with accepted:
            assert accepted.gettimeout() == 0
            assert not os.get_blocking(accepted.fileno())

    run(main())


def test_made_blocking_by_another_socket(run, make, listen):
    """That blocks the loop, but not the thread that it waits for."""

    async def main():
        loop = asyncio.get_running_loop()
        listener = listen()
        client = make("ipv4", socket.SOCK_STREAM, bind=False)
        with listener.dup() as blocking, client.dup() as blocking_client:
            blocking.setblocking(True)
            blocking_client.setblocking(True)
            assert listener.gettimeout() == 0
            thread = threading.Timer(
                0.001, lambda: socket.create_connection(listener.getsockname()).close()
            )
            thread.start()
            accepted, _ = await loop.sock_accept(listener)
            accepted.close()
            thread.join()
            await loop.sock_connect(client, listener.getsockname())

    run(main())


def test_accept_where_nobody_listens(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        for sock in (make("ipv4", socket.SOCK_STREAM), make("ipv4", socket.SOCK_DGRAM)):
            with pytest.raises(OSError) as caught:
                await loop.sock_accept(sock)
            assert caught.value.errno in (errno.EINVAL, errno.EOPNOTSUPP)

    run(main())


# -- all of them ----------------------------------------------------------------------------------


def calls(loop, sock):
    """Each method with sound arguments by keyword."""
    return {
        "accept": loop.sock_accept(sock=sock),
        "connect": loop.sock_connect(sock=sock, address=("127.0.0.1", 9)),
        "recvfrom": loop.sock_recvfrom(sock=sock, bufsize=10),
        "recvfrom_into": loop.sock_recvfrom_into(sock=sock, buf=bytearray(10), nbytes=5),
        "sendto": loop.sock_sendto(sock=sock, data=b"x", address=("127.0.0.1", 9)),
    }


def test_closed_socket(run, make):
    async def main():
        loop = asyncio.get_running_loop()
        sock = make()
        sock.close()
        for call in calls(loop, sock).values():
            with pytest.raises(OSError) as caught:
                await call
            assert caught.value.errno == errno.EBADF
            assert caught.value.strerror == os.strerror(errno.EBADF)

    run(main())


def test_blocking_socket_in_debug_mode(run, make):
    async def main():
        sock = make()
        sock.setblocking(True)
        for call in calls(asyncio.get_running_loop(), sock).values():
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await call

    run(main(), debug=True)


def test_nothing_happens_before_it_is_awaited(loop, make):
    sock = make()
    made = calls(loop, sock)
    while made:
        name, call = made.popitem()
        assert asyncio.iscoroutine(call)
        with pytest.warns(RuntimeWarning, match=rf"Loop\.sock_{name}' was never awaited"):
            del call


def test_arguments(loop, make):
    sock = make()
    for method, most in (
        (loop.sock_accept, 1),
        (loop.sock_connect, 2),
        (loop.sock_recvfrom, 2),
        (loop.sock_recvfrom_into, 3),
        (loop.sock_sendto, 3),
    ):
        with pytest.raises(TypeError):
            method()
        with pytest.raises(TypeError):
            method(*[sock] * (most + 1))
        with pytest.raises(TypeError):
            method(sock, none_such=1)


@pytest.mark.parametrize("how", ["close", "detach"])
def test_closed_under_a_call(run, how):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        a.setblocking(False)
        task = loop.create_task(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        fd = a.fileno()
        getattr(a, how)()
        with b:
            if how == "detach":
                b.send(b"x")
                with pytest.raises(OSError) as caught:
                    await task
                assert caught.value.errno == errno.EBADF
                socket.close(fd)
                return
            await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_closed_and_its_number_used_again(run, listen, make):
    """Calls wait under a number whose socket has gone, and others use that number."""

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(5):
            a, b = socket.socketpair()
            a.setblocking(False)
            stuck = loop.create_task(loop.sock_recvfrom(a, 10))
            await asyncio.sleep(0)
            number = a.fileno()
            a.close()
            c = make()
            assert c.fileno() == number
            assert await loop.sock_sendto(c, b"x", c.getsockname()) == 1
            assert await loop.sock_recvfrom(c, 10) == (b"x", c.getsockname())
            stuck.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stuck
            b.close()

    run(main())


def test_timeout_around_each(run, make, listen):
    async def main():
        loop = asyncio.get_running_loop()
        sock = make()
        for call in (
            loop.sock_recvfrom(sock, 10),
            loop.sock_recvfrom_into(sock, bytearray(10)),
            loop.sock_accept(listen()),
        ):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.001)
        assert loop.remove_reader(sock) is False

    run(main())


def test_audit_events(loop_factory, unused):
    """A hook stays for as long as its process, so it gets one of its own."""
    loop = loop_factory()
    program = f"""
import asyncio, socket, sys
from {type(loop).__module__} import {type(loop).__name__} as Loop

def hook(event, args):
    if event in ("socket.connect", "socket.sendto") and seen is not None:
        seen.append((event, args[0] is sock, args[1]))

async def main():
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(sock, b"x", ("127.0.0.1", {unused[1]}))
    await loop.sock_connect(sock, ("127.0.0.1", {unused[1]}))

seen = None
sys.addaudithook(hook)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setblocking(False)
seen = []
with asyncio.Runner(loop_factory=Loop) as runner:
    runner.run(main())
address = ("127.0.0.1", {unused[1]})
assert seen == [("socket.sendto", True, address), ("socket.connect", True, address)], seen
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
