"""A small web application: a redirect, an empty answer, a static page, and JSON.

    python -m fastaio docs/examples/article.py:app

It is written to the API of ``aiohttp.web``: with ``from aiohttp import web`` it runs unchanged.
"""

from pathlib import Path

from fastaio import web

PAGE = Path(__file__).with_name("page.html")

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    raise web.HTTPFound("/page")


@routes.get("/empty")
async def empty(request: web.Request) -> web.Response:
    return web.Response()


@routes.get("/page")
async def page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


@routes.get("/api")
@routes.get("/api/{name}")
async def api(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "name": request.match_info.get("name", "world"),
            "query": dict(request.query),
        }
    )


app = web.Application()
app.add_routes(routes)

if __name__ == "__main__":
    web.run_app(app)
