"""The command line: runc's flags, help that teaches, and errors in one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.oci import executable, flags, state
from runtime.oci.__main__ import VERBS
from runtime.oci.commands import kill, ps, update
from runtime.oci.commands.spec import default_spec
from runtime.oci.errors import OCIError, UsageError


def call(*words: str, root: Path | None = None) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "runtime.oci", *(("--root", str(root)) if root else ()), *words]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)


FLAGS = (
    flags.Flag("--bundle -b", "DIR", ""),
    flags.Flag("--detach -d", "", ""),
    flags.Flag("--env -e", "X", "", repeats=True),
)


def test_flags_end_at_the_first_positional() -> None:
    """What comes behind the container's id belongs to the command."""
    found = flags.parse(FLAGS, ["-d", "--bundle=x", "--env", "A=1", "-e", "B", "id", "-d", "--", "x"])

    assert (["id", "-d", "--", "x"], "x", {"detach"}) == (found.positionals, found.value("bundle"), found.switches)
    assert ["A=1", "B"] == found.lists["env"]


@pytest.mark.parametrize(
    ("words", "spelling"), [(["-bundle", "x"], "x"), (["--bundle", "x"], "x"), (["-b", "x"], "x"), (["-b=x"], "x")]
)
def test_spellings_of_a_flag(words: list[str], spelling: str) -> None:
    """Single and double dash, joined or apart, as Go's flag packages take them."""
    assert spelling == flags.parse(FLAGS, words).value("bundle")


@pytest.mark.parametrize("words", [["--nosuch"], ["--bundle"], ["--detach=perhaps"]])
def test_wrong_flag_is_a_usage_error(words: list[str]) -> None:
    """Unknown, without its value, or with one that makes no sense."""
    with pytest.raises(UsageError):
        flags.parse(FLAGS, words)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str) -> None:
    """--help prints usage and does nothing."""
    done = call(verb, "--help")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"usage: glassbottom-oci {verb}")


