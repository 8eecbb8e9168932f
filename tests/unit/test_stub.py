"""fastaio/_core.pyi says nothing that the extension module does not have."""

from __future__ import annotations

import ast
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
