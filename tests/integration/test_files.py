"""Files as answers: conditions, ranges, compressed siblings, and no way out of the folder."""

import asyncio
import contextlib
import email.utils
import os

import pytest

from fastaio import _core
from fastaio.http import Response

SMALL = b"0123456789abcdef"
LARGE = bytes(i * 7 % 256 for i in range(300_000))
# 2001-09-09 01:46:40 UTC and a bit, in nanoseconds.
MTIME = 1_000_000_000_250_000_000
MODIFIED = "Sun, 09 Sep 2001 01:46:41 GMT"


async def elsewhere(request):
    return Response(text="elsewhere", status=404)


async def finish(request, response):
    await response.prepare(request)
    await response.write_eof()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path.resolve() / "files"
    (path / "sub").mkdir(parents=True)
    for name, data in {
        "small.txt": SMALL,
        "large.bin": LARGE,
        "empty": b"",
        "sub/page.html": b"<p>",
        "page.css": b"plain",
        "page.css.gz": b"gzipped",
        "page.css.br": b"brotli",
        "a.tar.gz": b"tar",
        "with space": b"space",
        "..double": b"dots",
    }.items():
        (path / name).write_bytes(data)
        os.utime(path / name, ns=(MTIME, MTIME))
    (tmp_path / "secret").write_bytes(b"secret")
    (path / "link").symlink_to(path / "small.txt")
    (path / "out").symlink_to(tmp_path / "secret")
    (path / "subs").symlink_to(path / "sub")
    os.mkfifo(path / "fifo")
    return path


@pytest.fixture
def files(folder, serving, req):
    """files(**options) -> a client's ask(name, method, **fields) within an async with."""

    @contextlib.asynccontextmanager
    async def files(**options):
        router = _core.Router()
        handler = _core.Folder(folder, elsewhere, **options)
        for method in ("GET", "HEAD"):
            router.add_prefix(method, "/f", handler)
        router.set_fallback(_core.Route(elsewhere))
        async with serving(None, router=router, finish=finish) as server:
            client = await server.connect()

            async def ask(name, method="GET", **fields):
                return await client.ask(req("/f/" + name, method, **fields), method)

            yield ask

    return files


def etag(path):
    status = path.stat()
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


@pytest.mark.parametrize(
    ("name", "data", "content_type"),
    [
        ("small.txt", SMALL, "text/plain"),
        ("large.bin", LARGE, "application/octet-stream"),
        ("empty", b"", "application/octet-stream"),
        ("sub/page.html", b"<p>", "text/html"),
        ("a.tar.gz", b"tar", "application/gzip"),
        ("..double", b"dots", "application/octet-stream"),
    ],
)
def test_whole_files(run, files, folder, name, data, content_type):
    async def main():
        async with files() as ask:
            for _ in range(2):
                answer = await ask(name)
                assert (answer.status, answer.body) == (200, data)
                assert answer.fields["content-type"] == content_type
                assert answer.fields["content-length"] == str(len(data))
                assert answer.fields["accept-ranges"] == "bytes"
                assert answer.fields["last-modified"] == MODIFIED
                assert answer.fields["etag"] == etag(folder / name)
            answer = await ask(name, "HEAD")
            assert answer.status == 200
            assert answer.fields.get("content-length", "0") == str(len(data))
            assert answer.fields["etag"] == etag(folder / name)
            assert (await ask(name)).body == data

    run(main())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "sub",
        "sub/",
        "small.txt/",
        "small.txt/x",
        "./small.txt",
        "sub/../small.txt",
        "sub//page.html",
        "/small.txt",
        "//small.txt",
        "../secret",
        "..%2Fsecret",
        "%2e%2e/secret",
        "sub/%2e%2e/%2e%2e/secret",
        "sub%2Fpage.html",
        "small.txt%00",
        "%00",
        "with%20space",
        "link",
        "out",
        "subs/page.html",
        "fifo",
        "x" * 300,
        "x/" * 2500 + "x",
    ],
)
def test_what_is_left_to_the_fallback(run, files, name):
    async def main():
        async with files() as ask:
            answer = await ask(name)
            assert (answer.status, answer.body) == (404, b"elsewhere")

    run(main())