def test_version_is_what_dockerd_parses() -> None:
    """A name and three lines."""
    lines = call("--version").stdout.splitlines()

    assert ["glassbottom-oci version", "commit:", "spec:"] == [line.rpartition(" ")[0] for line in lines]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("dance",), 'no such verb: "dance"'),
        (("start",), '"start" wants CONTAINER-ID'),
        (("kill", "a", "b", "c"), '"kill" wants CONTAINER-ID [SIGNAL]'),
        (("state", "nosuch"), 'container "nosuch" does not exist'),
        (("state", "../x"), 'invalid container ID "../x"'),
        (("create", "--bundle", "/nosuch", "x"), "JSON specification file /nosuch/config.json not found"),
        (("--systemd-cgroup", "list"), "--systemd-cgroup is not supported"),
        (("--log-format", "xml", "list"), 'invalid log-format "xml"'),
        (("create", "--console-socket"), "flag needs an argument: --console-socket"),
    ],
)
def test_wrong_command_line_is_one_sentence(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """Status 1, the reason on stderr, no traceback."""
    done = call(*words, root=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines())
    assert sentence in done.stderr.replace('\\"', '"')


def test_error_is_the_last_line_of_a_json_log(tmp_path: Path) -> None:
    """containerd's shim reads it there; a human reads it on stderr."""
    log = tmp_path / "log.json"

    done = call("--log", str(log), "--log-format", "json", "start", "nosuch", root=tmp_path)

    entry = json.loads(log.read_text().splitlines()[-1])
    assert "error" == entry["level"]
    assert entry["msg"] == done.stderr.strip() == 'glassbottom-oci start failed: container "nosuch" does not exist'
    assert entry["time"].endswith("Z")


@pytest.mark.parametrize(("text", "number"), [("KILL", 9), ("sigterm", 15), ("10", 10), ("RTMIN", 34)])
def test_signal_by_name_or_number(text: str, number: int) -> None:
    assert number == kill.signal_number(text)


@pytest.mark.parametrize("text", ["NOSUCH", "0", "99", "SIG_IGN", "_DFL", ""])
def test_signal_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        kill.signal_number(text)


def test_ps_table_keeps_the_heading_and_the_containers_lines() -> None:
    """The PID column is found by its name."""
    lines = ["UID   PID  PPID CMD", "root   12   1 sleep 13", "root   13   1 x"]

    assert lines[:2] == ps.filter_table(lines, {12})
    with pytest.raises(OCIError):
        ps.filter_table(["CMD", "x"], {1})


@pytest.mark.parametrize(("text", "amount"), [("64m", 64 << 20), ("-1", -1), ("2G", 2 << 30), ("10", 10)])
def test_amounts_have_units(text: str, amount: int) -> None:
    assert amount == update.parse_amount(text, "memory")


@pytest.mark.parametrize("container_id", ["", ".", "..", "a/b", "a b", "ä", "a\n"])
def test_id_that_is_no_plain_name_is_refused(container_id: str) -> None:
    """It becomes a directory below --root."""
    with pytest.raises(OCIError, match="invalid container ID"):
        state.check_id(container_id)


def test_state_file_is_never_half_there(tmp_path: Path) -> None:
    """A write that fails leaves the old content and no temporary file under the name."""
    path = tmp_path / "state.json"
    state.write_atomically(str(path), {"a": 1})

    with pytest.raises(TypeError):
        state.write_atomically(str(path), {"a": object()})

    assert {"a": 1} == json.loads(path.read_text())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("plain", 'exec: "plain": executable file not found in $PATH'),
        ("./nosuch", 'exec: "./nosuch": stat ./nosuch: no such file or directory'),
        ("./plain", 'exec: "./plain": permission denied'),
        ("./directory", 'exec: "./directory": permission denied'),
    ],
)
def test_program_that_cannot_run_is_refused_in_gos_words(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The docker CLI reads 126 and 127 out of them."""
    (tmp_path / "plain").touch()
    (tmp_path / "directory").mkdir()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(OCIError) as refused:
        executable.find(name, str(tmp_path))

    assert sentence == str(refused.value)


def test_program_is_found_in_path_in_order(tmp_path: Path) -> None:
    """The first directory that has it executable."""
    for name, mode in (("a", 0o644), ("b", 0o755), ("c", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").touch()
        (tmp_path / name / "tool").chmod(mode)

    assert str(tmp_path / "b/tool") == executable.find("tool", ":".join(str(tmp_path / name) for name in "abc"))


def test_our_own_interpreter_is_refused_directly_and_by_its_script(tmp_path: Path) -> None:
    """CVE-2019-5736: an image that runs /proc/self/exe would run the host's python inside."""
    own = executable.OwnExecutable()
    script, harmless = tmp_path / "script", tmp_path / "harmless"
    script.write_text("#!/proc/self/exe\n")
    harmless.write_text("#!/bin/sh\n")
    (tmp_path / "link").symlink_to("/proc/self/exe")

    own.refuse(str(harmless))
    for path in (script, tmp_path / "link", Path(os.path.realpath(sys.executable))):
        with pytest.raises(OCIError, match="permission denied"):
            own.refuse(str(path))


def test_features_promise_only_what_is_done() -> None:
    """runtime-spec 1.2 is the newest whose every field is done or refused; what is refused is not enabled."""
    told = json.loads(call("features").stdout)
    linux = told["linux"]

    assert ("1.0.0", "1.2.0") == (told["ociVersionMin"], told["ociVersionMax"])
    assert not any(linux[name]["enabled"] for name in ("intelRdt", "netDevices"))
    assert not linux["mountExtensions"]["idmap"]["enabled"]
    assert {"modes": [], "flags": []} == linux["memoryPolicy"]
    assert "SCMP_ACT_NOTIFY" not in linux["seccomp"]["actions"]
    assert not {"idmap", "ridmap"} & set(told["mountOptions"])


def test_features_tell_what_the_specification_of_1_2_asks_for() -> None:
    """Every field of features.md and features-linux.md, and the version that `spec` writes."""
    found = json.loads(call("features").stdout)

    assert {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations"} < set(found)
    assert ("1.0.0", default_spec()["ociVersion"]) == (found["ociVersionMin"], found["ociVersionMax"])
    assert default_spec()["ociVersion"].startswith("1.2.")
    assert [] == found["potentiallyUnsafeConfigAnnotations"]
    linux = found["linux"]
    fields = {"namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt", "mountExtensions"}
    assert fields <= set(linux)
    assert {"v1", "v2", "systemd", "systemdUser", "rdma"} == set(linux["cgroup"])
    assert {"enabled", "actions", "operators", "archs", "knownFlags", "supportedFlags"} == set(linux["seccomp"])
    assert (False, False) == (linux["intelRdt"]["enabled"], linux["mountExtensions"]["idmap"]["enabled"])
    # process.selinuxLabel is taken, and linux.mountLabel is not
    assert (True, False) == (linux["apparmor"]["enabled"], linux["selinux"]["enabled"])
