"""What containers are made of is recognised alike, whichever runtime made them: golden recordings of ours, runc, crun.

`tests/recordings/record.py` makes the recordings anew. Each holds the calls that the recognisers look at.
"""

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tracer.codec import decode_event, decode_header
from tracer.decode.pipeline import Pipeline
from tracer.events import ActionSeen, MessageSeen, Scalar

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings"
RUNTIMES = ["glassbottom-oci", "runc", "crun"]
FULL = frozenset(
    """
    NamespaceEntered MountAttached MountRemounted MountDetached PropagationSet PathMasked RootPivoted DeviceMade
    CgroupMade CgroupJoined CgroupLimitSet HostnameSet SysctlSet OomScoreSet KeyringJoined CapabilitiesDropped
    NoNewPrivilegesSet SeccompInstalled UserSwitched GroupSwitched GroupsSet RlimitSet ConfigOpened ExecFifoMade
    ExecFifoOpened ExecFifoWritten ProgramExecuted ConsoleAllocated ControllingTerminalSet WindowSizeSet
    DescriptorsSent SessionStarted Connected
    """.split()
)
USER_NAMESPACE = frozenset(
    """
    NamespaceEntered UidMapped GidMapped MountAttached MountMoved RootChanged PropagationSet CgroupMade CgroupJoined
    HostnameSet CapabilitiesDropped UserSwitched GroupSwitched GroupsSet ExecFifoWritten ProgramExecuted
    """.split()
)
NETWORK: dict[str, dict[str, Scalar]] = {
    "NamespaceEntered": {"kinds": "network"},
    "LinkCreated": {"name": "outer", "kind": "veth", "peer": "inner"},
    "LinkMoved": {},
    "LinkChanged": {"up": True},
    "LinkDeleted": {},
    "AddressAdded": {"local": "172.30.0.1", "prefix": 16},
    "RouteAdded": {"destination": "10.99.0.0", "gateway": "172.30.0.9"},
    "RoutingRuleAdded": {"from": "10.98.0.0/16", "lookup": 100},
    "TableAdded": {"family": "ip", "name": "golden"},
    "ChainAdded": {"table": "golden", "name": "post"},
    "RuleAdded": {"chain": "post", "rule": 'ip saddr == 172.30.0.0/16, oifname != "bridge0", masquerade'},
}


@cache
def recorded(name: str) -> tuple[ActionSeen | MessageSeen, ...]:
    """All actions and messages that the decoders make of a golden recording."""
    return tuple(_decoded(RECORDINGS / f"{name}.jsonl.gz"))


def _decoded(path: Path) -> Iterator[ActionSeen | MessageSeen]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header = decode_header(file.readline())
        names = {number: signature.name for number, signature in header.syscalls.items()}
        pipeline = Pipeline(names, header.architecture)
        for sequence, line in enumerate(file):
            for event in pipeline.feed(sequence, decode_event(line)):
                if isinstance(event, ActionSeen | MessageSeen):
                    yield event


def actions(name: str) -> list[ActionSeen]:
    return [event for event in recorded(name) if isinstance(event, ActionSeen)]


