"""Length and channels of WebM and Matroska, which mutagen does not read (RFC 8794 and RFC 9559).

A recording that a browser makes as it goes states no length. The time of its last block is taken instead, if
the cluster that holds it begins among the stream's last bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from aai_gateway.media.sparse_file import SparseFile

MOST_ELEMENTS = 8192

_SEGMENT, _INFO, _TRACKS, _TRACK, _AUDIO = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE1
_SCALE, _DURATION, _TYPE, _CHANNELS = 0x2AD7B1, 0x4489, 0x83, 0x9F
_CLUSTER, _TIMESTAMP, _GROUP, _BLOCK, _SIMPLE_BLOCK = 0x1F43B675, 0xE7, 0xA0, 0xA1, 0xA3
_INSIDE = (_SEGMENT, _INFO, _TRACKS, _TRACK, _AUDIO, _CLUSTER, _GROUP)
_AUDIO_TYPE = 2
_NANOSECONDS = 1_000_000_000


def read_matroska(file: SparseFile) -> tuple[float, int]:
    """Seconds, and channels of the first audio. Raises all sorts of errors when the file does not tell."""
    scale, duration = 1_000_000, 0.0
    tracks: list[dict[int, int]] = []
    for name, value in _elements(file.known_from(0)):
        if name == _CLUSTER:
            break
        if name == _SCALE:
            scale = int.from_bytes(value, "big")
        elif name == _DURATION:
            (duration,) = struct.unpack(">d" if len(value) == 8 else ">f", value)
        elif name == _TRACK:
            tracks.append({})
        elif name in (_TYPE, _CHANNELS) and tracks:
            tracks[-1][name] = int.from_bytes(value, "big")
    channels = next(track.get(_CHANNELS, 1) for track in tracks if track.get(_TYPE) == _AUDIO_TYPE)
    return (duration or _last_moment(file.last_part())) * scale / _NANOSECONDS, channels


def _elements(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Each element's id and first bytes. One with others inside comes without bytes, and they come next."""
    for _ in range(MOST_ELEMENTS):
        if at >= len(data):
            return
        name, at = _number(data, at, with_length=True)
        size, at = _number(data, at)
        if name in _INSIDE:
            yield name, b""
        else:
            yield name, data[at : at + min(size, 16)]
            at += size


def _number(data: bytes, at: int, *, with_length: bool = False) -> tuple[int, int]:
    """A variable-size integer, with the bit that tells its length if it is an id, and where it ends."""
    length = 9 - data[at].bit_length()
    if length > 8 or at + length > len(data):
        raise ValueError("no element")
    value = int.from_bytes(data[at : at + length], "big")
    return value if with_length else value & (1 << 7 * length) - 1, at + length


def _last_moment(tail: bytes) -> int:
    """The last block's time, in the file's own units."""
    at = tail.rfind(_CLUSTER.to_bytes(4, "big"))
    if at < 0:
        raise ValueError("no cluster begins here")
    begin, last = -1, 0
    for name, value in _elements(tail, at):
        if name == _TIMESTAMP:
            begin = int.from_bytes(value, "big")
        elif name in (_BLOCK, _SIMPLE_BLOCK):
            _, after = _number(value, 0)
            last = max(last, *struct.unpack_from(">h", value, after))
    if begin < 0:
        raise ValueError("a cluster without its time")
    return begin + last
