"""Which real parts fit which seat of the stack, whether they are installed here, and in which version.

A seat's interface is a command line or a protocol (see `stages.layers` for who is recognised in one), so any program
that speaks it may be named by its path; the ones listed here are those that the tests put there.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from tracer import hybrid_cgroups


@dataclass(frozen=True)
class RealPart:
    """A program that this project did not write."""

    program: str
    version_flag: str
    seat: str
    """The option that puts it in its seat, or, for one that calls ours from outside, what it is to us."""
    name: str = ""
    """What the option is given, where that is not the program's name."""


PARTS = (
    RealPart("docker", "--version", "--client"),
    RealPart("dockerd", "--version", "--daemon"),
    RealPart("containerd", "--version", "--containerd"),
    RealPart("containerd-shim-runc-v2", "-v", "--shim", "runc"),
    RealPart("runc", "--version", "--runtime"),
    RealPart("crun", "--version", "--runtime"),
    RealPart("ctr", "--version", "a client of our containerd"),
    RealPart("podman", "--version", "a caller of our OCI runtime"),
)

OPTIONS = {
    "--client": "docker",
    "--daemon": "dockerd, in a network of its own: ports of -p and -P can be reached in there alone",
    "--containerd": "containerd",
    "--shim": "runc, which is containerd-shim-runc-v2",
    "--runtime": "runc or crun, or the path of another with their command line",
}
"""The option of each seat, and what may be given to it."""

STACKS: dict[str, dict[str, str]] = {
    "glassbottom": {},
    "docker": {
        "--client": "docker",
        "--daemon": "dockerd",
        "--containerd": "containerd",
        "--shim": "runc",
        "--runtime": "runc",
    },
}
"""What `--stack NAME` puts in all seats at once."""

HOST = {"--client": "docker"}
"""What `--attach` starts: the daemons run already, and choose shim and runtime themselves."""

WITH_DEADLINES = frozenset(("client", "daemon", "containerd", "shim"))
"""Seats whose real parts give up on each other after a while, and so cannot be held: docker sends `/_ping` again after
4 s, containerd waits 5 s for a shim. An OCI runtime talks to nobody."""


def options_help() -> str:
    """The lines of a help text that say who sits in the seats."""
    lines = [f"  {option + ' NAME':<20} the real {choices}" for option, choices in OPTIONS.items()]
    return "\n".join(
        [
            *lines,
            "  --stack docker       the real docker, dockerd, containerd, shim and runc, apart from the host's",
            "  --attach NAMES       follow daemons that run already, by name or pid: dockerd,containerd. Root only; it",
            "                       stops every process that they start at each of its calls, whoever asked for it",
        ]
    )


class NotUsableError(Exception):
    """A real part is not there, or does not answer; the message says which."""


def version_of(part: RealPart) -> str:
    """The version that the program gives of itself, "version unknown" where it gives none. Raises NotUsableError."""
    path = shutil.which(part.program)
    if path is None:
        raise NotUsableError("not installed")
    # Of their own: crun makes a folder for its state in XDG_RUNTIME_DIR whatever it is asked.
    with tempfile.TemporaryDirectory(prefix="glassbottom-doctor-") as folder:
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        command = [path, part.version_flag]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=10, check=False, env=environment, cwd=folder
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotUsableError(f"{path} does not answer ({error})") from error
    # docker: "Docker version 28.2.2, build ..."; the shim: "  Version:  1.6.20~ds1"; containerd: a URL and two versions
    words = [word.strip(",") for word in done.stdout.split()]
    return next((word for word in words if word[:1].isdigit() and "." in word), "version unknown")


def fits(part: RealPart) -> str:
    """Where the program goes: ``--shim runc``; with what it takes on this host."""
    if not part.seat.startswith("--"):
        return part.seat
    option = f"{part.seat} {part.name or part.program}"
    if hybrid_cgroups.refused_by(part.program):
        return f"{option}, started where cgroup v2 is out of sight: it refuses hybrid cgroups"
    return option