def fields_of(name: str, action: str, field: str) -> list[object]:
    return [event.fields.get(field) for event in actions(name) if event.action == action]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_action_of_a_container_is_recognised(runtime: str) -> None:
    """Everything that docker asks of a runtime shows as an action."""
    assert frozenset() == FULL - {event.action for event in actions(f"{runtime}-full")}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_action_of_a_user_namespace_is_recognised(runtime: str) -> None:
    """Identity maps, and a root that is moved instead of pivoted to."""
    assert frozenset() == USER_NAMESPACE - {event.action for event in actions(f"{runtime}-user-namespace")}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_actions_say_what_the_config_asked_for(runtime: str) -> None:
    """The same values, whatever calls carried them."""
    name = f"{runtime}-full"

    assert {"pid", "network", "ipc", "uts", "mount", "cgroup"} <= {
        kind for kinds in fields_of(name, "NamespaceEntered", "kinds") for kind in str(kinds).split(",")
    }
    assert str(64 << 20) in fields_of(name, "CgroupLimitSet", "value")
    assert "50" in fields_of(name, "CgroupLimitSet", "value")
    assert "512" in fields_of(name, "CgroupLimitSet", "value")
    assert fields_of(name, "HostnameSet", "name") == ["box"]
    assert 1000 in fields_of(name, "UserSwitched", "uid")
    assert fields_of(name, "GroupsSet", "groups") == ["1000,5"]
    assert {str(path).rpartition("/proc/")[2] for path in fields_of(name, "PathMasked", "path")} == {"keys", "acpi"}
    assert set(fields_of(name, "PathMasked", "how")) == {"/dev/null", "empty tmpfs"}
    assert ["net.ipv4.ip_forward"] == fields_of(name, "SysctlSet", "name")
    assert ["0 100000 65536"] == [
        " ".join(str(value).split()) for value in fields_of(f"{runtime}-user-namespace", "UidMapped", "value")
    ]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_filter_is_summarised_alike(runtime: str) -> None:
    """The same profile comes to the same, compiled by our stack or by libseccomp."""
    [summary] = fields_of(f"{runtime}-full", "SeccompInstalled", "summary")

    assert "EPERM for ptrace, mount, umount2" in str(summary)
    assert "personality EPERM if arg0 == 8" in str(summary)
    assert "allow else" in str(summary)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_actions_come_in_the_order_that_makes_a_container(runtime: str) -> None:
    """The root after the namespaces, the capabilities after the user, the filter last but for the program."""
    order = [event.action for event in actions(f"{runtime}-full")]
    last = {action: len(order) - 1 - order[::-1].index(action) for action in order}
    program = max(
        place
        for place, event in enumerate(actions(f"{runtime}-full"))
        if event.action == "ProgramExecuted" and event.fields["argv"] == "true"
    )

    assert order.index("ExecFifoMade") < order.index("RootPivoted")
    assert order.index("NamespaceEntered") < order.index("RootPivoted")
    assert last["RootPivoted"] < last["UserSwitched"]
    assert last["HostnameSet"] < last["SeccompInstalled"] < program


@pytest.mark.parametrize("action", sorted(NETWORK))
def test_every_action_of_the_network_is_recognised(action: str) -> None:
    """Links, addresses, routes and rules out of netlink, with what matters of them."""
    found = [event.fields for event in actions("network") if event.action == action]

    assert any(NETWORK[action].items() <= fields.items() for fields in found), found


def test_network_messages_are_told_by_name() -> None:
    """A request's title says what it does, and its answer that it was done."""
    titles = [event.title for event in recorded("network") if isinstance(event, MessageSeen)]

    assert "RTM_NEWLINK outer kind=veth peer=inner" in titles
    assert "RTM_NEWLINK outer kind=veth peer=inner: done" in titles
    assert "RTM_NEWADDR 172.30.0.1/16 index=4" in titles


def test_docker_filter_is_told_as_that_of_the_machine() -> None:
    """runc's filter of docker's default profile begins with the part of i386; what runs here is x86_64."""
    summary = str(fields_of("runc-docker-filter", "SeccompInstalled", "summary")[-1])

    assert summary.startswith("allows 2")
    assert "clone allowed if arg0 & 0x7e020000 == 0; personality allowed if arg0 == 0 or" in summary
    assert summary.endswith("; EPERM else; x86 too")


def test_what_the_kernel_refused_is_no_action() -> None:
    """nft asks for a rule in a chain that is not there, and for no acknowledgement; ss asks about sockets."""
    assert fields_of("network", "RuleAdded", "chain") == ["post"]
    assert len(fields_of("network", "AddressAdded", "local")) == 1
    titles = [event.title for event in recorded("network") if isinstance(event, MessageSeen)]
    assert "NFT_MSG_NEWRULE ip golden nosuch drop: ENOENT" in titles
    assert any(title.startswith("SOCK_DIAG_BY_FAMILY") for title in titles)
