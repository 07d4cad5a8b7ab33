"""Large transfers that are no text are kept by their beginning; everything else is kept whole."""

import json
import random
from collections.abc import Mapping

import pytest

from tracer.engine.bulk import BULK_BYTES, KEPT_BYTES, without_bulk

CODE = random.Random(1).randbytes(65536)
TEXT = json.dumps([{"name": f"NAME_{number}", "value": number} for number in range(2000)]).encode()


def test_a_layer_is_kept_by_its_beginning() -> None:
    """The other parts of the call are as they were."""
    data = {"1": CODE, "1.name": b"\0/run/x.sock"}

    assert without_bulk(data) == {"1": CODE[:KEPT_BYTES], "1.name": b"\0/run/x.sock"}
    assert data["1"] == CODE


@pytest.mark.parametrize(
    "data",
    [
        {"1": CODE[:BULK_BYTES]},
        {"1": TEXT},
        {"1": b"\0\0\x20\0\0\0\0\0\1" + TEXT},
        {"1": None},
        {},
    ],
)
def test_all_else_is_kept_whole(data: Mapping[str, bytes | None]) -> None:
    """Short transfers, text, text in frames, what could not be read."""
    assert without_bulk(data) is data


def test_bytes_in_step_with_the_samples_are_no_text() -> None:
    """A block of 256 different bytes, again and again."""
    data = {"1": bytes(range(256)) * 1024}

    assert without_bulk(data)["1"] == data["1"][:KEPT_BYTES]
