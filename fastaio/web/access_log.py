"""The access log: one line a request, in Apache's format specifiers."""

from __future__ import annotations

import datetime
import functools
import logging
import os
import re
import time as clock
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from .request import BaseRequest
    from .response import StreamResponse

__all__ = ("AbstractAccessLogger", "AccessLogger")

# What could end a line of the log or steer the terminal that shows it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _escaped(value: str) -> str:
    """`value` with control characters as escapes, so that a client cannot forge lines."""
    if not isinstance(value, str):  # a header that the application has set so
        return value
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), value)


class AbstractAccessLogger(ABC):
    """What an ``access_log_class`` is.

    logger: where :meth:`log` writes. log_format: how, from the ``access_log_format`` argument.
    """

    __slots__ = ("log_format", "logger")

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        self.logger = logger
        self.log_format = log_format

    @abstractmethod
    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log a request that was answered within `time` seconds."""

    @property
    def enabled(self) -> bool:
        """False when nothing would be logged: then :meth:`log` is not called."""
        return True


class KeyMethod(NamedTuple):
    """One specifier: its key in the record's extra, and what gives its value."""

    key: str | tuple[str, str]
    method: Callable[[Any, Any, float], str | int]


class AccessLogger(AbstractAccessLogger):
    """Logs with level INFO in the given format.

    ========= =====================================================================
    %%        the percent sign
    %a        remote address (the proxy's behind one)
    %t        time when the request was started to process
    %P        process id
    %r        first line of the request
    %s        response status
    %b        size of the response's body in bytes
    %T        seconds taken, rounded
    %Tf       seconds taken with a fraction
    %D        microseconds taken
    %{FOO}i   request.headers["FOO"]
    %{FOO}o   response.headers["FOO"]
    ========= =====================================================================

    Every value is also in the record's ``extra``. Control characters are written as escapes.
    """

    LOG_FORMAT_MAP: ClassVar[dict[str, str]] = {
        "a": "remote_address",
        "t": "request_start_time",
        "P": "process_id",
        "r": "first_request_line",
        "s": "response_status",
        "b": "response_size",
        "T": "request_time",
        "Tf": "request_time_frac",
        "D": "request_time_micro",
        "i": "request_header",
        "o": "response_header",
    }
    LOG_FORMAT = '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
    FORMAT_RE = re.compile(r"%(%|\{([A-Za-z0-9\-_]+)\}([io])|[atPrsbD]|Tf?)")

    def __init__(self, logger: logging.Logger, log_format: str = LOG_FORMAT) -> None:
        super().__init__(logger, log_format)
        self._log_format, self._methods = self.compile_format(log_format)

    def compile_format(self, log_format: str) -> tuple[str, list[KeyMethod]]:
        """The format for the % operator, and what gives its values in their order."""
        methods = []
        shape = []
        at = 0
        for match in self.FORMAT_RE.finditer(log_format):
            whole, field, kind = match.groups()
            shape.append(log_format[at : match.start()].replace("%", "%%"))
            at = match.end()
            if whole == "%":
                shape.append("%%")
                continue
            shape.append("%s")
            specifier = kind if field else whole
            key = self.LOG_FORMAT_MAP[specifier]
            method = getattr(self, f"_format_{specifier}")
            if field:
                methods.append(KeyMethod((key, field), functools.partial(method, field)))
            else:
                methods.append(KeyMethod(key, method))
        shape.append(log_format[at:].replace("%", "%%"))
        return "".join(shape), methods

    @staticmethod
    def _format_a(request: BaseRequest, response: StreamResponse, time: float) -> str:
        remote = None if request is None else request.remote
        return "-" if remote is None else remote

    @staticmethod
    def _format_t(request: BaseRequest, response: StreamResponse, time: float) -> str:
        start = clock.time() - time
        zone = datetime.timezone(datetime.timedelta(seconds=clock.localtime(start).tm_gmtoff))
        return datetime.datetime.fromtimestamp(start, zone).strftime("[%d/%b/%Y:%H:%M:%S %z]")

    @staticmethod
    def _format_P(request: BaseRequest, response: StreamResponse, time: float) -> str:  # noqa: N802
        return f"<{os.getpid()}>"

    @staticmethod
    def _format_r(request: BaseRequest, response: StreamResponse, time: float) -> str:
        if request is None:
            return "-"
        version = request.version
        target = _escaped(request.path_qs)
        return f"{request.method} {target} HTTP/{version.major}.{version.minor}"

    @staticmethod
    def _format_s(request: BaseRequest, response: StreamResponse, time: float) -> int:
        return response.status

    @staticmethod
    def _format_b(request: BaseRequest, response: StreamResponse, time: float) -> int:
        return response.body_length

    @staticmethod
    def _format_T(request: BaseRequest, response: StreamResponse, time: float) -> str:  # noqa: N802
        return str(round(time))

    @staticmethod
    def _format_Tf(  # noqa: N802
        request: BaseRequest, response: StreamResponse, time: float
    ) -> str:
        return f"{time:06f}"

    @staticmethod
    def _format_D(request: BaseRequest, response: StreamResponse, time: float) -> str:  # noqa: N802
        return str(round(time * 1_000_000))

    @staticmethod
    def _format_i(key: str, request: BaseRequest, response: StreamResponse, time: float) -> str:
        if request is None:
            return "(no headers)"
        return _escaped(request.headers.get(key, "-"))

    @staticmethod
    def _format_o(key: str, request: BaseRequest, response: StreamResponse, time: float) -> str:
        return _escaped(response.headers.get(key, "-"))

    @property
    def enabled(self) -> bool:
        """Whether the logger takes INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one line; what goes wrong in making it is logged instead."""
        try:
            values: list[str | int] = []
            extra: dict[str, Any] = {}
            for key, method in self._methods:
                value = method(request, response, time)
                values.append(value)
                if isinstance(key, tuple):
                    extra.setdefault(key[0], {})[key[1]] = value
                else:
                    extra[key] = value
            self.logger.info(self._log_format % tuple(values), extra=extra)
        except Exception:
            self.logger.exception("Error in logging")
