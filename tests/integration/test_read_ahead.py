"""Many connections that are ready in one poll: each request in its turn, whatever the others do."""

import asyncio
import contextlib
import gc
import os
import socket
import warnings

import pytest

import fastaio
from fastaio import http
from fastaio.http import Response


@contextlib.asynccontextmanager
async def connected(serving, handler, count, **settings):
    """`count` raw clients, each of which has had an answer, of a server with `handler`."""
    async with serving(handler, **settings) as server:
        loop = asyncio.get_running_loop()
        clients = []
        try:
            for _ in range(count):
                client = socket.create_connection(server.address)
                client.setblocking(False)
                clients.append(client)
                await loop.sock_sendall(client, b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
                await answer_of(client)
            yield clients
        finally:
            for client in clients:
                client.close()


async def answer_of(client):
    """The answer's body; b"" where the connection ended instead."""
    loop = asyncio.get_running_loop()
    data = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n\r\n" not in data:
            piece = await loop.sock_recv(client, 1 << 16)
            if not piece:
                return b""
            data += piece
    return data.partition(b"\r\n\r\n")[2]


def ask_all(clients, request=b"GET /all HTTP/1.1\r\nHost: x\r\n\r\n"):
    """All at once: the next poll of the server's loop finds all of them."""
    for client in clients:
        assert client.send(request) == len(request)


@pytest.mark.parametrize("count", [2, 64, 300])
def test_all_are_answered(run, serving, count):
    async def handler(request):
        return Response(text=request.path)

    async def main():
        async with connected(serving, handler, count) as clients:
            for _ in range(3):
                ask_all(clients)
                assert [await answer_of(client) for client in clients] == [b"/all"] * count

    run(main())


def test_large_requests_beside_small_ones(run, serving):
    async def handler(request):
        return Response(text=str(len(await request.read())))

    async def main():
        async with connected(serving, handler, 40) as clients:
            head = b"POST /all HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            sizes = [1 if number % 3 else 50_000 for number in range(len(clients))]
            for client, size in zip(clients, sizes, strict=True):
                ask_all([client], head % size + bytes(size))
            answers = [int(await answer_of(client)) for client in clients]
            assert answers == sizes

    run(main())


@pytest.mark.parametrize("end", ["abort", "close"])
def test_a_handler_that_ends_the_others(run, serving, end):
    transports = []
    handled = []

    async def handler(request):
        if request.path == "/first":
            transports.append(request.transport)
        else:
            handled.append(request)
            for transport in transports:
                if transport is not request.transport:
                    getattr(transport, end)()
        return Response(text="here")

    async def main():
        async with connected(serving, handler, 10) as clients:
            ask_all(clients)
            answers = [await answer_of(client) for client in clients]
            assert sorted(answers) == [b""] * 9 + [b"here"]
            assert len(handled) == 1

    run(main())


def test_a_protocol_that_takes_over_has_what_came(run, serving):
    """A handler gives another connection's transport, with a request in it, to a protocol."""

    class Heir(asyncio.BufferedProtocol):
        def __init__(self):
            self.room = bytearray(7)
            self.data = b""

        def get_buffer(self, hint):
            return self.room

        def buffer_updated(self, size):
            self.data += self.room[:size]
            if self.data.endswith(b"\r\n\r\n"):
                self.done.set_result(None)

    transports = []
    heir = Heir()

    async def handler(request):
        if request.path == "/first":
            transports.append(request.transport)
        elif not heir.data and not any(t.get_protocol() is heir for t in transports):
            other = next(t for t in transports if t is not request.transport)
            other.set_protocol(heir)
        return Response(text="here")

    async def main():
        heir.done = asyncio.get_running_loop().create_future()
        async with connected(serving, handler, 2) as clients:
            request = b"GET /all HTTP/1.1\r\nHost: x\r\n\r\n"
            ask_all(clients, request)
            await heir.done
            assert heir.data == request

    run(main())


def test_clients_that_end(run, serving):
    handled = []

    async def handler(request):
        handled.append(request.path)
        return Response(text="here")

    async def main():
        async with connected(serving, handler, 12) as clients:
            for client in clients[::3]:
                client.shutdown(socket.SHUT_WR)
            for client in clients[1::3]:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
            ask_all(clients[2::3])
            assert [await answer_of(client) for client in clients[2::3]] == [b"here"] * 4
            assert [await answer_of(client) for client in clients[::3]] == [b""] * 4
            assert handled.count("/all") == 4

    run(main())


@pytest.mark.parametrize("loop_factory", [fastaio.new_event_loop])  # others' loops end at a fork
def test_a_child_answers_none_of_the_parents_requests(run, serving):
    children = []
    handled = []

    async def handler(request):
        handled.append(request.path)
        if request.path == "/all" and not children:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            children.append(pid)
            if pid == 0:
                for _ in range(5):  # it would answer in the turn that the fork was in
                    await asyncio.sleep(0)
                os._exit(handled.count("/all"))
        return Response(text="here")

    async def main():
        async with connected(serving, handler, 4) as clients:
            ask_all(clients)
            answers = [await answer_of(client) for client in clients]
            assert answers == [b"here"] * 4

    run(main())
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 1


def test_a_loop_that_ends_with_requests_unanswered(loop_factory):
    def handler(request):
        raise SystemExit

    async def main(loop):
        server = http.HttpServer(handler, loop=loop)
        listener = await loop.create_server(server, "127.0.0.1", 0)
        clients = [socket.create_connection(listener.sockets[0].getsockname()) for _ in range(5)]
        while len(server.connections) < len(clients):
            await asyncio.sleep(0)
        return listener, clients

    loop = loop_factory()
    listener, clients = loop.run_until_complete(main(loop))
    ask_all(clients)
    with pytest.raises(SystemExit):
        loop.run_forever()
    listener.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its connections are open
        loop.close()
        while clients:
            clients.pop().close()
        del listener, loop, clients
        gc.collect()
