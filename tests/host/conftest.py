"""An ordinary user: a real account made for the test, or an id without a name, and an installation that it can run."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class OrdinaryUser:
    """Somebody who is not root, and a Python of theirs with this project in it."""

    uid: int
    gid: int
    home: str
    python: str

    def run(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, without root's groups, capabilities and environment."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, **self._setting(), **options)  # type: ignore[call-overload, no-any-return]

    def start(self, *words: str, **options: object) -> subprocess.Popen[str]:
        """Start a command as this user."""
        return subprocess.Popen(self.command(*words), text=True, **self._setting(), **options)  # type: ignore[call-overload, no-any-return]

    def command(self, *words: str) -> list[str]:
        ids = ["--reuid", str(self.uid), "--regid", str(self.gid), "--clear-groups", "--inh-caps=-all"]
        return ["setpriv", *ids, "--", "env", *words]

    def _setting(self) -> dict[str, object]:
        environment = {"HOME": self.home, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        return {"env": environment, "cwd": self.home}


@pytest.fixture(scope="session")
def shared_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Python that anybody may run: root's may lie in a home that is root's alone."""
    base = next((path for path in (sys.executable, "/usr/bin/python3") if _anybody_may_run(path)), None)
    if base is None:
        pytest.skip("no Python that an ordinary user may run")
    if base == sys.executable:
        yield base
        return
    folder = Path(f"/tmp/glassbottom-test-python-{os.getpid()}")
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.joinpath("shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    for script in ("glassbottom", "glassbottom-oci", "containerd-shim-glassbottom-v1"):
        text = Path(sys.executable).with_name(script).read_text()
        copy = folder / "bin" / script
        copy.write_text(f"#!{folder}/bin/python3\n{text.partition(chr(10))[2]}")
        copy.chmod(0o755)
    yield str(folder / "bin" / "python3")
    shutil.rmtree(folder)


def _anybody_may_run(path: str) -> bool:
    done = subprocess.run(
        [
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
            "env",
            path,
            "-c",
            "import ctypes, json",
        ],
        capture_output=True,
    )
    version = subprocess.run([path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    return done.returncode == 0 and version.stdout.strip() == str(sys.version_info[:2])


@pytest.fixture(scope="session")
def account(shared_python: str) -> Iterator[OrdinaryUser]:
    """A user with a name and, by useradd's default, ranges in /etc/subuid and /etc/subgid."""
    name = f"gbtest{os.getpid()}"
    subprocess.run(["useradd", "--create-home", name], check=True, capture_output=True)
    entry = pwd.getpwnam(name)
    yield OrdinaryUser(entry.pw_uid, entry.pw_gid, entry.pw_dir, shared_python)
    subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


@pytest.fixture(scope="session")
def bare_id(shared_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrdinaryUser]:
    """An id that nobody has given a name or a range."""
    uid = 700000 + os.getpid() % 100000
    home = Path(f"/tmp/glassbottom-test-home-{uid}")
    home.mkdir()
    os.chown(home, uid, uid)
    yield OrdinaryUser(uid, uid, str(home), shared_python)
    shutil.rmtree(home)
