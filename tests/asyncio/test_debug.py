"""Debug mode: checks, slow callbacks, where things were made."""

import asyncio
import logging
import socket
import time

import pytest


@pytest.fixture
def loop(loop):
    loop.set_debug(True)
    return loop


def test_flag(loop):
    assert loop.get_debug() is True
    assert loop._debug is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_handles_know_their_origin(loop):
    for handle in (loop.call_soon(print), loop.call_later(9, print), loop.call_at(9, print)):
        assert handle._source_traceback[-1].name == "test_handles_know_their_origin"
        assert " created at " in repr(handle)
        handle.cancel()
        assert "print()" in repr(handle)
    loop.call_soon(loop.stop)
    loop.run_forever()


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later", "call_at"])
def test_bad_callbacks(loop, method):
    async def coroutine():
        pass

    args = () if "soon" in method else (1,)
    reported = "call_at" if method == "call_later" else method
    with pytest.raises(TypeError, match=rf"coroutines cannot be used with {reported}\(\)"):
        getattr(loop, method)(*args, coroutine)
    with pytest.raises(TypeError, match=rf"a callable object was expected by {reported}\(\)"):
        getattr(loop, method)(*args, 5)


def test_slow_callback_is_logged(loop, caplog):
    loop.slow_callback_duration = 0.005

    def slow():
        time.sleep(0.01)

    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.call_soon(slow)
        loop.call_soon(loop.stop)
        loop.run_forever()
    [record] = caplog.records
    assert record.getMessage().startswith("Executing <Handle test_slow_callback_is_logged.<locals>")
    assert record.getMessage().endswith(" seconds")


def test_slow_protocol_is_logged(loop, caplog):
    class Slow(asyncio.Protocol):
        def data_received(self, data):
            time.sleep(0.01)
            loop.stop()

    async def begin():
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(Slow, sock=ours)
        return transport, theirs

    transport, peer = loop.run_until_complete(begin())
    loop.slow_callback_duration = 0.005
    with caplog.at_level(logging.WARNING, "asyncio"), peer:
        peer.send(b"x")
        loop.run_forever()
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
    [record] = caplog.records
    assert record.getMessage().startswith("Executing <Handle ")
    assert "Transport._read_ready()" in record.getMessage()
    assert record.getMessage().endswith(" seconds")


def test_slow_task_step_is_logged(loop, caplog):
    loop.slow_callback_duration = 0.005

    async def main():
        time.sleep(0.01)

    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.run_until_complete(main())
    assert any(
        record.getMessage().startswith("Executing <Task finished name=")
        for record in caplog.records
    )


def test_report_has_the_origin(loop, reports):
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    report = reports.pop()
    assert report["source_traceback"][-1].name == "test_report_has_the_origin"


def test_current_handle(loop):
    seen = []
    handle = loop.call_soon(lambda: seen.append(loop._current_handle))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [handle]
    assert loop._current_handle is None


def test_switched_on_by_the_runner(run):
    async def main():
        assert asyncio.get_running_loop().get_debug()

    run(main(), debug=True)


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("kind", ["stream", "datagram", "pipe"])
def test_transports_are_their_threads(run, pair, how, kind):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        ours = pair[0]
        if kind == "stream":
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        elif kind == "datagram":
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        else:
            transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, ours)
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            await asyncio.to_thread(getattr(transport, how))
        transport._call_connection_lost(None)  # asyncio's cannot be closed any more

    run(main())
