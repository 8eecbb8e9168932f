"""Responses before they are sent. What reaches the wire is tested with a server."""

import gc
import http
import json
import math
import weakref

import pytest

from fastaio import _core, web

multidict = pytest.importorskip("multidict")


class Stream(_core.StreamResponse, metaclass=_core.ResponseMeta):
    __slots__ = ()


class Web(_core.Response, Stream):
    __slots__ = ()


@pytest.fixture(autouse=True)
def set_up():
    """json_response() makes instances of Web here, and of fastaio.web's elsewhere."""
    _core.response_setup(Web)
    yield
    _core.response_setup(web.Response)


@pytest.fixture(params=[_core.Response, Web, type("Sub", (Web,), {})])
def response_class(request):
    return request.param


def test_defaults(response_class):
    response = response_class()
    assert (response.status, response.reason, response.body, response.text) == (
        200,
        "OK",
        None,
        None,
    )
    assert response.content_type == "application/octet-stream"
    assert response.charset is None
    assert response.content_length == 0
    assert response.keep_alive is None
    assert not response.prepared
    assert not response.chunked
    assert response.task is None
    assert response.body_length == 0
    assert response
    assert response != response_class()
    assert response.headers == {}
    assert isinstance(response.headers, multidict.CIMultiDict)


def test_text(response_class):
    response = response_class(text="hé")
    assert response.text == "hé"
    assert response.body == "hé".encode()
    assert response.content_type == "text/plain"
    assert response.charset == "utf-8"
    assert response.content_length == 3
    assert dict(response.headers) == {"Content-Type": "text/plain; charset=utf-8"}
    assert response_class(text="abc").body == b"abc"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"text": "a"}, "text/plain; charset=utf-8"),
        ({"text": "a", "content_type": "text/html"}, "text/html; charset=utf-8"),
        ({"text": "a", "content_type": "a/b"}, "a/b; charset=utf-8"),
        ({"text": "a", "charset": "latin-1"}, "text/plain; charset=latin-1"),
        ({"text": "a", "headers": {"content-type": "x/y"}}, "x/y; charset=utf-8"),
        ({"body": b"a"}, None),
        ({"body": b"a", "content_type": "a/b"}, "a/b"),
        ({"body": b"a", "content_type": "a/b", "charset": "c"}, "a/b; charset=c"),
        ({"body": b"a", "headers": {"Content-Type": "a/b; x=y"}}, "a/b; x=y"),
    ],
)
def test_content_type_field(response_class, arguments, field):
    assert response_class(**arguments).headers.get("Content-Type") == field


def test_text_is_encoded_with_its_charset(response_class):
    assert response_class(text="é", charset="latin-1").body == b"\xe9"
    headers = {"Content-Type": "text/plain; charset=latin-1"}
    assert response_class(text="é", headers=headers).body == b"\xe9"
    with pytest.raises(UnicodeEncodeError):
        response_class(text="\udcff")
    with pytest.raises(LookupError):
        response_class(text="a", charset="nothing")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": "a", "body": b"a"}, ValueError),
        ({"text": b"a"}, TypeError),
        ({"body": 7}, ValueError),
        ({"content_type": "text/plain; charset=x"}, ValueError),
        ({"text": "a", "headers": {"Content-Type": "a/b"}, "charset": "x"}, ValueError),
        ({"headers": {"Content-Type": "a/b"}, "content_type": "a/b"}, ValueError),
        ({"content_type": 7}, TypeError),
        ({"status": 99}, ValueError),
        ({"status": 1000}, ValueError),
        ({"status": "x"}, ValueError),
        ({"reason": "a\r\nb"}, ValueError),
        ({"reason": "a\0b"}, ValueError),
        ({"reason": 7}, ValueError),
        ({"nothing": 1}, TypeError),
        ({"headers": 7}, TypeError),
    ],
)
def test_refused_arguments(response_class, arguments, error):
    with pytest.raises(error):
        response_class(**arguments)


def test_positional_arguments_are_refused(response_class):
    with pytest.raises(TypeError):
        response_class(b"body")


