"""`ps`: the processes inside a container, as the cgroup lists them."""

import json
import os
import sys

from runtime.oci import processes, state
from runtime.oci.cgroups.group import Group
from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError, UsageError
from runtime.oci.flags import Arguments, Flag

ABOUT = """List the processes inside a container. As a table the host's ps(1) is run, with the options given behind the
id (default -ef), and the lines of other processes are left out."""
FLAGS = (Flag("--format -f", "FORMAT", "table or json (default table)"),)


@arguments.verb("ps", ABOUT, FLAGS, "CONTAINER-ID [PS-OPTIONS...]")
def main(root: str, found: Arguments) -> int:
    shape = found.value("format") or "table"
    if shape not in ("table", "json"):
        raise UsageError(f'invalid format "{shape}": table or json')
    container = state.load(root, found.positionals[0])
    group = Group(container.cgroup_paths)
    pids = group.processes() if group.paths else processes.in_pid_namespace_of(container.pid)
    if shape == "json":
        sys.stdout.write(json.dumps(pids) + "\n")
        return 0
    for line in filter_table(host_ps(found.positionals[1:] or ["-ef"]), set(pids)):
        sys.stdout.write(line + "\n")
    return 0


def filter_table(lines: list[str], pids: set[int]) -> list[str]:
    """The heading and the lines whose PID column is one of pids."""
    if not lines:
        return []
    columns = lines[0].split()
    if "PID" not in columns:
        raise OCIError("couldn't find PID field in ps output")
    column = columns.index("PID")
    return [lines[0], *(line for line in lines[1:] if int(line.split()[column]) in pids)]


def host_ps(options: list[str]) -> list[str]:
    """Run ps and return its lines."""
    read_end, write_end = os.pipe()
    try:
        pid = os.posix_spawnp("ps", ["ps", *options], os.environ, file_actions=((os.POSIX_SPAWN_DUP2, write_end, 1),))
    except FileNotFoundError:
        raise OCIError("ps: executable file not found in $PATH (use --format json)") from None
    finally:
        os.close(write_end)
    with open(read_end) as output:
        lines = output.read().splitlines()
    if os.waitpid(pid, 0)[1] != 0:
        raise OCIError(f"ps {' '.join(options)} failed")
    return lines
