"""JSON without the json package: the same values, the same errors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.oci import plain_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(VALUES, st.sampled_from(["", " ", "\n\t "]))
def test_loads_reads_what_json_writes(value: object, space: str) -> None:
    """Any value, with any white space around it."""
    assert value == plain_json.loads(f"{space}{json.dumps(value)}{space}".encode())


@given(VALUES)
def test_dumps_writes_what_json_writes(value: object) -> None:
    """The very same text."""
    assert json.dumps(value) == plain_json.dumps(value)


@given(st.binary() | st.text().map(str.encode))
def test_loads_fails_as_json_fails(content: bytes) -> None:
    """What json refuses is refused in its words; what it takes is taken."""
    try:
        expected = repr(json.loads(content))
    except ValueError as error:
        expected = str(error)

    try:
        found = repr(plain_json.loads(content))
    except ValueError as error:
        found = str(error)

    assert expected == found


@pytest.mark.parametrize(
    "content", [b'{"a": 1} x', b"", b"  ", b'{"a": }', b'{"a": 1', b"\xff", b'\xef\xbb\xbf{"a": 1}']
)
def test_loads_agrees_on_damaged_text(content: bytes) -> None:
    """The usual kinds of damage, each with json's own position."""
    test_loads_fails_as_json_fails.hypothesis.inner_test(content)  # type: ignore[attr-defined]


def test_dumps_refuses_what_is_not_json() -> None:
    """A programming error stays one."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        plain_json.dumps({"a": {1}})
