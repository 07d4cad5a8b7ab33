"""The small verbs: each is one or two requests and a few lines of text.

Real counterpart: docker CLI's cli/command/container, image and system.
"""

from __future__ import annotations

import json
import signal
import sys
import time

from runtime.client.attach import AttachedContainer, SignalPipe, StreamDemultiplexer, write_all
from runtime.client.engine_client import DaemonError, EngineClient, percent, query
from runtime.client.flags import Flag, MissingWordError, RefusedHereError, Values, boolean, describe, integer, parse
from runtime.client.listing import COLUMNS, ago, container_fields, print_table
from runtime.client.templates import fill
from runtime.client.terminal import RawTerminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Verb:
    """A verb's flags, its help line, and the function that does it."""

    def __init__(
        self, name: str, operands: str, help: str, act: Callable[[EngineClient, Values, list[str]], int], *flags: Flag
    ) -> None:
        self.name = name
        self.operands = operands
        self.help = help
        self._act = act
        self._flags = (*flags, _switch("help", help="Print usage"))

    def call(self, client: EngineClient, argv: list[str]) -> int:
        """Parse, then act."""
        given, words = parse(self._flags, argv, interspersed=True)
        if given.on("help"):
            usage = f"Usage:  docker {self.name} [OPTIONS] {self.operands}".rstrip()
            print(f"{usage}\n\n{self.help}\n\nOptions:\n{describe(self._flags)}")
            return 0
        if self.operands and not self.operands.startswith("[") and not words:
            raise MissingWordError(
                f"'docker {self.name}' requires at least 1 argument\n\n"
                f"Usage:  docker {self.name} [OPTIONS] {self.operands}\n\n"
                f"See 'docker {self.name} --help' for more information"
            )
        client.negotiate()
        return self._act(client, given, words)


def _switch(name: str, short: str = "", *, help: str) -> Flag:
    return Flag(name, short, kind="bool", convert=boolean, help=help)


def _for_each(names: list[str], act: Callable[[str], object], say: bool = True) -> int:
    """Do one thing to every container named; say what failed, go on, and fail at the end."""
    failed = 0
    for name in names:
        try:
            act(name)
        except DaemonError as error:
            print(error, file=sys.stderr, flush=True)
            failed = 1
        else:
            if say:
                print(name, flush=True)
    return failed


