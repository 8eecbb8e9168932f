"""The extension module; all else about the package is in pyproject.toml."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from tools import thirdparty  # noqa: E402
from tools.build_ext import bdist_wheel, build_ext  # noqa: E402
from tools.libraries import bundled_names  # noqa: E402

# NOTICE is in the metadata of every build, so the licences have to be there first.
thirdparty.ensure(bundled_names())
Path("NOTICE").write_text(thirdparty.notice(bundled_names()))

setup(
    ext_modules=[
        Extension("fastaio._core", sorted(str(path) for path in Path("csrc").rglob("*.c"))),
    ],
    cmdclass={"build_ext": build_ext, "bdist_wheel": bdist_wheel},
)
