"""``--format``: fields of Go's text/template, ``{{.Names}}`` and ``{{.Actor.ID}}``, and ``{{json .}}``; no functions.

Real counterpart: docker CLI's cli/command/formatter. What is not understood is refused by name, never printed as it is.
"""

from __future__ import annotations

import json
import re

from runtime.client.flags import RefusedHereError

_ACTION = re.compile(r"{{(.*?)}}")
_FIELD = re.compile(r"(json )?\s*(\.|(?:\.\w+)+)")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


def fill(template: str, fields: dict[str, object]) -> str:
    """Put the fields into a template. Raises RefusedHereError for what is no field."""
    for written, meant in _ESCAPES.items():
        template = template.replace(written, meant)
    return _ACTION.sub(lambda found: _value(found[1].strip(), fields), template)


def _value(action: str, fields: dict[str, object]) -> str:
    matched = _FIELD.fullmatch(action)
    if not matched:
        raise RefusedHereError(
            f"template parsing error: {{{{{action}}}}}: this client knows {{{{.Field}}}} and {{{{json .Field}}}} only; "
            "the real docker, on the same DOCKER_HOST, knows the rest"
        )
    as_json, path = matched.groups()
    value: object = fields
    for name in filter(None, path.split(".")):
        if not isinstance(value, dict) or name not in value:
            known = f"; there are {', '.join(sorted(fields))}" if value is fields else ""
            raise RefusedHereError(f"template: can't evaluate field {name} in {path}{known}")
        value = value[name]
    return json.dumps(value) if as_json or isinstance(value, (dict, list)) else str(value)
