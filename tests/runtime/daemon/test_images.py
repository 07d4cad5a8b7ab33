"""Pure parts of images: names, platforms, challenges, changes, archives and their compressions."""

import base64
import bz2
import gzip
import json
import lzma
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.daemon import image_changes, platforms, references, registry_endpoints
from runtime.daemon.errors import ApiError, InvalidParameterError, NotFoundError
from runtime.daemon.image_install import checked_diff_ids
from runtime.daemon.image_removal import is_one_reference
from runtime.daemon.image_spool import BadArchiveError, Spool
from runtime.daemon.options import UsageError, parse_arguments
from runtime.daemon.platforms import Platform
from runtime.daemon.registry_auth import Challenge, Credentials, read_challenge, read_credentials

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("name", "domain", "path", "tag", "digest"),
    [
        ("alpine", "docker.io", "library/alpine", "latest", ""),
        ("index.docker.io/x/y", "docker.io", "x/y", "latest", ""),
        ("localhost/x:1", "localhost", "x", "1", ""),
        ("r.example:5000/a/b/c", "r.example:5000", "a/b/c", "latest", ""),
        (f"alpine@{DIGEST}", "docker.io", "library/alpine", "", DIGEST),
        (f"alpine:3@{DIGEST}", "docker.io", "library/alpine", "", DIGEST),
    ],
)
def test_references_are_taken_apart(name: str, domain: str, path: str, tag: str, digest: str) -> None:
    """The domain is what looks like one; with a digest the tag says nothing."""
    assert references.Reference(domain, path, tag, digest) == references.parse(name)


@pytest.mark.parametrize(
    "name", ["", ":1", "x@sha256:1", "x:a b", "x/../y", "http://x/y", "a//b", "x" * 256, "r.example/X", "-a.b/x", "x:"]
)
def test_references_that_are_none_are_refused(name: str) -> None:
    """400, whatever it is: most of all nothing that a URL or a path could be made of."""
    with pytest.raises(InvalidParameterError):
        references.parse(name)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("alpine", True),
        ("alpine:3", True),
        ("alp*", True),
        ("*:3", True),
        ("alpine:[1-3]", True),
        ("alpin?", True),
        ("alpine:[^1-2]", True),
        ("alpine:[[&&||~~3]", True),
        ("alpine:4", False),
        ("lpine", False),
        ("docker.io/library/alpine", False),
    ],
)
def test_patterns_mean_a_name_with_and_without_its_tag(pattern: str, matches: bool) -> None:
    """`docker images PATTERN`."""
    assert references.matches("docker.io/library/alpine:3", pattern) is matches


def test_star_does_not_match_a_slash() -> None:
    """Go's path.Match: one star for each part."""
    assert not references.matches("docker.io/a/b:1", "*")
    assert references.matches("docker.io/a/b:1", "*/*")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12))
def test_any_pattern_is_a_pattern_or_refused(pattern: str) -> None:
    """No pattern breaks anything."""
    try:
        found: bool | None = references.matches("docker.io/library/alpine:3", pattern)
    except InvalidParameterError:
        found = None

    assert found in (True, False, None)


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64", Platform("linux", "arm64")),
        ("linux/arm/v6", Platform("linux", "arm", "v6")),
        ("aarch64", Platform("linux", "arm64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("", platforms.this_machine()),
        ("linux", platforms.this_machine()),
    ],
)
def test_platforms_are_read_as_people_write_them(text: str, platform: Platform) -> None:
    """`--platform` with and without the system, and in the kernel's words."""
    assert platform == platforms.parse(text)


def test_index_is_searched_for_the_platform() -> None:
    """Variants that are not said are the usual ones; attestations are never an image."""
    index = {
        "manifests": [
            {"digest": "attestation", "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": "v6", "platform": {"os": "linux", "architecture": "arm", "variant": "v6"}},
            {"digest": "v7", "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"digest": "64", "platform": {"os": "linux", "architecture": "arm64"}},
        ]
    }

    wanted = [Platform("linux", "arm"), Platform("linux", "arm", "v6"), Platform("linux", "arm64", "v8")]
    assert [platforms.choose(index, one)["digest"] for one in wanted] == ["v7", "v6", "64"]
    with pytest.raises(NotFoundError, match="no matching manifest for linux/amd64 in the manifest list entries"):
        platforms.choose(index, Platform("linux", "amd64"))


def test_challenges_are_read_with_commas_and_quotes_inside() -> None:
    """RFC 9110: quoted strings may hold anything; of several schemes, one that is known."""
    header = 'Bearer realm="https://a/token?x=1,2",service=hub,scope="repository:a/b:pull,push",error="a \\"b\\""'

    found = read_challenge(["Negotiate", header])

    parameters = {"realm": "https://a/token?x=1,2", "service": "hub", "scope": "repository:a/b:pull,push"}
    assert Challenge("bearer", parameters | {"error": 'a "b"'}) == found
    assert read_challenge(["Negotiate"]) is None


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60), max_size=3))
def test_any_challenge_is_read_or_none(headers: list[str]) -> None:
    """What a registry says in a header breaks nothing."""
    assert isinstance(read_challenge(headers), Challenge | None)


@pytest.mark.parametrize("header", ["", "e30=", "e30", "!!!", base64.b64encode(b"[1]").decode(), "eyJ1"])
def test_credentials_that_cannot_be_read_are_none(header: str) -> None:
    """As dockerd: who sends rubbish is a stranger."""
    assert Credentials() == read_credentials(header)


