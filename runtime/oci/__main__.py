"""`glassbottom-oci`: the OCI runtime's command line, as runc's (runtime-spec, runtime.md "Operations").

Only the module of the verb at hand is imported: `start` and `state` are called on every container start and need
neither ctypes nor the mount table. What a verb does is in `commands/VERB.py`, each with ABOUT, FLAGS and `main`.

Left out on purpose: `checkpoint`/`restore` (CRIU), `events` (shims read the cgroup files themselves), and cgroups by
systemd: `--systemd-cgroup` is refused by name instead of being taken for something else.
"""

import os
import sys

from runtime.oci.errors import OCIError, UsageError, describe
from runtime.oci.flags import Arguments, Flag, parse, usage
from runtime.oci.log import log
from runtime.oci.version import SPEC_VERSION, VERSION

NAME = "glassbottom-oci"

VERBS = {
    "create": "create a container, ready to start",
    "start": "run the user's process of a created container",
    "run": "create and start a container",
    "exec": "run another process inside a running container",
    "state": "print the state of a container as JSON",
    "kill": "send a signal to the container's first process",
    "delete": "remove what is left of a stopped container",
    "list": "list the containers under --root",
    "ps": "list the processes inside a container",
    "pause": "freeze all processes of a container",
    "resume": "thaw a paused container",
    "update": "change resource limits of a running container",
    "spec": "write a config.json to start from",
    "features": "print what this runtime can do as JSON",
}

GLOBAL_FLAGS = (
    Flag("--root", "DIR", "where the state of containers is kept (default /run/glassbottom-oci)"),
    Flag("--log", "FILE", "write messages to FILE instead of stderr"),
    Flag("--log-format", "FORMAT", "text or json (default text)"),
    Flag("--debug", "", "log what is done, step by step"),
    Flag("--systemd-cgroup", "", "refused: cgroups are made by file, not by systemd"),
    Flag("--rootless", "MODE", "ignored: whether we are rootless is read from /proc/self/uid_map"),
    Flag("--criu", "PATH", "ignored: checkpoint is not modelled"),
    Flag("--version -v", "", "print the version"),
    Flag("--help -h", "", "this text"),
)

ABOUT = """An OCI runtime small enough to read, with the command line of runc.

verbs:
""" + "\n".join(f"  {verb:<10} {about}" for verb, about in VERBS.items())

EXEC_FAILED = 255
"""What runc's exec exits with when the process could not be started: apart from any status of the process itself."""


def default_root() -> str:
    """Where state is kept without --root: /run, or the user's own runtime directory when rootless."""
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime_dir:
        with open("/proc/self/uid_map") as uid_map:
            in_user_namespace = uid_map.read().split() != ["0", "0", "4294967295"]
        if os.geteuid() != 0 or in_user_namespace:
            return os.path.join(runtime_dir, NAME)
    return f"/run/{NAME}"


def version_text() -> str:
    """What --version prints; dockerd parses `commit:` and `spec:` lines of this shape."""
    return f"{NAME} version {VERSION}\ncommit: {VERSION}\nspec: {SPEC_VERSION}\n"


def set_up_log(arguments: Arguments) -> None:
    """Point the log where the flags say, before anything can fail into it."""
    log.path = arguments.value("log")
    if log.path == "/dev/stderr":
        log.path = ""
    chosen_format = arguments.value("log-format") or "text"
    if chosen_format not in ("text", "json"):
        raise UsageError(f'invalid log-format "{chosen_format}": text or json')
    log.format = chosen_format
    log.level_debug = "debug" in arguments.switches


def dispatch(words: list[str]) -> int:
    """Parse the global flags, then hand over to the verb."""
    arguments = parse(GLOBAL_FLAGS, words)
    set_up_log(arguments)
    if "version" in arguments.switches:
        sys.stdout.write(version_text())
        return 0
    if "help" in arguments.switches or not arguments.positionals:
        sys.stdout.write(usage(f"{NAME} [global flags] VERB [flags] [ID]", ABOUT, GLOBAL_FLAGS))
        return 0
    if "systemd-cgroup" in arguments.switches:
        raise UsageError("--systemd-cgroup is not supported: this runtime makes cgroups itself, without systemd")
    verb = arguments.positionals[0]
    if verb == "help":
        return dispatch(["--help"])
    if verb not in VERBS:
        raise UsageError(f'no such verb: "{verb}" (see {NAME} --help)')
    module = __import__(f"runtime.oci.commands.{verb}", fromlist=["main"]).main
    root = os.path.abspath(arguments.value("root") or default_root())
    return int(module(root, arguments.positionals[1:]))


def main() -> int:
    """Run one verb; every failure ends as one sentence in the log and on stderr, never as a traceback."""
    words = sys.argv[1:]
    try:
        status = dispatch(words)
        sys.stdout.flush()
        return status
    except (OCIError, OSError) as error:
        verb = getattr(error, "verb", "")
        # runc's words: the program's name is in front, except for exec
        what = f"{NAME} {verb} failed: " if verb != "exec" else "exec failed: "
        log.error((what if verb else "") + describe(error))
        return EXEC_FAILED if verb == "exec" else 1
    except KeyboardInterrupt:
        return 130


def main_and_leave() -> None:
    """`main`, then out at once: to take an interpreter apart costs 3 ms, and the kernel does it anyway."""
    os._exit(main())


if __name__ == "__main__":
    main_and_leave()
