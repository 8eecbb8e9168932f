"""Lists that close once the application runs, and signals: such lists of coroutine functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from typing import Any, Generic, SupportsIndex, TypeVar, overload

__all__ = ("FrozenList", "Signal")

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Awaitable[object]])


class FrozenList(MutableSequence[_T], Generic[_T]):
    """A list until :meth:`freeze`; from then on every change is a RuntimeError."""

    __slots__ = ("_frozen", "_items")

    def __init__(self, items: Iterable[_T] | None = None) -> None:
        self._frozen = False
        self._items: list[_T] = [] if items is None else list(items)

    @property
    def frozen(self) -> bool:
        """Whether the list is closed to changes."""
        return self._frozen

    def freeze(self) -> None:
        """Close the list to changes."""
        self._frozen = True

    def _changeable(self) -> list[_T]:
        if self._frozen:
            raise RuntimeError("Cannot modify frozen list.")
        return self._items

    @overload
    def __getitem__(self, index: SupportsIndex) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> FrozenList[_T]: ...
    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._changeable()[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._changeable()[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Any:
        return iter(self._items)

    def insert(self, index: int, value: _T) -> None:
        """Put `value` before `index`."""
        self._changeable().insert(index, value)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenList):
            return self._items == other._items
        return self._items == other

    def __lt__(self, other: Any) -> bool:
        return self._items < list(other)

    def __le__(self, other: Any) -> bool:
        return self._items <= list(other)

    def __gt__(self, other: Any) -> bool:
        return self._items > list(other)

    def __ge__(self, other: Any) -> bool:
        return self._items >= list(other)

    def __hash__(self) -> int:
        if not self._frozen:
            raise RuntimeError("Cannot hash unfrozen list.")
        return hash(tuple(self._items))

    def __repr__(self) -> str:
        return f"<FrozenList(frozen={self._frozen}, {self._items!r})>"


class Signal(FrozenList[Callable[..., Awaitable[object]]]):
    """Receivers that are awaited one after the other, in the order in which they were added."""

    __slots__ = ("_owner",)

    def __init__(self, owner: object) -> None:
        super().__init__()
        self._owner = owner

    async def send(self, *args: Any, **kwargs: Any) -> None:
        """Await every receiver with these arguments. RuntimeError before :meth:`freeze`."""
        if not self._frozen:
            raise RuntimeError("Cannot send non-frozen signal.")
        for receiver in self._items:
            await receiver(*args, **kwargs)

    def __call__(self, receiver: _F) -> _F:
        """Add a receiver, as a decorator."""
        self.append(receiver)
        return receiver

    def __repr__(self) -> str:
        return f"<Signal owner={self._owner}, frozen={self._frozen}, {self._items!r}>"
