"""Text of a flag -> value in the request."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.client import values


@pytest.mark.parametrize(
    ("text", "expected"),
    [("64m", 64 << 20), ("1g", 1 << 30), ("512", 512), ("512b", 512), ("1.5k", 1536), ("2KiB", 2048), ("3MB", 3 << 20)],
)
def test_sizes_are_powers_of_1024(text: str, expected: int) -> None:
    """docker's MB is a MiB."""
    assert values.size_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((text, f"invalid size: '{text}'") for text in ("", "m", "abc", "-1")),
        *((f"5{unit}", f"invalid suffix: '{unit}'") for unit in ("x", "kk", "kbb", "bb", "xib")),
        ("1.2.3m", 'strconv.ParseFloat: parsing "1.2.3": invalid syntax'),
        ("1e999", 'strconv.ParseFloat: parsing "1e999": value out of range'),
    ],
)
def test_sizes_that_are_none_are_refused(text: str, words: str) -> None:
    """The words are docker's."""
    with pytest.raises(ValueError, match=f"^{words}$"):
        values.size_bytes(text)


@pytest.mark.parametrize("text", ["99999999999999999999g", "9999999999g", "8589934592g"])
def test_sizes_beyond_an_int64_turn_negative(text: str) -> None:
    """As in Go; the daemon refuses them as too small."""
    assert -(2**63) == values.size_bytes(text)


def test_cpus_beyond_an_int64_lose_their_highest_bits() -> None:
    """As in Go, whose big.Int has an Int64()."""
    assert -(2**63) <= values.nano_cpus("9223372036854775807") < 2**63
    assert -1 * 10**9 == values.nano_cpus("-1")


@pytest.mark.parametrize(("text", "why"), [("9223372036854775808", "value out of range"), ("x", "invalid syntax")])
def test_ulimits_are_int64(text: str, why: str) -> None:
    """The words are Go's."""
    with pytest.raises(ValueError, match=f'strconv.ParseInt: parsing "{text}": {why}'):
        values.ulimit(f"nofile={text}")


@given(st.integers(min_value=0, max_value=10**14))
def test_cpus_are_counted_in_billionths_without_a_float(billionths: int) -> None:
    """Every number of billionths survives being written as a decimal."""
    assert values.nano_cpus(f"{billionths // 10**9}.{billionths % 10**9:09d}") == billionths


def test_cpus_finer_than_billionths_are_refused() -> None:
    """There is nothing to round to."""
    with pytest.raises(ValueError, match="too precise"):
        values.nano_cpus("0.0000000001")


def test_ulimit_has_a_soft_and_a_hard_limit() -> None:
    """One number is both."""
    assert values.ulimit("nofile=10:20") == {"Name": "nofile", "Soft": 10, "Hard": 20}
    assert values.ulimit("nproc=5") == {"Name": "nproc", "Soft": 5, "Hard": 5}
    with pytest.raises(ValueError, match="must be less than or equal to hard limit: 30 > 20"):
        values.ulimit("nofile=30:20")


def test_environment_a_bare_name_is_copied_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """-e HOME passes this HOME on; a name that is not set here is dropped."""
    monkeypatch.setenv("GB_SET", "here")
    monkeypatch.delenv("GB_UNSET", raising=False)

    assert values.environment("A=1") == "A=1"
    assert values.environment("GB_SET") == "GB_SET=here"
    assert values.environment("GB_UNSET") == ""


def test_volume_a_relative_source_is_made_absolute() -> None:
    """The daemon's working directory is another."""
    assert values.volume("./x:/y:ro") == f"{os.getcwd()}/x:/y:ro"
    assert values.volume("name:/y") == "name:/y"


def test_device_may_be_renamed_and_restricted() -> None:
    """A second part is a path or an access mode."""
    assert values.device("/dev/a:/dev/b:r")["PathInContainer"] == "/dev/b"
    assert values.device("/dev/a:rw") == {
        "PathOnHost": "/dev/a",
        "PathInContainer": "/dev/a",
        "CgroupPermissions": "rw",
    }
