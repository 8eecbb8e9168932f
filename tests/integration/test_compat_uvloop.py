"""fastaio under uvloop's name, in processes of their own: sys.modules is changed."""

import subprocess
import sys

SCRIPT = """
import asyncio
import uvloop

async def main():
    return type(asyncio.get_running_loop()).__module__

print(uvloop.run(main()))
uvloop.install()
print(asyncio.run(main()))
"""


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_script_that_hard_codes_uvloop(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = python("-m", "fastaio.compat.uvloop", str(script))
    assert (done.returncode, done.stdout, done.stderr) == (0, "fastaio.loop\nfastaio.loop\n", "")


def test_install_after_the_real_one_is_refused():
    done = python(
        "-c",
        "import sys, types; sys.modules['uvloop'] = types.ModuleType('uvloop')\n"
        "import fastaio.compat.uvloop as compat; compat.install()",
    )
    assert done.returncode == 1
    assert "RuntimeError: uvloop is imported already" in done.stderr


def test_install_twice_gives_the_same_module():
    done = python(
        "-c",
        "import fastaio.compat.uvloop as compat\n"
        "assert compat.install() is compat.install()\n"
        "import uvloop, uvloop.loop; print(uvloop.Loop is uvloop.loop.Loop)",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_usage():
    done = python("-m", "fastaio.compat.uvloop")
    assert done.returncode == 2
    assert "usage" in done.stderr


ASKS = """
import asyncio
import importlib.util

print(importlib.util.find_spec("uvloop").name, importlib.util.find_spec("uvloop.loop").name)
from uvloop import *
import uvloop
"""


def test_the_module_is_found_where_it_is_looked_for(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"{ASKS}print(sorted(uvloop.__all__), new_event_loop is not None)\n")
    done = python("-m", "fastaio.compat.uvloop", str(script))
    names = "['EventLoopPolicy', 'install', 'new_event_loop', 'run'] True"
    assert (done.stdout, done.stderr) == (f"uvloop uvloop.loop\n{names}\n", "")


RUNS = """
import asyncio
import uvloop

class Own(uvloop.Loop):
    pass

class Three:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return 3

async def main():
    try:
        coroutine = asyncio.sleep(0)
        uvloop.run(coroutine)
    except RuntimeError as exc:
        print(exc)
        coroutine.close()
    loop = asyncio.get_running_loop()
    return type(loop).__name__, loop.get_debug()

print(uvloop.run(main(), loop_factory=Own, debug=True))
print(uvloop.run(Three()))
try:
    uvloop.run(Three(), loop_factory=asyncio.SelectorEventLoop)
except TypeError as exc:
    print(exc)
"""


def test_run_takes_what_uvloops_does(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RUNS)
    done = python("-m", "fastaio.compat.uvloop", str(script))
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "asyncio.run() cannot be called from a running event loop",
        "('Own', True)",
        "3",
        "uvloop.run() uses a non-uvloop event loop",
    ]
