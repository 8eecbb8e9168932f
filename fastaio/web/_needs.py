"""Says how to install what fastaio.web needs, before anything imports it."""

from importlib.util import find_spec

for name in ("multidict", "yarl"):
    if find_spec(name) is None:
        raise ImportError(f"fastaio.web needs {name}: pip install multidict yarl", name=name)
