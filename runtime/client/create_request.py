"""``docker run``'s flags -> the body of ``POST /containers/create``: the first of three translations of every flag.

    --memory 64m  ->  HostConfig.Memory = 67108864        here
                  ->  linux.resources.memory.limit         runtime/daemon/spec.py
                  ->  write to memory.max                  runtime/oci/cgroups/

Real counterpart: docker CLI's cli/command/container/opts.go ``parse``. Nothing is checked here that the daemon can
check better (does the network exist? is the image there?): the client knows only its own command line, its own
environment and its own files. Zero values of HostConfig are left out; the real CLI spells all of them.
"""

from __future__ import annotations

import json

from runtime.client import ports, values
from runtime.client.flags import ConflictError, RefusedHereError, Values
from runtime.client.run_flags import RUN_FLAGS


def build(given: Values, image: str, command: list[str], console_size: tuple[int, int]) -> dict[str, object]:
    """Write the create request for one command line.

    Args:
        given: the flags.
        image: the IMAGE word.
        command: the words after it, empty for the image's own command.
        console_size: rows and columns of this terminal, (0, 0) where there is none.

    """
    _refuse_conflicts(given)
    attached = attached_streams(given)
    host: dict[str, object] = {
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "", "Config": _pairs(given.many("log-opt"))},
        "AutoRemove": False,
        "Privileged": False,
        "MemorySwappiness": -1,
        "ConsoleSize": list(console_size) if given.on("tty") else [0, 0],
    }
    body: dict[str, object] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": "stdin" in attached,
        "AttachStdout": "stdout" in attached,
        "AttachStderr": "stderr" in attached,
        "Tty": False,
        "OpenStdin": given.on("interactive"),
        # StdinOnce: when this client's stdin ends, the process's stdin is closed too; a later attach cannot reopen it.
        "StdinOnce": "stdin" in attached,
        "Env": _environment(given),
        "Cmd": command or None,
        "Image": image,
        "Volumes": {text: {} for text in given.many("volume") if ":" not in text},
        "WorkingDir": "",
        # --entrypoint "" is how an image's ENTRYPOINT is switched off; a list of one empty word says so.
        "Entrypoint": [given.text("entrypoint")] if "entrypoint" in given else None,
        "OnBuild": None,
        "Labels": _labels(given),
        "HostConfig": host,
    }
    if given.on("no-healthcheck"):
        body["Healthcheck"] = {"Test": ["NONE"]}
    for name, field in (("annotation", "Annotations"), ("storage-opt", "StorageOpt")):
        if name in given:
            host[field] = _pairs(given.many(name))
    for flag in RUN_FLAGS:
        if flag.field and flag.name in given:
            _put(body, flag.field, given.raw(flag.name))
    _add_files(given, host)
    _add_security(given, host)
    _add_network(given, body, host)
    return body


def attached_streams(given: Values) -> list[str]:
    """Which of the three streams this client joins: none for -d, what -a names, else stdout, stderr and -i's stdin."""
    if given.on("detach"):
        return []
    if "attach" in given:
        return given.many("attach")
    return (["stdin"] if given.on("interactive") else []) + ["stdout", "stderr"]


def _refuse_conflicts(given: Values) -> None:
    if given.on("detach") and "attach" in given:
        raise RefusedHereError("conflicting options: cannot specify both --attach and --detach")
    restart = given.raw("restart")
    if given.on("rm") and isinstance(restart, dict) and restart["Name"] not in {"no", ""}:
        raise ConflictError("conflicting options: cannot specify both --restart and --rm")
    if given.text("pull") not in {"", "always", "missing", "never"}:
        raise ConflictError(
            f'invalid pull option: \'{given.text("pull")}\': must be one of "always", "missing" or "never"'
        )


def _put(body: dict[str, object], field: str, value: object) -> None:
    *path, last = field.split(".")
    at = body
    for name in path:
        inner = at[name]
        assert isinstance(inner, dict)
        at = inner
    at[last] = value


def _environment(given: Values) -> list[str] | None:
    """Files first, flags after: a later entry of the same name wins in the daemon, so -e overrides --env-file."""
    from_files = [values.environment(line) for path in given.many("env-file") for line in values.lines_of(path)]
    entries = [entry for entry in from_files + given.many("env") if entry]
    return entries or None


def _labels(given: Values) -> dict[str, str]:
    from_files = [line for path in given.many("label-file") for line in values.lines_of(path)]
    return _pairs(from_files + given.many("label"))


def _pairs(entries: list[str]) -> dict[str, str]:
    """``a=b`` entries as a map; a bare ``a`` has an empty value."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _add_files(given: Values, host: dict[str, object]) -> None:
    binds = [text for text in given.many("volume") if ":" in text]
    if binds:
        host["Binds"] = binds
    if "tmpfs" in given:
        host["Tmpfs"] = {path: options for path, _, options in (text.partition(":") for text in given.many("tmpfs"))}


def _add_security(given: Values, host: dict[str, object]) -> None:
    """A seccomp profile is a file on the client's side, so its text travels; the daemon could not open it."""
    options = []
    for option in given.many("security-opt"):
        key, _, value = option.replace(":", "=", 1).partition("=")
        if option == "systempaths=unconfined":
            host["MaskedPaths"], host["ReadonlyPaths"] = [], []
        elif key == "seccomp" and value not in {"unconfined", "builtin"}:
            with open(value, encoding="utf-8") as file:
                profile = json.load(file)
            options.append(f"seccomp={json.dumps(profile, separators=(',', ':'))}")
        else:
            options.append(option)
    if options:
        host["SecurityOpt"] = options
    if "sysctl" in given:
        host["Sysctls"] = _pairs(given.many("sysctl"))


def _add_network(given: Values, body: dict[str, object], host: dict[str, object]) -> None:
    """The first network is the mode, and has what the flags say of addresses and names; others say it themselves."""
    networks = [*_raw_list(given, "network"), *_raw_list(given, "net")] or [("default", {})]
    name, settings = networks[0]
    host["NetworkMode"] = name
    endpoints = dict(networks)
    endpoints[name] = settings | _endpoint_flags(given, name)
    body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    if "mac-address" in given:
        body["MacAddress"] = given.text("mac-address")
    exposed: dict[str, object] = {port: {} for text in given.many("expose") for port in ports.exposed(text)}
    bindings: dict[str, list[object]] = {}
    for text in given.many("publish"):
        for inside, outside in ports.published(text):
            bindings.setdefault(inside, []).append(outside)
    if bindings:
        host["PortBindings"] = bindings
    if exposed or bindings:
        body["ExposedPorts"] = exposed | {port: {} for port in bindings}


def _endpoint_flags(given: Values, network: str) -> dict[str, object]:
    if "network-alias" in given and network in ("default", "bridge", "host", "none"):
        raise ConflictError("network-scoped aliases are only supported for user-defined networks")
    addresses = {
        field: given.raw(flag)
        for flag, field in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("link-local-ip", "LinkLocalIPs"))
        if flag in given
    }
    found: dict[str, object] = {"IPAMConfig": addresses} if addresses else {}
    if "network-alias" in given:
        found["Aliases"] = given.many("network-alias")
    if "mac-address" in given and network != "default":
        found["MacAddress"] = given.text("mac-address")
    if "link" in given and network != "default":
        found["Links"] = given.many("link")
    return found


def _raw_list(given: Values, name: str) -> list[tuple[str, dict[str, object]]]:
    value = given.raw(name) or []
    assert isinstance(value, list)
    return value
