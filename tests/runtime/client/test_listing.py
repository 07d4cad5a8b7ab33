"""What `ps` shows of a container, and `--format` (as docker CLI 28 shows them)."""

import pytest

from runtime.client.flags import RefusedHereError
from runtime.client.listing import container_fields, ports_shown
from runtime.client.templates import fill


def port(inside: int, outside: int = 0, address: str = "", kind: str = "tcp") -> dict[str, object]:
    published = {"IP": address, "PublicPort": outside} if address else {}
    return {"PrivatePort": inside, "Type": kind, **published}


@pytest.mark.parametrize(
    ("ports", "shown"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 18099, "0.0.0.0"), port(80, 18099, "::")], "0.0.0.0:18099->80/tcp, [::]:18099->80/tcp"),
        ([port(82), port(80), port(81), port(90)], "80-82/tcp, 90/tcp"),
        ([port(81, 81, "::"), port(80, 80, "::")], "[::]:80-81->80-81/tcp"),
        ([port(90, 18099, "0.0.0.0"), port(80, kind="udp")], "80/udp, 0.0.0.0:18099->90/tcp"),
    ],
)
def test_ports_are_shown_in_ranges(ports: list[dict[str, object]], shown: str) -> None:
    """What is published on another number stands alone, and last."""
    assert shown == ports_shown(ports)


def test_a_container_has_the_fields_of_a_template() -> None:
    """Names without their slash, the ID short."""
    item = {"Id": "a" * 64, "Image": "hostbox", "Command": "sleep 1000", "Created": 0, "State": "running"}
    fields = container_fields(item | {"Status": "Up", "Names": ["/x"], "Ports": [port(80)]}, whole=False)

    assert fill(r"{{.Names}}\t{{ .ID }} {{json .Ports}}", fields) == f'x\t{"a" * 12} "80/tcp"'


@pytest.mark.parametrize("template", ["{{.Nosuch}}", "{{range .}}", "{{.Names.First}}"])
def test_a_template_that_is_not_understood_is_refused(template: str) -> None:
    """Never printed as it is."""
    with pytest.raises(RefusedHereError, match="template"):
        fill(template, {"Names": "x"})


def test_a_template_reaches_into_an_event() -> None:
    """Fields of fields; a whole one is JSON."""
    event: dict[str, object] = {"Type": "container", "Actor": {"ID": "x", "Attributes": {"name": "n"}}}

    assert fill("{{.Type}} {{.Actor.Attributes.name}}", event) == "container n"
    assert fill("{{json .Actor.ID}}", event) == '"x"'
    assert '"Type": "container"' in fill("{{json .}}", event)
