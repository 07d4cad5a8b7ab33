"""Where a shim listens: a name that `start` and `delete` can work out without asking each other.

Real counterpart: containerd runtime/v2/shim/util_unix.go (SocketAddress); unix(7) for the length of sun_path.
"""

import os

SUN_PATH_BYTES = 107
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def socket_path(address: str, namespace: str, container_id: str) -> str:
    """Return the path of a shim's socket: beside containerd's, named after what makes the shim unique.

    A digest, because the whole name does not fit into sun_path. For containerd's usual address this is
    /run/containerd/s/DIGEST, as runc's shim has it; the digest is FNV-1a of 64 bits, since hashlib's OpenSSL takes
    longer to load than all the rest of `start`.
    """
    digest = FNV_OFFSET
    for byte in os.fsencode(f"{address}/{namespace}/{container_id}"):
        digest = ((digest ^ byte) * FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    path = f"{os.path.dirname(address)}/s/{digest:016x}"
    if len(os.fsencode(path)) > SUN_PATH_BYTES:
        return f"{os.environ.get('XDG_RUNTIME_DIR') or '/tmp'}/s/{digest:016x}"
    return path