def test_links_are_followed_when_wanted(run, files):
    async def main():
        async with files(follow_symlinks=True) as ask:
            assert (await ask("link")).body == SMALL
            assert (await ask("subs/page.html")).body == b"<p>"
            assert (await ask("out")).body == b"secret"
            for name in ("../secret", "sub/../small.txt", "fifo", "sub"):
                assert (await ask(name)).body == b"elsewhere", name

    run(main())


def test_a_link_that_takes_a_files_place_is_seen(run, files, folder):
    async def main():
        async with files() as ask:
            for _ in range(3):
                assert (await ask("small.txt")).body == SMALL
                assert (await ask("sub/page.html")).body == b"<p>"
            (folder / "sub").rename(folder / "moved")
            (folder / "sub").symlink_to(folder.parent)
            (folder.parent / "page.html").write_bytes(b"out")
            assert (await ask("sub/page.html")).status == 404
            (folder / "small.txt").unlink()
            (folder / "small.txt").symlink_to(folder.parent / "secret")
            assert (await ask("small.txt")).status == 404

    run(main())


@pytest.mark.parametrize("size", [16, 100_000])
def test_a_changed_file_is_seen_at_once(run, files, folder, size):
    path = folder / "changing"

    async def main():
        async with files() as ask:
            for i in range(20):
                data = bytes([65 + i]) * size
                path.write_bytes(data)
                assert (await ask("changing")).body == data
                # The same size, and the time stamp set back.
                path.write_bytes(data.lower())
                os.utime(path, ns=(MTIME, MTIME))
                assert (await ask("changing")).body == data.lower()
            path.unlink()
            assert (await ask("changing")).status == 404

    run(main())


@pytest.mark.parametrize(
    ("name", "value", "first", "end"),
    [
        ("small.txt", "bytes=0-3", 0, 4),
        ("small.txt", "bytes=4-", 4, 16),
        ("small.txt", "bytes=-3", 13, 16),
        ("small.txt", "bytes=-100", 0, 16),
        ("small.txt", "bytes=15-15", 15, 16),
        ("small.txt", "bytes=2-99999999999999999999999", 2, 16),
        ("small.txt", "Bytes=0-0", 0, 1),
        ("large.bin", "bytes=0-0", 0, 1),
        ("large.bin", "bytes=1000-200999", 1000, 201_000),
        ("large.bin", "bytes=-100001", 199_999, 300_000),
    ],
)
def test_ranges(run, files, name, value, first, end):
    data = SMALL if name == "small.txt" else LARGE

    async def main():
        async with files() as ask:
            answer = await ask(name, Range=value)
            assert answer.status == 206
            assert answer.body == data[first:end]
            assert answer.fields["content-range"] == f"bytes {first}-{end - 1}/{len(data)}"
            assert answer.fields["content-length"] == str(end - first)
            # A range is looked at for GET only (RFC 9110 14.2).
            assert (await ask(name, "HEAD", Range=value)).status == 200

    run(main())


@pytest.mark.parametrize(
    "value",
    [
        "bytes=16-",
        "bytes=99-100",
        "bytes=-0",
        "bytes=5-1",
        "bytes=a-b",
        "blocks=0-1",
        "bytes=0-1,3-4",
    ],
)
def test_ranges_that_cannot_be_had(run, files, value):
    async def main():
        async with files() as ask:
            answer = await ask("small.txt", Range=value)
            assert (answer.status, answer.body) == (416, b"")
            assert answer.fields["content-range"] == "bytes */16"
            assert (await ask("small.txt")).status == 200
            assert (await ask("empty", Range="bytes=0-")).status == 416

    run(main())