def test_credentials_come_as_json_in_base64() -> None:
    """What the CLI sends after `docker login`."""
    document = {"username": "u", "password": "p:w", "serveraddress": "r", "identitytoken": None}

    found = read_credentials(base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("="))

    assert found == Credentials("u", "p:w")
    assert found.basic == "Basic " + base64.b64encode(b"u:p:w").decode()


def test_registries_of_this_host_may_be_without_tls() -> None:
    """docker.io has mirrors; 127.0.0.0/8 and localhost are tried with TLS, and then without."""
    found = registry_endpoints.endpoints

    assert [one.url for one in found("docker.io", ("http://m:1/",), ())] == [
        "http://m:1",
        "https://registry-1.docker.io",
    ]
    for local in ("127.0.0.1:5000", "127.9.9.9", "localhost:5000", "[::1]:5000"):
        assert [one.url for one in found(local, (), ())] == [f"https://{local}", f"http://{local}"]
    assert [one.url for one in found("r.example", (), ())] == ["https://r.example"]
    assert [one.verified for one in found("r.example", (), ("r.example",))] == [False, True]


def test_mirrors_and_insecure_registries_are_flags() -> None:
    """Both may come several times; a mirror is a URL."""
    options = parse_arguments(
        ["--registry-mirror", "http://a", "--registry-mirror=https://b", "--insecure-registry", "r:5000"]
    )

    assert (("http://a", "https://b"), ("r:5000",)) == (options.registry_mirrors, options.insecure_registries)
    with pytest.raises(UsageError, match="want http://HOST"):
        parse_arguments(["--registry-mirror", "a"])


@pytest.mark.parametrize(
    ("line", "config"),
    [
        ('CMD ["a", "b"]', {"Cmd": ["a", "b"]}),
        ("cmd a b", {"Cmd": ["/bin/sh", "-c", "a b"]}),
        ('ENTRYPOINT ["/e"]', {"Entrypoint": ["/e"]}),
        ('ENV A=1 B="two words"', {"Env": ["A=1", "B=two words"]}),
        ("ENV A two words", {"Env": ["A=two words"]}),
        ("LABEL a=b c=d", {"Labels": {"a": "b", "c": "d"}}),
        (
            "EXPOSE 80 53/udp 8000-8002",
            {"ExposedPorts": {f"{p}": {} for p in ("80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp")}},
        ),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("WORKDIR x/../y", {"WorkingDir": "/y"}),
        ("USER 1:2", {"User": "1:2"}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ("", {}),
    ],
)
def test_changes_are_instructions_of_a_dockerfile(line: str, config: dict[str, Any]) -> None:
    """`docker import --change`."""
    assert config == image_changes.apply_changes([line])


@pytest.mark.parametrize(
    "line",
    ["RUN x", "ENV", "ENV A", "LABEL =", "STOPSIGNAL 9", "EXPOSE 0", "EXPOSE x", "EXPOSE 9-8", "USER", "ENV A='"],
)
def test_changes_that_are_none_are_refused(line: str) -> None:
    """400, with the instruction."""
    with pytest.raises(InvalidParameterError):
        image_changes.apply_changes([line])


@pytest.mark.parametrize(
    ("names", "one"),
    [
        ([], True),
        (["docker.io/library/a:1"], True),
        (["docker.io/library/a:1", "docker.io/library/a:2"], False),
        (["docker.io/library/a:1", f"docker.io/library/a@{DIGEST}"], True),
        (["docker.io/library/a:1", f"docker.io/library/b@{DIGEST}"], False),
        ([f"docker.io/library/a@{DIGEST}", f"docker.io/library/b@{DIGEST}"], False),
    ],
)
def test_one_reference_is_a_tag_and_where_it_came_from(names: list[str], one: bool) -> None:
    """By its ID an image goes without force only if no second repository has it."""
    assert one is is_one_reference(names)


@pytest.mark.parametrize(
    ("manifest", "config"),
    [
        ({"layers": [{}]}, {}),
        ({"layers": []}, {"rootfs": {"diff_ids": ["a"]}}),
        ({"layers": [{}]}, {"rootfs": {"diff_ids": [1]}}),
        ({"layers": [{}]}, {"rootfs": []}),
    ],
)
def test_config_that_does_not_fit_its_manifest_is_refused(manifest: dict[str, Any], config: dict[str, Any]) -> None:
    """As many layers in one as in the other."""
    with pytest.raises(ApiError):
        checked_diff_ids(manifest, config)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from(sorted(COMPRESSIONS)), st.integers(1, 64), st.integers(1, 3))
async def test_spool_holds_what_was_compressed(tmp_path: Path, data: bytes, kind: str, size: int, times: int) -> None:
    """However it was compressed, in one stream or several, and however it comes in pieces."""
    sent = COMPRESSIONS[kind](b"start " + data) * times

    with Spool(str(tmp_path)) as spool:
        await spool.fill(pieces(sent, size))

        assert (b"start " + data) * times == spool.read(0, 10_000)
        assert spool.size == len(data + b"start ") * times


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("change", [lambda data: data[:-9], lambda data: data[:9] + b"\0\1\2\3\4\5\6\7" + data[17:]])
async def test_spool_refuses_what_cannot_be_decompressed(tmp_path: Path, kind: str, change: Any) -> None:
    """Cut off or damaged: one sentence, as dockerd begins it."""
    sent = change(COMPRESSIONS[kind](bytes(range(256)) * 8))

    with Spool(str(tmp_path)) as spool, pytest.raises(BadArchiveError, match=re.escape("Error processing tar file")):
        await spool.fill(pieces(sent, 100))
