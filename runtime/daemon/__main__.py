"""`python -m runtime.daemon`: an Engine API daemon on top of containerd. The program itself is in `program.py`."""

import importlib
import os
import sys


def run() -> int:
    """Import what is needed, and no more, then be the daemon."""
    # aiohttp's client half reads every CA certificate of the host when it is imported: 50 ms of 200. Here it finds an
    # empty file; the first pull from a registry with TLS reads them (registry_endpoints.py).
    found = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ.update(dict.fromkeys(found, os.devnull))
    importlib.import_module("aiohttp.web")
    for name, value in found.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value
    from runtime.daemon.program import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
