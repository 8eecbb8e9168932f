"""The C half of TLS by itself; what it does on connections is in tests/asyncio/test_tls.py."""

import pytest

from fastaio import _core


def test_a_link_that_was_not_initialised_refuses_to_work():
    link = _core.TLSLink.__new__(_core.TLSLink)
    for call in (
        link._do_read,
        link._do_write,
        link._process_outgoing,
        lambda: link._feed(b"x"),
        lambda: link._write_appdata([b"x"]),
    ):
        with pytest.raises(RuntimeError, match="has not been called"):
            call()
    with pytest.raises(TypeError):
        link._feed()
