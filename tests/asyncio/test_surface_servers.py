"""create_server() and its kin, row by row: addresses, options, the life of a Server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import socket
import stat
import sys

import pytest

since_3_12_1 = pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="came with Python 3.12.1")
since_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="came with Python 3.13")
LOOPBACK = ("127.0.0.1", 0)


class Accepted(asyncio.Protocol):
    """Echoes, and keeps itself in `all`."""

    def __init__(self, all_of_them):
        self.all = all_of_them

    def connection_made(self, transport):
        self.transport = transport
        self.lost = asyncio.get_running_loop().create_future()
        self.all.append(self)

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@contextlib.asynccontextmanager
async def serving(create="create_server", *args, **kwargs):
    """A server with .accepted, all closed at the end."""
    loop = asyncio.get_running_loop()
    accepted = []
    server = await getattr(loop, create)(lambda: Accepted(accepted), *args, **kwargs)
    try:
        yield server, accepted
    finally:
        server.close()
        for protocol in accepted:
            if not protocol.lost.done():
                protocol.transport.abort()
                await protocol.lost
        await server.wait_closed()


async def check(address, family=socket.AF_INET):
    """That somebody echoes there; returns the peer's address."""
    loop = asyncio.get_running_loop()
    with socket.socket(family) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, b"hello")
        assert await loop.sock_recv(sock, 10) == b"hello"
        return sock.getpeername()


def addresses(server):
    return sorted((sock.family.name, sock.getsockname()[0]) for sock in server.sockets)


# -- where it listens ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [None, ""])
def test_every_address(run, host):
    async def main():
        async with serving("create_server", host, 0) as (server, _):
            assert addresses(server) == [("AF_INET", "0.0.0.0"), ("AF_INET6", "::")]
            for sock in server.sockets:
                port = sock.getsockname()[1]
                here = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
                await check((here, port), sock.family)
            # An IPv6 socket of its own: IPv4 has its own, too.
            six = next(sock for sock in server.sockets if sock.family == socket.AF_INET6)
            assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1

    run(main())


def test_list_of_hosts(run):
    async def main():
        hosts = ["127.0.0.1", "127.0.0.2", "::1"]
        async with serving("create_server", hosts, 0) as (server, _):
            assert addresses(server) == [
                ("AF_INET", "127.0.0.1"),
                ("AF_INET", "127.0.0.2"),
                ("AF_INET6", "::1"),
            ]
        async with serving("create_server", ["127.0.0.1", "127.0.0.1"], 0) as (server, _):
            assert len(server.sockets) in (1, 2)  # Python 3.12 leaves out doubles

    run(main())


def test_family_and_port_as_text(run):
    async def main():
        async with serving("create_server", None, "0", family=socket.AF_INET) as (server, _):
            assert addresses(server) == [("AF_INET", "0.0.0.0")]

    run(main())


def test_address_in_use(run):
    async def main():
        async with serving("create_server", *LOOPBACK) as (server, _):
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(OSError, match=r"error while attempting to bind on address"):
                async with serving("create_server", "127.0.0.1", port):
                    pass

    run(main())


def test_reuse_port(run):
    async def main():
        async with serving("create_server", *LOOPBACK, reuse_port=True) as (server, _):
            port = server.sockets[0].getsockname()[1]
            async with serving("create_server", "127.0.0.1", port, reuse_port=True):
                await check(("127.0.0.1", port))

    run(main())


@pytest.mark.parametrize("value", [None, True, False])
def test_reuse_address(run, value):
    async def main():
        async with serving("create_server", *LOOPBACK, reuse_address=value) as (server, _):
            reuse = server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            assert bool(reuse) is (value is not False)

    run(main())


@since_3_13
@pytest.mark.parametrize("value", [None, True, False])
def test_keep_alive(run, value):
    async def main():
        async with serving("create_server", *LOOPBACK, keep_alive=value) as (server, accepted):
            listening = server.sockets[0]
            on = listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert bool(on) is bool(value)
            await check(listening.getsockname())
            sock = accepted[0].transport.get_extra_info("socket")
            on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert bool(on) is bool(value)

    run(main())


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="an argument since Python 3.13")
def test_keep_alive_is_unknown(run):
    async def main():
        with pytest.raises(TypeError, match="keep_alive"):
            await asyncio.get_running_loop().create_server(Accepted, *LOOPBACK, keep_alive=True)

    run(main())


