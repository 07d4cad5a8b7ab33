"""Small pure parts of the daemon: names, keys, frames, times, addresses, files of a root."""

import ipaddress
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.daemon import (
    detach_keys,
    filters,
    go_words,
    host_config,
    ipam,
    mount_points,
    process_list,
    references,
    start_failures,
    timestamps,
    users,
)
from runtime.daemon.detach_keys import DetachFilter
from runtime.daemon.errors import (
    ApiError,
    InvalidParameterError,
    NotFoundError,
    NotModeledError,
    ServerError,
)
from runtime.daemon.events import matches
from runtime.daemon.images import chain_ids
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.rootfs_files import RootfsFiles, SnapshotMount
from runtime.daemon.router import Router, check_version, split_version
from runtime.daemon.signals import parse_signal
from runtime.daemon.start_failures import explain, start_exit_code
from runtime.daemon.stdcopy import frame


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("hostbox", "docker.io/library/hostbox:latest"),
        ("a/b:1", "docker.io/a/b:1"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("r.example/x/y:z", "r.example/x/y:z"),
    ],
)
def test_image_names_are_qualified_as_containerd_stores_them(name: str, full: str) -> None:
    """The domain, the library and the tag that people leave away."""
    assert full == references.qualify(name)


@pytest.mark.parametrize("name", ["UPPER", "a b", "x:", "-x", "a@sha256:1", ""])
def test_image_names_that_are_none_are_refused(name: str) -> None:
    """400, with the reference grammar's own words."""
    with pytest.raises(InvalidParameterError, match="invalid reference format"):
        references.qualify(name)


@given(st.lists(st.binary(max_size=5), max_size=8))
def test_detach_filter_passes_everything_that_is_not_the_sequence(pieces: list[bytes]) -> None:
    """However the input is cut, the bytes before the sequence come through, and none after it."""
    keys = detach_keys.parse("ctrl-p,ctrl-q")
    whole = b"".join(pieces)
    watched, passed, detached = DetachFilter(keys), b"", False

    for piece in pieces:
        if detached:
            break
        part, detached = watched.feed(piece)
        passed += part

    before, found, _ = whole.partition(keys)
    assert bool(found) == detached
    if detached:
        assert before == passed
    else:
        assert whole.startswith(passed)
        assert len(whole) - len(passed) < len(keys)


def test_frame_has_the_stream_and_the_length() -> None:
    """Eight bytes of header: stream, zeros, big-endian length."""
    assert b"\x02\0\0\0\0\0\0\x03abc" == frame(2, b"abc")


@given(st.integers(min_value=0, max_value=2**61))
def test_timestamps_survive_being_written(time_ns: int) -> None:
    """RFC 3339 with nanoseconds and back."""
    assert time_ns == timestamps.from_rfc3339(timestamps.rfc3339(time_ns))
    assert time_ns == timestamps.from_rfc3339(timestamps.rfc3339_fixed(time_ns))


def test_query_times_are_seconds_instants_or_durations() -> None:
    """As the docker CLI sends them, and as curl would."""
    now = time.time_ns()

    assert 1_500_000_000 == timestamps.from_query("1.5", now)
    assert now - 90 * 10**9 == timestamps.from_query("1m30s", now)
    assert timestamps.from_query("", now) is None
    with pytest.raises(ServerError):
        timestamps.from_query("yesterday", now)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "Less than a second"), (45, "45 seconds"), (80, "About a minute"), (7200, "2 hours"), (86400 * 3, "3 days")],
)
def test_durations_read_as_in_docker_ps(seconds: float, text: str) -> None:
    """The words of go-units."""
    assert text == timestamps.human_duration(seconds)


@pytest.mark.parametrize(
    ("text", "number"), [("KILL", 9), ("sigterm", 15), ("10", 10), ("RTMIN+3", 37), ("SIGRTMAX-14", 50), ("99", 99)]
)
def test_signals_are_read_by_name_and_number(text: str, number: int) -> None:
    """With and without SIG."""
    assert number == parse_signal(text)


def test_chain_ids_name_stacks_of_layers() -> None:
    """The first is the layer itself; each next one hashes the last with its layer."""
    first, second = chain_ids(["sha256:a", "sha256:b"])

    assert "sha256:a" == first
    assert second.startswith("sha256:")
    assert 71 == len(second)


