"""Loops in sub-interpreters, with the GIL in common and (from Python 3.12 on) with one each.

Everything runs in programs of its own: a crash shall be a failure, not the end of the tests."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import fastaio

PROGRAM = """
import os, sys, textwrap, threading

try:
    import _interpreters as interpreters  # Python 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

isolated_made = []

def create(kind):
    if kind == "isolated":
        isolated_made.append(kind)
    if sys.version_info >= (3, 13):
        return interpreters.create(kind)
    return interpreters.create(isolated=kind == "isolated")

PRELUDE = f'''
import sys
sys.path[:0] = [{sys.argv[1]!r}]
''' + '''
import asyncio
import fastaio

async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
    writer.close()

async def talk(times):
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
    server.close()
    await server.wait_closed()
'''

def run(interpreter, code):
    failed = interpreters.run_string(interpreter, PRELUDE + textwrap.dedent(code))
    if failed is not None:  # Python 3.13; before, it raises
        raise RuntimeError(failed)
"""
FOLDER = str(Path(fastaio.__file__).parent.parent)


#: In 3.12 `import ssl` alone, in some interpreters with a GIL each, ends the process with a double
#: free: there a program ends without the main interpreter's finalisation.
END = """
if sys.version_info[:2] == (3, 12) and isolated_made:
    os._exit(0)
"""


def run_program(text):
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM + textwrap.dedent(text) + END, FOLDER],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


kinds = pytest.mark.parametrize("kind", ["legacy", "isolated"])


@kinds
def test_one_after_another(kind):
    text = """
        for _ in range(3):
            interpreter = create(%r)
            for _ in range(2):
                run(interpreter, "fastaio.run(talk(2)); print('ran', flush=True)")
            interpreters.destroy(interpreter)
    """
    assert run_program(text % kind) == "ran\n" * 6


@pytest.mark.skipif(
    sys.version_info < (3, 12),
    reason="3.11's asyncio has one running loop for all interpreters with the same thread number",
)
@kinds
def test_two_at_once_beside_the_main_one(kind):
    text = """
        exec(PRELUDE)
        failures = []

        def work():
            try:
                interpreter = create(%r)
                run(interpreter, "fastaio.run(talk(50)); print('ran', flush=True)")
                interpreters.destroy(interpreter)
            except BaseException as exc:
                failures.append(exc)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        fastaio.run(talk(50))
        for thread in threads:
            thread.join()
        assert not failures, failures
        print("main", flush=True)
    """
    out = run_program(text % kind)
    # A word and its line's end are two writes: others may come between them.
    assert sorted(out.replace("\n", "")) == sorted("main" + 2 * "ran")


@kinds
def test_imported_again(kind):
    text = """
        interpreter = create(%r)
        for _ in range(3):
            run(interpreter, '''
                fastaio.run(talk(1))
                old = fastaio.Loop
                for name in [name for name in sys.modules if name.split(".")[0] == "fastaio"]:
                    del sys.modules[name]
                import fastaio
                assert fastaio.Loop is not old
                fastaio.run(talk(1))
                print("ran", flush=True)
            ''')
        interpreters.destroy(interpreter)
    """
    assert run_program(text % kind) == "ran\n" * 3


LEFT_OPEN = """
loop = fastaio.new_event_loop()
async def main():
    global server, reader, writer, task, handle
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    await reader.readexactly(5)
    task = asyncio.create_task(asyncio.sleep(3600))
    handle = loop.call_later(3600, print)
    await asyncio.sleep(0)
loop.run_until_complete(main())
loop.call_soon(print, "never")
"""


@kinds
@pytest.mark.parametrize("end", ["", "del loop", "del server, reader, writer", "loop.close()"])
def test_ended_with_a_loop_left_open(kind, end):
    text = f"""
        code = {LEFT_OPEN + end!r}
        interpreter = create({kind!r})
        run(interpreter, code)
        interpreters.destroy(interpreter)
        run(create({kind!r}), code)
        print("ended", flush=True)
    """
    assert run_program(text) == "ended\n"


@kinds
def test_a_loop_in_a_thread_of_a_sub_interpreter(kind):
    if kind == "isolated":
        kind = "legacy" if sys.version_info < (3, 12) else kind  # 3.11: no threads in those
    text = """
        interpreter = create(%r)
        run(interpreter, '''
            import threading
            def work():
                fastaio.run(talk(2))
                print("ran", flush=True)
            thread = threading.Thread(target=work)
            thread.start()
            fastaio.run(talk(2))
            thread.join()
        ''')
        interpreters.destroy(interpreter)
    """
    assert run_program(text % kind) == "ran\n"
