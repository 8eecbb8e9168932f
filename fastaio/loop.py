"""The event loop: ``_core.Loop`` in C does all that runs per event; the set-up that runs once a
connection or once a program is asyncio's own code (``asyncio.BaseEventLoop`` of the running Python
version), which meets ours at its private seams.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import base_events, events, format_helpers
from typing import Any

from . import _core

__all__ = ["Loop"]


class Loop(_core.Loop, asyncio.BaseEventLoop):
    """An asyncio event loop; takes no arguments.

    Behaves as ``asyncio.SelectorEventLoop`` does on the running version of Python.
    """

    # -- running -----------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until stop() is called.

        Raises RuntimeError on a closed loop, and where a loop already runs in this thread.
        """
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        old_hooks = sys.get_asyncgen_hooks()
        try:
            sys.set_asyncgen_hooks(
                firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
            )
            events._set_running_loop(self)
            self._run()
        finally:
            events._set_running_loop(None)
            self._set_coroutine_origin_tracking(False)
            sys.set_asyncgen_hooks(*old_hooks)

    def close(self) -> None:
        """Drop all callbacks, close what is open on the loop, let the executor go; idempotent.

        Raises RuntimeError while the loop runs.
        """
        if self._closed:
            return
        if self._debug and not self.is_running():
            base_events.logger.debug("Close %r", self)
        super().close()
        self._executor_shutdown_called = True
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)

    # -- what the C side has said ------------------------------------------------------------------

    def _callback_failed(self, handle: asyncio.Handle, exc: BaseException) -> None:
        """Report ``exc`` raised by the handle's callback (asyncio: events.Handle._run)."""
        source = format_callback(self, handle)
        context: dict[str, Any] = {
            "message": f"Exception in callback {source}",
            "exception": exc,
            "handle": handle,
        }
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def _callback_was_slow(self, handle: asyncio.Handle, seconds: float) -> None:
        """Log a callback that took long (asyncio: base_events._run_once, debug mode)."""
        base_events.logger.warning(
            "Executing %s took %.3f seconds", base_events._format_handle(handle), seconds
        )


if sys.version_info >= (3, 13):

    def format_callback(loop: Loop, handle: asyncio.Handle) -> str:
        """A callback and its arguments as asyncio's messages show them."""
        return format_helpers._format_callback_source(
            handle._callback, handle._args, debug=loop.get_debug()
        )

else:

    def format_callback(loop: Loop, handle: asyncio.Handle) -> str:
        """A callback and its arguments as asyncio's messages show them."""
        return format_helpers._format_callback_source(handle._callback, handle._args)