def test_subnets_avoid_what_is_routed_already() -> None:
    """The first free one of Docker's pools from the daemon's own place on."""
    occupied = [ipaddress.IPv4Network("172.17.0.0/16"), ipaddress.IPv4Network("172.18.4.0/24")]

    assert ipaddress.IPv4Network("172.19.0.0/16") == ipam.choose_subnet(occupied, 0)
    assert ipaddress.IPv4Network("192.168.0.0/20") == ipam.choose_subnet([ipaddress.IPv4Network("172.16.0.0/12")], 3)
    assert ipam.choose_subnet([ipaddress.IPv4Network("128.0.0.0/1")], 3) is None


def test_addresses_are_given_lowest_first() -> None:
    """The gateway has the first, containers the next free ones, with docker's hardware address."""
    subnet = ipaddress.IPv4Network("172.20.0.0/16")

    assert "172.20.0.3" == ipam.lowest_free(subnet, "", {"172.20.0.1", "172.20.0.2", "172.20.0.4"})
    assert b"\x02\x42\xac\x14\x00\x03" == ipam.mac_of("172.20.0.3")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ("stat /x: no such file or directory", 127),
        ("permission denied", 126),
        ("else", 128),
    ],
)
def test_failed_starts_have_exit_codes_by_their_words(message: str, code: int) -> None:
    """What dockerd and the CLI agree on."""
    assert code == start_exit_code(message)


def test_only_mounts_get_advice_about_mounts() -> None:
    """A working directory that is none says "not a directory" as well."""
    mount = 'error mounting "/etc/hostname" to rootfs at "/f": mount /etc/hostname:/f: not a directory'
    chdir = 'process.cwd: chdir to "/dev/null": not a directory'

    assert explain(mount) == (126, mount + start_failures._MOUNT_ADVICE)
    assert explain(chdir) == (126, chdir)


def test_versions_of_the_path_are_checked() -> None:
    """Any spoken version leads to the same path; others are refused with both numbers."""
    assert ((1, 41), "/_ping") == split_version("/_ping")
    assert ((1, 24), "/info") == split_version("/v1.24/info")
    check_version((1, 24))
    with pytest.raises(
        InvalidParameterError, match=r"client version 1.99 is too new. Maximum supported API version is"
    ):
        check_version((1, 99))
    with pytest.raises(InvalidParameterError, match="too old"):
        check_version((1, 1))


def test_unknown_paths_are_not_found() -> None:
    """404 with dockerd's text."""
    with pytest.raises(NotFoundError, match="page not found"):
        Router([]).find("GET", "/nosuch")


def test_event_filters_are_ored_within_a_key_and_anded_between() -> None:
    """container=a container=b type=container."""
    event = {
        "Type": "container",
        "Action": "exec_create: ls ",
        "Actor": {"ID": "ab", "Attributes": {"name": "b", "l": "1"}},
        "scope": "local",
    }

    assert matches(event, {"container": ["a", "x"], "type": ["container"]})  # type: ignore[arg-type]
    assert matches(event, {"event": ["exec_create"], "label": ["l=1"]})  # type: ignore[arg-type]
    assert not matches(event, {"container": ["b"], "type": ["image"]})  # type: ignore[arg-type]


async def test_top_needs_a_pid_column() -> None:
    """`ps` arguments that hide the ids cannot be cut down to a container."""
    titles, rows = await process_list.top([os.getpid()], "-eo pid,comm")

    assert ["PID", "COMMAND"] == titles
    assert str(os.getpid()) == rows[0][0]
    with pytest.raises(ApiError, match="Couldn't find PID field"):
        await process_list.top([1], "-eo comm")


