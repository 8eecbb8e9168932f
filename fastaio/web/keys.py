"""Typed keys of what applications, requests and responses store, and a chained view of stores."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, final, get_args, overload

__all__ = ("AppKey", "ChainMapProxy", "NotAppKeyWarning", "RequestKey", "ResponseKey")

_T = TypeVar("_T")
_S = TypeVar("_S")


class NotAppKeyWarning(UserWarning):
    """A plain string was used as a key where a typed key would let type checkers help."""


def _calling_module() -> str:
    """Name of the module that makes a key; ``typing`` stands between for ``AppKey[int]("x")``."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") == "typing" and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__"))


class _Key(Generic[_T]):
    """A key that is equal only to itself and carries the type of what it names."""

    __slots__ = ("__orig_class__", "_name", "_type")

    # Set by typing for AppKey[Iterable[int]]("x"), where the type is no class.
    __orig_class__: type[object]

    def __init__(self, name: str, t: type[_T] | None = None) -> None:
        self._name = f"{_calling_module()}.{name}"
        self._type = t

    def __lt__(self, other: object) -> bool:
        return self._name < other._name if isinstance(other, _Key) else True

    def __gt__(self, other: object) -> bool:
        return self._name > other._name if isinstance(other, _Key) else False

    def __repr__(self) -> str:
        of: object = self._type
        if of is None:
            arguments = get_args(getattr(self, "__orig_class__", None))
            of = arguments[0] if arguments else None
        if of is None:
            shown = "<<Unknown>>"
        elif isinstance(of, type):
            prefix = "" if of.__module__ == "builtins" else f"{of.__module__}."
            shown = prefix + of.__qualname__
        else:
            shown = repr(of)
        return f"<{type(self).__name__}({self._name}, type={shown})>"


class AppKey(_Key[_T]):
    """A key of an :class:`Application`: ``AppKey("name", type)``."""


class RequestKey(_Key[_T]):
    """A key of a :class:`Request`: ``RequestKey("name", type)``."""


class ResponseKey(_Key[_T]):
    """A key of a response: ``ResponseKey("name", type)``."""


class KeyedState:
    """The mapping methods of requests and responses, over the item methods of the class in C that
    stands behind this one among the bases.
    """

    __slots__ = ()

    _key_class: ClassVar[type[_Key[Any]]]

    if not TYPE_CHECKING:  # the stub of the class in C has them

        def __setitem__(self, key, value):
            if not isinstance(key, self._key_class):
                warnings.warn(
                    f"It is recommended to use web.{self._key_class.__name__} instances for keys.",
                    category=NotAppKeyWarning,
                    stacklevel=2,
                )
            super().__setitem__(key, value)

        get = MutableMapping.get
        keys = MutableMapping.keys
        items = MutableMapping.items
        values = MutableMapping.values
        pop = MutableMapping.pop
        popitem = MutableMapping.popitem
        clear = MutableMapping.clear
        update = MutableMapping.update
        setdefault = MutableMapping.setdefault


@final
class ChainMapProxy(Mapping[str | AppKey[Any], Any]):
    """A read-only view of several mappings, the first that has a key winning."""

    __slots__ = ("_maps",)

    def __init__(self, maps: Iterable[Mapping[str | AppKey[Any], Any]]) -> None:
        self._maps = tuple(maps)

    def __init_subclass__(cls) -> None:
        raise TypeError(f"ChainMapProxy cannot be a base class of {cls.__name__}")

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | AppKey[Any]) -> Any:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        raise KeyError(key)

    @overload  # type: ignore[override]
    def get(self, key: AppKey[_T], default: _S) -> _T | _S: ...
    @overload
    def get(self, key: AppKey[_T], default: None = ...) -> _T | None: ...
    @overload
    def get(self, key: str, default: Any = ...) -> Any: ...
    def get(self, key: str | AppKey[Any], default: Any = None) -> Any:
        """What the first mapping that has `key` holds under it, or `default`."""
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        return default

    def _merged(self) -> dict[str | AppKey[Any], Any]:
        merged: dict[str | AppKey[Any], Any] = {}
        for mapping in reversed(self._maps):
            merged.update(mapping)
        return merged

    def __len__(self) -> int:
        return len(self._merged())

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(self._merged())

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self._maps)

    def __bool__(self) -> bool:
        return any(self._maps)

    def __repr__(self) -> str:
        return f"ChainMapProxy({', '.join(map(repr, self._maps))})"
