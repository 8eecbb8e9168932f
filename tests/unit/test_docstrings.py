"""Every public name says what it is: help() has words for all that a program can import or call."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import pytest

import fastaio

# Importing one of these runs a program.
PROGRAMS = {"fastaio.__main__"}


def modules() -> list[str]:
    found = pkgutil.walk_packages(fastaio.__path__, "fastaio.")
    return ["fastaio", *(module.name for module in found if module.name not in PROGRAMS)]


def undocumented(name: str, value: object, words: str = "") -> Iterator[str]:
    """The dotted names without a docstring, from `name` down. `words`: of the class round it."""
    text = inspect.getdoc(value)
    if isinstance(value, type):
        text = value.__dict__.get("__doc__")  # a class is not what its base is
        for attribute, member in vars(value).items():
            is_told = callable(member) or inspect.isdatadescriptor(member)
            if is_told and not attribute.startswith("_"):
                inner = getattr(value, attribute)
                yield from undocumented(f"{name}.{attribute}", inner, text or "")
    is_field = inspect.ismemberdescriptor(value) and hasattr(value, "__objclass__")
    if is_field and f"{name.rpartition('.')[2]}:" in words:
        return  # the fields of a dataclass are told in the docstring of the class
    if not text or not text.strip():
        yield name


def public_names(module: ModuleType) -> Iterator[tuple[str, object]]:
    """What `module` exports, and the functions and classes that it defines."""
    for key, value in vars(module).items():
        exported = key in vars(module).get("__all__", ())
        origin = str(getattr(value, "__module__", None))
        if exported or (origin == module.__name__ and not key.startswith("_")):
            if callable(value) and origin.startswith("fastaio"):
                yield key, value


@dataclass(slots=True)
class Sample:
    """told: by the class."""

    told: int
    untold: int

    def method(self) -> None: ...

    @property
    def attribute(self) -> int:
        return 1

    class Nested(int): ...

    def _private(self) -> None: ...


def test_a_missing_docstring_is_seen() -> None:
    missing = set(undocumented("Sample", Sample))
    assert missing == {f"Sample.{name}" for name in ("attribute", "method", "untold", "Nested")}


@pytest.mark.parametrize("name", modules())
def test_public_names_have_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    missing = [
        line for key, value in public_names(module) for line in undocumented(f"{name}.{key}", value)
    ]
    assert missing == []
