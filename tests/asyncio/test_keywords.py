"""Arguments by keyword, where asyncio's methods take them so."""

import asyncio
import os
import socket

import pytest


def test_calls(loop_factory):
    loop = loop_factory()
    try:
        ran = []
        loop.call_soon(callback=lambda: ran.append("soon"))
        loop.call_soon_threadsafe(callback=lambda: ran.append("threadsafe"))
        loop.call_later(delay=0, callback=lambda: ran.append("later"))
        handle = loop.call_at(when=loop.time() + 0.001, callback=loop.stop)
        assert handle.when() > 0
        loop.run_forever()
        assert ran == ["soon", "threadsafe", "later"]
    finally:
        loop.close()


def test_missing_and_unknown_arguments(loop_factory):
    loop = loop_factory()
    try:
        with pytest.raises(TypeError, match="callback"):
            loop.call_soon()
        with pytest.raises(TypeError, match="callback"):
            loop.call_later(1)
        with pytest.raises(TypeError):
            loop.call_later(callback=print)
        with pytest.raises(TypeError):
            loop.call_later(1, print, callback=print)
        with pytest.raises(TypeError, match="nonsense"):
            loop.call_soon(print, nonsense=1)
    finally:
        loop.close()


def test_readers_and_writers(loop_factory):
    loop = loop_factory()
    ours, theirs = socket.socketpair()
    try:
        with ours, theirs:
            os.write(theirs.fileno(), b"x")
            loop.add_reader(fd=ours, callback=loop.stop)
            loop.run_forever()
            assert loop.remove_reader(fd=ours) is True
            assert loop.remove_reader(fd=ours) is False
            loop.add_writer(ours, callback=loop.stop)
            loop.run_forever()
            assert loop.remove_writer(fd=ours) is True
            with pytest.raises(TypeError):
                loop.add_reader(ours)
            with pytest.raises(TypeError):
                loop.remove_reader()
    finally:
        loop.close()


def test_create_task(run):
    async def main():
        async def nothing():
            return 7

        assert await asyncio.get_running_loop().create_task(coro=nothing(), name="n") == 7

    run(main())
