"""time.monotonic() replaced where fastaio hears of it last."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dicts are not watched")
def test_eight_others_watch_dicts():
    program = """
import asyncio, ctypes, time

add = ctypes.pythonapi.PyDict_AddWatcher
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 3)
add.argtypes = [Callback]
callback = Callback(lambda *_: 0)
try:
    while True:
        add(callback)
except RuntimeError:
    pass

import fastaio

async def main():
    real = time.monotonic
    time.monotonic = lambda: 7.0
    seen = [asyncio.get_running_loop().time()]
    time.monotonic = real
    seen.append(asyncio.get_running_loop().time() > 7.0)
    print(seen)

fastaio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[7.0, True]\n", 0), done.stderr
