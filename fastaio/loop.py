"""The event loop: ``_core.Loop`` in C does all that runs per event; the set-up that runs once a
connection or once a program is asyncio's own code of the running Python version, which meets ours
at its private seams.

``asyncio.SelectorEventLoop`` is inherited for that code, not for its selector: none is made.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import inspect
import signal
import sys
import threading
import warnings
import weakref
from asyncio import coroutines, events, format_helpers
from asyncio.base_events import _format_handle  # type: ignore[attr-defined]
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, TypeVarTuple

from . import _core, addresses, fork, nested, subprocess
from .endpoints import Endpoints
from .log import logger
from .metrics import LoopMetrics
from .patches import Patches
from .queues import (
    ReadyHandles,
    ScheduledTimers,
    run_adopted,
    waiting_handles,
    waiting_timers,
)
from .seams import named_as_asyncio
from .selector import WatchedFiles, is_plain

__all__ = ["Loop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class _NoParameters:
    """What inspect.signature() is told of Loop, not of a subclass with an __init__() of its own."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        if owner.__init__ is Loop.__init__:  # type: ignore[misc]
            return inspect.Signature()
        raise AttributeError("__signature__")


@named_as_asyncio
class Loop(_core.Loop, Endpoints):
    """An asyncio event loop; takes no arguments.

    Behaves as ``asyncio.SelectorEventLoop`` does on the running version of Python.
    """

    __signature__ = _NoParameters()

    def __new__(cls, *args: Any, **kwargs: Any) -> Loop:
        """TypeError for arguments, which only the __init__() of a subclass may take."""
        if (args or kwargs) and cls.__init__ is Loop.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return super().__new__(cls)

    def __init__(self) -> None:
        # Not the selector loop's own __init__(), which makes its selector and self-pipe.
        asyncio.BaseEventLoop.__init__(self)
        self._transports: weakref.WeakValueDictionary[int, asyncio.BaseTransport]
        self._transports = weakref.WeakValueDictionary()
        self._listeners = {}
        self._selector = WatchedFiles(self)
        self._signal_handlers: dict[int, asyncio.Handle] = {}
        self._awaited: list[asyncio.Future[Any]] = []  # by the nested runs, from the outermost on
        self._outermost: asyncio.Future[Any] | None = None  # by the run around them
        self._old_agen_hooks: Any = None  # while the loop runs: those before
        self._listens = False  # while the loop runs: _end_signals() has something to undo
        self._wakeup_ours = -1  # what signals ring while they ring our pipe
        self._unix_server_sockets: dict[Any, int] = {}  # Python 3.13
        self._made_executor: concurrent.futures.Executor | None = None  # the default, by asyncio
        if _core.LOOPS_WATCH_CHILDREN:
            self._watcher = subprocess.ChildWatcher()
        fork.enlist(self)

    # -- asyncio's private names -------------------------------------------------------------------

    @property  # type: ignore[override]
    def _ready(self) -> ReadyHandles:
        return ReadyHandles(self)

    @_ready.setter
    def _ready(self, handles: Iterable[Any]) -> None:
        if handles or waiting_handles(self):  # it is made with empty ones
            ReadyHandles(self).replace(handles)

    @property  # type: ignore[override]
    def _scheduled(self) -> ScheduledTimers:
        return ScheduledTimers(self)

    @_scheduled.setter
    def _scheduled(self, handles: Iterable[Any]) -> None:
        if handles or waiting_timers(self):
            ScheduledTimers(self).replace(handles)

    def _adopt(self, handle: asyncio.Handle) -> asyncio.Handle:
        return self._new_handle(run_adopted, handle)

    @property
    def _ssock(self) -> Any:
        """asyncio's self-pipe, made where a program asks for it: what is written to ``_csock`` are
        numbers of signals.
        """
        return self._self_pipe("_ssock")

    @_ssock.setter
    def _ssock(self, sock: Any) -> None:
        vars(self)["_ssock"] = sock

    @property
    def _csock(self) -> Any:
        return self._self_pipe("_csock")

    @_csock.setter
    def _csock(self, sock: Any) -> None:
        vars(self)["_csock"] = sock

    @property
    def _internal_fds(self) -> int:
        count: int = vars(self)["_internal_fds"]
        yet_to_be_made = count == 0 and "_ssock" not in vars(self) and not self._closed
        return 1 if yet_to_be_made else count

    @_internal_fds.setter
    def _internal_fds(self, count: int) -> None:
        vars(self)["_internal_fds"] = count

    def _self_pipe(self, name: str) -> Any:
        if "_ssock" not in vars(self) and not self._closed:
            self._make_self_pipe()
        return vars(self).get(name)

    # -- running -----------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Run until stop() is called.

        Raises RuntimeError on a closed loop, and where a loop already runs in this thread.
        """
        self._check_closed()
        self._check_running()
        if nested.is_nested(self):
            nested.run_forever(self)
            return
        # What is refused above must not come to the end below: another loop may be running.
        try:
            self._run_forever_setup()
            self._run()
        finally:
            self._run_forever_cleanup()

    def _run_forever_setup(self) -> None:
        """Begin a run; a subclass that takes turns by _run_once() may call it (asyncio 3.13).

        Raises RuntimeError as run_forever() does.
        """
        self._check_closed()
        self._check_running()
        self._set_coroutine_origin_tracking(self._debug)
        self._old_agen_hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(
            firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
        )
        self._listens = self._begin_signals()
        events._set_running_loop(self)

    def _run_forever_cleanup(self) -> None:
        """End a run that _run_forever_setup() began (asyncio 3.13)."""
        self._stopping = False
        self._thread_id = None
        events._set_running_loop(None)
        if self._listens:
            self._listens = False
            self._end_signals()
        self._set_coroutine_origin_tracking(False)
        if self._old_agen_hooks is not None:
            sys.set_asyncgen_hooks(*self._old_agen_hooks)
            self._old_agen_hooks = None

    def run_until_complete(self, future: Any) -> Any:
        """Run until a future, or a coroutine as a task, is done; returns its result.

        Raises RuntimeError as run_forever() does, and where stop() was called before it was done.
        """
        if not self._allows_nested:
            return super().run_until_complete(future)
        self._check_closed()
        self._check_running()
        return nested.run_until_complete(self, future)

    def _check_running(self) -> None:
        if not nested.is_nested(self):
            super()._check_running()

    @property
    def _nest_patched(self) -> bool:
        """Asked by nest_asyncio.apply() before it patches a loop's class: ours needs none of it."""
        if sys._getframe(1).f_globals.get("__name__") in ("nest_asyncio", "nest_asyncio2"):
            self._allows_nested = True
        if not self._allows_nested:
            raise AttributeError("_nest_patched")
        return True

    # Found here also when the interpreter has cleared its modules.
    _shut = _core.Loop.close
    _leave_running = staticmethod(subprocess.leave_running)

    def close(self) -> None:
        """Drop all callbacks, close what is open on the loop, let the executor go; idempotent.

        Raises RuntimeError while the loop runs.
        """
        self._check_idle()
        if self._closed:
            return
        if self._debug:
            logger.debug("Close %r", self)
        self._drop_signal_handlers()
        if vars(self).get("_ssock") is not None:
            self._close_self_pipe()
        self._shut()
        self._listeners.clear()  # sockets that nobody else has listen no longer
        self._leave_running(self)
        self._executor_shutdown_called = True
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)

    def _look_for_patches(self) -> None:
        """asyncio's classes have changed since somebody looked last."""
        _patches.look()

    def _transport_of(self, fd: int) -> asyncio.BaseTransport | None:
        """The open transport that asyncio's own code has made for a descriptor, if any."""
        transport = self._transports.get(fd)
        return None if transport is None or transport.is_closing() else transport

    def _selects_elsewhere(self) -> bool:
        """Whether turns have to wait by ``_selector.select()``, which is not ours any more."""
        return not is_plain(getattr(self, "_selector", None))

    def _process_events(self, event_list: Any) -> None:
        """Do what has to be done for what ``_selector.select()`` has returned."""
        for key, mask in event_list:
            if key.data is None:
                self._found(key.fd, mask)
            else:
                super()._process_events([(key, mask)])  # type: ignore[misc]

    def _forget_parent(self) -> None:
        """In a forked child: let go of what belongs to the parent's threads and signals."""
        self._wakeup_ours = -1  # taken away by the fork: the next run takes it again
        executor = self._default_executor
        if executor is not None and getattr(executor, "_threads", None):
            # None of its threads is here; the next run_in_executor() makes another.
            if executor is self._made_executor:
                self._made_executor = None
            self._default_executor = None

    def metrics(self) -> LoopMetrics:
        """Figures of this moment; from any thread. What they cost is paid by this call alone.

        Raises RuntimeError on a closed loop.
        """
        self._check_closed()
        return LoopMetrics(*self._metrics())

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """A future of ``func(*args)``, called in the executor; None is the default one's.

        Raises RuntimeError on a closed loop, and once the default executor is shut down.
        """
        chosen = self._default_executor if executor is None else executor
        if chosen is None or self._debug:
            made = super().run_in_executor(executor, func, *args)
            if chosen is None:
                self._made_executor = self._default_executor
            return made
        self._check_closed()
        if executor is None:
            self._check_default_executor()
        future = chosen.submit(func, *args)
        if type(future) is concurrent.futures.Future:
            return self._chain_future(future)
        return asyncio.wrap_future(future, loop=self)

    # -- names -------------------------------------------------------------------------------------

    async def getaddrinfo(
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """``socket.getaddrinfo()``, in a thread where a name has to be looked up.

        That is one of the default executor where the program has set one, and one of the loop's
        own where not. Raises ``socket.gaierror``.
        """
        if not self._debug and self._has_executor():
            found = addresses.numeric_addrinfo(host, port, family, type, proto, flags)
            if found is not None:
                return found
            if self._looks_up():
                answer = self._look_up(host, port, family, type, proto, flags)
                if answer is not None:
                    try:
                        return await answer
                    finally:
                        if answer.cancelled():
                            self._forget_look_up(answer)
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """``socket.getnameinfo()``, in the default executor where there is something to look up.

        Raises ``socket.gaierror``.
        """
        if self._has_executor():
            found = addresses.numeric_nameinfo(sockaddr, flags)
            if found is not None:
                return found
        return await super().getnameinfo(sockaddr, flags)

    def _has_executor(self) -> bool:
        """Whether run_in_executor() would take a call: without one, asyncio resolves nothing."""
        return not (self._closed or self._executor_shutdown_called)

    def _looks_up(self) -> bool:
        """Whether names are looked up without the executor: nobody could tell it from theirs."""
        return (
            self._default_executor is self._made_executor
            and getattr(self.run_in_executor, "__func__", None) is _run_in_executor
            and addresses.is_plain()
        )

    # -- signals -----------------------------------------------------------------------------------

    def _take_wakeup(self) -> int | None:
        """Make signals ring our pipe; returns what they rang before, -1: nothing.

        None where Python runs no signal handlers anyway.
        """
        if threading.get_ident() != threading.main_thread().ident:
            return None
        try:
            ours = self._signal_wakeup_fd()
            before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        except ValueError:
            return None  # a sub-interpreter
        self._wakeup_ours = ours
        return before

    def _begin_signals(self) -> bool:
        """Have signals end the poll; whether _end_signals() has something to undo."""
        expected = self._wakeup_ours if self._signal_handlers else -1
        try:
            before = self._take_wakeup()
        except OSError:
            return False  # out of descriptors: a signal still interrupts a poll that waits
        if before is None:
            return False
        if before == expected:
            if not self._signal_handlers and self._signal_guard(True):
                signal.set_wakeup_fd(-1)
            return True
        # Somebody asked after us: another loop, or one who may not wait for our polls.
        try:
            signal.set_wakeup_fd(before)
        except (OSError, ValueError):  # its owner has closed it
            signal.set_wakeup_fd(-1)
        return False

    def _end_signals(self) -> None:
        """Undo _begin_signals(), unless handlers are left that have to hear of signals."""
        if not self._signal_handlers and not self._signal_guard(False):
            now = signal.set_wakeup_fd(-1)
            if now != self._wakeup_ours:
                signal.set_wakeup_fd(now)  # the program's, set while we ran

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Call callback(*args) in the loop when the signal arrives.

        Raises ValueError for what is no signal, RuntimeError for one that cannot be caught and off
        the main thread (asyncio: unix_events.add_signal_handler).
        """
        if coroutines.iscoroutine(callback) or is_coroutine_function(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_signal(sig)
        self._check_closed()
        try:
            if self._take_wakeup() is None:
                signal.set_wakeup_fd(-1)  # off the main thread: says so
        except (OSError, ValueError) as exc:
            raise RuntimeError(str(exc))  # noqa: B904  (no cause, as on asyncio)
        self._signal_handlers[sig] = self._new_handle(callback, *args)
        self._signal_heed()
        self._signal_guard(False)
        try:
            # Python only has to write the number; _process_self_data() reads it.
            signal.signal(sig, ignore_signal)
            # SA_RESTART: system calls of other threads and libraries are not cut short.
            signal.siginterrupt(sig, False)
        except OSError as exc:
            del self._signal_handlers[sig]
            if not self._signal_handlers:
                signal.set_wakeup_fd(-1)
                self._go_on_listening()
            if exc.errno == errno.EINVAL:
                raise RuntimeError(f"sig {sig} cannot be caught")  # noqa: B904
            raise

    def remove_signal_handler(self, sig: int) -> bool:
        """End add_signal_handler(); True if there was one.

        The signal then does what it does by default.
        """
        removed: bool = super().remove_signal_handler(sig)
        if removed and not self._signal_handlers:
            self._go_on_listening()
        return removed

    def _go_on_listening(self) -> None:
        """After the last handler's wake-up descriptor was taken away: this run may need it."""
        if self._listens and not self._signal_guard(True):
            self._take_wakeup()

    def _add_callback_signalsafe(self, handle: asyncio.Handle) -> None:
        # asyncio: unix_events._handle_signal calls it, from the loop's own thread here.
        self._add_callback(handle)

    def _drop_signal_handlers(self) -> None:
        """Before the loop closes (asyncio: unix_events.close)."""
        if not sys.is_finalizing():
            for sig in list(self._signal_handlers):
                self.remove_signal_handler(sig)
        elif self._signal_handlers:
            warnings.warn(
                f"Closing the loop {self!r} on interpreter shutdown stage, "
                "skipping signal handlers removal",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self._signal_handlers.clear()

    # -- what the C side has said ------------------------------------------------------------------

    def _callback_failed(self, handle: asyncio.Handle, exc: BaseException) -> None:
        """Report ``exc`` raised by the handle's callback (asyncio: events.Handle._run)."""
        context: dict[str, Any] = {
            "message": f"Exception in callback {format_callback(self, handle)}",
            "exception": exc,
            "handle": handle,
        }
        traceback = getattr(handle, "_source_traceback", None)
        if traceback:
            context["source_traceback"] = traceback
        handle._loop.call_exception_handler(context)  # type: ignore[attr-defined]

    def _callback_was_slow(
        self, what: asyncio.Handle | asyncio.BaseTransport | None, seconds: float
    ) -> None:
        """Log a callback that took long (asyncio: base_events._run_once, debug mode).

        Instead of a handle it may be what a transport was called for, or None: accepting.
        """
        if isinstance(what, asyncio.Handle):
            callback = _format_handle(what)
        elif what is None:
            callback = f"<Handle {type(self).__name__}._accept_connection()>"
        else:
            callback = f"<Handle {type(what).__name__}._read_ready() of {what!r}>"
        logger.warning("Executing %s took %.3f seconds", callback, seconds)


_patches = Patches(Loop)
_run_in_executor = Loop.run_in_executor  # a program may put its own there


if hasattr(coroutines, "_iscoroutinefunction"):
    # 3.14: the public name warns, and goes in 3.16.
    is_coroutine_function: Callable[[Any], bool] = coroutines._iscoroutinefunction
else:
    is_coroutine_function = coroutines.iscoroutinefunction


def ignore_signal(signum: int, frame: Any) -> None:
    """A signal's Python handler where the loop's handler does the work."""


def format_callback(loop: Loop, handle: Any) -> str:
    """A callback and its arguments as asyncio's messages show them."""
    debug: Any = {"debug": loop.get_debug()} if _core.FORMATS_BY_DEBUG else {}
    return format_helpers._format_callback_source(handle._callback, handle._args, **debug)
