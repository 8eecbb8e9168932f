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
