"""fastaio/_core.pyi says nothing that the extension module does not have, and what the extension
module says of itself can be read."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import fastaio
from fastaio import _core


def declared(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """The public and private names of a stub's module or class; not those of its typing."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if ast.unparse(node.annotation) != "TypeAlias":
                yield node.target.id, node


def missing(body: list[ast.stmt], holder: object, prefix: str = "") -> Iterator[str]:
    for name, node in declared(body):
        is_protocol = isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
        if is_protocol:
            continue
        is_attribute = isinstance(node, ast.AnnAssign)
        if is_attribute and isinstance(holder, type) and issubclass(holder, BaseException):
            continue  # set on each exception
        if not hasattr(holder, name):
            yield prefix + name
        elif isinstance(node, ast.ClassDef):
            yield from missing(node.body, getattr(holder, name), f"{prefix}{name}.")


def test_every_declared_name_exists() -> None:
    stub = Path(fastaio.__file__).with_name("_core.pyi")
    assert list(missing(ast.parse(stub.read_text()).body, _core)) == []


def test_a_missing_name_is_seen() -> None:
    text = "class Loop:\n    def stop(self): ...\n    def fly(self): ...\nclass Moon: ...\nx: int\n"
    assert list(missing(ast.parse(text).body, _core)) == ["Loop.fly", "Moon", "x"]


def own_functions(holder: object) -> Iterator[object]:
    """The public functions, methods and constructors that the extension module itself has made."""
    for name, value in vars(holder).items():
        if isinstance(value, type) and value.__module__ == _core.__name__:
            yield from own_functions(value)
            if "__new__" in vars(value) or "__init__" in vars(value):
                yield value
        elif callable(value) and not name.startswith("_"):
            if value.__module__ == _core.__name__ if holder is _core else inspect.isroutine(value):
                yield value


def test_signatures_can_be_read() -> None:
    functions = list(own_functions(_core))
    assert len(functions) > 100
    assert _core.Router in functions
    for function in functions:
        parameters = inspect.signature(function).parameters  # ValueError for what has none
        assert not inspect.ismethoddescriptor(function) or "self" in parameters, function


def test_signature_of_the_loop() -> None:
    class Derived(fastaio.Loop): ...

    class WithArguments(fastaio.Loop):
        def __init__(self, size: int) -> None: ...

    assert list(inspect.signature(fastaio.Loop).parameters) == []
    assert list(inspect.signature(Derived).parameters) == []
    assert "size" not in inspect.signature(fastaio.Loop).parameters
    assert list(inspect.signature(WithArguments).parameters) in (["size"], ["args", "kwargs"])


def parameters(function: object) -> list[tuple[str, object]]:
    own = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [(parameter.name, parameter.kind) for parameter in own][1:]  # not self


def test_loop_methods_take_the_names_of_asyncios() -> None:
    for name, ours in vars(_core.Loop).items():
        theirs = getattr(asyncio.SelectorEventLoop, name, None)
        # create_task() has other keywords on each version, and passes them on.
        if theirs is not None and not name.startswith("_") and name != "create_task":
            assert (name, parameters(ours)) == (name, parameters(theirs))
