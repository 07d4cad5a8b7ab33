"""Ports, networks, names and rules as plain values: what is read, refused, decided and shown."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.daemon import dns_message, etc_files, host_config, network_options, network_requests, port_bindings
from runtime.daemon.container import PublishedPort
from runtime.daemon.errors import ApiError, ConflictError, ForbiddenError, InvalidParameterError, NotModeledError
from runtime.daemon.firewall import BridgeRules, PortMapping, plan
from runtime.daemon.network import Network
from runtime.daemon.port_bindings import WantedPort

BRIDGE = Network("b" * 64, "bridge", "bridge", 0, bridge="gb-x", subnet="172.17.0.0/16", predefined=True)
OWN = Network("c" * 64, "own", "bridge", 0, bridge="br-x", subnet="10.9.0.0/24", subnet_was_asked=True)
EXISTING = {"bridge": BRIDGE, "own": OWN}


def host(**fields: object) -> dict[str, Any]:
    """A completed HostConfig."""
    return host_config.complete(fields, "runc", cgroup_v2=True)


# Ports ---------------------------------------------------------------------------------------------------


def test_ports_are_wanted_by_number_with_addresses_and_ranges() -> None:
    """What -p says in all its forms; what is exposed is wanted only with -P."""
    bindings = {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostPort": "9000-9002"}],
        "53/udp": [{}],
        "22": None,
    }

    wanted = port_bindings.wanted_ports({"ExposedPorts": {"99/tcp": {}}}, host(PortBindings={**bindings, "22": []}))

    assert [
        WantedPort("tcp", 22),
        WantedPort("udp", 53),
        WantedPort("tcp", 80, "127.0.0.1", 8080, 8080),
        WantedPort("tcp", 80, "", 9000, 9002),
    ] == wanted


def test_publish_all_wants_every_exposed_port_but_those_with_a_place() -> None:
    """-P beside -p: a binding that was given is not given twice."""
    config: dict[str, Any] = {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}

    wanted = port_bindings.wanted_ports(
        config, host(PublishAllPorts=True, PortBindings={"80/tcp": [{"HostPort": "8"}]})
    )

    assert [WantedPort("tcp", 80, "", 8, 8), WantedPort("tcp", 81)] == wanted


@pytest.mark.parametrize(
    ("bindings", "error"),
    [
        ({"x/tcp": [{}]}, InvalidParameterError),
        ({"0/tcp": [{}]}, InvalidParameterError),
        ({"65536": [{}]}, InvalidParameterError),
        ({"80/icmp": [{}]}, InvalidParameterError),
        ({"80/tcp": [{"HostPort": "99999"}]}, InvalidParameterError),
        ({"80/tcp": [{"HostPort": "9-8"}]}, InvalidParameterError),
        ({"80/tcp": [{"HostPort": "-1"}]}, InvalidParameterError),
        ({"80/tcp": [{"HostIp": "localhost"}]}, InvalidParameterError),
        ({"80/tcp": ["8080"]}, InvalidParameterError),
        ({"80/sctp": [{}]}, NotModeledError),
    ],
)
def test_ports_that_cannot_be_meant_are_refused(bindings: dict[str, Any], error: type[ApiError]) -> None:
    """Before anything is made, with the words of the wrong part in the sentence."""
    with pytest.raises(error):
        port_bindings.wanted_ports({}, host(PortBindings=bindings))


def test_ports_are_shown_with_their_places_or_without() -> None:
    """inspect has null for a port that is only exposed; ps has no public port there."""
    config: dict[str, Any] = {"ExposedPorts": {"99/tcp": {}, "80/tcp": {}}}
    published = [PublishedPort("tcp", 80, "0.0.0.0", 8080), PublishedPort("tcp", 80, "::", 8080)]

    both = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    assert {"80/tcp": both, "99/tcp": None} == port_bindings.inspect_view(config, published)
    assert [
        {"PrivatePort": 80, "Type": "tcp", "IP": "0.0.0.0", "PublicPort": 8080},
        {"PrivatePort": 80, "Type": "tcp", "IP": "::", "PublicPort": 8080},
        {"PrivatePort": 99, "Type": "tcp"},
    ] == port_bindings.list_view(config, published)


# The packet filter ---------------------------------------------------------------------------------------


def rules_of(chain: str, bridges: list[BridgeRules], ports: list[PortMapping]) -> int:
    """How many rules a chain of the plan has."""
    return {planned.name: len(planned.rules) for planned in plan(bridges, ports)}[chain]


@pytest.mark.parametrize(("host_ip", "translated"), [("0.0.0.0", 1), ("10.0.0.1", 1), ("127.0.0.1", 0), ("::", 0)])
def test_only_what_the_kernel_can_carry_is_translated(host_ip: str, translated: int) -> None:
    """The loopback's packets may not leave it, and the networks have no IPv6: both are the proxy's."""
    mapping = PortMapping(PublishedPort("tcp", 80, host_ip, 8080), "gb-x", "172.17.0.2")

    assert translated == rules_of("prerouting", [], [mapping]) == rules_of("output", [], [mapping])


def test_an_internal_network_is_neither_entered_nor_left_nor_masqueraded() -> None:
    """Two rules that drop; none that lets anything through."""
    subnet = ipaddress.IPv4Network("10.9.0.0/24")
    shut = BridgeRules("br-x", subnet, internal=True, masqueraded=False)

    assert (2, 0) == (rules_of("forward", [shut], []), rules_of("postrouting", [shut], []))
    assert (3, 1) == tuple(rules_of(chain, [BridgeRules("br-x", subnet)], []) for chain in ("forward", "postrouting"))


# Networks ------------------------------------------------------------------------------------------------


def test_a_network_is_read_from_its_request() -> None:
    """Subnet, range, gateway, labels; the bridge is named after the ID, as Docker's."""
    pool = {"Subnet": "10.8.0.0/24", "IPRange": "10.8.0.128/25", "Gateway": "10.8.0.9"}
    body = {"Name": "new", "IPAM": {"Config": [pool]}, "Labels": {"a": "b"}, "Internal": True}

    network = network_requests.parse(body, EXISTING)

    assert ("10.8.0.0/24", "10.8.0.128/25", "10.8.0.9") == (network.subnet, network.ip_range, network.gateway)
    assert (True, {"a": "b"}, f"br-{network.id[:12]}") == (network.internal, network.labels, network.bridge)
    assert [pool] == network.view({})["IPAM"]["Config"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, InvalidParameterError),
        ({"Name": " "}, InvalidParameterError),
        ({"Name": "own"}, ConflictError),
        ({"Name": "bridge"}, ForbiddenError),
        ({"Name": "new", "Driver": "macvlan"}, NotModeledError),
        ({"Name": "new", "EnableIPv6": True}, NotModeledError),
        ({"Name": "new", "Options": {"com.docker.network.bridge.enable_icc": "false"}}, NotModeledError),
        ({"Name": "new", "Options": {"com.docker.network.bridge.name": "x" * 16}}, InvalidParameterError),
        ({"Name": "new", "Options": {"com.docker.network.bridge.name": "br-x"}}, ForbiddenError),
        ({"Name": "new", "IPAM": {"Config": [{"Subnet": "10.9.0.0/16"}]}}, ForbiddenError),
        ({"Name": "new", "IPAM": {"Config": [{"Subnet": "10.8.0.0/31"}]}}, InvalidParameterError),
        ({"Name": "new", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}}, InvalidParameterError),
        ({"Name": "new", "IPAM": {"Config": [{"Subnet": "10.8.0.0/24", "Gateway": "x"}]}}, InvalidParameterError),
        ({"Name": "new", "IPAM": {"Config": "x"}}, InvalidParameterError),
        ({"Name": "new", "IPAM": {"Config": [{"Subnet": 7}]}}, InvalidParameterError),
        ({"Name": "new", "Labels": [1]}, InvalidParameterError),
    ],
)
def test_networks_that_cannot_be_meant_are_refused(body: dict[str, Any], error: type[ApiError]) -> None:
    """Each in a sentence of its own, before anything is made."""
    with pytest.raises(error):
        network_requests.parse(body, EXISTING)


