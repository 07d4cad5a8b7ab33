"""uid_map and gid_map of a new user namespace, written from outside by the parent (user_namespaces(7)).

As root the files are written directly. An ordinary user may map only its own id that way, so the setuid programs
newuidmap and newgidmap do it (they check /etc/subuid and /etc/subgid).
"""

import os

from runtime.oci import processes
from runtime.oci.errors import ConfigError, OCIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def lines(mappings: "list[dict[str, int]]", field: str) -> list[str]:
    """One line per mapping: id inside, id outside, how many."""
    if not mappings:
        raise ConfigError(field, "a new user namespace needs at least one mapping")
    try:
        return [f"{entry['containerID']} {entry['hostID']} {entry['size']}" for entry in mappings]
    except KeyError as missing:
        raise ConfigError(field, f"a mapping lacks {missing.args[0]}") from None


def host_id(mappings: "list[dict[str, int]]", inside: int) -> int:
    """The id outside that an id inside is mapped to; -1 when it is not mapped."""
    for entry in mappings:
        if entry["containerID"] <= inside < entry["containerID"] + entry["size"]:
            return entry["hostID"] + inside - entry["containerID"]
    return -1


def is_mapped(name: str, number: str) -> bool:
    """Whether an id exists in our own user namespace (/proc/self/uid_map or gid_map)."""
    with open(f"/proc/self/{name}") as file:
        for line in file:
            inside, _, size = line.split()
            if number.isdigit() and int(inside) <= int(number) < int(inside) + int(size):
                return True
    return False


def write(pid: int, linux: "dict[str, Any]") -> None:
    """Map the ids of a process that has just made its user namespace."""
    uid_lines = lines(linux.get("uidMappings", []), "linux.uidMappings")
    gid_lines = lines(linux.get("gidMappings", []), "linux.gidMappings")
    _write_map(pid, "uid_map", "newuidmap", uid_lines)
    if gid_lines == [f"{gid_lines[0].split()[0]} {os.getegid()} 1"] and os.geteuid() != 0:
        # an ordinary user may map its own group only after giving up setgroups: dropping a group could open
        # files that deny it (CVE-2014-8989)
        _write_file(f"/proc/{pid}/setgroups", ["deny"])
    _write_map(pid, "gid_map", "newgidmap", gid_lines)


def _write_map(pid: int, name: str, program: str, id_lines: list[str]) -> None:
    try:
        _write_file(f"/proc/{pid}/{name}", id_lines)
        return
    except PermissionError:
        pass  # not privileged over our own user namespace: ask the setuid program
    words = [word for line in id_lines for word in line.split()]
    status = processes.run([program, str(pid), *words])
    if status != 0:
        raise OCIError(f"{program} {pid} {' '.join(words)}: exit status {status}")


def _write_file(path: str, id_lines: list[str]) -> None:
    # the kernel takes the whole map in one write or not at all
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, "\n".join(id_lines).encode())
    finally:
        os.close(fd)
