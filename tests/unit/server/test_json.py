"""server/json.c through json_response(): the text is that of json.dumps(), whatever the data."""

import enum
import json
import math
import random

import pytest

from fastaio import _core


class Color(enum.IntEnum):
    RED = 1


class Name(str):
    pass


class Table(dict):
    pass


def nested(depth):
    data = []
    for _ in range(depth):
        data = [data]
    return data


CASES = [
    None,
    True,
    False,
    *(0, -1, 9, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**200, Color.RED),
    *(1.5, -0.0, 0.1, 1e16, 1e22, 1e100, 5e-324, 1 / 3, math.nan, math.inf, -math.inf),
    *("", "plain", 'a"b\\c/', "".join(map(chr, range(0x100))), "\u0100\uffff", "\U0001f600"),
    *("\ud800", "\udfff\ud800", Name("name"), "x" * 3000, "ü" * 3000, "x" * 3000 + "\n"),
    *([], {}, (), [[]], [{}], {"a": {}}, (1, (2, [3])), [1, None, "x", 2.5]),
    *({"k": 1, 2: 3}, {1.5: 2}, {True: 1, None: 2}, {"": ""}, Table(a=1), {Name("n"): 1}),
    *([1] * 2000, {"key" * 20 + str(i): [i] * i for i in range(100)}),
    *(nested(31), nested(32), nested(33), nested(200)),
]


@pytest.mark.parametrize("data", CASES, ids=lambda data: ascii(data)[:30])
def test_text_is_that_of_json_dumps(data):
    assert _core.json_response(data).text == json.dumps(data)


def random_text(rng):
    limits = (0x80, 0x100, 0x10000, 0x110000)
    return "".join(chr(rng.randrange(rng.choice(limits))) for _ in range(rng.randrange(12)))


def random_data(rng, depth):
    makers = [
        lambda: rng.randrange(-(10**12), 10**12),
        lambda: rng.random() * 10.0 ** rng.randrange(-20, 20),
        lambda: random_text(rng),
        lambda: rng.choice([None, True, False]),
        lambda: [random_data(rng, depth - 1) for _ in range(rng.randrange(5))],
        lambda: {random_text(rng): random_data(rng, depth - 1) for _ in range(rng.randrange(5))},
        lambda: tuple(random_data(rng, depth - 1) for _ in range(rng.randrange(4))),
    ]
    return rng.choice(makers if depth else makers[:4])()


def test_text_of_random_data_is_that_of_json_dumps():
    rng = random.Random(20261123)
    for _ in range(3000):
        data = random_data(rng, 4)
        assert _core.json_response(data).text == json.dumps(data)


def test_a_circle_is_an_error():
    data = {}
    data["self"] = [data]
    with pytest.raises(ValueError, match="Circular reference"):
        _core.json_response(data)


@pytest.mark.parametrize(
    "data",
    [object(), [{"a": {1, 2}}], {1j: 1}, {"a": b"bytes"}],
    ids=lambda data: type(data).__name__,
)
def test_what_has_no_json_is_an_error(data):
    with pytest.raises(TypeError):
        _core.json_response(data)
