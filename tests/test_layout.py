"""The rules of the house, as far as a program can read them off the sources.

Each rule is a function of a file's path (relative to the checkout, with slashes) and its text that
yields (line, complaint). It is tried on every file of the tree, and on samples that break it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".c", ".cfg", ".h", ".json", ".lock", ".py", ".pyi", ".rst", ".sh", ".toml", ".txt"}
FOLDERS = (".ci", "benchmarks", "csrc", "docs", "fastaio", "tests", "tools")

Complaints = Iterator[tuple[int, str]]
Rule = Callable[[str, str], Complaints]

#: Room of csrc/ to what its files may include, as prefixes of the path. module.c sees all.
ROOMS = {
    "base": ("base/",),
    "loop": ("base/", "loop/"),
    "net": ("base/", "loop/", "net/"),
    "http": ("base/", "http/"),
    "ws": ("base/", "ws/"),
    "server": ("base/", "loop/", "net/link.h", "http/", "ws/", "server/"),
    "apps": ("base/", "loop/", "net/link.h", "http/", "ws/", "server/", "apps/"),
    "client": ("base/", "loop/", "net/link.h", "http/", "ws/", "client/"),
}
#: One file may see a header beyond its room's row: a WebSocket session is a link on a stream.
ROOM_EXCEPTIONS = {"ws/session.c": ("net/link.h",), "ws/session.h": ("net/link.h",)}

#: Third-party and version-dependent names to the files of csrc/ that may say them.
DOORS = {
    r"#\s*include\s+[<\"]uv\.h[>\"]": r"(loop|net)/.*|base/errors\.c",
    r"#\s*include\s+[<\"]llhttp\.[ch][>\"]": r"http/parser\w*\.c",
    r"#\s*include\s+<openssl/": r"net/tls\w*\.c",
    r"\bPY_\w*VERSION(?:_HEX)?\b|\bPy_(?:Version|GIL_DISABLED)\b": r"base/compat\.h",
}

#: What Python code asks which Python it runs on with.
ASKS_VERSION = (
    r"\bversion_info\b|\bhexversion\b|\bsys\.version\b|\bapi_version\b"
    r"|\bplatform\.python_\w+|\bPy_GIL_DISABLED\b|\b_is_gil_enabled\b"
)

#: Python's tables, which are not const in its API though nobody writes to them.
TABLES = (
    "PyGetSetDef|PyMemberDef|PyMethodDef|PyModuleDef|PyModuleDef_Slot|PyType_Slot|PyType_Spec|"
    "PyStructSequence_Desc|PyStructSequence_Field"
)
MAX_FILE = 800
MAX_FUNCTION = 80
MAX_COLUMNS = 100


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def blank(text: str) -> str:
    """C with comments, literals and preprocessor lines turned into spaces; lines stay lines."""
    pattern = re.compile(
        r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
        r"|^[ \t]*#(?:\\\n|/\*.*?\*/|[^\n])*",
        re.DOTALL | re.MULTILINE,
    )
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


@dataclass(frozen=True)
class Definition:
    """What stands at file scope, with {} in place of each block."""

    start: int  # offset of the first character
    end: int  # offset after the last one
    head: str

    @property
    def is_function(self) -> bool:
        return self.head.endswith("){}") and "=" not in self.head

    @property
    def is_variable(self) -> bool:
        if re.match(r"typedef\b|extern\b|static_assert\b", self.head):
            return False
        if re.fullmatch(r"(?:struct|union|enum)(?:\s+\w+)?\s*(?:\{\})?", self.head):
            return False
        return "=" in self.head or not (self.is_function or "(" in self.head)


def definitions(code: str) -> Iterator[Definition]:
    """The file-scope definitions of C that blank() has gone over."""
    depth, start, last, head = 0, 0, 0, ""
    for found in re.finditer(r"[{};]", code):
        mark, at = found[0], found.start()
        if depth == 0:
            head += code[last:at]
        last = at + 1
        depth += {"{": 1, "}": -1, ";": 0}[mark]
        if depth == 0 and mark == "}":
            head = head.rstrip() + "{}"
        is_function = head.endswith("){}") and "=" not in head
        if depth == 0 and (mark == ";" or is_function):
            first = start + len(head) - len(head.lstrip())
            if head.strip():
                yield Definition(first, at + 1, head.strip())
            start, head = at + 1, ""


def is_c(path: str) -> bool:
    return path.startswith("csrc/") and path.endswith((".c", ".h"))


def include_arrows(path: str, text: str) -> Complaints:
    room, _, rest = path.removeprefix("csrc/").partition("/")
    if not is_c(path) or not rest:
        return
    if room not in ROOMS:
        yield 1, f"{room} is no room of csrc/"
        return
    allowed = ROOMS[room] + ROOM_EXCEPTIONS.get(f"{room}/{rest}", ())
    for found in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', text, re.MULTILINE):
        target = found[1]
        if "/" not in target and target.startswith("llhttp."):
            continue  # doors() looks after it
        if not target.startswith(allowed):
            yield line_of(text, found.start()), f"{room}/ does not see {target}"


def doors(path: str, text: str) -> Complaints:
    if not is_c(path):
        return
    for pattern, keepers in DOORS.items():
        if re.fullmatch(keepers, path.removeprefix("csrc/")):
            continue
        for found in re.finditer(pattern, text):
            yield line_of(text, found.start()), f"{found[0]} belongs in {keepers}"


def python_doors(path: str, text: str) -> Complaints:
    """fastaio's own files ask _core for what csrc/base/compat.h says of the version."""
    if path.startswith("fastaio/") and path.endswith(".py"):
        for found in re.finditer(ASKS_VERSION, text):
            yield line_of(text, found.start()), f"{found[0]} belongs in csrc/base/compat.h"


