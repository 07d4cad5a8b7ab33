"""A process's streams and its log, with the test in the shim's place at the other end of the FIFOs."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.daemon import log_options
from runtime.daemon.errors import ServerError
from runtime.daemon.log_options import LogOptions
from runtime.daemon.logs import JsonFileLog, LogQuery
from runtime.daemon.stdcopy import STDERR, STDOUT
from runtime.daemon.stdio import ProcessStreams


class Collector:
    """A sink that keeps what it is fed, and can be full."""

    def __init__(self) -> None:
        self.on_drained: Callable[[], None] | None = None
        self.data = {STDOUT: b"", STDERR: b""}
        self.is_full = False
        self.fed = asyncio.Event()
        self.ended = False

    def feed(self, stream: int, data: bytes) -> None:
        self.data[stream] += data
        self.fed.set()

    def full(self) -> bool:
        return self.is_full

    def end(self) -> None:
        self.ended = True


async def test_output_reaches_every_sink_and_ends_with_the_writers(tmp_path: Path) -> None:
    """Both outputs, told apart; the end comes when the shim has closed its ends, and no FIFO is left."""
    streams, sink = ProcessStreams(want_stdin=False, terminal=False), Collector()
    paths = streams.make_fifos(str(tmp_path), "init")
    streams.add_sink(sink)
    streams.open()
    out, err = os.open(paths.stdout, os.O_WRONLY), os.open(paths.stderr, os.O_WRONLY)

    os.write(out, b"one")
    os.write(err, b"two")
    os.close(out)
    os.close(err)
    await streams.outputs_ended
    streams.drain_and_close()

    assert {STDOUT: b"one", STDERR: b"two"} == sink.data
    assert sink.ended
    assert [] == os.listdir(tmp_path)


async def test_a_full_sink_holds_the_process_up(tmp_path: Path) -> None:
    """Nothing is read while a client is behind; all of it comes when it has caught up."""
    streams, sink = ProcessStreams(want_stdin=False, terminal=True), Collector()
    paths = streams.make_fifos(str(tmp_path), "init")
    sink.is_full = True
    streams.add_sink(sink)
    streams.open()
    out = os.open(paths.stdout, os.O_WRONLY | os.O_NONBLOCK)

    os.write(out, b"x" * 4096)
    await asyncio.sleep(0)  # one turn of the loop: a reader would have run
    assert b"" == sink.data[STDOUT]
    sink.is_full = False
    assert sink.on_drained
    sink.on_drained()
    await sink.fed.wait()

    assert 4096 == len(sink.data[STDOUT])
    os.close(out)
    streams.drain_and_close()


async def test_early_input_waits_for_the_process(tmp_path: Path) -> None:
    """The CLI sends input before start: it is kept, arrives whole, and then the end of input is told."""
    streams = ProcessStreams(want_stdin=True, terminal=False)
    told = asyncio.Event()
    streams.on_input_closed = told.set
    streams.write_input(b"early")
    streams.end_input()
    paths = streams.make_fifos(str(tmp_path), "init")
    streams.open()
    reader = os.open(paths.stdin, os.O_RDONLY | os.O_NONBLOCK)

    streams.process_created()

    await told.wait()
    assert b"early" == os.read(reader, 100)
    assert b"" == os.read(reader, 100)
    os.close(reader)
    streams.drain_and_close()


async def test_log_splits_lines_and_streams(tmp_path: Path) -> None:
    """One entry a line; what lacks its newline is logged at the end; long lines are cut at 16 KiB."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions())

    log.feed(STDOUT, b"a\nb")
    log.feed(STDERR, b"e\n")
    log.feed(STDOUT, b"c\n" + b"z" * 20000)
    log.end()

    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert ["a\n", "e\n", "bc\n", "z" * 16384, "z" * 3616] == [entry["log"] for entry in entries]


@pytest.mark.parametrize("tail", [0, 1, 3, 2999, 3000, 9999])
async def test_log_tail_counts_from_the_end(tmp_path: Path, tail: int) -> None:
    """The last N entries, whatever the size of the file."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions())
    log.feed(STDOUT, b"".join(b"%d\n" % number for number in range(3000)))
    log.end()

    found = [entry.text async for entry in log.read(LogQuery(tail=tail))]

    assert [f"{number}\n" for number in range(max(0, 3000 - tail), 3000)] == found


async def test_log_tail_counts_both_streams(tmp_path: Path) -> None:
    """A line of stderr before the last five lines is not among them, whatever is asked for."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions())
    log.feed(STDERR, b"e\n")
    log.feed(STDOUT, b"o\n" * 5)
    log.end()

    assert [] == [entry.text async for entry in log.read(LogQuery(stdout=False, tail=5))]
    assert ["e\n"] == [entry.text async for entry in log.read(LogQuery(stdout=False, tail=6))]


