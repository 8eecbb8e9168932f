"""Finds the application that a command line names."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ..web import Application

__all__ = ["LoadError", "load_application"]


class LoadError(Exception):
    """The target names no application; the text says why, in words for the command line."""


def load_application(target: str) -> Application | Coroutine[Any, Any, Application]:
    """The application that ``MODULE_OR_FILE:APP`` names.

    MODULE_OR_FILE is the dotted name of a module, or the path of a Python file, whose folder is
    then the first that modules are imported from, as with ``python FILE``. APP is the name of a
    :class:`fastaio.web.Application` in it, or of a function without arguments that makes one,
    which is called here; what an ``async def`` returns is to be awaited on the loop.

    Raises LoadError when there is no such application. An exception of the application's own code
    is not caught.
    """
    place, colon, attribute = target.rpartition(":")
    if not (colon and place and attribute):
        raise LoadError(f"{target!r} is not of the form MODULE_OR_FILE:APP")
    is_file = place.endswith(".py") or os.sep in place
    module = _run_file(Path(place)) if is_file else _import_module(place)
    return _application(target, _find(module, place, attribute))


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError(f"there is no file {str(path)!r}")
    name = path.stem
    if name in sys.modules:
        raise LoadError(f"{str(path)!r} has the name of a module in use, {name!r}: rename it")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise LoadError(f"{str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    if sys.path[:1] not in ([""], [os.getcwd()]):
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(missing + "."):
            raise LoadError(f"there is no module {missing!r}") from None
        raise


def _find(module: ModuleType, place: str, attribute: str) -> object:
    found: object = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            there = [key for key, value in vars(module).items() if isinstance(value, Application)]
            hint = f"; its applications: {', '.join(there)}" if there else ""
            raise LoadError(f"{place!r} has no {attribute!r}{hint}")
        found = getattr(found, name)
    return found


def _application(target: str, found: object) -> Application | Coroutine[Any, Any, Application]:
    if callable(found) and not isinstance(found, Application):
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError):
            raise LoadError(f"{target!r} takes arguments; a factory must take none") from None
        found = found()
    if isinstance(found, Application):
        return found
    if inspect.iscoroutine(found):
        return cast("Coroutine[Any, Any, Application]", found)
    kind = type(found)
    message = (
        f"{target!r} is a {kind.__module__}.{kind.__qualname__}, not a fastaio.web.Application"
    )
    if kind.__module__.startswith("aiohttp."):
        message += ": import web from fastaio, not from aiohttp"
    raise LoadError(message)