def file_length(path: str, text: str) -> Complaints:
    lines = text.count("\n")
    if path.endswith((".c", ".h", ".py")) and lines > MAX_FILE:
        yield lines, f"{lines} lines, at most {MAX_FILE}"


def function_length(path: str, text: str) -> Complaints:
    if not is_c(path):
        return
    code = blank(text)
    if code.count("{") != code.count("}"):
        yield 1, "unbalanced braces: a conditional cuts through a block"
        return
    for found in definitions(code):
        lines = code.count("\n", found.start, found.end) + 1
        if found.is_function and lines > MAX_FUNCTION:
            yield line_of(code, found.start), f"function of {lines} lines, at most {MAX_FUNCTION}"


def python_function_length(path: str, text: str) -> Complaints:
    if not path.startswith(("fastaio/", "tools/")) or not path.endswith(".py"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield node.lineno, f"{node.name} has {lines} lines, at most {MAX_FUNCTION}"


def is_constant(declaration: str) -> bool:
    """Whether a variable's declaration lets nobody write to it."""
    if re.search(rf"\b(?:{TABLES})\b", declaration) and "*" not in declaration:
        return True
    _, star, after = declaration.rpartition("*")
    return re.search(r"\bconst\b", after if star else declaration) is not None


def mutable_static(path: str, text: str) -> Complaints:
    if not is_c(path):
        return
    code = blank(text)
    for found in definitions(code):
        declaration = " ".join(found.head.partition("=")[0].split())
        if found.is_variable and not is_constant(declaration):
            what = "static PyObject *" if "PyObject" in declaration else "mutable global"
            yield line_of(code, found.start), f"{what}: {declaration}"
        if found.is_function:
            for inner in re.finditer(r"\bstatic\b([^;={]*)", code[found.start : found.end]):
                if not is_constant(inner[1]) and "(" not in inner[1]:
                    line = line_of(code, found.start + inner.start())
                    yield line, f"static that is written: {inner[0].strip()}"


def strict_parser(path: str, text: str) -> Complaints:
    if is_c(path):
        for found in re.finditer(r"llhttp_set_lenient\w*|lenient_flags", text):
            yield line_of(text, found.start()), f"{found[0]}: the parser is strict"


def opening_paragraph(path: str, text: str) -> Complaints:
    if not is_c(path):
        return
    guard = r"FIO_\w+_H"
    opening = (
        rf"#ifndef ({guard})\n#define \1\n(?:\s|#include.*)*/\*" if path.endswith(".h") else r"/\*"
    )
    if not re.match(opening, text):
        yield 1, "the file does not open with (its include guard and) what it is for"
    name = re.sub(r"\W", "_", path.removeprefix("csrc/")).upper()
    if path.endswith(".h") and f"#ifndef FIO_{name}\n" not in text:
        yield 1, f"the include guard is not FIO_{name}"


def comments(path: str, text: str) -> Complaints:
    if is_c(path):
        literals = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
        bare = literals.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
        for found in re.finditer("//", bare):
            yield line_of(text, found.start()), "comments are /* */"
    for found in re.finditer(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b", text):
        yield line_of(text, found.start()), f"{found[0]}: write it or leave it"


def columns(path: str, text: str) -> Complaints:
    if path.endswith((".c", ".h", ".py", ".pyi")):
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > MAX_COLUMNS:
                yield number, f"{len(line)} columns, at most {MAX_COLUMNS}"


def machine_paths(path: str, text: str) -> Complaints:
    folders = "|".join(["work", "root", "home/[a-z]+", "Users", "opt"])
    pattern = rf"(?<![\w.~}})/-])/(?:{folders})/\w|\.py" r"env/ver" "sions"
    for found in re.finditer(pattern, text):
        yield line_of(text, found.start()), f"a path of one machine: {found[0]}"


RULES: list[Rule] = [
    include_arrows,
    doors,
    python_doors,
    file_length,
    function_length,
    python_function_length,
    mutable_static,
    strict_parser,
    opening_paragraph,
    comments,
    columns,
    machine_paths,
]


def tree() -> Iterator[tuple[str, str]]:
    """Path and text of every file that is the project's own."""
    for top in sorted(ROOT.iterdir()):
        inside = sorted(top.rglob("*")) if top.name in FOLDERS and top.is_dir() else [top]
        for path in inside:
            executable = path.name == "run" and path.parent.name == ".ci"
            if path.is_file() and (path.suffix in SUFFIXES or executable):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule: Rule) -> None:
    complaints = [
        f"{path}:{line}: {complaint}"
        for path, text in tree()
        for line, complaint in rule(path, text)
    ]
    assert not complaints, "\n" + "\n".join(complaints)


def test_the_tree_is_seen() -> None:
    paths = {path for path, _ in tree()}
    assert {"csrc/module.c", "csrc/base/base.h", "fastaio/__init__.py", "setup.py"} <= paths
    names = [
        found.head
        for found in definitions(blank((ROOT / "csrc/module.c").read_text()))
        if found.is_function
    ]
    assert any("PyInit__core" in name for name in names)


LONG_C = "static int\nf(void)\n{\n" + "    g();\n" * 80 + "}\n"
LONG_PYTHON = "def f():\n" + "    g()\n" * 80

BROKEN: list[tuple[Rule, str, str]] = [
    (include_arrows, "csrc/http/parser.c", '#include "loop/loop.h"\n'),
    (include_arrows, "csrc/loop/loop.c", '#include "net/link.h"\n'),
    (include_arrows, "csrc/server/conn.c", '#include "net/stream.h"\n'),
    (include_arrows, "csrc/server/conn.c", '#  include "client/pool.h"\n'),
    (include_arrows, "csrc/ws/frame.c", '#include "net/link.h"\n'),
    (include_arrows, "csrc/attic/old.c", ""),
    (doors, "csrc/server/conn.c", "#include <uv.h>\n"),
    (doors, "csrc/http/body.c", '#include "llhttp.h"\n'),
    (doors, "csrc/net/stream.c", "#include <openssl/ssl.h>\n"),
    (doors, "csrc/loop/loop.c", "#if PY_VERSION_HEX >= 0x030d0000\n"),
    (doors, "csrc/loop/loop.c", "#ifdef Py_GIL_DISABLED\n"),
    (doors, "csrc/loop/loop.c", "    if (Py_Version >= 0x030e0000) {\n"),
    (doors, "csrc/loop/loop.c", "#if PY_MINOR_VERSION > 12\n"),
    (python_doors, "fastaio/loop.py", "if sys.version_info >= (3, 14):\n"),
    (python_doors, "fastaio/web/app.py", "from sys import hexversion\n"),
    (file_length, "csrc/loop/loop.c", "\n" * 801),
    (function_length, "csrc/loop/loop.c", LONG_C),
    (function_length, "csrc/loop/loop.c", "int a[] = {1};\n" + LONG_C),
    (
        function_length,
        "csrc/loop/loop.c",
        "int f(void)\n{\n#if A\n    {\n#else\n    {\n#endif\n}\n}",
    ),
    (python_function_length, "fastaio/loop.py", LONG_PYTHON),
    (mutable_static, "csrc/loop/loop.c", "static int counter;\n"),
    (mutable_static, "csrc/loop/loop.c", "int counter = 0;\n"),
    (mutable_static, "csrc/loop/loop.c", "static char names[] = {'a'};\n"),
    (mutable_static, "csrc/loop/loop.c", "static const char *name = NULL;\n"),
    (mutable_static, "csrc/loop/loop.c", "static PyObject *cache;\n"),
    (mutable_static, "csrc/loop/loop.c", "static PyMethodDef *methods;\n"),
    (mutable_static, "csrc/loop/loop.c", "static struct fio_pool pool;\n"),
    (mutable_static, "csrc/loop/loop.c", "struct fio_pool pool = {0};\n"),
    (mutable_static, "csrc/loop/loop.c", "static struct {\n    int a;\n} pool = {1};\n"),
    (mutable_static, "csrc/loop/loop.c", "struct {\n    int a;\n} pool;\n"),
    (mutable_static, "csrc/loop/loop.c", "int\nf(void)\n{\n    static int calls;\n}\n"),
    (mutable_static, "csrc/loop/loop.c", "int\nf(void)\n{\n    static const char *s = 0;\n}\n"),
    (strict_parser, "csrc/http/parser.c", "llhttp_set_lenient_headers(&p, 1);\n"),
    (strict_parser, "csrc/http/parser.c", "p->lenient_flags = 1;\n"),
    (opening_paragraph, "csrc/loop/loop.c", '#include "loop/loop.h"\n'),
    (opening_paragraph, "csrc/loop/loop.h", "/* The loop. */\n"),
    (opening_paragraph, "csrc/loop/loop.h", "#ifndef FIO_LOOP_H\n#define FIO_LOOP_H\n/* The */\n"),
    (comments, "csrc/loop/loop.c", "int a; // one\n"),
    (comments, "fastaio/loop.py", "# TO" + "DO later\n"),
    (columns, "fastaio/loop.py", "#" * 101 + "\n"),
    (machine_paths, "docs/install.rst", "cd /ro" + "ot/fastaio\n"),
    (machine_paths, ".ci/run", "~/.py" + "env/versions/3.12.1/bin/python\n"),
]

KEPT: list[tuple[Rule, str, str]] = [
    (include_arrows, "csrc/module.c", '#include "server/conn.h"\n#include "loop/loop.h"\n'),
    (include_arrows, "csrc/server/conn.c", '#include "net/link.h"\n#include <errno.h>\n'),
    (include_arrows, "csrc/ws/session.c", '#include "net/link.h"\n'),
    (doors, "csrc/loop/loop.c", "#include <uv.h>\n"),
    (doors, "csrc/base/errors.c", "#include <uv.h>\n"),
    (doors, "csrc/http/parser_events.c", '#include "llhttp.h"\n'),
    (function_length, "csrc/loop/loop.c", "/* {{{ */\n" * 90 + 'char *s = "{";\n'),
    (mutable_static, "csrc/loop/loop.c", 'static const char *const names[] = {"static int a;"};\n'),
    (mutable_static, "csrc/loop/loop.c", "static PyMethodDef methods[] = {{NULL, NULL}};\n"),
    (
        mutable_static,
        "csrc/loop/loop.c",
        "typedef struct {\n    int a;\n} fio_a;\nenum { A = 1 };\n",
    ),
    (
        mutable_static,
        "csrc/loop/loop.c",
        "static int\nf(int a)\n{\n    static const int b = 1;\n}\n",
    ),
    (mutable_static, "csrc/loop/loop.h", "struct fio_loop;\nextern struct PyModuleDef m;\n"),
    (opening_paragraph, "csrc/a/b.h", "#ifndef FIO_A_B_H\n#define FIO_A_B_H\n\n/* What. */\n"),
    (comments, "csrc/loop/loop.c", '/* see http://example.org */ char *s = "http://a";\n'),
    (machine_paths, "docs/web.rst", "curl http://localhost/ro" + "ot/work\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_a_broken_rule_is_seen(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text))


@pytest.mark.parametrize(("rule", "path", "text"), KEPT)
def test_a_kept_rule_is_no_complaint(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(path, text))


def test_every_rule_has_a_sample_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(RULES)
