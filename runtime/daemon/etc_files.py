"""The three files that every container gets from the daemon (moby: libnetwork, container_operations_unix.go).

/etc/hostname, /etc/hosts and /etc/resolv.conf depend on the run, not on the image, so they are written beside the
container's record and bound over the image's. /etc/hosts is written again once the address is known, into the same
file: a bind mount follows the inode, not the name.
"""

import os
from typing import Any

from runtime.daemon.container import Container

_LOCALHOST = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)
_FALLBACK_SERVERS = ("8.8.8.8", "8.8.4.4")


def write(container: Container) -> dict[str, str]:
    """Write all three; returns container path -> host path."""
    paths = {f"/etc/{name}": os.path.join(container.directory, name) for name in ("resolv.conf", "hostname", "hosts")}
    _put(paths["/etc/hostname"], f"{container.hostname}\n")
    _put(paths["/etc/resolv.conf"], resolv_conf(container.host_config, _read("/etc/resolv.conf")))
    write_hosts(container)
    return paths


def write_hosts(container: Container) -> None:
    """Write /etc/hosts with the addresses that the container has by now."""
    host_mode = container.host_config["NetworkMode"] == "host"
    lines = _read("/etc/hosts").splitlines() if host_mode else list(_LOCALHOST)
    for entry in container.host_config["ExtraHosts"] or []:
        name, _, address = entry.partition(":")
        lines.append(f"{address}\t{name}")
    domain = container.config.get("Domainname")
    names = f"{container.hostname}.{domain} {container.hostname}" if domain else container.hostname
    lines += [f"{endpoint.address}\t{names}" for endpoint in container.endpoints if endpoint.address]
    _put(os.path.join(container.directory, "hosts"), "\n".join(lines) + "\n")


def resolv_conf(host: dict[str, Any], of_host: str) -> str:
    """The container's resolv.conf: the host's, with what `--dns` and its kin say instead."""
    lines = [line.strip() for line in of_host.splitlines()]
    kept = {
        word: [line.split(None, 1)[1] for line in lines if line.startswith(f"{word} ") and len(line.split()) > 1]
        for word in ("nameserver", "search", "options")
    }
    servers = host["Dns"] or kept["nameserver"]
    if host["NetworkMode"] != "host" and not host["Dns"]:
        # A resolver on the host's loopback cannot be reached from another network namespace.
        servers = [server for server in servers if not server.startswith("127.") and server != "::1"]
    servers = servers or list(_FALLBACK_SERVERS)
    search = " ".join(host["DnsSearch"]) if host["DnsSearch"] else " ".join(kept["search"])
    options = " ".join(host["DnsOptions"]) if host["DnsOptions"] else " ".join(kept["options"])
    out = [f"search {search}"] if search and search != "." else []
    out += [f"nameserver {server}" for server in servers]
    out += [f"options {options}"] if options else []
    return "\n".join(out) + "\n"


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
