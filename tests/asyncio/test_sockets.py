"""The sock_ methods."""

import asyncio
import gc
import socket
import ssl
import warnings

import pytest


def test_recv_at_once_and_later(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        b.send(b"first")
        assert await loop.sock_recv(a, 3) == b"fir"
        assert await loop.sock_recv(a, 100) == b"st"
        task = loop.create_task(loop.sock_recv(a, 100))
        await asyncio.sleep(0)
        assert not task.done()
        b.send(b"second")
        assert await task == b"second"
        assert await loop.sock_recv(a, 0) == b""
        b.close()
        assert await loop.sock_recv(a, 100) == b""

    run(main())


@pytest.mark.parametrize("size", [1, 1000, 300_000, 5_000_000])
def test_sendall_and_recv_of_any_size(run, pair, size):
    a, b = pair
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)

    async def main():
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.sock_sendall(a, data))
        got = bytearray()
        while len(got) < size:
            got += await loop.sock_recv(b, 1_000_000)
        assert bytes(got) == data
        assert await task is None

    run(main())


def test_echo(run, pair):
    a, b = pair

    async def echo(loop):
        while data := await loop.sock_recv(b, 1000):
            await loop.sock_sendall(b, data)

    async def main():
        loop = asyncio.get_running_loop()
        task = loop.create_task(echo(loop))
        for number in range(300):
            message = b"%d" % number
            await loop.sock_sendall(a, message)
            assert await loop.sock_recv(a, 1000) == message
        a.shutdown(socket.SHUT_WR)
        await task

    run(main())


