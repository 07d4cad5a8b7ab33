"""Compressed recordings, unpacked as far as they go.

gzip (RFC 1952) is what everybody has; xz makes half of it, because an image's layers pass through several sockets and
gzip finds what is repeated within 32 KiB only (https://tukaani.org/xz/xz-file-format.txt). Which one it is, is told by
the first bytes, whatever the file is called.
"""

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\0"
_PIECE = 1 << 18
Unpack = Callable[[BinaryIO], Iterator[bytes]]


class UnpackError(Exception):
    """Compressed data is damaged or cut short. What came before it has been given."""


class _Unpacker(Protocol):
    """What zlib's and lzma's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def unpacker_of(beginning: bytes) -> Unpack | None:
    """What unpacks a file that begins so; None where it is not compressed."""
    if beginning.startswith(_GZIP):
        return lambda packed: _unpacked(packed, lambda: zlib.decompressobj(wbits=31))
    if beginning.startswith(_XZ):
        return lambda packed: _unpacked(packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ))
    return None


def _unpacked(packed: BinaryIO, make: Callable[[], _Unpacker]) -> Iterator[bytes]:
    """What the file holds. Raises UnpackError where it is damaged or cut short, after all that came before."""
    given = 0
    try:
        for block in _blocks(packed, make):
            given += len(block)
            yield block
        return
    except (zlib.error, lzma.LZMAError):
        failed_in = (packed.tell() - 1) // _PIECE * _PIECE
    # Of a piece that is wrong at its end, decompressors give nothing. So once more, and that piece byte by byte.
    packed.seek(0)
    again = 0
    try:
        for block in _blocks(packed, make, failed_in):
            again += len(block)
            if again > given:
                yield block[-(again - given) :]
    except (zlib.error, lzma.LZMAError) as error:
        raise UnpackError(str(error).lower()) from error


def _blocks(packed: BinaryIO, make: Callable[[], _Unpacker], careful_from: int | None = None) -> Iterator[bytes]:
    """The file piece by piece, from `careful_from` on byte by byte."""
    unpacker = make()
    at = 0
    while piece := packed.read(_PIECE if careful_from is None or at < careful_from else 1):
        at += len(piece)
        if unpacker.eof:  # several members, one after another (RFC 1952 section 2.2)
            unpacker = make()
        yield unpacker.decompress(piece)
        while unpacker.eof and unpacker.unused_data:
            rest, unpacker = unpacker.unused_data, make()
            yield unpacker.decompress(rest)
    if not unpacker.eof:
        raise UnpackError("it ends in the middle")
