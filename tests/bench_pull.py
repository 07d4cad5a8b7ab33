"""Measures `docker pull` of a large image out of a docker-registry on the loopback; it is removed again, uncounted.

The image has four layers of 50 MB, half of it random bytes and half text: about 170 MB as they are stored, 210 MB as
they are unpacked.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.registries import Registry, build, layer_of

_LAYERS, _LAYER_BYTES = 4, 50 << 20
NAME = "bench:1"


def push_large_image(registry: Registry, folder: Path) -> None:
    """Make the image, the same each time, and put it into the registry."""
    source = random.Random(1)
    words = [f"{source.getrandbits(40):x}".encode() for _ in range(5000)]

    def content(number: int) -> bytes:
        if number % 5 == 0:
            return source.randbytes(source.randrange(1000, 2 << 20))
        return b" ".join(source.choices(words, k=source.randrange(100, 20_000)))

    def layer(number: int) -> bytes:
        files: dict[str, bytes | str] = {}
        size = 0
        while size < _LAYER_BYTES:
            data = content(len(files))
            files[f"data{number}/{len(files) % 50}/{len(files)}"] = data
            size += len(data)
        return layer_of(files)

    registry.push(build(*(layer(number) for number in range(_LAYERS))), NAME, folder)


def pull(docker_host: str, registry: Registry) -> Callable[[], float]:
    """A function that pulls the image and returns the seconds."""
    environment = {**os.environ, "DOCKER_HOST": docker_host}

    def timed() -> float:
        start = time.perf_counter()
        subprocess.run(
            ["docker", "pull", "-q", f"{registry.host}/{NAME}"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        elapsed = time.perf_counter() - start
        subprocess.run(
            ["docker", "rmi", f"{registry.host}/{NAME}"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        return elapsed

    return timed