def test_recv_into(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        buffer = bytearray(10)
        task = loop.create_task(loop.sock_recv_into(a, buffer))
        await asyncio.sleep(0)
        await loop.sock_sendall(b, memoryview(b"hello"))
        assert await task == 5
        assert buffer == b"hello" + bytes(5)
        b.send(b"again")
        assert await loop.sock_recv_into(a, memoryview(buffer)[5:]) == 5
        assert buffer == b"helloagain"
        buffer.append(1)  # nobody holds on to it
        with pytest.raises(TypeError):
            await loop.sock_recv_into(a, b"read only")
        with pytest.raises(TypeError):
            await loop.sock_sendall(a, "text")

    run(main())


@pytest.mark.parametrize("method", ["sock_recv", "sock_recv_into", "sock_sendall"])
def test_cancelled_while_waiting(run, pair, method):
    a, b = pair
    filled = 0
    if method == "sock_sendall":
        with pytest.raises(BlockingIOError):
            while True:
                filled += a.send(bytes(1 << 16))

    async def main():
        loop = asyncio.get_running_loop()
        argument = {"sock_recv": 10, "sock_recv_into": bytearray(10), "sock_sendall": b"x"}[method]
        task = loop.create_task(getattr(loop, method)(a, argument))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_reader(a) is False
        assert loop.remove_writer(a) is False
        # The socket is usable as before.
        if filled:
            left = filled
            while left:
                left -= len(await loop.sock_recv(b, left))
            await loop.sock_sendall(a, b"y")
            assert await loop.sock_recv(b, 10) == b"y"
        else:
            await loop.sock_sendall(b, b"z")
            assert await loop.sock_recv(a, 10) == b"z"

    run(main())


def test_timeout_around(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(pair[0], 10), 0.001)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await loop.sock_recv(pair[0], 10)

    run(main())


def test_never_awaited(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    assert asyncio.iscoroutine(call)
    pair[1].send(b"x")
    with pytest.warns(RuntimeWarning, match=r"coroutine '.*Loop\.sock_recv' was never awaited"):
        del call
        gc.collect()
    assert pair[0].recv(10) == b"x"


def test_closed_before_it_began(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    call.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        call.send(None)


def test_errors(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ValueError, match="negative buffersize"):
            await loop.sock_recv(a, -1)
        with pytest.raises(TypeError):
            await loop.sock_recv(a, "10")
        b.close()
        with pytest.raises(BrokenPipeError):
            await loop.sock_sendall(a, b"x")
        a.close()
        for call in (loop.sock_recv(a, 1), loop.sock_sendall(a, b"x")):
            with pytest.raises(OSError):
                await call

    run(main())


def test_wrong_arguments(loop):
    for method in (loop.sock_recv, loop.sock_recv_into, loop.sock_sendall):
        with pytest.raises(TypeError):
            method()
        with pytest.raises(TypeError):
            method(1, 2, 3)


def test_tls_socket_is_refused(run, pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    wrapped = context.wrap_socket(pair[0], do_handshake_on_connect=False)

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
            await loop.sock_recv(wrapped, 10)

    run(main())
    wrapped.close()


def test_blocking_socket_in_debug_mode(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        pair[0].setblocking(True)
        for call in (loop.sock_recv(pair[0], 1), loop.sock_sendall(pair[0], b"")):
            with pytest.raises(ValueError, match="the socket must be non-blocking"):
                await call

    run(main(), debug=True)


def test_subclass_is_asked_itself(run):
    class Socket(socket.socket):
        def recv(self, size):
            return b"from the subclass"

    async def main():
        with Socket() as sock:
            sock.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(sock, 5) == b"from the subclass"

    run(main())


def test_number_used_again(run):
    """A socket is closed, the next one has its number: no call waits for the old one."""

    async def main():
        loop = asyncio.get_running_loop()
        for _ in range(20):
            a, b = socket.socketpair()
            with a, b:
                a.setblocking(False)
                b.setblocking(False)
                task = loop.create_task(loop.sock_recv(a, 10))
                await asyncio.sleep(0)
                await loop.sock_sendall(b, b"x")
                assert await asyncio.wait_for(task, 5) == b"x"

    run(main())


def test_socket_is_not_kept_alive(run):
    async def main():
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        a.setblocking(False)
        task = loop.create_task(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        b.send(b"x")
        await task
        del task
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del a
            gc.collect()
        assert [str(w.category.__name__) for w in caught] == ["ResourceWarning"]
        b.close()

    run(main())


def test_buffer_is_free_while_a_call_waits(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        for method in (loop.sock_recv_into, loop.sock_recvfrom_into):
            buffer = bytearray(4)
            task = loop.create_task(method(a, buffer))
            await asyncio.sleep(0)
            buffer.extend(bytes(4))
            b.send(b"12345678")
            await task
            assert buffer.startswith(b"1234")
            while True:
                try:
                    a.recv(10)
                except BlockingIOError:
                    break

    run(main())


@pytest.mark.parametrize(
    ("act", "args"), [("close", ()), ("send", (None,)), ("throw", (KeyError,))]
)
def test_only_an_idle_coroutine_can_be_moved(run, pair, act, args):
    class Size:
        def __index__(self):
            with pytest.raises(ValueError, match="coroutine already executing"):
                getattr(call, act)(*args)
            return 10

    async def main():
        nonlocal call
        pair[1].send(b"ab")
        call = asyncio.get_running_loop().sock_recv(pair[0], Size())
        assert await call == b"ab"

    call = None
    run(main())


def test_coroutine_by_hand(loop, pair):
    call = loop.sock_recv(pair[0], 10)
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        call.send(1)
    with pytest.raises(KeyError):
        call.throw(KeyError("x"))
    for again in (lambda: call.send(None), lambda: call.throw(KeyError)):
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            again()
    assert call.close() is None
    call = loop.sock_recv(pair[0], 10)
    with pytest.raises(TypeError, match="must be classes or instances deriving from BaseException"):
        call.throw("text")
    call.close()
    pair[1].send(b"x")
    call = loop.sock_recv(pair[0], 10)
    with pytest.raises(StopIteration) as stop:
        call.send(None)
    assert stop.value.value == b"x"


def test_nothing_asked(run, pair):
    """Not even of a closed socket."""
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        a.close()
        assert await loop.sock_recv(a, 0) == b""
        assert await loop.sock_recv_into(a, bytearray()) == 0
        with pytest.raises(OSError):
            await loop.sock_sendall(a, b"")

    run(main())


@pytest.mark.without_debug
def test_socket_with_a_timeout(run, pair):
    """It is waited for where it is used, as by its own methods."""
    a, b = pair
    a.settimeout(0.001)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.001)

    async def main():
        loop = asyncio.get_running_loop()
        for call in (
            loop.sock_recv(a, 10),
            loop.sock_recv_into(a, bytearray(10)),
            loop.sock_recvfrom(a, 10),
            loop.sock_recvfrom_into(a, bytearray(10)),
            loop.sock_accept(listener),
        ):
            with pytest.raises(TimeoutError, match="timed out"):
                await call
        b.send(b"x")
        assert await loop.sock_recv(a, 10) == b"x"
        with socket.socket() as client:
            client.settimeout(10)
            await loop.sock_connect(client, listener.getsockname())
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                assert accepted.gettimeout() == 0

    run(main())
    listener.close()


@pytest.mark.without_debug
def test_descriptor_of_a_transport(run, pair):
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=a)
        text = f"File descriptor {a.fileno()} is used by transport"
        for call in (loop.sock_recv(a, 10), loop.sock_recvfrom(a, 10)):
            with pytest.raises(RuntimeError, match=text):
                await call
        transport.close()

    run(main())


def test_replaced_under_a_call(run, pair):
    """The second of two waiting calls gets the data; the first one can only be cancelled."""
    a, b = pair

    async def main():
        loop = asyncio.get_running_loop()
        first = loop.create_task(loop.sock_recvfrom(a, 10))
        await asyncio.sleep(0)
        second = loop.create_task(loop.sock_recv(a, 10))
        await asyncio.sleep(0)
        b.send(b"x")
        assert await second == b"x"
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        b.send(b"y")
        assert await loop.sock_recv(a, 10) == b"y"

    run(main())


def test_sendfile(run, pair, tmp_path):
    a, b = pair
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)

    async def main():
        loop = asyncio.get_running_loop()
        with open(path, "rb") as file:
            task = loop.create_task(loop.sock_sendfile(a, file, 100, 500_000))
            got = bytearray()
            while len(got) < 500_000:
                got += await loop.sock_recv(b, 100_000)
            assert await task == 500_000
        assert got == path.read_bytes()[100:500_100]

    run(main())
