"""``--mount`` and ``--network`` with fields, as recorded from docker CLI 28."""

import os
import re

import pytest

from runtime.client import fields


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bind,source=/a,target=/b", {"Type": "bind", "Source": "/a", "Target": "/b"}),
        ("type=bind,src=/a,dst=/b,ro", {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True}),
        (
            "type=bind,src=/a,dst=/b,ro=false,bind-propagation=rshared",
            {"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rshared"}},
        ),
        (
            "type=bind,src=/a,dst=/b,bind-recursive=readonly",
            {"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"ReadOnlyForceRecursive": True}},
        ),
        ("src=v,destination=/b", {"Type": "volume", "Source": "v", "Target": "/b"}),
        (
            "dst=/b,volume-nocopy,volume-driver=local,volume-label=a=b,volume-opt=o=1",
            {
                "Type": "volume",
                "Target": "/b",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Labels": {"a": "b"},
                    "DriverConfig": {"Name": "local", "Options": {"o": "1"}},
                },
            },
        ),
        (
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777",
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1777}},
        ),
        ('type=bind,"src=/a,b",dst=/b', {"Type": "bind", "Source": "/a,b", "Target": "/b"}),
        ('\n\ntype=tmpfs,"dst=/a\nb"\nz', {"Type": "tmpfs", "Target": "/a\nb"}),
        ("type=bind,src=./a,dst=/b", {"Type": "bind", "Source": os.path.abspath("a"), "Target": "/b"}),
    ],
)
def test_mount_has_the_fields_of_the_request(text: str, expected: dict[str, object]) -> None:
    """Long names and short ones, switches with and without a value."""
    assert expected == fields.mount(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=bind,src=/a", "target is required"),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("type", "invalid field 'type' must be a key=value pair"),
        ("type=bind,src=/a,dst=/b,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("type=tmpfs,dst=/t,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=tmpfs\ndst=/t", "target is required"),  # a second line is not read
        ("", "EOF"),
        ("\n", "EOF"),
        ("type=tmpfs,dst=\r/t", "parse error: new-line character seen in unquoted field"),
        ('type=tmpfs,"dst=/t', "parse error: unexpected end of data"),
    ],
)
def test_mount_mistakes_are_named_in_dockers_words(text: str, words: str) -> None:
    """Before anything is asked of the daemon."""
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        fields.mount(text)

    assert words == str(raised.value)


def test_network_may_have_settings_of_its_endpoint() -> None:
    """A plain word is a name."""
    text = "name=n,alias=x,ip=1.2.3.4,mac-address=92:d0:c6:0a:29:33,driver-opt=a=b,gw-priority=3"

    assert fields.network("n") == ("n", {})
    assert fields.network(text) == (
        "n",
        {
            "Aliases": ["x"],
            "MacAddress": "92:d0:c6:0a:29:33",
            "DriverOpts": {"a": "b"},
            "GwPriority": 3,
            "IPAMConfig": {"IPv4Address": "1.2.3.4"},
        },
    )
    with pytest.raises(ValueError, match="invalid field key foo"):
        fields.network("name=n,foo=1")


@pytest.mark.parametrize(
    ("value", "why"), [("x", "invalid syntax"), ("1_0", "invalid syntax"), ("9" * 20, "value out of range")]
)
def test_priority_that_is_no_number_is_named_in_dockers_words(value: str, why: str) -> None:
    """As recorded from docker CLI 28."""
    with pytest.raises(ValueError, match=re.escape(f"invalid gw-priority ({value}): {why}")):
        fields.network(f"name=n,gw-priority={value}")

    assert {"GwPriority": -3} == fields.network("name=n,gw-priority=-3")[1]