@pytest.mark.parametrize(
    ("mode", "asked", "networks"),
    [
        ("default", {}, {"bridge": {}}),
        ("default", {"default": None}, {"bridge": {}}),
        ("own", {"own": {"Aliases": ["nick"]}}, {"own": {"Aliases": ["nick"]}}),
        ("default", {"own": {}}, {"own": {}}),
        ("container:web", {}, {}),
        ("none", {}, {"none": {}}),
    ],
)
def test_a_container_begins_in_the_network_that_was_asked_for(
    mode: str, asked: dict[str, Any], networks: dict[str, Any]
) -> None:
    """By NetworkMode, or, as docker-py does, by settings for a network alone; "default" is the bridge."""
    assert networks == network_requests.initial_networks(host(NetworkMode=mode), {"EndpointsConfig": asked})


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"own": []},
        {"own": {"Aliases": "x"}},
        {"own": {"IPAMConfig": {"IPv4Address": 1}}},
        {"own": {"IPAMConfig": {"LinkLocalIPs": "x"}}},
        {"own": {"GwPriority": "1"}},
    ],
)
def test_settings_of_another_type_are_refused(asked: Any) -> None:
    """As the Engine API describes them, or 400."""
    with pytest.raises(InvalidParameterError):
        network_requests.initial_networks(host(), {"EndpointsConfig": asked or "x"})


