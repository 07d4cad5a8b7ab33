"""The report in the words of strace."""

import gzip
from pathlib import Path

from tracer.report.as_strace import strace_report
from tracer.session.recording import Recording

GOLDEN = Path(__file__).resolve().parents[2] / "recordings" / "glassbottom-oci-full.jsonl.gz"


def test_strace_report_prints_each_call_with_its_thread() -> None:
    """Structures, flags and the files of descriptors, as strace -f -y has them."""
    recording = Recording(str(GOLDEN))

    lines = list(strace_report(recording))

    calls = [line.split(" ", 1)[1] for line in lines if line.split(" ", 1)[0].isdigit()]
    assert len(calls) == len(lines)
    assert 'sethostname("box", 3) = 0' in calls
    assert "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0" in calls
    assert "+++ exited with 0 +++" in calls
    assert any(call.startswith('mount("proc", ') and '"proc", ' in call[14:] for call in calls)


def test_strace_report_of_a_damaged_recording_ends_where_it_is_damaged(tmp_path: Path) -> None:
    """What came before is printed, and the damage is left for the verb to say."""
    lines = gzip.decompress(GOLDEN.read_bytes()).decode().splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("".join(lines[:30]) + '["exit", "what?"]\n' + "".join(lines[30:]))
    recording = Recording(str(damaged))

    printed = list(strace_report(recording))

    assert 0 < len(printed) < 40
    assert "line 31" in recording.damage
