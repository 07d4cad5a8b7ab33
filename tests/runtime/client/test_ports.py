"""``-p`` and ``--expose``, port by port (recorded from docker CLI 28)."""

import pytest

from runtime.client import ports
from runtime.client.flags import ConflictError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [("80/tcp", "", "")]),
        ("8080:80", [("80/tcp", "", "8080")]),
        ("127.0.0.1:8080:80/udp", [("80/udp", "127.0.0.1", "8080")]),
        ("[::1]:8080:80", [("80/tcp", "::1", "8080")]),
        ("127.0.0.1::80", [("80/tcp", "127.0.0.1", "")]),
        ("80/UDP", [("80/udp", "", "")]),
        ("8000-8001:80-81", [("80/tcp", "", "8000"), ("81/tcp", "", "8001")]),
        ("80-81", [("80/tcp", "", ""), ("81/tcp", "", "")]),
        ("8000-8010:80", [("80/tcp", "", "8000-8010")]),
    ],
)
def test_ports_published(text: str, expected: list[tuple[str, str, str]]) -> None:
    """[ADDRESS:][HOSTPORT:]PORT[/PROTOCOL], either port a range."""
    assert [
        (inside, {"HostIp": address, "HostPort": outside}) for inside, address, outside in expected
    ] == ports.published(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"),
        ("x:80", "invalid hostPort: x"),
        ("80:x", "invalid containerPort: x"),
        ("80:99999", "invalid containerPort: 99999"),
        ("99999:80", "invalid hostPort: 99999"),
        ("82-80", "invalid containerPort: 82-80"),
        ("80:80/foo", "invalid proto: foo"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("80:90:100:110", "invalid IP address: 80:90"),
    ],
)
def test_ports_that_are_none_are_refused(text: str, words: str) -> None:
    """The words are docker's."""
    with pytest.raises(ConflictError) as raised:
        ports.published(text)

    assert words == str(raised.value)


def test_ports_exposed() -> None:
    """A range is as many ports; what is no number is named."""
    assert ports.exposed("80-82/udp") == ["80/udp", "81/udp", "82/udp"]
    with pytest.raises(ConflictError, match=r'for --expose: x, error: strconv.ParseUint: parsing "x": invalid syntax'):
        ports.exposed("x")