def test_given_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.bind(LOOPBACK)
            async with serving("create_server", sock=sock) as (server, _):
                assert server.sockets[0].getsockname() == sock.getsockname()
                assert not sock.getblocking()
                await check(sock.getsockname())
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            with pytest.raises(ValueError, match="A Stream Socket was expected"):
                await loop.create_server(Accepted, sock=sock)
        with pytest.raises(ValueError, match="Neither host/port nor sock were specified"):
            await loop.create_server(Accepted)
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await loop.create_server(Accepted, "127.0.0.1", sock=sock)

    run(main())


def test_backlog(run):
    async def main():
        async with serving("create_server", *LOOPBACK, backlog=1) as (server, accepted):
            for _ in range(5):
                await check(server.sockets[0].getsockname())
        async with serving("create_server", *LOOPBACK, backlog=200) as (server, accepted):
            address = server.sockets[0].getsockname()
            await asyncio.gather(*(check(address) for _ in range(150)))
            assert len(accepted) == 150

    run(main())


@pytest.mark.parametrize("create", ["create_server", "create_unix_server"])
def test_not_started(run, create, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        where = LOOPBACK if create == "create_server" else [str(tmp_path / "socket")]
        async with serving(create, *where, start_serving=False) as (server, _):
            assert not server.is_serving()
            sock = server.sockets[0]
            with socket.socket(sock.family) as client:
                client.setblocking(False)
                with pytest.raises(ConnectionRefusedError):
                    await loop.sock_connect(client, sock.getsockname())
            await server.start_serving()
            await server.start_serving()
            assert server.is_serving()
            await check(sock.getsockname(), sock.family)

    run(main())


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_time_outs_need_ssl(run, name):
    async def main():
        with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
            await asyncio.get_running_loop().create_server(Accepted, *LOOPBACK, **{name: 1})
        with pytest.raises(ValueError, match=f"{name} is only meaningful with ssl"):
            await asyncio.get_running_loop().create_unix_server(Accepted, "x", **{name: 1})

    run(main())


def test_ssl_is_checked(run):
    async def main():
        with pytest.raises(TypeError, match="ssl argument must be an SSLContext or None"):
            await asyncio.get_running_loop().create_server(Accepted, *LOOPBACK, ssl=True)

    run(main())


# -- the Server ------------------------------------------------------------------------------------


def test_server_object(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with serving("create_server", *LOOPBACK) as (server, _):
            assert isinstance(server, asyncio.AbstractServer)
            assert type(server) is asyncio.Server
            assert server.get_loop() is loop
            assert isinstance(server.sockets, tuple)
            assert isinstance(server.sockets[0], asyncio.trsock.TransportSocket)
            assert repr(server).startswith("<Server sockets=")
            server.close()
            server.close()
            assert server.sockets == ()
            with pytest.raises(RuntimeError, match="is closed"):
                await server.serve_forever()

    run(main())


@since_3_12_1
def test_wait_closed_waits_for_connections(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with serving("create_server", *LOOPBACK) as (server, accepted):
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, server.sockets[0].getsockname())
                await loop.sock_sendall(sock, b"x")
                assert await loop.sock_recv(sock, 1) == b"x"
                server.close()
                waiting = asyncio.create_task(server.wait_closed())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert not waiting.done()
                # Who is connected is served on.
                await loop.sock_sendall(sock, b"y")
                assert await loop.sock_recv(sock, 1) == b"y"
                accepted[0].transport.close()
                await waiting

    run(main())


def test_wait_closed_without_close(run):
    async def main():
        async with serving("create_server", *LOOPBACK) as (server, _):
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0)
            assert not waiting.done()
            server.close()
            await waiting

    run(main())


def test_serve_forever(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with serving("create_server", *LOOPBACK, start_serving=False) as (server, accepted):
            address = server.sockets[0].getsockname()
            task = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(0)
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, address)
                await loop.sock_sendall(sock, b"x")
                assert await loop.sock_recv(sock, 1) == b"x"
                with pytest.raises(RuntimeError, match="already being awaited"):
                    await server.serve_forever()
                task.cancel()
                if (3, 12, 1) <= sys.version_info < (3, 15):
                    # The cancelled task waits for the connection, which lives on.
                    await asyncio.sleep(0)
                    await loop.sock_sendall(sock, b"y")
                    assert await loop.sock_recv(sock, 1) == b"y"
                    assert not accepted[0].transport.is_closing()
                    accepted[0].transport.close()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert not server.is_serving()

    run(main())


def test_serve_forever_ends_by_close(run):
    async def main():
        async with serving("create_server", *LOOPBACK) as (server, _):
            task = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(0)
            server.close()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


@since_3_13
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
@pytest.mark.parametrize("create", ["create_server", "create_unix_server"])
def test_clients_are_ended(run, method, create, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        where = LOOPBACK if create == "create_server" else [str(tmp_path / "socket")]
        async with serving(create, *where) as (server, accepted):
            listening = server.sockets[0]
            with socket.socket(listening.family) as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, listening.getsockname())
                await loop.sock_sendall(sock, b"x")
                assert await loop.sock_recv(sock, 1) == b"x"
                # A peer that does not read: what waits for it is sent, or dropped.
                accepted[0].transport.write(bytes(10_000_000))
                server.close()
                getattr(server, method)()
                assert accepted[0].transport.is_closing()
                if method == "abort_clients":
                    await server.wait_closed()
                else:
                    received = 0
                    while data := await loop.sock_recv(sock, 1_000_000):
                        received += len(data)
                    assert received == 10_000_000
                    await server.wait_closed()

    run(main())


# -- Unix sockets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, pathlib.Path, os.fsencode])
def test_unix_paths(run, tmp_path, kind):
    path = kind(str(tmp_path / "socket"))

    async def main():
        async with serving("create_unix_server", path) as (server, _):
            assert stat.S_ISSOCK(os.stat(path).st_mode)
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_unix_connection(asyncio.Protocol, path)
            assert transport.get_extra_info("peername") == str(tmp_path / "socket")
            transport.abort()
            await asyncio.sleep(0)
        # Python 3.13 takes its socket away.
        assert os.path.exists(path) is (sys.version_info < (3, 13))
        # Where one is left, a new server takes its place.
        async with serving("create_unix_server", path):
            await check(os.fsdecode(path), socket.AF_UNIX)

    run(main())


@since_3_13
@pytest.mark.parametrize("cleanup", [True, False])
def test_cleanup_socket(run, tmp_path, cleanup):
    path = tmp_path / "socket"

    async def main():
        async with serving("create_unix_server", path, cleanup_socket=cleanup):
            await check(str(path), socket.AF_UNIX)
        assert path.exists() is not cleanup
        path.unlink(missing_ok=True)
        # One that has been put in its place is somebody else's.
        async with serving("create_unix_server", path, cleanup_socket=True):
            path.unlink()
            path.write_text("mine")
        assert path.read_text() == "mine"
        path.unlink()

    run(main())


def test_unix_path_of_a_file(run, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(OSError, match="is already in use"):
            await loop.create_unix_server(Accepted, str(path))
        assert path.read_text() == "mine"

    run(main())


@pytest.mark.parametrize("create", ["create_unix_server", "create_unix_connection"])
def test_unix_errors(run, create, tmp_path):
    async def main():
        function = getattr(asyncio.get_running_loop(), create)
        with pytest.raises(
            ValueError,
            match="no path and sock were specified|path was not specified, and no sock specified",
        ):
            await function(asyncio.Protocol)
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="A UNIX Domain Stream Socket was expected"):
                await function(asyncio.Protocol, sock=sock)
        with socket.socket(socket.AF_UNIX) as sock:
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await function(asyncio.Protocol, str(tmp_path / "x"), sock=sock)
        with pytest.raises((FileNotFoundError, OSError)):
            await function(asyncio.Protocol, str(tmp_path / "none" / "x"))

    run(main())


def test_unix_connection_of_a_socket(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, protocol = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
            assert transport.get_extra_info("socket").family == socket.AF_UNIX
            transport.write(b"x")
            transport.close()
            assert await loop.run_in_executor(None, theirs.recv, 10) == b"x"

    run(main())


def test_accepted_socket_must_be_a_stream(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            with pytest.raises(ValueError, match="A Stream Socket was expected"):
                await loop.connect_accepted_socket(asyncio.Protocol, sock)
        with socket.socket() as sock:
            with pytest.raises(ValueError, match="only meaningful with ssl"):
                await loop.connect_accepted_socket(asyncio.Protocol, sock, ssl_handshake_timeout=1)

    run(main())
