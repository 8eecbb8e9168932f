"""Sockets with methods of their own, and transports' classes with methods of somebody else's."""

import asyncio
import socket
from unittest import mock

import pytest


class Tracked(socket.socket):
    """Notes which of its methods are called."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = set()

    def recv(self, *args):
        self.calls.add("recv")
        return super().recv(*args)

    def recv_into(self, *args):
        self.calls.add("recv_into")
        return super().recv_into(*args)

    def recvfrom(self, *args):
        self.calls.add("recvfrom")
        return super().recvfrom(*args)

    def send(self, *args):
        self.calls.add("send")
        return super().send(*args)

    def sendto(self, *args):
        self.calls.add("sendto")
        return super().sendto(*args)

    def accept(self):
        self.calls.add("accept")
        return super().accept()


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


async def handlers_end():
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)


async def ask(address, **options):
    """One echo over a tracked socket; what was called of it."""
    sock = Tracked(socket.AF_INET)
    sock.connect(address)
    reader, writer = await asyncio.open_connection(sock=sock, **options)
    writer.write(b"data")
    assert await reader.readexactly(4) == b"data"
    writer.close()
    await writer.wait_closed()
    assert sock.fileno() == -1
    return sock.calls


def test_stream(run):
    async def main():
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            calls = await ask(server.sockets[0].getsockname())
            assert {"recv", "send"} <= calls
        await handlers_end()

    run(main())


def test_tls(run, server_context, client_context):
    async def main():
        async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context) as server:
            address = server.sockets[0].getsockname()
            calls = await ask(address, ssl=client_context, server_hostname="localhost")
            assert {"recv_into", "send"} <= calls
        await handlers_end()

    run(main())


def test_server(run):
    async def main():
        listening = Tracked(socket.AF_INET)
        listening.bind(("127.0.0.1", 0))
        async with await asyncio.start_server(echo, sock=listening):
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"data")
            assert await reader.readexactly(4) == b"data"
            writer.close()
            await writer.wait_closed()
        await handlers_end()
        assert listening.calls == {"accept"}
        assert listening.fileno() == -1

    run(main())


def test_datagrams(run):
    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            arrived.set_result(data)

    async def main():
        nonlocal arrived
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        sock = Tracked(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        transport, _ = await loop.create_datagram_endpoint(Protocol, sock=sock)
        transport.sendto(b"data", sock.getsockname())
        assert await arrived == b"data"
        transport.close()
        await asyncio.sleep(0)
        assert sock.calls == {"recvfrom", "sendto"}

    arrived = None
    run(main())


def test_a_class_without_methods_of_its_own(run):
    class Plain(socket.socket):
        pass

    async def main():
        a, b = socket.socketpair()
        with b:
            named = Plain(fileno=a.detach())
            _, writer = await asyncio.open_connection(sock=named)
            writer.write(b"data")
            await asyncio.sleep(0)
            assert b.recv(10) == b"data"
            writer.close()
            await writer.wait_closed()
            assert named.fileno() == -1

    run(main())


@pytest.mark.parametrize("cls", ["Transport", "BaseTransport"])
def test_get_extra_info_is_patched(run, cls):
    async def main():
        a, b = socket.socketpair()
        with b:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=a
            )
            with mock.patch(f"asyncio.{cls}.get_extra_info") as patched:
                patched.return_value = 5
                assert transport.get_extra_info("peername") == 5
                patched.assert_called_once_with("peername")

            def from_me(self, name, default=None):
                return self, name, default

            with mock.patch(f"asyncio.{cls}.get_extra_info", from_me):
                assert transport.get_extra_info("a", default=1) == (transport, "a", 1)
            assert transport.get_extra_info("a", 1) == 1
            transport.close()
            await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("name", ["connect", "recv", "recvfrom", "send", "sendto"])
def test_methods_replaced_on_the_class_are_called(run, name):
    """As by tests that forbid the network."""

    class ForbiddenError(Exception):
        pass

    calls = {
        "connect": lambda loop, sock: loop.sock_connect(sock, ("127.0.0.1", 9)),
        "recv": lambda loop, sock: loop.sock_recv(sock, 1),
        "recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 1),
        "send": lambda loop, sock: loop.sock_sendall(sock, b"x"),
        "sendto": lambda loop, sock: loop.sock_sendto(sock, b"x", ("127.0.0.1", 9)),
    }

    async def main():
        loop = asyncio.get_running_loop()
        kind = socket.SOCK_DGRAM if name.endswith(("to", "from")) else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.setblocking(False)
            with mock.patch.object(socket.socket, name, side_effect=ForbiddenError, create=True):
                with pytest.raises(ForbiddenError):
                    await calls[name](loop, sock)

    run(main())


def test_a_function_in_the_place_of_the_class(run):
    async def main():
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        with theirs, mock.patch("socket.socket", lambda *args: None):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            transport.write(b"x")
            transport.close()
            await asyncio.sleep(0)
            assert theirs.recv(1) == b"x"

    run(main())


def test_accept_replaced_on_the_class(run):
    calls = []
    original = socket.socket.accept

    def accept(self):
        calls.append(self)
        return original(self)

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            for replaced in (False, True):
                with mock.patch.object(socket.socket, "accept", accept if replaced else original):
                    accepting = loop.create_task(loop.sock_accept(listening))
                    await asyncio.sleep(0)
                    with socket.create_connection(listening.getsockname()):
                        conn, _ = await accepting
                        conn.close()
                assert bool(calls) is replaced
            assert {*calls} == {listening}

    run(main())