def _fields(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _items(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def _ps(client: EngineClient, given: Values, words: list[str]) -> int:
    items = _items(client.get_json("/containers/json" + query(all="1" if given.on("all") else "")))
    shape = given.text("format")
    if shape == "json":
        for item in items:
            print(json.dumps(item))
        return 0
    lines = [container_fields(item, whole=given.on("no-trunc")) for item in items]
    if given.on("quiet") or shape not in ("", "table"):
        template = "{{.ID}}" if given.on("quiet") else shape
        if template.startswith("table "):
            raise RefusedHereError("--format 'table ...': this client has one table; give the template without it")
        for line in lines:
            print(fill(template, line))
        return 0
    print_table([tuple(COLUMNS.values()), *(tuple(str(line[column]) for column in COLUMNS) for line in lines)])
    return 0


def _images(client: EngineClient, given: Values, words: list[str]) -> int:
    rows: list[tuple[str, ...]] = [("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")]
    for item in _items(client.get_json("/images/json")):
        tags = item.get("RepoTags") or ["<none>:<none>"]
        assert isinstance(tags, list)
        for reference in tags:
            name, _, tag = str(reference).rpartition(":")
            digest = str(item["Id"]).removeprefix("sha256:")[:12]
            size = f"{int(str(item['Size'])) / 1e6:.3g}MB"
            rows.append((name, tag, digest, ago(int(str(item["Created"]))), size))
    print_table(rows)
    return 0


def _inspect(client: EngineClient, given: Values, words: list[str]) -> int:
    """A word may be a container or an image: ask for each until one is there."""
    found, failed = [], 0
    for word in words:
        for path in (f"/containers/{percent(word)}/json", f"/images/{percent(word)}/json"):
            try:
                found.append(client.get_json(path))
                break
            except DaemonError as error:
                if error.status != 404:
                    raise
        else:
            failed = 1
            print(f"Error: No such object: {word}", file=sys.stderr)
    print(json.dumps(found, indent=4))
    return failed


def _logs(client: EngineClient, given: Values, words: list[str]) -> int:
    """Inspect comes first: only it tells whether the stream has frames or is a terminal's raw bytes."""
    name = percent(words[0])
    config = _fields(_fields(client.get_json(f"/containers/{name}/json"))["Config"])
    options = {"follow": "1" if given.on("follow") else "", "timestamps": "1" if given.on("timestamps") else ""}
    path = f"/containers/{name}/logs" + query(stdout="1", stderr="1", tail=given.text("tail") or "all", **options)
    connection, _ = client.open("GET", path)
    frames = StreamDemultiplexer()
    for piece in iter(connection.read_chunk, b""):
        for number, payload in [(1, piece)] if config["Tty"] else frames.feed(piece):
            write_all(2 if number == 2 else 1, payload)
    return 0


def _kill(client: EngineClient, given: Values, words: list[str]) -> int:
    chosen = query(signal=given.text("signal") or "KILL")
    return _for_each(words, lambda name: client.request("POST", f"/containers/{percent(name)}/kill{chosen}"))


def _stop(client: EngineClient, given: Values, words: list[str]) -> int:
    grace = query(t=str(given.number("time"))) if "time" in given else ""
    return _for_each(words, lambda name: client.request("POST", f"/containers/{percent(name)}/stop{grace}"))


def _rm(client: EngineClient, given: Values, words: list[str]) -> int:
    how = query(force="1" if given.on("force") else "", v="1" if given.on("volumes") else "")

    def remove(name: str) -> None:
        try:
            client.request("DELETE", f"/containers/{percent(name)}{how}")
        except DaemonError as error:
            if not (given.on("force") and error.status == 404):
                raise
            print(error, file=sys.stderr)
        else:
            print(name)

    return _for_each(words, remove, say=False)


def _start(client: EngineClient, given: Values, words: list[str]) -> int:
    return _for_each(words, lambda name: client.request("POST", f"/containers/{percent(name)}/start"))


def _wait(client: EngineClient, given: Values, words: list[str]) -> int:
    for name in words:
        _, body = client.request("POST", f"/containers/{percent(name)}/wait")
        print(_fields(json.loads(body))["StatusCode"], flush=True)
    return 0


def _attach(client: EngineClient, given: Values, words: list[str]) -> int:
    """Join a container that runs already; the wait is asked for first, so that its exit cannot slip by."""
    name = percent(words[0])
    details = _fields(client.get_json(f"/containers/{name}/json"))
    if not _fields(details["State"])["Running"]:
        raise DaemonError(409, "You cannot attach to a stopped container, start it first")
    config = _fields(details["Config"])
    tty = config["Tty"] is True
    streams = (["stdin"] if config["OpenStdin"] else []) + ["stdout", "stderr"]
    container = AttachedContainer(
        client, name, tty=tty, streams=streams, detach_keys=given.text("detach-keys"), proxy=True
    )
    try:
        with SignalPipe() as signals:
            container.wait("")
            container.attach()
            if tty and "stdin" in streams:
                with RawTerminal(0):
                    container.resize()
                    container.pump(signals)
            else:
                container.pump(signals)
    finally:
        container.close()
    if container.detached:
        print("read escape sequence", file=sys.stderr)
        return 1
    if container.lost is not None:
        raise container.lost
    return container.status or 0


def _events(client: EngineClient, given: Values, words: list[str]) -> int:
    """Print events as they happen; ctrl-C is how one leaves."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connection, _ = client.open("GET", "/events" + query(since=given.text("since"), until=given.text("until")))
    buffered = b""
    for piece in iter(connection.read_chunk, b""):
        buffered += piece
        *lines, buffered = buffered.split(b"\n")
        for line in filter(bytes.strip, lines):
            print(_event_line(_fields(json.loads(line)), given.text("format")), flush=True)
    return 0


def _event_line(event: dict[str, object], shape: str) -> str:
    if shape == "json":
        return json.dumps(event)
    if shape:
        return fill(shape, event)
    actor = _fields(event["Actor"])
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(_fields(actor["Attributes"]).items()))
    seconds, nanos = divmod(int(str(event["timeNano"])), 10**9)
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
    return f"{when}.{nanos:09d} {event['Type']} {event['Action']} {actor['ID']} ({attributes})"


def _version(client: EngineClient, given: Values, words: list[str]) -> int:
    server = _fields(client.get_json("/version"))
    print(f"Client:\n API version:  {client.version}\n\nServer:")
    for name in ("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion"):
        print(f" {name + ':':<15}{server.get(name, '')}")
    return 0


_VERBS = (
    Verb(
        "ps",
        "",
        "List containers",
        _ps,
        _switch("all", "a", help="Show all containers (default shows just running)"),
        _switch("quiet", "q", help="Only display container IDs"),
        _switch("no-trunc", help="Don't truncate output"),
        Flag("format", help="Output: 'table', 'json', or a template of fields: '{{.ID}} {{.Names}}'"),
    ),
    Verb("images", "", "List images", _images),
    Verb("inspect", "NAME|ID [NAME|ID...]", "Return low-level information on containers and images", _inspect),
    Verb(
        "logs",
        "CONTAINER",
        "Fetch the logs of a container",
        _logs,
        _switch("follow", "f", help="Follow log output"),
        _switch("timestamps", "t", help="Show timestamps"),
        Flag("tail", "n", help="Number of lines to show from the end of the logs (default all)"),
    ),
    Verb("start", "CONTAINER [CONTAINER...]", "Start stopped containers", _start),
    Verb(
        "stop",
        "CONTAINER [CONTAINER...]",
        "Stop running containers",
        _stop,
        Flag("time", "t", kind="int", convert=integer, help="Seconds to wait before killing the container"),
    ),
    Verb(
        "kill",
        "CONTAINER [CONTAINER...]",
        "Kill running containers",
        _kill,
        Flag("signal", "s", help="Signal to send to the container (default KILL)"),
    ),
    Verb(
        "rm",
        "CONTAINER [CONTAINER...]",
        "Remove containers",
        _rm,
        _switch("force", "f", help="Force the removal of a running container (uses SIGKILL)"),
        _switch("volumes", "v", help="Remove anonymous volumes associated with the container"),
    ),
    Verb("wait", "CONTAINER [CONTAINER...]", "Block until containers stop, then print their exit codes", _wait),
    Verb(
        "attach",
        "CONTAINER",
        "Attach local standard input, output, and error streams to a running container",
        _attach,
        Flag("detach-keys", help="Override the key sequence for detaching a container"),
    ),
    Verb(
        "events",
        "",
        "Get real time events from the server",
        _events,
        Flag("since", help="Show all events created since this unix time"),
        Flag("until", help="Stream events until this unix time"),
        Flag("format", help="Output: 'json', or a template of fields: '{{.Type}} {{.Actor.ID}}'"),
    ),
    Verb("version", "", "Show the Docker version information", _version),
)

VERBS = {verb.name: verb for verb in _VERBS}
