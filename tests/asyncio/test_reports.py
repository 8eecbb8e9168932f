"""What exception handlers, logs and callers are told of a failure: keys in their order, texts, and
what an exception came from."""

import asyncio
import gc
import logging
import os
import signal
import socket
import threading
import warnings

import pytest


class Failing(asyncio.Protocol):
    """Raises in the method of that name."""

    def __init__(self, where):
        self.where = where
        self.lost = asyncio.get_running_loop().create_future()

    def fail(self, where):
        if where == self.where:
            raise ZeroDivisionError(where)

    def data_received(self, data):
        self.fail("data_received")

    def eof_received(self):
        self.fail("eof_received")

    def pause_writing(self):
        self.fail("pause_writing")

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@pytest.mark.parametrize("where", ["data_received", "eof_received", "pause_writing"])
def test_reports_have_their_keys_in_order(run, reports, where):
    async def main():
        ours, theirs = socket.socketpair()
        with theirs:
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_connection(lambda: Failing(where), sock=ours)
            if where == "pause_writing":
                transport.write(b"x" * 4_000_000)
                await asyncio.sleep(0)
                transport.abort()
            else:
                theirs.sendall(b"x")
                theirs.shutdown(socket.SHUT_WR)
            await protocol.lost
            return transport, protocol

    transport, protocol = run(main())
    (report,) = reports
    assert list(report) == ["message", "exception", "transport", "protocol"]
    assert report["transport"] is transport
    assert report["protocol"] is protocol
    reports.clear()


def logged(caplog, run, main):
    """What debug mode logs, made into text at once: what it shows changes."""
    texts = []

    class Handler(logging.Handler):
        def emit(self, record):
            texts.append(record.getMessage())

    handler = Handler()
    with caplog.at_level(logging.DEBUG, "asyncio"):
        logging.getLogger("asyncio").addHandler(handler)
        try:
            run(main, debug=True)
        finally:
            logging.getLogger("asyncio").removeHandler(handler)
    return texts


def test_no_protocol_is_not_reported(run, reports):
    """Debug mode tells of a factory that makes none."""

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: None, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            while not reports:
                await asyncio.sleep(0)
        server.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio leaves the connection open
        run(main(), debug=True)
        keys = [list(report) for report in reports]
        reports.clear()
        gc.collect()
    assert keys == [["message", "exception"]]


@pytest.mark.parametrize("kind", ["socket", "read pipe", "write pipe"])
def test_the_end_is_logged_before_it_is_unwatched(run, caplog, kind):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        connect = {
            "socket": lambda: loop.create_connection(asyncio.Protocol, sock=ours),
            "read pipe": lambda: loop.connect_read_pipe(asyncio.Protocol, ours),
            "write pipe": lambda: loop.connect_write_pipe(asyncio.Protocol, ours),
        }[kind]
        transport, _ = await connect()
        if kind == "write pipe":
            transport.write(b"x" * 4_000_000)
        theirs.close()
        while not transport.is_closing():
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    texts = logged(caplog, run, main())
    (text,) = [text for text in texts if text.endswith(("by peer", "received EOF"))]
    assert "polling" in text


def test_nothing_waits_where_a_write_has_failed(run, caplog):
    async def main():
        read_fd, write_fd = os.pipe()
        loop = asyncio.get_running_loop()
        pipe = open(read_fd, "rb", 0)  # noqa: SIM115
        transport, _ = await loop.connect_write_pipe(asyncio.Protocol, pipe)
        transport.write(b"hello")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        os.close(write_fd)

    texts = logged(caplog, run, main())
    (text,) = [text for text in texts if text.endswith("Fatal write error on pipe transport")]
    assert "idle bufsize=0" in text


def test_watched_while_the_end_is_told(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        texts = []

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def eof_received(self):
                texts.append(repr(self.transport))
                return True

        with theirs:
            transport, _ = await loop.create_connection(Protocol, sock=ours)
            theirs.shutdown(socket.SHUT_WR)
            while not texts:
                await asyncio.sleep(0)
            texts.append(repr(transport))
            transport.abort()
            await asyncio.sleep(0)
        assert ["polling" in text for text in texts] == [True, False]

    run(main())


def test_a_second_transfer_finds_no_transport(run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4_000_000)

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs, path.open("rb") as first, path.open("rb") as second:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            descriptor = transport.get_extra_info("socket").fileno()
            transfer = asyncio.create_task(loop.sendfile(transport, first))
            while transport.is_reading():
                await asyncio.sleep(0)
            with pytest.raises(KeyError) as refused:
                await loop.sendfile(transport, second)
            assert refused.value.args == (descriptor,)
            assert not transport.is_reading()
            transfer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await transfer
            transport.abort()
            await asyncio.sleep(0)

    run(main())


def test_what_refused_signals_come_from(loop):
    with pytest.raises(RuntimeError, match="sig 9 cannot be caught") as refused:
        loop.add_signal_handler(signal.SIGKILL, print)
    assert refused.value.__cause__ is None
    assert isinstance(refused.value.__context__, OSError)

    def elsewhere():
        with pytest.raises(RuntimeError, match="^set_wakeup_fd only works in main") as refused:
            loop.add_signal_handler(signal.SIGUSR1, print)
        contexts.append(refused.value.__context__)

    contexts = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(context) for context in contexts] == [ValueError]
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
