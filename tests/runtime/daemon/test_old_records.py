"""What an older daemon, or one that was killed, has written down."""

import json
import os
from pathlib import Path

import pytest

from runtime.daemon import security_options, signals
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.events import EventLog
from runtime.daemon.options import parse_arguments
from runtime.daemon.volumes import VolumeStore

TMPFS = {"type": "tmpfs", "device": "tmpfs"}


def test_stop_signal_that_is_refused_today_is_sigterm() -> None:
    """As in dockerd: a container must be stopped, whatever its record says."""
    assert (15, 2) == (signals.stop_signal("SIGRTMIN+20"), signals.stop_signal("INT"))


def test_security_words_are_judged_at_create_alone() -> None:
    """A container that was made with words that nobody understands can still be started."""
    host = {"SecurityOpt": ["systempaths=odd", "odd", "seccomp=unconfined"]}

    assert {"seccomp": "unconfined"} == security_options.words(host)
    for odd in ("systempaths=odd", "odd"):
        with pytest.raises(InvalidParameterError, match="invalid --security-opt"):
            security_options.words({"SecurityOpt": [odd]}, strict=True)


def test_volume_is_there_only_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it is made: there is no volume yet, rather than one without options on the host's disk."""
    volumes = VolumeStore(str(tmp_path), EventLog())
    with monkeypatch.context() as killed:
        killed.setattr(json, "dump", lambda *_: os.stat(tmp_path / "nowhere"))
        with pytest.raises(FileNotFoundError):
            volumes.create("half", None, options=TMPFS)

    assert [] == volumes.all()
    assert TMPFS == volumes.create("half", None, options=TMPFS)["Options"]
    assert TMPFS == volumes.create("half", None, options={"odd": "x"})["Options"]


def test_data_root_is_where_its_links_lead(tmp_path: Path) -> None:
    """What is mounted below it is found by the names that the kernel lists."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert str(tmp_path / "real/data") == parse_arguments(["--data-root", str(tmp_path / "link/data")]).data_root