def test_status(response_class):
    response = response_class(status=http.HTTPStatus.NOT_FOUND)
    assert (response.status, response.reason) == (404, "Not Found")
    assert response_class(status=299).reason == ""
    response = response_class(status=404, reason="Nix")
    assert (response.status, response.reason) == (404, "Nix")
    response.set_status(201)
    assert (response.status, response.reason) == (201, "Created")
    response.set_status(202, reason="So")
    assert response.reason == "So"
    with pytest.raises(ValueError, match="reason"):
        response.set_status(200, "a\nb")
    assert (response.status, response.reason) == (202, "So")
    with pytest.raises(AttributeError):
        response.status = 3


def test_headers_are_a_copy(response_class):
    headers = {"X-A": "b"}
    response = response_class(headers=headers)
    response.headers["X-C"] = "d"
    assert headers == {"X-A": "b"}
    assert response.headers["x-c"] == "d"


def test_content_type_and_charset_setters(response_class):
    response = response_class(text="a")
    response.content_type = "text/html"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    response.charset = "Latin-1"
    assert response.headers["Content-Type"] == "text/html; charset=latin-1"
    response.charset = None
    assert response.headers["Content-Type"] == "text/html"
    response.headers["Content-Type"] = "a/b; x=y; charset=q"
    assert (response.content_type, response.charset) == ("a/b", "q")
    response.content_type = "c/d"
    assert response.headers["Content-Type"] == "c/d; x=y; charset=q"
    with pytest.raises(RuntimeError):
        response_class().charset = "x"


def test_body_and_text_setters(response_class):
    response = response_class()
    response.text = "é"
    assert response.body == "é".encode()
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    response.body = b"abc"
    assert response.text == "abc"
    assert response.content_length == 3
    response.body = bytearray(b"ab")
    assert response.body == b"ab"
    response.body = None
    assert response.body is None
    with pytest.raises(TypeError):
        response.text = 7
    with pytest.raises(ValueError, match="Unsupported body type"):
        response.body = object()


def test_payload_bodies_are_made_by_the_class():
    class Payloads(Web):
        def _make_payload(self, body):
            return ("payload", body)

    assert Payloads(body=7).body == ("payload", 7)


def test_content_length(response_class):
    response = response_class(body=b"abc")
    with pytest.raises(RuntimeError):
        response.content_length = 5
    response.enable_chunked_encoding()
    assert response.chunked
    assert response.content_length is None
    response = response_class(headers={"Content-Length": "7"})
    assert response.content_length == 7
    with pytest.raises(RuntimeError):
        response.enable_chunked_encoding()


def test_stream_response():
    response = Stream(status=201, reason="So", headers={"X-A": "b"})
    assert (response.status, response.reason, response.headers["x-a"]) == (201, "So", "b")
    assert response.content_length is None
    response.content_length = 5
    assert response.content_length == 5
    assert response.headers["Content-Length"] == "5"
    response.content_length = 6
    assert response.headers["Content-Length"] == "6"
    response.content_length = None
    assert "Content-Length" not in response.headers
    with pytest.raises(ValueError, match="negative"):
        response.content_length = -1
    response.enable_chunked_encoding()
    with pytest.raises(RuntimeError):
        response.content_length = 5
    assert not hasattr(response, "text")
    with pytest.raises(TypeError):
        Stream(200)


def test_before_prepare():
    response = Stream()
    with pytest.raises(RuntimeError):
        response.write(b"a")
    with pytest.raises(AssertionError):
        response.write_eof()
    with pytest.raises(AssertionError):
        response.drain()
    with pytest.raises(TypeError):
        response.prepare(7)


