"""What a program asks of the dynamic loader, read from its ELF file (elf(5), ld.so(8)); nothing is run.

`ldd` runs the program's own loader, which for an untrusted file means running the file. The answer stands in the
file anyway: PT_INTERP names the loader, PT_DYNAMIC lists DT_NEEDED libraries and DT_RPATH / DT_RUNPATH directories.
Both classes and both byte orders are read; symbol versions and DT_AUDIT are not looked at.
"""

import mmap
import struct
from dataclasses import dataclass

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 15, 29


@dataclass(frozen=True)
class ElfFile:
    """The part of an ELF file that decides what else must be there to run it."""

    bits: int
    machine: int
    interpreter: str
    """The loader's path; empty for a static program or a library."""
    needed: tuple[str, ...]
    """Libraries by name, in the order they are asked for."""
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


Bytes = bytes | mmap.mmap
"""A file's content, read or mapped: only a few pages of a large library are ever looked at."""


def read_elf(data: Bytes) -> ElfFile | None:
    """What an ELF file needs; None when it is none, or is cut short."""
    if data[:4] != b"\x7fELF" or len(data) < 52:
        return None
    bits = {1: 32, 2: 64}.get(data[4], 0)
    order = {1: "<", 2: ">"}.get(data[5], "")
    if not bits or not order:
        return None
    try:
        return _read(data, bits, order)
    except (struct.error, OverflowError, UnicodeDecodeError):
        return None


def _read(data: Bytes, bits: int, order: str) -> ElfFile:
    machine = struct.unpack_from(f"{order}H", data, 18)[0]
    segments = _segments(data, bits, order)
    interpreter = ""
    dynamic: list[tuple[int, int]] = []
    for segment in segments:
        if segment.kind == _PT_INTERP:
            interpreter = data[segment.offset : segment.offset + segment.size].rstrip(b"\0").decode()
        elif segment.kind == _PT_DYNAMIC:
            dynamic = _dynamic_entries(data, segment, bits, order)
    strings = next((_file_offset(segments, value) for tag, value in dynamic if tag == _DT_STRTAB), -1)

    def named(wanted: int) -> list[str]:
        return [_text(data, strings + value) for tag, value in dynamic if tag == wanted and strings >= 0]

    def directories(wanted: int) -> tuple[str, ...]:
        return tuple(part for text in named(wanted) for part in text.split(":") if part)

    return ElfFile(
        bits, machine, interpreter, tuple(named(_DT_NEEDED)), directories(_DT_RPATH), directories(_DT_RUNPATH)
    )


def _segments(data: Bytes, bits: int, order: str) -> list[_Segment]:
    if bits == 64:
        table, entry_size, count = (
            *struct.unpack_from(f"{order}Q", data, 32),
            *struct.unpack_from(order + "HH", data, 54),
        )
        layout, fields = f"{order}IIQQQQ", (0, 2, 3, 5)  # type, flags, offset, vaddr, paddr, filesz
    else:
        table, entry_size, count = (
            *struct.unpack_from(f"{order}I", data, 28),
            *struct.unpack_from(order + "HH", data, 42),
        )
        layout, fields = f"{order}IIIII", (0, 1, 2, 4)  # type, offset, vaddr, paddr, filesz
    found = []
    for index in range(count):
        values = struct.unpack_from(layout, data, table + index * entry_size)
        found.append(_Segment(*(values[field] for field in fields)))
    return found


def _dynamic_entries(data: Bytes, segment: _Segment, bits: int, order: str) -> list[tuple[int, int]]:
    layout = struct.Struct(f"{order}qQ" if bits == 64 else f"{order}iI")
    found = []
    for offset in range(segment.offset, segment.offset + segment.size, layout.size):
        tag, value = layout.unpack_from(data, offset)
        if tag == _DT_NULL:
            break
        found.append((tag, value))
    return found


def _file_offset(segments: list[_Segment], address: int) -> int:
    """Where a memory address lies in the file: DT_STRTAB is an address, since only the loader reads it."""
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return address - segment.address + segment.offset
    return -1


def _text(data: Bytes, offset: int) -> str:
    return data[offset : data.find(b"\0", offset)].decode()
