"""Where the dynamic loader would find a library: rpath, ld.so.cache, default directories (ld.so(8)).

The order is the loader's: DT_RPATH (only without DT_RUNPATH), DT_RUNPATH, the cache, the defaults. LD_LIBRARY_PATH is
left out: the container will not have it. A candidate of another ELF class or machine is passed over, as the loader
does.
"""

import functools
import mmap
import os
import struct

from runtime.daemon.elf import ElfFile, read_elf

_CACHE = "/etc/ld.so.cache"
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"


def default_directories() -> list[str]:
    """The directories that loaders search unasked, multiarch ones first."""
    machine = os.uname().machine
    triplet = f"{machine}-linux-gnu"
    return [f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"]


def read_cache(path: str = _CACHE) -> dict[str, list[str]]:
    """Library name -> paths in glibc's cache (dl-cache.h); empty when there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    start = data.find(_CACHE_MAGIC)
    if start < 0:
        return {}
    found: dict[str, list[str]] = {}
    try:
        count = struct.unpack_from("=I", data, start + 20)[0]
        for index in range(count):
            # struct file_entry_new: flags, key, value, os version, hardware capabilities
            _, key, value, _, _ = struct.unpack_from("=iIIIQ", data, start + 48 + index * 24)
            name, library = (data[start + at : data.index(b"\0", start + at)].decode() for at in (key, value))
            found.setdefault(name, []).append(library)
    except (struct.error, ValueError):
        return found
    return found


def needed_files(*programs: str) -> list[str]:
    """Every file that programs need to start, themselves first: loader and libraries."""
    cache = read_cache()
    found: dict[str, None] = {}
    waiting = list(programs)
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        elf = _elf_at(path)
        found[path] = None
        if elf is None:
            waiting += _script_interpreter(path)
            continue
        if elf.interpreter:
            waiting.append(elf.interpreter)
        waiting += filter(None, (_find(name, elf, path, cache) for name in elf.needed))
    return list(found)


def _find(name: str, elf: ElfFile, asked_by: str, cache: dict[str, list[str]]) -> str | None:
    if "/" in name:
        return name if os.path.exists(name) else None
    origin = os.path.dirname(os.path.realpath(asked_by))
    asked = [
        directory.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for directory in (elf.runpath or elf.rpath)
    ]
    candidates = [os.path.normpath(os.path.join(directory, name)) for directory in asked]
    candidates += cache.get(name, [])
    candidates += [os.path.join(directory, name) for directory in default_directories()]
    for candidate in candidates:
        found = _elf_at(candidate)
        if found is not None and (found.bits, found.machine) == (elf.bits, elf.machine):
            return candidate
    return None


@functools.lru_cache(maxsize=1024)  # most programs ask for the same few libraries
def _elf_at(path: str) -> ElfFile | None:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return read_elf(data)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None


def _script_interpreter(path: str) -> list[str]:
    """`#!/bin/sh` needs /bin/sh."""
    with open(path, "rb") as file:
        line = file.readline(256)
    words = line[2:].split() if line.startswith(b"#!") else []
    return [words[0].decode()] if words else []
