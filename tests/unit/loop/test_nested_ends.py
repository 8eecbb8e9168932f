"""Which run the end of a nested one ends."""

import asyncio

import fastaio


def test_a_run_that_ends_before_its_future_says_so_stops_no_other():
    """The run inside of it ends it: the future was done by then, its callback still to come."""

    async def main():
        loop = asyncio.get_running_loop()
        fastaio.allow_nested(loop)
        outer, inner = loop.create_future(), loop.create_future()

        def settle():
            inner.set_result(None)
            loop.call_soon(outer.set_result, None)

        def run_inside():
            loop.call_soon(settle)
            loop.run_until_complete(inner)

        loop.call_soon(run_inside)
        loop.run_until_complete(outer)
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        assert runner.run(main()) == "done"
