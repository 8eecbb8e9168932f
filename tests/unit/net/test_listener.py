"""csrc/net/listener.c: where it does better than asyncio, which the twins cannot say."""

import asyncio
import socket

import fastaio


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def test_no_delay_also_without_a_protocol_number():
    async def main():
        loop = asyncio.get_running_loop()
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        listening.bind(("127.0.0.1", 0))
        accepted = loop.create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                accepted.set_result(transport)

        async with await loop.create_server(Protocol, sock=listening) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            transport = await accepted
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            transport.abort()
            writer.transport.abort()
            await asyncio.sleep(0)

    fastaio.run(main())


def test_factory_that_raises():
    async def main(debug):
        loop = asyncio.get_running_loop()
        contexts = []
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        loop.set_debug(debug)
        failures = iter([ZeroDivisionError()])

        def factory():
            for failure in failures:
                raise failure
            return Echo()

        async with await loop.create_server(factory, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() == b""
            writer.close()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()
            await writer.wait_closed()
        return [context["message"] for context in contexts]

    assert fastaio.run(main(False)) == []
    assert fastaio.run(main(True)) == ["Error on transport creation for incoming connection"]
