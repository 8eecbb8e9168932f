"""Datagram endpoints on both loops: UDP and Unix, connected and not."""

import asyncio
import contextvars
import errno
import socket
import struct

import pytest


class Messages(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()
        self.errors = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        assert type(data) is bytes
        self.received.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.put_nowait(exc)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@pytest.fixture
def endpoint():
    """endpoint(**keywords of create_datagram_endpoint); all are closed by close()."""

    class Endpoint:
        def __init__(self):
            self.made = []

        async def __call__(self, **keywords):
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_datagram_endpoint(Messages, **keywords)
            self.made.append((transport, protocol))
            return transport, protocol

        async def close(self):
            for transport, protocol in self.made:
                transport.close()
                await protocol.lost

    return Endpoint()


LOCAL = ("127.0.0.1", 0)


def test_messages_and_addresses(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        client, answers = await endpoint(local_addr=LOCAL)
        address = server.get_extra_info("sockname")
        for data in (b"a", b"b" * 1000, b"c" * 60_000):
            client.sendto(data, address)
            received, sender = await inbox.received.get()
            assert received == data
            assert sender == client.get_extra_info("sockname")
            server.sendto(received, sender)
            assert await answers.received.get() == (data, address)
        assert client.get_extra_info("peername") is None
        assert client.get_extra_info("socket").type == socket.SOCK_DGRAM
        await endpoint.close()

    run(main())


def test_connected(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        address = server.get_extra_info("sockname")
        client, _ = await endpoint(remote_addr=address)
        assert client.get_extra_info("peername") == address
        client.sendto(b"to the peer")
        client.sendto(b"the same", address)
        assert (await inbox.received.get())[0] == b"to the peer"
        assert (await inbox.received.get())[0] == b"the same"
        with pytest.raises(ValueError, match="Invalid address: must be None or"):
            client.sendto(b"elsewhere", ("127.0.0.1", 9))
        await endpoint.close()

    run(main())


def test_many_in_one_turn_arrive_in_order(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        client, _ = await endpoint(remote_addr=server.get_extra_info("sockname"))
        messages = [b"%d" % number for number in range(100)]
        for message in messages:
            client.sendto(message)
        assert [(await inbox.received.get())[0] for _ in messages] == messages
        await endpoint.close()

    run(main())


def test_many_senders(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        clients = [await endpoint(local_addr=LOCAL) for _ in range(40)]
        for _ in range(3):
            for transport, _ in clients:
                transport.sendto(b"hello", server.get_extra_info("sockname"))
            for _ in clients:
                server.sendto(*await inbox.received.get())
            for _, answers in clients:
                assert (await answers.received.get())[0] == b"hello"
        await endpoint.close()

    run(main())


def test_mutable_data_is_a_snapshot(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        client, _ = await endpoint(remote_addr=server.get_extra_info("sockname"))
        data = bytearray(b"before")
        client.sendto(data)
        data[:] = b"after."
        assert (await inbox.received.get())[0] == b"before"
        await endpoint.close()

    run(main())


def test_refused(run, endpoint):
    async def main():
        gone, protocol = await endpoint(local_addr=LOCAL)
        client, inbox = await endpoint(remote_addr=gone.get_extra_info("sockname"))
        gone.close()
        await protocol.lost
        client.sendto(b"nobody")
        assert isinstance(await inbox.errors.get(), ConnectionRefusedError)
        assert not client.is_closing()
        client.close()
        await inbox.lost

    run(main())


def test_too_large_is_the_protocols_error(run, endpoint):
    async def main():
        client, inbox = await endpoint(remote_addr=("127.0.0.1", 9))
        client.sendto(b"x" * 70_000)
        assert isinstance(await inbox.errors.get(), OSError)
        await endpoint.close()

    run(main())


@pytest.mark.parametrize("within", ["datagram_received", "context"])
def test_too_large_within_a_call_of_the_protocols(run, within, reports):
    """The error is told within sendto(), in the context of its caller."""
    where = contextvars.ContextVar("where", default="outside")
    seen = []

    class Answers(Messages):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            where.set("datagram_received")
            self.send(addr)

        def send(self, addr):
            where.set(within)
            self.transport.sendto(b"x" * 70_000, addr)

        def error_received(self, exc):
            seen.append(where.get())
            self.errors.put_nowait(exc)

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Answers, local_addr=LOCAL)
        address = transport.get_extra_info("sockname")
        if within == "context":
            contextvars.copy_context().run(protocol.send, address)
        else:
            transport.sendto(b"to itself", address)
        error = await asyncio.wait_for(protocol.errors.get(), 10)
        assert error.errno == errno.EMSGSIZE
        transport.close()
        await protocol.lost

    run(main())
    assert seen == [within]
    assert reports == []


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_out_of_the_error_within_a_call(run, error):
    class Exits(Messages):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(b"x" * 70_000, addr)

        def error_received(self, exc):
            raise error

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Exits, local_addr=LOCAL)
        transport.sendto(b"to itself", transport.get_extra_info("sockname"))
        try:
            await asyncio.wait_for(asyncio.shield(protocol.lost), 10)
        except asyncio.CancelledError:
            transport.close()
            await protocol.lost

    with pytest.raises(error):
        run(main())


def test_wrong_data(run, endpoint):
    async def main():
        client, _ = await endpoint(local_addr=LOCAL)
        with pytest.raises(TypeError, match="data argument must be a bytes.*, not 'str'"):
            client.sendto("text", ("127.0.0.1", 9))
        await endpoint.close()

    run(main())


def test_host_names(run, endpoint):
    async def main():
        server, inbox = await endpoint(local_addr=LOCAL)
        client, _ = await endpoint(local_addr=LOCAL)
        client.sendto(b"named", ("localhost", server.get_extra_info("sockname")[1]))
        assert (await inbox.received.get())[0] == b"named"
        await endpoint.close()

    run(main())


def test_ipv6(run, endpoint):
    async def main():
        try:
            server, inbox = await endpoint(local_addr=("::1", 0))
        except OSError:
            pytest.skip("this system has no IPv6 loopback")
        client, answers = await endpoint(local_addr=("::1", 0))
        client.sendto(b"six", server.get_extra_info("sockname"))
        data, sender = await inbox.received.get()
        assert sender == client.get_extra_info("sockname")
        assert len(sender) == 4
        server.sendto(data, sender[:2])
        assert (await answers.received.get())[0] == b"six"
        await endpoint.close()

    run(main())


def test_senders_are_named_in_one_way(run, endpoint):
    """Whichever spelling of an IPv6 address was sent to."""

    async def main():
        try:
            server, inbox = await endpoint(local_addr=("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
        client, answers = await endpoint(local_addr=("::1", 0))
        address = server.get_extra_info("sockname")
        for spelling in (("0:0::1", address[1]), address[:2], address[:3], address):
            client.sendto(b"x", spelling)
            server.sendto(b"y", (await inbox.received.get())[1])
            assert await answers.received.get() == (b"y", address)
        await endpoint.close()

    run(main())


def test_unix(run, endpoint, tmp_path):
    async def main():
        here, there = str(tmp_path / "here"), str(tmp_path / "there")
        server, inbox = await endpoint(local_addr=here, family=socket.AF_UNIX)
        client, answers = await endpoint(local_addr=there, family=socket.AF_UNIX)
        data = b"x" * 100_000
        client.sendto(data, here)
        assert await inbox.received.get() == (data, there)
        server.sendto(b"answer", there)
        assert await answers.received.get() == (b"answer", here)
        await endpoint.close()

    run(main())


def test_raising_protocol_goes_on(run):
    async def main():
        loop = asyncio.get_running_loop()
        contexts = asyncio.Queue()
        loop.set_exception_handler(lambda _, context: contexts.put_nowait(context))

        class Failing(Messages):
            def datagram_received(self, data, addr):
                super().datagram_received(data, addr)
                raise ZeroDivisionError

        server, inbox = await loop.create_datagram_endpoint(Failing, local_addr=LOCAL)
        client, protocol = await loop.create_datagram_endpoint(
            Messages, remote_addr=server.get_extra_info("sockname")
        )
        for _ in range(2):
            client.sendto(b"x")
            await inbox.received.get()
            assert isinstance((await contexts.get())["exception"], ZeroDivisionError)
        for transport, end in ((client, protocol.lost), (server, inbox.lost)):
            transport.close()
            await end

    run(main())


def test_a_message_whose_making_sends_messages(run):
    class Message(bytes):
        made = False

        def __buffer__(self, flags):  # asked for from Python 3.12 on
            if not self.made:
                self.made = True
                for _ in range(40):
                    self.transport.sendto(b"inner", self.address)
            return memoryview(bytes([121]))

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            sink.setblocking(False)
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            message = Message(b"y")
            message.transport = transport
            message.address = sink.getsockname()
            transport.sendto(message, message.address)
            received = [await loop.sock_recv(sink, 100)]
            while received[-1] != b"y":
                received.append(await loop.sock_recv(sink, 100))
            assert received == [b"inner"] * (len(received) - 1) + [b"y"]
            assert len(received) == (41 if message.made else 1)
            transport.close()
            await asyncio.sleep(0)

    run(main())


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="Linux")
def test_addresses_of_other_families(run):
    class Answer(asyncio.DatagramProtocol):
        def __init__(self):
            self.sender = asyncio.get_running_loop().create_future()

        def datagram_received(self, data, addr):
            if not self.sender.done():
                self.sender.set_result(addr)

    async def main():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 0)  # NETLINK_ROUTE
        sock.bind((0, 0))
        own = sock.getsockname()
        loop = asyncio.get_running_loop()
        transport, answer = await loop.create_datagram_endpoint(Answer, sock=sock)
        assert transport.get_extra_info("sockname") == own
        # RTM_GETLINK, all of them: the kernel, which is (0, 0), answers.
        transport.sendto(struct.pack("=IHHIIxxxxxxxxxxxxxxxx", 32, 18, 0x301, 1, 0), (0, 0))
        assert await answer.sender == (0, 0)
        transport.close()
        await asyncio.sleep(0)

    run(main())