def date(seconds):
    return email.utils.formatdate(MTIME // 10**9 + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If_None_Match": "{etag}"}, 304),
        ({"If_None_Match": "W/{etag}"}, 304),
        ({"If_None_Match": '"a", {etag} , "b"'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"a"'}, 200),
        ({"If_None_Match": "nonsense"}, 200),
        ({"If_None_Match": '"a"', "If_Modified_Since": date(9)}, 200),
        ({"If_Modified_Since": date(1)}, 304),
        ({"If_Modified_Since": MODIFIED}, 304),
        ({"If_Modified_Since": date(0)}, 200),
        ({"If_Modified_Since": "nonsense"}, 200),
        ({"If_Match": "{etag}"}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": "W/{etag}"}, 412),
        ({"If_Match": '"a"'}, 412),
        ({"If_Match": "{etag}", "If_Unmodified_Since": date(-9)}, 200),
        ({"If_Unmodified_Since": date(1)}, 200),
        ({"If_Unmodified_Since": date(0)}, 412),
        ({"If_Unmodified_Since": "nonsense"}, 200),
        ({"If_Match": '"a"', "If_None_Match": "{etag}"}, 412),
        ({"Range": "bytes=0-1", "If_Range": "{etag}"}, 206),
        ({"Range": "bytes=0-1", "If_Range": "W/{etag}"}, 200),
        ({"Range": "bytes=0-1", "If_Range": '"a"'}, 200),
        ({"Range": "bytes=0-1", "If_Range": MODIFIED}, 206),
        ({"Range": "bytes=0-1", "If_Range": date(0)}, 200),
        ({"Range": "bytes=0-1", "If_Range": "nonsense"}, 200),
        ({"Range": "bytes=99-", "If_None_Match": "{etag}"}, 304),
    ],
)
def test_conditions(run, files, folder, fields, status):
    tag = etag(folder / "small.txt")
    sent = {name: value.replace("{etag}", tag) for name, value in fields.items()}

    async def main():
        async with files() as ask:
            answer = await ask("small.txt", **sent)
            assert answer.status == status
            if status == 304:
                assert answer.fields["etag"] == tag
                assert answer.fields["last-modified"] == MODIFIED
                assert "content-length" not in answer.fields
            if status == 412:
                assert answer.fields["content-length"] == "0"
            if status == 200:
                assert answer.body == SMALL
            assert (await ask("small.txt")).body == SMALL

    run(main())


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("gzip", "gzip", b"gzipped"),
        ("gzip, deflate, br", "br", b"brotli"),
        ("GZIP", "gzip", b"gzipped"),
        ("identity", None, b"plain"),
        ("", None, b"plain"),
    ],
)
def test_compressed_siblings(run, files, folder, accepted, encoding, body):
    async def main():
        async with files() as ask:
            answer = await ask("page.css", Accept_Encoding=accepted)
            assert answer.body == body
            assert answer.fields["content-type"] == "text/css"
            assert answer.fields.get("content-encoding") == encoding
            assert answer.fields.get("vary") == ("Accept-Encoding" if encoding else None)
            assert (await ask("small.txt", Accept_Encoding=accepted)).body == SMALL
            (folder / "page.css.gz").unlink()
            (folder / "page.css.br").unlink()
            (folder / "page.css.gz").symlink_to(folder.parent / "secret")
            assert (await ask("page.css", Accept_Encoding=accepted)).body == b"plain"

    run(main())


# -- FileResponse by path -------------------------------------------------------------------------


def asking(serving, req, handler):
    async def main(check, **fields):
        async with serving(handler, finish=finish) as server:
            client = await server.connect()
            check(await client.ask(req(**fields)))
            check(await client.ask(req(**fields)))

    return main


def test_file_response(run, serving, req, folder):
    async def handler(request):
        return _core.FileResponse(folder / "link", status=201, headers={"X-A": "b", "ETag": "mine"})

    def check(answer):
        assert (answer.status, answer.body) == (201, SMALL)
        assert answer.fields["x-a"] == "b"
        assert answer.fields["etag"] == etag(folder / "link")
        assert answer.fields["content-length"] == "16"
        assert answer.fields["last-modified"] == MODIFIED

    run(asking(serving, req, handler)(check))


