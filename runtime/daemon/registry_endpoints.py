"""Where a registry is reached, and how (moby: registry/service_v2.go, registry/config.go, containerd: remotes/docker).

    docker.io          the mirrors that the daemon was told of, then https://registry-1.docker.io
    127.0.0.0/8, ::1   https without looking at the certificate, then http: nobody listens in between
    localhost          the same
    anything else      https, and the certificate must be good

TLS is loaded when the first connection needs it: the daemon itself serves a unix socket, and reading every CA
certificate of a host takes 20 ms.
"""

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp.abc import AbstractResolver, ResolveResult

from runtime.daemon.spawn import ProgramError, run_program

_HUB_URL = "https://registry-1.docker.io"


@dataclass(frozen=True)
class Endpoint:
    """One way to reach a registry."""

    url: str
    verified: bool = True
    """Whether its certificate must be good."""

    def request_options(self, url: str) -> dict[str, Any]:
        """What aiohttp must know to ask for a URL: the TLS context and the proxy, from the environment as in Go."""
        target = urlsplit(url)
        host = target.hostname or ""
        proxy = None if is_local(host) or proxy_bypass(host) else getproxies().get(target.scheme)
        return {"ssl": tls_context(self.verified), "proxy": proxy}


def endpoints(domain: str, mirrors: tuple[str, ...], insecure: tuple[str, ...]) -> list[Endpoint]:
    """The ways to try for a registry, in this order."""
    if domain == "docker.io":
        return [*(Endpoint(mirror.rstrip("/")) for mirror in mirrors), Endpoint(_HUB_URL)]
    host = domain.rpartition(":")[0] if ":" in domain and not domain.endswith("]") else domain
    if domain in insecure or is_local(host.strip("[]")):
        return [Endpoint(f"https://{domain}", verified=False), Endpoint(f"http://{domain}")]
    return [Endpoint(f"https://{domain}")]


def is_local(host: str) -> bool:
    """Whether a host is this one."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def tls_context(verified: bool) -> ssl.SSLContext:
    """How TLS is spoken: with the certificates that SSL_CERT_FILE or this host trusts, or whatever the other has."""
    if verified:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class GetentResolver(AbstractResolver):
    """Asks for addresses with getent(1), which asks whatever /etc/nsswitch.conf says.

    getaddrinfo(3) blocks, so asyncio calls it in a thread; this stack has none. A program is waited for like any other.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            lines = (await run_program(["/usr/bin/getent", "ahosts", "--", host])).decode().splitlines()
        except ProgramError as error:
            raise OSError(None, f"lookup {host}: no such host") from error
        found = list(dict.fromkeys(line.split()[0] for line in lines if line.split()))
        return [_result(host, port, address) for address in found]

    async def close(self) -> None:
        """Nothing is kept open."""


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": family,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