async def test_log_is_rotated_by_size_and_read_across_files(tmp_path: Path) -> None:
    """A full file makes room; readers and tails see all files that are kept, oldest first."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions(max_size_bytes=400, max_files=3))
    log.feed(STDOUT, b"".join(b"%03d\n" % number for number in range(50)))
    log.end()

    kept = [entry.text async for entry in log.read(LogQuery())]
    tail = [entry.text async for entry in log.read(LogQuery(tail=8))]

    assert ["log", "log.1", "log.2"] == sorted(path.name for path in tmp_path.iterdir())
    assert kept == sorted(kept)
    assert "049\n" == kept[-1]
    assert 12 < len(kept) < 20
    assert kept[-8:] == tail


async def test_log_follower_loses_nothing_to_rotation(tmp_path: Path) -> None:
    """Who follows reads the file that it has open to its end, then those that came after."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions(max_size_bytes=300, max_files=50))
    follower = log.read(LogQuery(follow=True))
    log.feed(STDOUT, b"0\n")
    seen = [(await anext(follower)).text]

    log.feed(STDOUT, b"".join(b"%d\n" % number for number in range(1, 40)))
    log.end()
    seen += [entry.text async for entry in follower]

    assert [f"{number}\n" for number in range(40)] == seen


async def test_log_of_one_file_begins_again_when_it_is_full(tmp_path: Path) -> None:
    """Without `max-file` there is nothing but the newest lines."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions(max_size_bytes=300))

    log.feed(STDOUT, b"".join(b"%d\n" % number for number in range(40)))
    log.end()

    kept = [entry.text async for entry in log.read(LogQuery())]
    assert ["log"] == [path.name for path in tmp_path.iterdir()]
    assert (True, "39\n") == (len(kept) < 6, kept[-1])


async def test_log_options_choose_what_is_written_beside_a_line(tmp_path: Path) -> None:
    """Labels and variables by name or pattern, and a tag made of the container's names."""
    options = log_options.parse(
        {"labels": "a,b", "env-regex": "^E", "tag": "{{.Name}}-{{ .ID }}", "max-size": "1.5k"},
        {"a": "1", "z": "2"},
        ["E1=x", "F=y"],
        {"Name": "c1", "ID": "0123"},
    )
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(options)
    log.feed(STDOUT, b"x\n")
    log.end()

    (entry,) = [entry async for entry in log.read(LogQuery())]

    assert (("E1", "x"), ("a", "1"), ("tag", "c1-0123")) == entry.attributes
    assert 1500 == options.max_size_bytes


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max-size": "1x"}, "invalid size: '1x'"),
        ({"max-size": "0"}, "must be a positive number"),
        ({"max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "x"}, 'parsing "x"'),
        ({"tag": "{{.Nope}}"}, "field Nope"),
        ({"labels-regex": "("}, "error parsing regexp"),
    ],
)
def test_log_options_that_cannot_be_read_are_named(options: dict[str, str], complaint: str) -> None:
    """The start fails with a sentence that holds the word in question."""
    with pytest.raises(ServerError, match="failed to initialize logging driver") as refused:
        log_options.parse(options, {}, [], {})

    assert complaint in refused.value.message


async def test_log_follow_ends_with_the_run(tmp_path: Path) -> None:
    """A follower gets what is there, what comes, and the end."""
    log = JsonFileLog(str(tmp_path / "log"))
    log.begin(LogOptions())
    log.feed(STDOUT, b"there\n")
    seen: list[str] = []
    got_first = asyncio.Event()

    async def follow() -> None:
        async for entry in log.read(LogQuery(follow=True)):
            seen.append(entry.text)
            got_first.set()

    follower = asyncio.ensure_future(follow())
    await got_first.wait()
    log.feed(STDOUT, b"later\n")
    log.end()
    await follower

    assert ["there\n", "later\n"] == seen


async def test_log_survives_a_torn_last_line(tmp_path: Path) -> None:
    """A daemon that was killed while it wrote leaves half a line: it is passed over."""
    path = tmp_path / "log"
    log = JsonFileLog(str(path))
    log.begin(LogOptions())
    log.feed(STDOUT, b"whole\n")
    log.end()
    with path.open("a") as file:
        file.write('{"log":"ha')

    assert ["whole\n"] == [entry.text async for entry in log.read(LogQuery())]
