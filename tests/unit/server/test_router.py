"""The compiled router against aiohttp's rules of which resource a path belongs to."""

import gc
import re
import weakref

import pytest

from fastaio import _core


def make_router(*resources, match_info=_core.MatchInfo):
    """A Router of (method, path) pairs; a path with a regular expression comes with its pattern."""
    router = _core.Router(match_info)
    for method, path, *pattern in resources:
        compiled = re.compile(pattern[0]) if pattern else None
        router.add(method, path, print, info=(method, path), pattern=compiled)
    router.set_fallback(
        _core.Route(print, 404),
        lambda method, allowed: _core.Route(print, (405, method, sorted(allowed))),
    )
    return router


def resolve(router, method, path, host=""):
    route, match_info = router.resolve(method, path, host)
    assert match_info.route is route.info
    return route.info, dict(match_info)


def test_plain_paths_are_told_apart_by_method():
    router = make_router(("GET", "/a"), ("POST", "/a"), ("GET", "/"), ("GET", "/a/"))
    assert resolve(router, "GET", "/a") == (("GET", "/a"), {})
    assert resolve(router, "POST", "/a") == (("POST", "/a"), {})
    assert resolve(router, "GET", "/") == (("GET", "/"), {})
    assert resolve(router, "GET", "/a/") == (("GET", "/a/"), {})
    assert resolve(router, "GET", "/b") == (404, {})
    assert resolve(router, "GET", "/a//") == (404, {})


def test_empty_path_is_the_root():
    assert resolve(make_router(("GET", "")), "GET", "/") == (("GET", ""), {})


@pytest.mark.parametrize("method", ["PUT", "HEAD", "PROPFIND"])
def test_method_without_a_route_is_refused_with_those_allowed(method):
    router = make_router(("GET", "/a"), ("POST", "/a"), ("DELETE", "/{x}"))
    assert resolve(router, method, "/a") == ((405, method, ["DELETE", "GET", "POST"]), {})


def test_refused_method_falls_to_404_without_a_factory():
    router = _core.Router()
    router.add("GET", "/a", print)
    router.set_fallback(_core.Route(print, 404))
    assert resolve(router, "POST", "/a") == (404, {})


def test_any_method():
    router = make_router(("GET", "/a"), ("*", "/a"), ("MKCOL", "/b"))
    assert resolve(router, "GET", "/a")[0] == ("GET", "/a")
    assert resolve(router, "PROPFIND", "/a")[0] == ("*", "/a")
    assert resolve(router, "MKCOL", "/b")[0] == ("MKCOL", "/b")
    assert resolve(router, "MKACTIVITY", "/b")[0] == (405, "MKACTIVITY", ["MKCOL"])


def test_variables():
    router = make_router(("GET", "/user/{name}"), ("GET", "/{a}/x/{b}"), ("GET", "/f-{n}.txt"))
    assert resolve(router, "GET", "/user/ann") == (("GET", "/user/{name}"), {"name": "ann"})
    assert resolve(router, "GET", "/1/x/2") == (("GET", "/{a}/x/{b}"), {"a": "1", "b": "2"})
    assert resolve(router, "GET", "/f-12.txt") == (("GET", "/f-{n}.txt"), {"n": "12"})
    for path in ("/user/", "/user", "/user/a/b", "/1/y/2", "/f-.txt", "/f-1.txt/", "/user/{x", "*"):
        assert resolve(router, "GET", path) == (404, {}), path


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("/J%C3%B6rg", "Jörg"),
        ("/a%2Fb", "a/b"),
        ("/a%2fb", "a/b"),
        ("/a%25b", "a%b"),
        ("/a%252Fb", "a%2Fb"),
        ("/a%20b", "a b"),
        ("/a+b", "a+b"),
        ("/%F0%9F%98%80", "\U0001f600"),
        ("/a%zz", "a%zz"),
        ("/a%ff", "a%ff"),
        ("/a%C3%28", "a%C3("),
        ("/%ED%A0%80", "%ED%A0%80"),
        ("/%", "%"),
        ("/%e2%82", "%e2%82"),
    ],
)
def test_variables_are_decoded(sent, value):
    assert resolve(make_router(("GET", "/{x}")), "GET", sent) == (("GET", "/{x}"), {"x": value})


def test_escaped_braces_are_no_value():
    assert resolve(make_router(("GET", "/{x}")), "GET", "/a%7Bb")[0] == 404


def test_escaped_slash_does_not_part_segments():
    router = make_router(("GET", "/a/b"), ("GET", "/{x}"))
    assert resolve(router, "GET", "/a%2Fb") == (("GET", "/{x}"), {"x": "a/b"})


def test_plain_paths_compare_decoded():
    router = make_router(("GET", "/föö bar"), ("GET", "/é/{x}"))
    assert resolve(router, "GET", "/f%C3%B6%c3%b6%20bar")[0] == ("GET", "/föö bar")
    assert resolve(router, "GET", "/%C3%A9/1") == (("GET", "/é/{x}"), {"x": "1"})


def test_long_paths_with_escapes():
    router = make_router(("GET", "/{x}"))
    assert resolve(router, "GET", "/%41" + "b" * 5000)[1] == {"x": "A" + "b" * 5000}
    assert resolve(router, "GET", "/a" * 4000)[0] == 404


