"""The three files that every container gets from the daemon (moby: libnetwork, container_operations_unix.go).

/etc/hostname, /etc/hosts and /etc/resolv.conf depend on the run, not on the image, so they are written beside the
container's record and bound over the image's. /etc/hosts is written again once the address is known, into the same
file: a bind mount follows the inode, not the name.
"""

import os
from typing import Any

from runtime.daemon.container import Container
from runtime.daemon.network import PREDEFINED

_LOCALHOST = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
_FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")


def write(container: Container, owner: Container) -> dict[str, str]:
    """Write all three; returns container path -> host path. Who shares another's network has the very same files."""
    paths = {f"/etc/{name}": os.path.join(container.directory, name) for name in ("resolv.conf", "hostname", "hosts")}
    if owner is container:
        _put(paths["/etc/hostname"], f"{container.hostname}\n")
        refresh(container)
        return paths
    for path in paths.values():
        if os.path.exists(path):
            os.unlink(path)
        os.link(os.path.join(owner.directory, os.path.basename(path)), path)
    return paths


def refresh(container: Container) -> None:
    """Write what depends on the networks that the container is in by now."""
    text = resolv_conf(container.host_config, _read("/etc/resolv.conf"), has_name_server(container))
    _put(os.path.join(container.directory, "resolv.conf"), text)
    write_hosts(container)


def has_name_server(container: Container) -> bool:
    """Whether 127.0.0.11 answers in it: on a network of the user's own, where there are names."""
    return any(name not in PREDEFINED for name in container.networking)


def servers_outside(container: Container) -> list[str]:
    """The name servers behind 127.0.0.11: those of `--dns`, or the host's."""
    return list(container.host_config["Dns"] or _words_after("nameserver", _read("/etc/resolv.conf")))


def write_hosts(container: Container) -> None:
    """Write /etc/hosts with the addresses that the container has by now."""
    host_mode = container.host_config["NetworkMode"] == "host"
    lines = _read("/etc/hosts").splitlines() if host_mode else list(_LOCALHOST)
    for entry in container.host_config["ExtraHosts"] or []:
        name, _, address = entry.partition(":")
        lines.append(f"{address}\t{name}")
    lines += container.linked_hosts
    domain = container.config.get("Domainname")
    names = f"{container.hostname}.{domain} {container.hostname}" if domain else container.hostname
    lines += [f"{endpoint.address}\t{names}" for endpoint in container.endpoints if endpoint.address]
    _put(os.path.join(container.directory, "hosts"), "\n".join(lines) + "\n")


def resolv_conf(host: dict[str, Any], of_host: str, has_name_server: bool = False) -> str:
    """The container's resolv.conf: the host's, with what `--dns` and its kin say instead."""
    servers = host["Dns"] or _words_after("nameserver", of_host)
    if host["NetworkMode"] != "host" and not host["Dns"]:
        # A resolver on the host's loopback cannot be reached from another network namespace.
        servers = [server for server in servers if not server.startswith("127.") and server != "::1"]
    servers = ["127.0.0.11"] if has_name_server else servers or list(_FALLBACK_SERVERS)
    search = " ".join(host["DnsSearch"] or _words_after("search", of_host))
    options = " ".join(host["DnsOptions"] or _words_after("options", of_host))
    if has_name_server and "ndots:" not in options:
        options = f"{options} ndots:0".strip()  # a container's name has no dot in it, and is complete
    out = [f"search {search}"] if search and search != "." else []
    out += [f"nameserver {server}" for server in servers]
    out += [f"options {options}"] if options else []
    return "\n".join(out) + "\n"


def _words_after(keyword: str, text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line.split(None, 1)[1] for line in lines if line.startswith(f"{keyword} ") and len(line.split()) > 1]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _put(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)  # whatever the umask says: every user in the container reads them
