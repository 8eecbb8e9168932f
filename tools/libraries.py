"""How libuv and llhttp become part of the extension: compiled in, or the system's."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

from .switches import flag

#: Library to (pkg-config name, least version): libuv for CVE-2024-24806, llhttp for CVE-2024-27982.
SYSTEM_MINIMUM = {"libuv": ("libuv", "1.48.0"), "llhttp": ("libllhttp", "9.2.1")}

UV = "third_party/libuv"
LLHTTP = "third_party/llhttp"

# libuv without its build system: the lists of its CMakeLists.txt for the systems fastaio runs on.
UV_COMMON = """
    fs-poll idna inet random strscpy strtok thread-common threadpool timer uv-common
    uv-data-getter-setters version
""".split()
UV_UNIX = """
    async core dl fs getaddrinfo getnameinfo loop-watcher loop pipe poll process random-devurandom
    signal stream tcp thread tty udp
""".split()
UV_LINUX = "linux procfs-exepath proctitle random-getrandom random-sysctl-linux".split()
UV_DARWIN = """
    bsd-ifaddrs darwin darwin-proctitle fsevents kqueue proctitle random-getentropy
""".split()


@dataclass
class Library:
    """Sources and flags of one library, or only flags where the system's is used."""

    sources: list[str] = field(default_factory=list)
    cflags: list[str] = field(default_factory=list)  # for its own sources
    public: list[str] = field(default_factory=list)  # for ours
    ldflags: list[str] = field(default_factory=list)


def uses_system(name: str) -> bool:
    return flag(f"FASTAIO_USE_SYSTEM_{name.upper()}")


def bundled_names() -> list[str]:
    return [name for name in SYSTEM_MINIMUM if not uses_system(name)]


def _bundled_libuv() -> Library:
    unix, libs = list(UV_UNIX), ["pthread"]
    defines = ["_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE"]
    if sys.platform == "linux":
        unix += UV_LINUX
        defines += ["_GNU_SOURCE", "_POSIX_C_SOURCE=200112"]
        libs += ["dl", "rt"]
    elif sys.platform == "darwin":
        unix += UV_DARWIN
        defines += ["_DARWIN_UNLIMITED_SELECT=1", "_DARWIN_USE_64_BIT_INODE=1"]
    else:
        sys.exit(f"fastaio: libuv's files for {sys.platform} are not known: use the system's libuv")
    # Without the empty UV_EXTERN every uv_* function stays exported, whatever -fvisibility says.
    public = ["-DUV_EXTERN=", "-isystem", f"{UV}/include"]
    return Library(
        sources=[f"{UV}/src/{n}.c" for n in UV_COMMON] + [f"{UV}/src/unix/{n}.c" for n in unix],
        cflags=[
            "-w",
            "-DUV_EXTERN=",
            f"-I{UV}/include",
            f"-I{UV}/src",
            *(f"-D{d}" for d in defines),
        ],
        public=public,
        ldflags=[f"-l{lib}" for lib in libs],
    )


def _bundled_llhttp() -> Library:
    return Library(
        sources=[f"{LLHTTP}/src/{n}.c" for n in ("api", "http", "llhttp")],
        cflags=["-w", f"-I{LLHTTP}/include"],
        public=["-isystem", f"{LLHTTP}/include"],
    )


def _system(name: str) -> Library:
    package, least = SYSTEM_MINIMUM[name]
    tool = shlex.split(os.environ.get("PKG_CONFIG", "pkg-config"))

    def ask(*arguments: str) -> list[str]:
        done = subprocess.run(
            [*tool, *arguments, package], check=True, text=True, capture_output=True
        )
        return shlex.split(done.stdout)

    try:
        ask(f"--atleast-version={least}")
    except (OSError, subprocess.CalledProcessError):
        sys.exit(
            f"fastaio: FASTAIO_USE_SYSTEM_{name.upper()}=1, but {shlex.join(tool)} knows no "
            f"{package} >= {least}"
        )
    return Library(public=ask("--cflags"), ldflags=ask("--libs"))


def libraries() -> list[Library]:
    """Both libraries as the environment's switches say; their sources have been fetched."""
    return [
        _system("libuv") if uses_system("libuv") else _bundled_libuv(),
        _system("llhttp") if uses_system("llhttp") else _bundled_llhttp(),
    ]
