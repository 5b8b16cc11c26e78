"""Who counts as one visitor, with and without proxies."""

import pytest

from stylesr.page.visitors import address


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("93.184.215.14", [], "93.184.215.14"),
        ("93.184.215.14", ["8.8.8.8"], "93.184.215.14"),  # no proxy: made up by the visitor
        ("127.0.0.1", [], "127.0.0.1"),
        ("192.168.1.7", [], "192.168.1.7"),
        ("10.0.0.1", ["93.184.215.14"], "93.184.215.14"),
        ("10.0.0.1", ["93.184.215.14, 10.0.3.4"], "93.184.215.14"),  # two proxies
        ("10.0.0.1", ["8.8.8.8, 93.184.215.14"], "93.184.215.14"),  # the first is made up
        ("10.0.0.1", ["8.8.8.8", "93.184.215.14"], "93.184.215.14"),  # in a header of its own
        ("10.0.0.1", ["8.8.8.8, nonsense, 10.0.0.9"], "10.0.0.1"),
        ("10.0.0.1", ["192.168.1.7"], "10.0.0.1"),
        ("10.0.0.1", ["93.184.215.14:5123"], "93.184.215.14"),
        ("10.0.0.1", ["::ffff:93.184.215.14"], "93.184.215.14"),
        ("2a00:1450:4001:82a::200e", [], "2a00:1450:4001:82a::/64"),
        ("::1", ["[2a00:1450:4001:82a:1::9]:443"], "2a00:1450:4001:82a::/64"),
        ("testclient", [], "testclient"),
        ("", [], ""),
    ],
)
def test_a_visitor_is_an_address_that_cannot_be_made_up(
    peer: str, forwarded: list[str], expected: str
) -> None:
    assert address(peer, forwarded) == expected
