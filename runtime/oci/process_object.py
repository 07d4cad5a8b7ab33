"""The process object (runtime-spec config.md, "Process"): a part of config.json, and the whole of exec's process.json.

Counterpart: runc's `validateProcessSpec` (utils_linux.go).
"""

from runtime.oci import plain_json, scheduling, schema
from runtime.oci.errors import ConfigError, OCIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_ID = (1 << 31) - 1
"""The largest user and group id that runc takes, too."""


def load(path: str) -> "dict[str, Any]":
    """Read the process object that `exec --process FILE` is given."""
    try:
        with open(path, "rb") as file:
            process = plain_json.loads(file.read())
    except ValueError as error:
        raise OCIError(f"{path}: not valid JSON: {error}") from None
    schema.check(process, schema.PROCESS, "process")
    process = schema.without_nulls(process)
    check(process)
    checked: dict[str, Any] = process
    return checked


def check(process: "dict[str, Any]") -> None:
    """The rules of the process object that are not about types."""
    if not process["args"]:
        raise ConfigError("process.args", "must not be empty")
    if not process["cwd"].startswith("/"):
        raise ConfigError("process.cwd", f'"{process["cwd"]}" must be absolute')
    for index, variable in enumerate(process.get("env", [])):
        if "=" not in variable or variable.startswith("="):
            raise ConfigError(f"process.env[{index}]", f'"{variable}" is not NAME=VALUE')
    scheduling.plan(process)
    if process.get("execCPUAffinity"):
        raise ConfigError("process.execCPUAffinity", "is not supported by this runtime")
    _check_ids(process.get("user", {}))
    if any("\0" in word for word in (*process["args"], *process.get("env", []), process["cwd"])):
        raise ConfigError("process", "args, env and cwd must not contain a NUL character")


def _check_ids(user: "dict[str, Any]") -> None:
    """-1, also written as 2**32 - 1, means "leave as it is" to setresuid(2): the process would stay root."""
    ids: list[tuple[str, int]] = [(name, user[name]) for name in ("uid", "gid") if name in user]
    ids += [(f"additionalGids[{index}]", gid) for index, gid in enumerate(user.get("additionalGids", []))]
    for name, number in ids:
        if not 0 <= number <= MAX_ID:
            raise ConfigError(f"process.user.{name}", f"{number} is not in range 0 to {MAX_ID}")
