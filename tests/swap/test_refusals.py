"""What cannot be read, under dockerd and then under ours: the same status, and the same words."""

import contextlib
import http.client
import json
from collections.abc import Callable

import pytest

from tests.host.daemon.stacks import UnixConnection
from tests.swap.test_docker_cli import Engine

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

CREATE = "POST /containers/create"
CONFIG = "json: cannot unmarshal {} into Go struct field ContainerConfigWrapper.{} of type {}"
HOST = "json: cannot unmarshal {} into Go struct field HostConfig.HostConfig.{} of type {}"
BIG = "99999999999999999999"


def host(fields: str) -> str:
    """The body of a create request with something in its HostConfig."""
    return f'{{"Image":"hostbox","Cmd":["true"],"HostConfig":{{{fields}}}}}'


SYNTAX = [
    ("", "EOF"),
    (" \n", "EOF"),
    ("{", "unexpected EOF"),
    ('{"Image":', "unexpected EOF"),
    ('{"Image', "unexpected EOF"),
    ("[1,2", "unexpected EOF"),
    ("{,}", "invalid character ',' looking for beginning of object key string"),
    ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    ('{"a" 2}', "invalid character '2' after object key"),
    ('{"a":01}', "invalid character '1' after object key:value pair"),
    ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
    ('{"a\n"}', "invalid character '\\n' in string literal"),
    ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
]
CONFIGS = [
    ('{"Image":5}', CONFIG.format("number", "Image", "string")),
    ('{"Image":"hostbox","Cmd":5}', CONFIG.format("number", "Cmd", "string")),
    ('{"Image":"hostbox","Env":"x"}', CONFIG.format("string", "Env", "[]string")),
    ('{"Image":"hostbox","Env":[5]}', CONFIG.format("number", "Env", "string")),
    ('{"Image":"hostbox","Labels":[]}', CONFIG.format("array", "Labels", "map[string]string")),
    ('{"Image":"hostbox","Tty":"x"}', CONFIG.format("string", "Tty", "bool")),
    (f'{{"Image":"hostbox","StopTimeout":{BIG}}}', CONFIG.format(f"number {BIG}", "StopTimeout", "int")),
]
HOSTS = [
    *(
        (host(f'"Memory":{text}'), HOST.format(f"number {text}", "Memory", "int64"))
        for text in ("1.5", "1e3", "1.07e29")
    ),
    *(
        (host(f'"Memory":{text}'), HOST.format(what, "Memory", "int64"))
        for text, what in (('"x"', "string"), ("true", "bool"))
    ),
    (host('"Memory":9223372036854775808'), HOST.format("number 9223372036854775808", "Memory", "int64")),
    *(
        (host(f'"{key}":{BIG}'), HOST.format(f"number {BIG}", key, "int64"))
        for key in (
            *(
                "MemorySwap",
                "MemoryReservation",
                "MemorySwappiness",
                "KernelMemory",
                "ShmSize",
                "NanoCpus",
                "PidsLimit",
            ),
            *("CpuShares", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime"),
        )
    ),
    (host(f'"OomScoreAdj":{BIG}'), HOST.format(f"number {BIG}", "OomScoreAdj", "int")),
    (host('"BlkioWeight":65536'), HOST.format("number 65536", "BlkioWeight", "uint16")),
    (host('"ConsoleSize":[-1,2]'), HOST.format("number -1", "ConsoleSize", "uint")),
    (host('"CapAdd":[5]'), HOST.format("array", "CapAdd", "string")),
    (host('"Tmpfs":{"/a":5}'), HOST.format("number", "Tmpfs", "string")),
    (host('"Privileged":1'), HOST.format("number", "Privileged", "bool")),
    # Of what is deeper, Go names the struct, and ours does not: the end is compared.
    (host(f'"Ulimits":[{{"Name":"nofile","Soft":{BIG}}}]'), ".HostConfig.Ulimits.Soft of type int64"),
    (host('"PortBindings":{"80/tcp":[{"HostPort":80}]}'), ".HostConfig.PortBindings.HostPort of type string"),
    (host(f'"RestartPolicy":{{"MaximumRetryCount":{BIG}}}'), ".HostConfig.RestartPolicy.MaximumRetryCount of type int"),
    (
        host('"Mounts":[{"VolumeOptions":{"DriverConfig":{"Options":["type"]}}}]'),
        ".HostConfig.Mounts.VolumeOptions.DriverConfig.Options of type map[string]string",
    ),
    (host('"Mounts":[{"BindOptions":{"NonRecursive":1}}]'), ".HostConfig.Mounts.BindOptions.NonRecursive of type bool"),
    (host(f'"BlkioDeviceReadBps":[{{"Rate":{BIG}}}]'), ".HostConfig.BlkioDeviceReadBps.Rate of type uint64"),
]
NO_JSON = "invalid character 'x' looking for beginning of value"
NO_NUMBER = 'strconv.Atoi: parsing "x": invalid syntax'
REFUSALS: list[tuple[str, str | None, int, str]] = [
    *((CREATE, body, 500, words) for body, words in SYNTAX + CONFIGS + HOSTS),
    (CREATE, "null", 400, "Config cannot be empty in order to create a container"),
    (CREATE, host('"CapAdd":"x"'), 400, 'invalid CapAdd: unknown capability: "CAP_X"'),
    *(
        (f"GET /{what}?filters=x", None, 500, NO_JSON)
        for what in ("containers/json", "images/json", "networks", "events")
    ),
    ("GET /containers/json?filters={", None, 500, "unexpected end of JSON input"),
    ("GET /containers/json?filters={}x", None, 500, "invalid character 'x' after top-level value"),
    (
        "GET /containers/json?filters=[]",
        None,
        500,
        "json: cannot unmarshal array into Go value of type map[string]map[string]bool",
    ),
    ("GET /volumes?filters=x", None, 400, f"error reading volume filters: {NO_JSON}"),
    ("GET /containers/json?limit=x", None, 500, NO_NUMBER),
    (f"GET /containers/json?limit={BIG}", None, 500, f'strconv.Atoi: parsing "{BIG}": value out of range'),
    ("POST /containers/nosuch/stop?t=x", None, 500, NO_NUMBER),
    ("POST /containers/nosuch/restart?t=x", None, 500, NO_NUMBER),
    ("POST /containers/nosuch/resize?h=x&w=1", None, 400, NO_NUMBER),
    ("POST /exec/nosuch/resize?h=x&w=1", None, 400, NO_NUMBER),
    ("GET /events?since=x", None, 500, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("GET /events?since=1.x&until=1", None, 500, 'strconv.ParseInt: parsing "x": invalid syntax'),
    *(
        (f"POST /{what}", body, 400, words)
        for what in ("networks/create", "volumes/create", "containers/nosuch/exec", "exec/nosuch/start")
        for body, words in (("{", "unexpected EOF"), ("", "got EOF while reading request body"))
    ),
    ("POST /containers/nosuch/exec", '{"Cmd":[]}', 400, "No exec command specified"),
    (
        "POST /volumes/create",
        '{"Name":5}',
        400,
        "cannot unmarshal number into Go struct field VolumeCreateBody.Name of type string",
    ),
    ("GET /nosuch", None, 404, "page not found"),
]


@pytest.fixture(params=["dockerd", "ours"], scope="module")
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Engine:
    """The daemon that a test is for."""
    return engines(request.param)


def ask(engine: Engine, request: str, body: str | None) -> tuple[http.client.HTTPResponse, str]:
    """One request, of this version of the API unless it names another."""
    method, path = request.split(" ", 1)
    headers = {} if body is None else {"Content-Type": "application/json"}
    with contextlib.closing(UnixConnection(engine.host.removeprefix("unix://"))) as connection:
        connection.request(
            method, path if path.startswith("/v") and path[2].isdigit() else f"/v1.41{path}", body, headers
        )
        reply = connection.getresponse()
        return reply, reply.read().decode()


@pytest.mark.parametrize(("request_line", "body", "status", "words"), REFUSALS)
def test_what_cannot_be_read_is_refused_in_go_s_words(
    engine: Engine, request_line: str, body: str | None, status: int, words: str
) -> None:
    """Numbers that no int64 holds among it: dockerd's decoder sees to that, and so must ours."""
    reply, text = ask(engine, request_line, body)

    said = json.loads(text)["message"]
    assert (status, True) == (reply.status, said.endswith(words)), said


@pytest.mark.parametrize(
    ("request_line", "status", "words"),
    [
        ("GET /v1.0/version", 400, "client version 1.0 is too old. Minimum supported API version is 1.12, please"),
        ("GET /v1.0/nosuch", 404, "page not found"),
        ("GET /v1.23/containers/nosuch/json", 404, "No such container: nosuch"),
    ],
)
def test_old_clients_get_errors_as_text(engine: Engine, request_line: str, status: int, words: str) -> None:
    """JSON errors came with version 1.24."""
    reply, text = ask(engine, request_line, None)

    assert (status, "text/plain; charset=utf-8") == (reply.status, reply.headers["Content-Type"])
    assert text.startswith(words)


def test_what_follows_a_request_is_left_unread(engine: Engine) -> None:
    """dockerd decodes one value."""
    reply, text = ask(engine, CREATE, '{"Image":"hostbox","Cmd":["true"]} x')

    assert 201 == reply.status, text


@pytest.mark.parametrize("flags", ["-u 99999999999", "-u 2147483648", "-u 0:99999999999", "--group-add 99999999999"])
def test_ids_that_the_kernel_does_not_have_are_refused(engine: Engine, flags: str) -> None:
    """In the daemon, before anything is started."""
    done = engine.run(f"docker run --rm --network none {flags} hostbox true")

    assert (125, True) == (done.returncode, "uids and gids must be in range 0-2147483647" in done.stderr), done.stderr


def test_a_mount_below_a_file_is_refused_with_advice(engine: Engine) -> None:
    """dockerd adds a sentence to the runtime's; the CLI knows no better code for it than 125."""
    done = engine.run("docker run --rm --network none -v /etc/hostname:/etc/passwd/x hostbox true")

    advice = "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if"
    assert (125, True) == (done.returncode, advice in done.stderr), done.stderr


@pytest.mark.parametrize("flags", ["--memory-swap 99999999999g -m 64m", "--memory-reservation 99999999999g"])
def test_limits_below_nothing_are_none(engine: Engine, flags: str) -> None:
    """What overflows in the CLI is negative, and dockerd passes on what is above 0."""
    done = engine.run(f"docker run --rm --network none {flags} hostbox true")

    assert 0 == done.returncode, done.stderr
