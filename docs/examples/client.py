"""Fetches pages with aiohttp's client on fastaio's loop: 30 at once, then thousands in chunks.

python docs/examples/client.py http://127.0.0.1:8080/api/reader
"""

import argparse
import asyncio
import time
from collections.abc import Iterator

import aiohttp

import fastaio

AT_ONCE = 30


async def fetch(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        response.raise_for_status()
        return await response.text()


async def fetch_all(session: aiohttp.ClientSession, urls: list[str]) -> list[str]:
    """Fetches all URLs concurrently; their texts, in order."""
    return await asyncio.gather(*(fetch(session, url) for url in urls))


def chunks(urls: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(urls), size):
        yield urls[start : start + size]


async def main(url: str, count: int, chunk: int) -> None:
    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        pages = await fetch_all(session, [f"{url}?page={n}" for n in range(AT_ONCE)])
        print(f"{len(pages)} pages in {time.perf_counter() - started:.3f} s")

        started = time.perf_counter()
        total = 0
        for urls in chunks([f"{url}?page={n}" for n in range(count)], chunk):
            total += len(await fetch_all(session, urls))
        print(f"{total} pages in {time.perf_counter() - started:.3f} s, {chunk} at a time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=3000, help="pages after the first ones")
    parser.add_argument("--chunk", type=int, default=100, help="pages at a time")
    options = parser.parse_args()
    fastaio.run(main(options.url, options.count, options.chunk))
