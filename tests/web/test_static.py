"""Files: add_static() and FileResponse, conditions, ranges, and no way out of the folder."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest

DATA = b"0123456789" * 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "sub dir").mkdir(parents=True)
    (folder / "data.txt").write_bytes(DATA)
    (folder / "big.bin").write_bytes(os.urandom(1_000_000))
    (folder / "empty.html").touch()
    (folder / "sub dir" / "é<&>.css").write_bytes(b"css")
    (folder / "unknown.zzz").write_bytes(b"?")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link-out").symlink_to(tmp_path / "secret")
    (folder / "link-in").symlink_to(folder / "data.txt")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "fifo")
    return folder


@pytest.fixture
def server(web: Any, serve: Any, folder: Path) -> Any:
    app = web.Application()
    app.router.add_static("/static/", folder, name="static")
    app.router.add_static("/index", folder, show_index=True)
    app.router.add_static("/follow", folder, follow_symlinks=True)
    return serve(app)


def test_a_file(server: Any, folder: Path) -> None:
    answer = server.get("/static/data.txt")
    assert (answer.status, answer.body) == (200, DATA)
    headers = answer.headers
    assert headers["Content-Type"] == "text/plain"
    assert (headers["Content-Length"], headers["Accept-Ranges"]) == ("100", "bytes")
    stat = (folder / "data.txt").stat()
    assert headers["ETag"] == f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    assert headers["Last-Modified"].endswith(" GMT")


def test_other_files(server: Any, folder: Path) -> None:
    assert server.get("/static/big.bin").body == (folder / "big.bin").read_bytes()
    answer = server.get("/static/sub%20dir/%C3%A9%3C%26%3E.css")
    assert (answer.body, answer.headers["Content-Type"]) == (b"css", "text/css")
    answer = server.get("/static/empty.html")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert answer.headers["Content-Type"] == "text/html"
    assert server.get("/static/unknown.zzz").headers["Content-Type"] == ("application/octet-stream")


def test_head(server: Any) -> None:
    answer = server.request("HEAD", "/static/data.txt")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "100")


def test_other_methods(server: Any) -> None:
    answer = server.post("/static/data.txt", b"")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize(
    "path",
    ["none", "sub dir/none", "data.txt/x", "a%00b", "loop"],
)
def test_not_there(server: Any, path: str) -> None:
    assert server.get("/static/" + path.replace(" ", "%20")).status == 404


def test_a_name_too_long(fastweb: Any, serve_ours: Any, folder: Path) -> None:
    """aiohttp.web answers 500."""
    app = fastweb.Application()
    app.router.add_static("/static", folder)
    assert serve_ours(app).get("/static/" + "x" * 300).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/static/../secret",
        "/static/%2e%2e/secret",
        "/static/..%2fsecret",
        "/static/%2e%2e%2fsecret",
        "/static/sub%20dir/../../secret",
        "/static/sub%20dir/..%2f..%2fsecret",
        "/static/./../secret",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..%5csecret",
        "/static/%252e%252e/secret",
        "/static/link-out",
        "/follow/../secret",
        "/follow/..%2fsecret",
        "/follow//etc/passwd",
    ],
)
def test_no_way_out(server: Any, target: str) -> None:
    answer = server.get(target)
    assert answer.status in (400, 403, 404)
    assert b"secret" not in answer.body.replace(target.encode(), b"")
    assert b"root:" not in answer.body


def test_links(server: Any) -> None:
    assert server.get("/static/link-in").body == DATA
    assert server.get("/follow/link-in").body == DATA
    assert server.get("/follow/link-out").body == b"secret"


def test_special_files(server: Any) -> None:
    assert server.get("/static/fifo").status == 403


def test_folders(server: Any) -> None:
    assert server.get("/static/").status == 403
    assert server.get("/static").status == 403
    assert server.get("/static/sub%20dir").status == 403
    answer = server.get("/index")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert '<a href="/index/data.txt">data.txt</a>' in answer.text
    assert '<a href="/index/sub%20dir">sub dir/</a>' in answer.text
    answer = server.get("/index/sub%20dir/")
    assert "<title>Index of /sub dir</title>" in answer.text
    name = "/index/sub%20dir/%C3%A9%3C&%3E.css"
    assert f'<a href="{name}">é&lt;&amp;&gt;.css</a>' in answer.text


def test_etag_conditions(server: Any) -> None:
    tag = server.get("/static/data.txt").headers["ETag"]

    def status(**fields: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        answer = server.get("/static/data.txt", headers=headers)
        if answer.status == 304:
            assert (answer.body, answer.headers["ETag"]) == (b"", tag)
            assert "Content-Length" not in answer.headers
        return int(answer.status)

    assert status(If_None_Match=tag) == 304
    assert status(If_None_Match=f"W/{tag}") == 304
    assert status(If_None_Match=f'"x", {tag}') == 304
    assert status(If_None_Match="*") == 304
    assert status(If_None_Match='"x"') == 200
    assert status(If_Match=tag) == 200
    assert status(If_Match="*") == 200
    assert status(If_Match='"x"') == 412
    assert status(If_Match=f"W/{tag}") == 412


def test_time_conditions(server: Any, folder: Path) -> None:
    modified = server.get("/static/data.txt").headers["Last-Modified"]
    past, future = "Mon, 01 Jan 1990 01:01:01 GMT", "Fri, 01 Jan 2100 01:01:01 GMT"

    def status(name: str, value: str, **more: str) -> int:
        headers = {name: value, **{k.replace("_", "-"): v for k, v in more.items()}}
        return int(server.get("/static/data.txt", headers=headers).status)

    os.utime(folder / "data.txt", (1_000_000_000, 1_000_000_000))
    modified = server.get("/static/data.txt").headers["Last-Modified"]
    assert modified == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert status("If-Modified-Since", modified) == 304
    assert status("If-Modified-Since", future) == 304
    assert status("If-Modified-Since", past) == 200
    assert status("If-Modified-Since", "nonsense") == 200
    assert status("If-Modified-Since", future, If_None_Match='"x"') == 200
    assert status("If-Unmodified-Since", past) == 412
    assert status("If-Unmodified-Since", modified) == 200
    assert status("If-Unmodified-Since", "nonsense") == 200


@pytest.mark.parametrize(
    ("field", "status", "content_range", "expected"),
    [
        ("bytes=0-9", 206, "bytes 0-9/100", DATA[:10]),
        ("bytes=95-", 206, "bytes 95-99/100", DATA[95:]),
        ("bytes=-5", 206, "bytes 95-99/100", DATA[-5:]),
        ("bytes=-1000", 206, "bytes 0-99/100", DATA),
        ("bytes=0-", 206, "bytes 0-99/100", DATA),
        ("bytes=90-1000", 206, "bytes 90-99/100", DATA[90:]),
        ("bytes=99-99", 206, "bytes 99-99/100", DATA[99:]),
        ("bytes=100-", 416, "bytes */100", None),
        ("bytes=a-b", 416, "bytes */100", None),
        ("bytes=9-1", 416, "bytes */100", None),
    ],
)
def test_ranges(
    server: Any, field: str, status: int, content_range: str, expected: bytes | None
) -> None:
    answer = server.get("/static/data.txt", headers={"Range": field})
    assert (answer.status, answer.headers["Content-Range"]) == (status, content_range)
    if expected is not None:
        assert answer.body == expected
        assert answer.headers["Content-Length"] == str(len(expected))


def test_if_range(server: Any) -> None:
    first = server.get("/static/data.txt").headers
    for value, status in (
        ("Fri, 01 Jan 2100 01:01:01 GMT", 206),
        ("Mon, 01 Jan 1990 01:01:01 GMT", 200),
        (first["Last-Modified"], 206),
    ):
        headers = {"Range": "bytes=0-1", "If-Range": value}
        assert server.get("/static/data.txt", headers=headers).status == status


def test_a_range_of_a_large_file(server: Any, folder: Path) -> None:
    data = (folder / "big.bin").read_bytes()
    answer = server.get("/static/big.bin", headers={"Range": "bytes=1000-900000"})
    assert answer.body == data[1000:900_001]


def test_precompressed(server: Any, folder: Path) -> None:
    packed = gzip.compress(DATA)
    (folder / "data.txt.gz").write_bytes(packed)
    answer = server.get("/static/data.txt", headers={"Accept-Encoding": "br, GZip"})
    assert (answer.body, answer.headers["Content-Encoding"]) == (packed, "gzip")
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (
        "text/plain", "Accept-Encoding",
    )  # fmt: skip
    assert server.get("/static/data.txt").body == DATA
    answer = server.get("/static/data.txt.gz")
    assert (answer.body, answer.headers.get("Content-Encoding")) == (packed, None)
    assert answer.headers["Content-Type"] == "application/gzip"


def test_file_response(web: Any, serve: Any, folder: Path) -> None:
    async def handler(request: Any) -> Any:
        name = request.match_info["name"]
        status = 404 if name == "empty.html" else 200
        headers = {"Content-Type": "own/type", "X-Own": "1"}
        response = web.FileResponse(folder / name, status=status, headers=headers)
        response.set_cookie("c", "v")
        return response

    app = web.Application()
    app.router.add_get("/{name:.*}", handler)
    server = serve(app)
    answer = server.get("/data.txt")
    assert (answer.status, answer.body) == (200, DATA)
    assert (answer.headers["Content-Type"], answer.headers["X-Own"]) == ("own/type", "1")
    assert answer.headers["Set-Cookie"] == "c=v; Path=/"
    assert server.get("/none").status == 404
    assert server.get("/fifo").status == 403
    assert server.get("/").status == 403
    assert server.get("/empty.html").status == 404


def test_file_response_and_the_hook(web: Any, serve: Any, folder: Path) -> None:
    async def receiver(request: Any, response: Any) -> None:
        response.headers["X-Hook"] = type(response).__name__

    async def handler(request: Any) -> Any:
        return web.FileResponse(str(folder / "data.txt"))

    app = web.Application()
    app.on_response_prepare.append(receiver)
    app.router.add_get("/", handler)
    answer = serve(app).get("/")
    assert (answer.body, answer.headers["X-Hook"]) == (DATA, "FileResponse")
    assert answer.headers["Content-Length"] == "100"


def test_a_compressed_file_response(web: Any, serve: Any, folder: Path) -> None:
    async def handler(request: Any) -> Any:
        response = web.FileResponse(folder / "data.txt")
        response.enable_compression()
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    answer = serve(app).get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.body) == DATA


def test_keep_alive_after_files(server: Any) -> None:
    one = b"GET /static/data.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    big = b"GET /static/big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    answers = server.raw(one + big + one, "GET", "GET", "GET")
    assert [len(answer.body) for answer in answers] == [100, 1_000_000, 100]


def test_a_file_that_changes(server: Any, folder: Path) -> None:
    path = folder / "data.txt"
    assert server.get("/static/data.txt").body == DATA
    path.write_bytes(b"new")
    os.utime(path, (time.time() + 10, time.time() + 10))
    assert server.get("/static/data.txt").body == b"new"
    path.unlink()
    assert server.get("/static/data.txt").status == 404