def layered_root(folder: Path) -> RootfsFiles:
    """Two layers: the upper one hides, replaces and links."""
    for path, text in {
        "low/etc/passwd": "root:x:0:0::/:/bin/sh\nann:x:7:8::/:/bin/sh\n",
        "low/etc/group": "ann:x:8:\nteam:x:9:ann\n",
        "low/gone/x": "1",
        "up/opaque/new": "2",
        "low/opaque/old": "3",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    os.symlink("/etc/passwd", folder / "up/people")
    os.symlink("../../../../../etc/passwd", folder / "up/out")
    options = (f"lowerdir={folder}/low", f"upperdir={folder}/up", f"workdir={folder}/work")
    return RootfsFiles([SnapshotMount("overlay", "overlay", options)])


def test_root_files_are_read_through_layers_and_links(tmp_path: Path) -> None:
    """A link never leads out of the root."""
    files = layered_root(tmp_path)

    assert b"2" == files.read("/opaque/new")
    assert b"3" == files.read("/opaque/old")
    assert files.read("/people") == files.read("/etc/passwd") == files.read("/out")
    assert files.read("/nosuch/x") is None


@pytest.mark.parametrize(
    ("user", "numbers"),
    [
        ("", (0, 0, (0,))),
        ("ann", (7, 8, (8, 9))),
        ("7", (7, 8, (8, 9))),
        ("ann:team", (7, 9, (9,))),
        ("55", (55, 0, (0,))),
        ("5:6", (5, 6, (6,))),
    ],
)
def test_users_are_found_in_the_image(tmp_path: Path, user: str, numbers: tuple[int, int, tuple[int, ...]]) -> None:
    """By name or number, with the groups that list them."""
    found = users.resolve(user, [], layered_root(tmp_path))

    assert numbers == (found.uid, found.gid, found.additional_gids)


def test_users_that_are_not_in_the_image_are_refused(tmp_path: Path) -> None:
    """With dockerd's words."""
    with pytest.raises(ServerError, match="unable to find user bob: no matching entries in passwd file"):
        users.resolve("bob", [], layered_root(tmp_path))


def test_list_filter_that_is_no_pattern_is_a_name() -> None:
    """A name filter is a regular expression where it can be one."""
    assert filters.is_like("c1", "^c[0-9]$")
    assert not filters.is_like("c1", "(")


def test_mount_points_of_others_give_way_to_those_of_ones_own() -> None:
    """`--volumes-from` lends what is not asked for at the same place; read-only stays, the claim does not."""
    host: dict[str, Any] = {"Binds": ["/b:/same"]}
    lent = [MountPoint("volume", "/v", place, anonymous=True).lent(place == "/ro") for place in ("/same", "/ro", "/rw")]

    points = mount_points.parse({"Volumes": {"/rw": {}}}, host, lent)

    assert [("/ro", True, False), ("/rw", False, False), ("/same", False, False)] == [
        (point.destination, point.read_only, point.anonymous) for point in points
    ]
    assert "bind" == points[-1].type


@pytest.mark.parametrize(("field", "flag"), host_config.NOT_MODELED.items())
def test_flags_that_are_not_modelled_are_refused_by_name(field: str, flag: str) -> None:
    """What would do nothing says so, with 501."""
    host = host_config.complete({field: {"size": "1g"}}, "runc", False)

    with pytest.raises(NotModeledError, match=flag):
        host_config.verify(host, {"runc": "runc"})


@pytest.mark.parametrize(
    ("values", "said"), [([], None), (["1"], True), (["false"], False), (["0", "true"], True), (["x", "false"], False)]
)
def test_filter_says_yes_or_no(values: list[str], said: bool | None) -> None:
    """As recorded from dockerd 20.10: yes goes first, and words that are none matter only alone."""
    assert said is filters.truth("dangling", values)


@pytest.mark.parametrize(
    ("values", "digits"), [(["t"], True), (["TRUE"], True), ([""], True), (["1"], False), (["0", "f"], False)]
)
def test_filter_that_says_neither_is_refused(values: list[str], digits: bool) -> None:
    """Digits count for volumes and networks, not for images and tasks."""
    with pytest.raises(InvalidParameterError, match=re.escape(f"Invalid filter 'is-task=[{' '.join(values)}]'")):
        filters.truth("is-task", values, digits=digits)


def test_words_are_quoted_as_go_does() -> None:
    """As recorded from dockerd 20.10: the ASCII ones by two digits, DEL among them."""
    assert r'"a\x7f\x01\x00\"\\\n\u00ad\u0085\U000e0001\xff é"' == go_words.quoted(
        'a\x7f\1\0"\\\n\xad\x85\U000e0001\udcff é'
    )
