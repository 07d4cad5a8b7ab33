"""containerd's filter language."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.api.containerd.containers_pb2 import Container
from runtime.containerd import filters
from runtime.containerd.errors import InvalidArgumentError

CONTAINER = Container(id="web-1", image="img", labels={"a.b": "x y", "tier": "front"})


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], True),
        ([""], True),
        (["id==web-1"], True),
        (['id=="web-1"'], True),
        (["id==web-2"], False),
        (["id!=web-2"], True),
        (["id~=^web-[0-9]$"], True),
        (["id~=/^web-[0-9]$/"], True),
        (["id~=|^web|"], True),
        (["labels.tier==front"], True),
        (['labels."a.b"=="x y"'], True),
        (["labels.tier"], True),
        (["labels.none"], False),
        (["labels.none!=x"], True),
        (["runtime.name"], False),
        (["id==web-1,image==img"], True),
        (["id==web-1, image==other"], False),
        (["id==nothing", "image==img"], True),
        (["nofield==1"], False),
        (["id.deeper==1"], False),
    ],
)
def test_filter_matches_as_containerd_has_it(texts: list[str], expected: bool) -> None:
    """All selectors of one filter must match; one of several filters is enough."""
    assert filters.parse(texts).matches(filters.message_reader(CONTAINER)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "id==",
        "==x",
        "id=x",
        "id=~x",
        "id==a b",
        "id~=/(/",
        ",",
        "id==a,",
        'id=="a',
        "a..b",
        "id==/a",
        "id==|a|",
        "id~=/a",
        "a/b==c",
    ],
)
def test_filter_with_a_fault_is_refused_at_its_place(text: str) -> None:
    """What does not parse is an invalid argument that shows where."""
    with pytest.raises(InvalidArgumentError, match=r"filters: parse error: \["):
        filters.parse([text])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """No text makes the parser do anything else."""
    try:
        filters.parse([text]).matches(filters.message_reader(CONTAINER))
    except InvalidArgumentError:
        pass
