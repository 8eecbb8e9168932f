"""Class-based views: one method a request method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NoReturn

from .exceptions import HTTPMethodNotAllowed

if TYPE_CHECKING:
    from .request import Request
    from .response import StreamResponse

__all__ = ("AbstractView", "View")

METHODS = frozenset(
    ("CONNECT", "HEAD", "GET", "DELETE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)


class AbstractView(ABC):
    """A handler that is a class: made for each request and then awaited."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def request(self) -> Request:
        """The request to answer."""
        return self._request

    @abstractmethod
    def __await__(self) -> Generator[Any, None, StreamResponse]:
        """Answer the request."""


class View(AbstractView):
    """Answers with its method of the request method's name in lower case, else with 405."""

    async def _answer(self) -> StreamResponse:
        method = self.request.method
        answer = getattr(self, method.lower(), None) if method in METHODS else None
        if answer is None:
            self._raise_allowed_methods()
        response: StreamResponse = await answer()
        return response

    def __await__(self) -> Generator[Any, None, StreamResponse]:
        return self._answer().__await__()

    def _raise_allowed_methods(self) -> NoReturn:
        allowed = {method for method in METHODS if hasattr(self, method.lower())}
        raise HTTPMethodNotAllowed(self.request.method, allowed)
