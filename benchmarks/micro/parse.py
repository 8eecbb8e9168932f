"""What reading a request head costs, in nanoseconds.

    python -m benchmarks.micro.parse

In C: the server's parser, with all its checks, beside llhttp alone. In Python: the classes with
httptools' interface beside httptools' own, with a protocol that has every callback.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import fastaio.http
from benchmarks import native
from benchmarks.table import table

SMALL = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
WRK = b"GET /plaintext HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n\r\n"
BROWSER = (
    b"GET /articles/2026/fast-servers?page=2&sort=new HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/126.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    b"*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8,fr;q=0.7\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Referer: https://www.example.com/articles/2026\r\n"
    b"Connection: keep-alive\r\n"
    b"Cookie: session=6f1d2c3b4a5968778695a4b3c2d1e0f96f1d2c3b4a596877; theme=dark; "
    b"_ga=GA1.2.1234567890.1700000000; _gid=GA1.2.987654321.1700000000\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n"
    b'If-None-Match: "5f3e2d1c0b9a8877-1a2b3c"\r\n\r\n'
)
HEADS = {"small": SMALL, "wrk": WRK, "browser": BROWSER}
ROUNDS = 9
COUNT = 5000


def in_c(head: bytes) -> tuple[float, float]:
    """(ours, llhttp alone) in nanoseconds a head."""
    program = native.program("micro/parse.c", with_libraries=True, codecs=True)
    done = subprocess.run([program], input=head, capture_output=True, check=True)
    ours, llhttp = done.stdout.split()
    return float(ours), float(llhttp)


class Protocol:
    def on_message_begin(self) -> None:
        pass

    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_headers_complete(self) -> None:
        pass

    def on_message_complete(self) -> None:
        pass


def in_python(parser: Callable[[object], Any], head: bytes) -> float:
    """Nanoseconds a head of a parser class, the lowest of the rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        feed = parser(Protocol()).feed_data
        start = time.perf_counter_ns()
        for _ in range(COUNT):
            feed(head)
        best = min(best, (time.perf_counter_ns() - start) / COUNT)
    return best


def main() -> None:
    columns = ["C: server's parser", "C: llhttp alone", "fastaio.http", "httptools"]
    cells: dict[tuple[str, str], float | None] = {}
    rows = []
    for name, head in HEADS.items():
        row = f"{name}, {len(head)} bytes"
        rows.append(row)
        try:
            cells[row, columns[0]], cells[row, columns[1]] = in_c(head)
        except native.UnavailableError as error:
            print(error)
        cells[row, columns[2]] = in_python(fastaio.http.HttpRequestParser, head)
        try:
            import httptools
        except ImportError:
            continue
        cells[row, columns[3]] = in_python(httptools.HttpRequestParser, head)
    print(table("ns a request head", rows, columns, cells))


if __name__ == "__main__":
    main()
