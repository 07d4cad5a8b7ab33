"""`list`: the containers under --root."""

import json
import os
import sys

from runtime.oci import state
from runtime.oci.commands import arguments
from runtime.oci.errors import UsageError
from runtime.oci.flags import Arguments, Flag

ABOUT = "List the containers under --root."
FLAGS = (
    Flag("--format -f", "FORMAT", "table or json (default table)"),
    Flag("--quiet -q", "", "ids only"),
)
HEADINGS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


@arguments.verb("list", ABOUT, FLAGS, "")
def main(root: str, found: Arguments) -> int:
    shape = found.value("format") or "table"
    if shape not in ("table", "json"):
        raise UsageError(f'invalid format "{shape}": table or json')
    containers = state.load_all(root)
    if "quiet" in found.switches:
        sys.stdout.write("".join(f"{container.id}\n" for container in containers))
    elif shape == "json":
        sys.stdout.write(json.dumps([_as_json(container) for container in containers]) + "\n")
    else:
        _write_table([HEADINGS, *(_as_row(container) for container in containers)])
    return 0


def _as_json(container: state.Container) -> dict[str, object]:
    status = container.status()
    spec_state = container.spec_state(status)
    return {
        "pid": 0,
        **spec_state,
        "rootfs": container.rootfs,
        "created": container.created,
        "owner": _owner(container),
    }


def _as_row(container: state.Container) -> tuple[str, ...]:
    status = container.status()
    pid = 0 if status == "stopped" else container.pid
    return container.id, str(pid), status, container.bundle, container.created, _owner(container)


def _owner(container: state.Container) -> str:
    import pwd

    uid = os.stat(container.directory).st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _write_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = [cell.ljust(width + 4) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("".join(cells).rstrip() + "\n")
