"""runtime/FIDELITY.md tells what the scripts, the named differences and the daemon's refusals tell."""

import re
from typing import cast

import pytest
from aiohttp.test_utils import make_mocked_request

from runtime.daemon.call import Call
from runtime.daemon.engine import Engine
from runtime.daemon.errors import NotModeledError
from runtime.daemon.routes import outside
from tests.swap.fidelity import PAGE, commands, page, used_commands

NO_ENGINE = cast("Engine", None)
"""Refusing asks nothing of it."""


def test_fidelity_page_is_up_to_date() -> None:
    """`make fidelity` writes it anew."""
    assert page() == PAGE.read_text()


def test_every_command_in_the_table_is_compared() -> None:
    """Nothing is claimed of a command that no script runs on both daemons."""
    assert [] == [command.name for command in commands() if not command.suites]


def test_every_command_that_is_compared_is_in_the_table() -> None:
    """A script for a new command adds it to the table."""
    assert set() == set(used_commands()) - {command.name for command in commands()}


@pytest.mark.parametrize(("method", "pattern", "what"), outside.REFUSED, ids=str)
async def test_what_is_not_modelled_is_refused_by_name(method: str, pattern: str, what: str) -> None:
    """501, and a sentence that says what."""
    (route,) = [route for route in outside.routes(NO_ENGINE) if (route.method, route.pattern) == (method, pattern)]

    with pytest.raises(NotModeledError, match=re.escape(what)) as refused:
        await route.answer(Call(make_mocked_request(method, "/"), {}))

    assert 501 == refused.value.status
