"""fastaio.run(), new_event_loop(), install() and the policy (fastaio/policy.py)."""

import asyncio
import subprocess
import sys
import warnings

import pytest

import fastaio


async def current():
    return asyncio.get_running_loop()


def test_run_returns_the_result():
    loop = fastaio.run(current())
    assert type(loop) is fastaio.Loop
    assert loop.is_closed()


@pytest.mark.parametrize("debug", [True, False])
def test_run_debug(debug):
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert fastaio.run(main(), debug=debug) is debug


def test_run_inside_a_run():
    async def main():
        coroutine = current()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            fastaio.run(coroutine)
        coroutine.close()

    fastaio.run(main())


def test_runner_and_loop_factory():
    with asyncio.Runner(loop_factory=fastaio.Loop) as runner:
        assert type(runner.get_loop()) is fastaio.Loop


def test_loop_takes_no_arguments():
    with pytest.raises(TypeError):
        fastaio.Loop(1)
    with pytest.raises(TypeError):
        fastaio.Loop(selector=None)


def test_install():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_event_loop_policy()
        try:
            fastaio.install()
            assert isinstance(asyncio.get_event_loop_policy(), fastaio.EventLoopPolicy)
            assert type(asyncio.run(current())) is fastaio.Loop
        finally:
            asyncio.set_event_loop_policy(before)


def test_import_is_light():
    """Neither the web framework nor TLS is loaded for the loop alone."""
    code = (
        "import sys, asyncio; before = set(sys.modules); import fastaio;"
        "new = set(sys.modules) - before; print(sorted(m for m in new if 'web' in m or"
        " m in {'http', 'multidict', 'yarl', 'cryptography'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