def test_links_of_an_endpoint_are_read_when_they_are_asked_for() -> None:
    """The name server, which needs them, could tell nobody."""
    with pytest.raises(InvalidParameterError, match="bad format for links: a:b:c"):
        network_requests.initial_networks(host(), {"EndpointsConfig": {"own": {"Links": ["x:y", "a:b:c"]}}})
    fine = {"own": {"Links": ["x", "x:y", "/x:/z/y"]}}
    assert fine == network_requests.initial_networks(host(), {"EndpointsConfig": fine})


@pytest.mark.parametrize(
    ("done", "undone"),
    [
        ({"IPAMConfig": {"LinkLocalIPs": []}}, {"IPAMConfig": {"LinkLocalIPs": ["169.254.1.1"]}}),
        ({"GwPriority": 0}, {"GwPriority": -1}),
    ],
)
def test_settings_that_are_not_done_are_refused_by_name(done: dict[str, Any], undone: dict[str, Any]) -> None:
    """Our own client sends them; a container without them would be a surprise."""
    assert {"own": done} == network_requests.initial_networks(host(), {"EndpointsConfig": {"own": done}})
    with pytest.raises(NotModeledError, match=r"LinkLocalIPs|GwPriority"):
        network_requests.initial_networks(host(), {"EndpointsConfig": {"own": undone}})


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("host_ipv4=10.0.0.1", NotModeledError),
        ("host_ipv4=x", InvalidParameterError),
        ("host_ipv6=fd00::1", NotModeledError),
        ("enable_ipv6=1", NotModeledError),
        ("enable_ipv6=x", InvalidParameterError),
        ("enable_ipv4=0", NotModeledError),
        ("bridge.inhibit_ipv4=true", NotModeledError),
        ("bridge.gateway_mode_ipv4=isolated", NotModeledError),
        ("bridge.gateway_mode_ipv6=routed", NotModeledError),
        ("bridge.trusted_host_interfaces=eth0", NotModeledError),
    ],
)
def test_options_that_a_bridge_driver_knows_are_refused(option: str, error: type[ApiError]) -> None:
    """Of any version: what was asked for and is not done is said."""
    key, _, value = option.partition("=")
    with pytest.raises(error, match=key):
        network_options.verify({f"com.docker.network.{key}": value})