def test_regular_expressions():
    router = make_router(
        ("GET", r"/n/{id:\d+}", r"/n/(?P<id>\d+)"),
        ("GET", "/n/{id}"),
        ("GET", "/{a}-{b}", "/(?P<a>[^{}/]+)-(?P<b>[^{}/]+)"),
        ("GET", "/all/{tail:.*}", "/all/(?P<tail>.*)"),
    )
    assert resolve(router, "GET", "/n/12") == (("GET", r"/n/{id:\d+}"), {"id": "12"})
    assert resolve(router, "GET", "/n/x") == (("GET", "/n/{id}"), {"id": "x"})
    assert resolve(router, "GET", "/1-2") == (("GET", "/{a}-{b}"), {"a": "1", "b": "2"})
    assert resolve(router, "GET", "/all/a/b%2Fc") == (
        ("GET", "/all/{tail:.*}"),
        {"tail": "a/b/c"},
    )


def test_longer_literal_beginning_wins_then_the_first_registered():
    router = make_router(("GET", "/{x}"), ("GET", "/a"), ("GET", "/{y}"), ("POST", "/{z}"))
    assert resolve(router, "GET", "/a")[0] == ("GET", "/a")
    assert resolve(router, "GET", "/b") == (("GET", "/{x}"), {"x": "b"})
    assert resolve(router, "POST", "/a") == (("POST", "/{z}"), {"z": "a"})


def test_prefix():
    router = make_router(("GET", "/"))
    router.add_prefix("GET", "/static", print, info="static")
    assert resolve(router, "GET", "/static/a/b.txt") == ("static", {"filename": "a/b.txt"})
    assert resolve(router, "GET", "/static/a%20b") == ("static", {"filename": "a b"})
    assert resolve(router, "GET", "/static") == ("static", {"filename": ""})
    assert resolve(router, "GET", "/static/") == ("static", {"filename": ""})
    assert resolve(router, "GET", "/static/a/../b") == ("static", {"filename": "a/../b"})
    assert resolve(router, "POST", "/static/a")[0] == (405, "POST", ["GET"])
    for path in ("/statics/a", "/static/../a", "/static/a/../../b", "/static/%2e%2e/b"):
        assert resolve(router, "GET", path) == (404, {}), path


def test_nested_router_answers_for_all_below_its_prefix():
    inner = _core.Router()
    inner.add("GET", "/api/x", print, info="inner")
    inner.set_fallback(_core.Route(print, "inner 404"))
    router = make_router(("GET", "/api/{other}"))
    outer = _core.Router()
    outer.add_router("/api", inner)
    outer.set_fallback(_core.Route(print, 404))
    assert resolve(outer, "GET", "/api/x") == ("inner", {})
    assert resolve(outer, "GET", "/api/y") == ("inner 404", {})
    assert resolve(outer, "GET", "/api") == ("inner 404", {})
    assert resolve(outer, "GET", "/apis") == (404, {})
    router.add_router("/api", inner)
    assert resolve(router, "GET", "/api/y") == (("GET", "/api/{other}"), {"other": "y"})


def test_router_of_a_host():
    inner = make_router(("GET", "/"))
    router = _core.Router()
    router.add_rule(lambda host: host == "example.com", inner)
    router.set_fallback(_core.Route(print, "outer 404"))
    assert resolve(router, "GET", "/", "example.com")[0] == ("GET", "/")
    assert resolve(router, "GET", "/x", "example.com")[0] == 404
    assert resolve(router, "GET", "/", "example.org")[0] == "outer 404"
    assert resolve(router, "GET", "/")[0] == "outer 404"


def test_routers_nested_in_themselves_are_an_error():
    one, two = _core.Router(), _core.Router()
    one.add_router("/", two)
    two.add_router("/", one)
    with pytest.raises(RecursionError):
        one.resolve("GET", "/")


def test_errors_of_matching_are_raised():
    router = _core.Router()
    with pytest.raises(LookupError):
        router.resolve("GET", "/")
    router.add("GET", "/", print)
    router.set_fallback(_core.Route(print), lambda method, allowed: 7)
    with pytest.raises(TypeError, match="must return a Route, not int"):
        router.resolve("POST", "/")
    router.add_rule(lambda host: 1 / 0, make_router())
    with pytest.raises(ZeroDivisionError):
        router.resolve("GET", "/", "h")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("GET", "a", print), ValueError),
        (("GET", "/{a}-{b}", print), ValueError),
        (("GET", r"/{a:\d+}", print), ValueError),
        (("GET", "/" + "a/" * 40, print), ValueError),
        (("", "/", print), ValueError),
        (("GÉT", "/", print), ValueError),
        (("GET", 7, print), TypeError),
        (("GET", "/"), TypeError),
    ],
)
def test_bad_resources_are_refused(arguments, error):
    with pytest.raises(error):
        _core.Router().add(*arguments)


def test_match_info_type():
    class MatchInfo(_core.MatchInfo):
        extra = None

    route, match_info = make_router(("GET", "/{x}"), match_info=MatchInfo).resolve("GET", "/1")
    assert type(match_info) is MatchInfo
    assert match_info == {"x": "1"}
    match_info.extra = route
    with pytest.raises(TypeError):
        _core.Route(print, match_info=dict)
    assert _core.MatchInfo({"a": 1}, 7).route == 7


def test_many_keys():
    router = make_router(*[("GET", f"/r{i}/{{x}}") for i in range(500)])
    for i in range(500):
        assert resolve(router, "GET", f"/r{i}/v") == (("GET", f"/r{i}/{{x}}"), {"x": "v"})


def test_cycles_are_collected():
    class Handler:
        def __call__(self, request): ...

    router = _core.Router()
    handler = Handler()
    handler.router = router
    router.add("GET", "/", handler)
    alive = weakref.ref(handler)
    del router, handler
    gc.collect()
    assert alive() is None
