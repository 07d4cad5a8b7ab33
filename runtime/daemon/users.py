"""Who the process runs as: `--user` by the image's own passwd and group (runc: libcontainer/user).

`name`, `uid`, `name:group`, `uid:gid`: names are looked up inside the image, numbers need no entry. Without a group the
user's own from passwd is taken, and the groups that list the user become additional ones.
"""

from dataclasses import dataclass

from runtime.daemon.errors import ServerError
from runtime.daemon.rootfs_files import RootfsFiles

_HIGHEST_ID = 2**31 - 1


@dataclass(frozen=True)
class ProcessUser:
    """`process.user` of the OCI spec."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()


def resolve(user: str, group_add: list[str], files: RootfsFiles) -> ProcessUser:
    """Find the numbers for `--user` and `--group-add`. Raises ServerError in dockerd's words for an unknown name."""
    passwd = _rows(files.read("/etc/passwd"), 7)
    groups = _rows(files.read("/etc/group"), 4)
    wanted_user, _, wanted_group = user.partition(":")
    row = _user_row(wanted_user or "0", passwd)
    if row is not None:
        name, uid, gid = row[0], int(row[2]), int(row[3])
    elif wanted_user.isdigit():
        name, uid, gid = "", int(wanted_user), 0
    elif not wanted_user:
        name, uid, gid = "", 0, 0
    else:
        raise ServerError(f"unable to find user {wanted_user}: no matching entries in passwd file")
    if wanted_group:
        gid, additional = _gid(wanted_group, groups, "unable"), []
    else:
        additional = [int(row[2]) for row in groups if name and name in row[3].split(",")]
    additional += [_gid(group, groups, "Unable") for group in group_add]
    if not all(0 <= number <= _HIGHEST_ID for number in (uid, gid, *additional)):
        raise ServerError(f"uids and gids must be in range 0-{_HIGHEST_ID}")
    return ProcessUser(uid, gid, tuple(dict.fromkeys([gid, *additional])))


def _user_row(wanted: str, passwd: list[list[str]]) -> list[str] | None:
    by_name = next((row for row in passwd if row[0] == wanted), None)
    return by_name or next((row for row in passwd if row[2] == wanted), None)


def _gid(wanted: str, groups: list[list[str]], unable: str) -> int:
    row = next((row for row in groups if wanted in (row[0], row[2])), None)
    if row is not None:
        return int(row[2])
    if wanted.isdigit():
        return int(wanted)
    raise ServerError(f"{unable} to find group {wanted}: no matching entries in group file")


def _rows(data: bytes | None, fields: int) -> list[list[str]]:
    """The lines of passwd(5) or group(5) that are whole and have numbers where numbers belong."""
    rows = [line.split(":") for line in (data or b"").decode(errors="replace").splitlines()]
    return [row for row in rows if len(row) >= fields and row[2].isdigit() and (fields < 7 or row[3].isdigit())]