@pytest.mark.parametrize(
    ("name", "status"),
    [("nothing", 404), ("small.txt/x", 404), ("sub", 403), ("fifo", 403), ("x" * 300, 404)],
)
def test_file_response_of_no_file(run, serving, req, folder, name, status):
    async def handler(request):
        return _core.FileResponse(folder / name)

    def check(answer):
        assert (answer.status, answer.body) == (status, b"")

    run(asking(serving, req, handler)(check))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_file_response_without_permission(run, serving, req, folder):
    (folder / "small.txt").chmod(0)

    async def handler(request):
        return _core.FileResponse(folder / "small.txt")

    def check(answer):
        assert answer.status == 403

    run(asking(serving, req, handler)(check))


@pytest.mark.parametrize("name", ["small.txt", "large.bin"])
def test_file_response_in_chunks(run, serving, req, folder, name):
    async def handler(request):
        response = _core.FileResponse(folder / name)
        response.enable_chunked_encoding()
        return response

    def check(answer):
        assert answer.fields["transfer-encoding"] == "chunked"
        assert "content-length" not in answer.fields
        assert answer.body == (folder / name).read_bytes()

    run(asking(serving, req, handler)(check))


@pytest.mark.parametrize("name", ["small.txt", "large.bin", "nothing"])
def test_prepared_by_its_handler(run, serving, req, folder, name):
    async def handler(request):
        response = _core.FileResponse(folder / name)
        await response.prepare(request)
        if name != "nothing":
            assert response.body_length == len((folder / name).read_bytes())
        return response

    def check(answer):
        assert answer.body == ((folder / name).read_bytes() if name != "nothing" else b"")

    run(asking(serving, req, handler)(check))


@pytest.mark.parametrize("name", ["small.txt", "large.bin"])
def test_fields_are_there_for_signals(run, serving, req, folder, name):
    class Signalled(_core.FileResponse):
        async def _prepare_slow(self, request):
            await asyncio.sleep(0)
            assert self.headers["ETag"] == etag(folder / name)
            assert self.status == 206
            assert self.content_length == 5
            self.headers["X-Signal"] = "sent"
            self._start(request)

    async def main():
        router = _core.Router()

        async def handler(request):
            return Signalled(folder / name)

        router.add("GET", "/", handler, signals=True)
        async with serving(None, router=router, finish=finish) as server:
            client = await server.connect()
            for _ in range(2):
                answer = await client.ask(req(Range="bytes=1-5"))
                assert answer.fields["x-signal"] == "sent"
                assert answer.body == (folder / name).read_bytes()[1:6]

    run(main())


def test_own_content_type(run, serving, req, folder):
    async def handler(request):
        response = _core.FileResponse(folder / "small.txt")
        response.content_type = "a/b"
        return response

    def check(answer):
        assert answer.fields["content-type"] == "a/b"

    run(asking(serving, req, handler)(check))


def test_a_client_that_goes_away(run, serving, req, folder):
    gone = asyncio.Event()

    async def ending(request, response):
        try:
            await finish(request, response)
        finally:
            gone.set()

    async def handler(request):
        response = _core.FileResponse(folder / "huge")
        response.enable_chunked_encoding()
        return response

    async def main():
        with open(folder / "huge", "wb") as file:
            file.truncate(64 << 20)
        async with serving(handler, finish=ending) as server:
            client = await server.connect()
            await client.send(req())
            await client.reader.readexactly(100_000)
            client.abort()
            await gone.wait()

    run(main())


def test_folder_arguments(folder):
    with pytest.raises(ValueError, match="absolute path"):
        _core.Folder("relative", elsewhere)
    with pytest.raises(ValueError, match="absolute path"):
        _core.Folder(f"{folder}/", elsewhere)
    with pytest.raises(TypeError, match="subclass of FileResponse"):
        _core.Folder(folder, elsewhere, _core.Response)
    with pytest.raises(TypeError):
        _core.Folder(folder)
    with pytest.raises(TypeError):
        _core.Folder(folder, elsewhere)(7)
