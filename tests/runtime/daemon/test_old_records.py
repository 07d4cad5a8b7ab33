"""What an older daemon, or one that was killed, has written down."""

import json
import os
from pathlib import Path

import pytest

from runtime.daemon import security_options, signals
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.events import EventLog
from runtime.daemon.network import Network, NetworkRecords
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


@pytest.mark.parametrize("asked", [True, False])
def test_gateway_of_an_older_daemon_is_shown_where_the_subnet_was_chosen(tmp_path: Path, asked: bool) -> None:
    """It did not write down whether the gateway was chosen too: none is hidden that may have been."""
    records = NetworkRecords(str(tmp_path))
    records.save(Network("n" * 64, "n", "bridge", 0, subnet="10.8.0.0/24", gateway="10.8.0.9", subnet_was_asked=asked))
    path = next((tmp_path / "networks").iterdir())
    record = json.loads(path.read_text())
    del record["gateway_was_asked"]
    path.write_text(json.dumps(record))
    (path.parent / "odd.json").write_text("[]")

    (network,), (complaint,) = records.load()

    assert asked == network.gateway_was_asked
    assert "10.8.0.9" == network.view({})["IPAM"]["Config"][0]["Gateway"]
    assert "network odd: unreadable record" in complaint


async def test_interfaces_of_an_older_daemon_keep_their_names(tmp_path: Path) -> None:
    """It had one count for all prefixes: the next number of each is beyond it."""
    container = Container(
        "c" * 64, "c", 0, "", "", "", [], {}, {}, {}, [], [], "", str(tmp_path), endpoints=[Endpoint("n", "i", "e")]
    )
    container.endpoints[0].interface = container.next_interface("ens")
    names = [container.next_interface(prefix) for prefix in ("ens", "eth", "eth")]
    assert ["ens1", "eth0", "eth1"] == names
    document = container.to_json()

    assert "ens2" == Container.from_json(document, str(tmp_path)).next_interface("ens")
    assert "ens4" == Container.from_json({**document, "interfaces": 4}, str(tmp_path)).next_interface("ens")
    del document["interfaces"]
    assert "eth0" == Container.from_json(document, str(tmp_path)).next_interface("eth")


def test_data_root_is_where_its_links_lead(tmp_path: Path) -> None:
    """What is mounted below it is found by the names that the kernel lists."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert str(tmp_path / "real/data") == parse_arguments(["--data-root", str(tmp_path / "link/data")]).data_root