@pytest.mark.parametrize(
    "option", ["bridge.gateway_mode_ipv4=nat", "enable_ipv4=true", "enable_ipv6=false", "internal=x", "bridge.odd=1"]
)
def test_options_that_ask_for_nothing_more_are_accepted(option: str) -> None:
    """What is so anyway, and what no bridge driver knows."""
    key, _, value = option.partition("=")
    network_options.verify({f"com.docker.network.{key}": value})


def test_addresses_are_chosen_or_checked() -> None:
    """The lowest free one of the range; one's own choice only where the user chose the subnet."""
    used = {"10.9.0.1", "10.9.0.2"}

    assert "10.9.0.3" == network_requests.choose_address(OWN, {}, used)
    assert "10.9.0.77" == network_requests.choose_address(OWN, {"IPAMConfig": {"IPv4Address": "10.9.0.77"}}, used)
    for network, address in ((OWN, "10.9.0.2"), (OWN, "10.7.0.1"), (OWN, "x"), (BRIDGE, "172.17.0.9")):
        with pytest.raises((ForbiddenError, InvalidParameterError)):
            network_requests.choose_address(network, {"IPAMConfig": {"IPv4Address": address}}, used)


@pytest.mark.parametrize(("of_host", "options"), [("", "ndots:0"), ("options edns0 ndots:2\n", "edns0 ndots:2")])
def test_resolv_conf_names_the_containers_own_server(of_host: str, options: str) -> None:
    """127.0.0.11 alone; a name without a dot is complete, unless the host says otherwise."""
    text = etc_files.resolv_conf(host(), f"nameserver 9.9.9.9\nsearch a.b\n{of_host}", has_name_server=True)

    assert f"search a.b\nnameserver 127.0.0.11\noptions {options}\n" == text


# Names ---------------------------------------------------------------------------------------------------


def question(name: str, kind: int = dns_message.A) -> bytes:
    """A query as a resolver sends it."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0" + labels + b"\0\0" + bytes((kind,)) + b"\0\x01"


def test_a_question_is_read_and_answered() -> None:
    """The answer repeats identifier and question, and points to the name in it."""
    query = dns_message.parse_query(question("Web.own"))

    assert query is not None
    assert ("web.own", dns_message.A, "") == (query.name, query.type, query.asked_address)
    reply = dns_message.answer(query, [dns_message.address_record("10.9.0.2")])
    assert reply == (
        b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0"
        + question("Web.own")[12:]
        + b"\xc0\x0c\0\x01\0\x01\0\0\x02\x58\0\x04\x0a\x09\0\x02"
    )


def test_an_address_is_asked_for_backwards() -> None:
    """in-addr.arpa; anything else under it is no address."""
    for name, address in (("2.0.9.10.in-addr.arpa", "10.9.0.2"), ("x.in-addr.arpa", ""), ("web", "")):
        query = dns_message.parse_query(question(name, dns_message.PTR))
        assert query is not None
        assert address == query.asked_address


@given(st.binary(max_size=80))
def test_any_bytes_are_a_question_or_are_not(message: bytes) -> None:
    """Never an error; and what is taken for a question can be answered."""
    query = dns_message.parse_query(message)

    if query is not None:
        assert dns_message.answer(query, [], dns_message.SERVER_FAILURE)[:2] == message[:2]


@given(st.data())
def test_any_part_of_a_question_is_no_question(data: st.DataObject) -> None:
    """Cut short anywhere, it is passed on unread."""
    whole = question("some.name.example")
    length = data.draw(st.integers(0, len(whole) - 1))

    assert dns_message.parse_query(whole[:length]) is None
