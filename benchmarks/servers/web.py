"""The application for ``aiohttp.web`` and ``fastaio.web``: one source, the package is a switch.

python benchmarks/servers/web.py --package aiohttp --loop uvloop --port 8080 --page FILE
"""

import argparse
import asyncio
import importlib
import logging
import os
from pathlib import Path
from typing import Any

HELLO = "Hello, World!"
CHUNK = b"x" * 1024
CHUNK_COUNT = 64


def make_app(web: Any, page: Path, layers: int) -> Any:
    """The application, every answer of which goes through `layers` middlewares."""
    routes = web.RouteTableDef()

    @routes.get("/")
    async def hello(request: Any) -> Any:
        return web.Response(text=HELLO)

    @routes.get("/json")
    async def json(request: Any) -> Any:
        return web.json_response({"message": HELLO})

    @routes.post("/echo")
    async def echo(request: Any) -> Any:
        return web.Response(body=await request.read())

    @routes.get("/page")
    async def file(request: Any) -> Any:
        return web.FileResponse(page)

    @routes.get("/api/{name}")
    async def api(request: Any) -> Any:
        query = request.query
        return web.json_response(
            {
                "name": request.match_info["name"],
                "a": query.get("a", ""),
                "b": query.get("b", ""),
            }
        )

    @routes.get("/stream")
    async def stream(request: Any) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        for _ in range(CHUNK_COUNT):
            await response.write(CHUNK)
        await response.write_eof()
        return response

    @routes.get("/sleep0")
    async def sleep0(request: Any) -> Any:
        await asyncio.sleep(0)
        return web.Response(text=HELLO)

    def layer(number: int) -> Any:
        name = f"X-Layer-{number}"

        @web.middleware
        async def middleware(request: Any, handler: Any) -> Any:
            response = await handler(request)
            response.headers[name] = "1"
            return response

        return middleware

    app = web.Application(middlewares=[layer(n) for n in range(1, layers + 1)])
    app.add_routes(routes)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", default="fastaio", help="aiohttp or fastaio")
    parser.add_argument("--loop", default="asyncio", help="module that has new_event_loop()")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    web = importlib.import_module(f"{args.package}.web")
    loop = importlib.import_module(args.loop).new_event_loop()
    web.run_app(
        make_app(web, args.page, args.layers),
        host="127.0.0.1",
        port=args.port,
        print=None,
        access_log=None,
        keepalive_timeout=75,
        loop=loop,
    )


if __name__ == "__main__":
    main()