def test_without_a_connection_nothing_is_sent():
    request = _core.Request._from_bytes(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        Stream().prepare(request)
    with pytest.raises(ConnectionResetError):
        _core.FileResponse("/nothing").prepare(request)


def test_state_is_a_mapping(response_class):
    response = response_class()
    assert len(response) == 0
    assert "a" not in response
    response["a"] = 1
    assert (response["a"], list(response), "a" in response) == (1, ["a"], True)
    del response["a"]
    with pytest.raises(KeyError):
        response["a"]


def test_force_close(response_class):
    response = response_class()
    response.force_close()
    assert response.keep_alive is False


def test_cookies(response_class):
    response = response_class()
    assert response._cookies is None
    response.cookies["a"] = "b"
    assert response._cookies["a"].OutputString() == "a=b"


def test_repr(response_class):
    assert repr(response_class()) == f"<{response_class.__name__} OK not prepared>"


def test_init_again():
    response = _core.Response(text="a", status=300, headers={"A": "b"})
    response.__init__(body=b"c")
    assert (response.status, response.body, dict(response.headers)) == (200, b"c", {})


def test_attributes_subclasses_and_weak_references(response_class):
    for _ in range(3):
        response = response_class(text="a")
        assert type(response) is response_class
        response.attribute = response
        alive = weakref.ref(response)
        del response
        gc.collect()
        assert alive() is None


def test_memory_is_used_again_clean():
    for i in range(300):
        response = Web(text=str(i))
        assert response.text == str(i)
        assert not response.__dict__
        assert len(response) == 0
        assert response.headers == {"Content-Type": "text/plain; charset=utf-8"}
        response["a"] = response.cookies
        response.mine = i
        response.force_close()


def test_subclass_with_its_own_init():
    class Own(Web):
        def __init__(self, name):
            super().__init__(text=name)
            self.name = name

    response = Own("x")
    assert (response.text, response.name) == ("x", "x")
    with pytest.raises(TypeError):
        _core.response_setup(Own)
    with pytest.raises(TypeError):
        _core.response_setup(dict)


VALUES = [
    {"message": "Hello, World!"},
    {"a": [1, 2.5, None, True, math.inf], "b": {"c": 'é\u2028\\"\n'}, 3: 4, None: (1, 2)},
    "text",
    "é",
    7,
    [],
    {},
    None,
    list(range(200)),
    [[["deep"]] * 3] * 3,
]


@pytest.mark.parametrize("value", VALUES)
def test_json_response_is_what_dumps_gives(value):
    response = _core.json_response(value)
    assert type(response) is Web
    assert response.text == json.dumps(value)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


def test_json_response_arguments():
    response = _core.json_response(
        {"a": 1}, status=201, reason="So", headers={"X-A": "b"}, content_type="a/b", dumps=str
    )
    assert (response.text, response.status, response.reason) == ("{'a': 1}", 201, "So")
    assert response.headers == {"X-A": "b", "Content-Type": "a/b; charset=utf-8"}
    assert _core.json_response(text="[]").text == "[]"
    assert _core.json_response(body=b"[]").body == b"[]"
    with pytest.raises(ValueError, match="only one of data, text, or body"):
        _core.json_response(1, text="a")
    with pytest.raises(ValueError, match="not allowed together"):
        _core.json_response(text="a", body=b"a")


def test_json_response_errors_leave_the_encoder_usable():
    circle: list[object] = []
    circle.append(circle)
    value = {"a": [1, object()]}
    for _ in range(2):
        with pytest.raises(ValueError, match="Circular reference"):
            _core.json_response(circle)
        with pytest.raises(TypeError, match="not JSON serializable"):
            _core.json_response(value)
        with pytest.raises(TypeError, match="keys must be"):
            _core.json_response({(1, 2): 3})
    value["a"].pop()
    circle.clear()
    assert _core.json_response(circle).text == "[]"
    assert _core.json_response(value).text == '{"a": [1]}'


def test_exceptions_that_hold_a_response_count_as_one():
    class HttpError(Exception):
        __http_response__ = Web

        def __init__(self):
            self.__http_response__ = Web(status=404)

    assert isinstance(HttpError(), Web)
    assert isinstance(HttpError(), Stream)
    assert issubclass(HttpError, Web)
    assert not isinstance(ValueError(), Web)
    assert not issubclass(ValueError, Web)
    assert not isinstance(7, Web)
    assert not issubclass(int, Web)
    assert isinstance(Web(), Stream)
    assert not isinstance(Stream(), Web)
    with pytest.raises(TypeError):
        issubclass(7, Web)


def test_file_response_takes_paths(tmp_path):
    assert _core.FileResponse(tmp_path).status == 200
    assert _core.FileResponse(str(tmp_path), 100, 201, "So", {"A": "b"}).headers["A"] == "b"
    for bad in (7, "a\0b"):
        with pytest.raises((TypeError, ValueError)):
            _core.FileResponse(bad)
