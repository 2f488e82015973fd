"""Followers of a stream: each asks for the next few bytes it wants kept, and skips what lies between.

A follower is a generator. It yields (offset, length), never before the end of what it asked for last, and is
sent those bytes once they have streamed by. It asks a bounded number of times for a bounded number of bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from io import BytesIO
from typing import TypeAlias

from mutagen.mp4 import MP4, MP4StreamInfoError

Follower: TypeAlias = Generator[tuple[int, int], bytes, None]


class TagSkipper:
    """Skips the ID3v2 tags before a stream's audio, which may hold pictures of any size."""

    WINDOW = 64 * 1024
    """Bytes that are kept after the tags. A shorter rest of the stream lies in its tail."""
    MOST_TAGS = 16

    def __init__(self) -> None:
        self.end = 0
        """Where the tags end."""
        self.window = b""
        """The bytes after them."""

    def follow(self) -> Follower:
        """Follow one stream that begins with "ID3"."""
        for _ in range(self.MOST_TAGS):
            header = yield self.end, 10
            if not header.startswith(b"ID3"):
                self.window = header + (yield self.end + 10, self.WINDOW - 10)
                return
            footer = 10 if header[5] & 0x10 else 0
            self.end += 10 + _synchsafe(header[6:10]) + footer


class Mp4Boxes:
    """Gathers the few boxes of an MP4 that tell its length, wherever its `moov` stands.

    A `moov` holds an index of every sample, half a megabyte for each hour, and often stands at the end: that
    index is skipped. An MP4 in fragments states a length of 0.
    """

    MOST_BOXES = 4096
    ROOM = 64 * 1024
    """Bytes of boxes that are kept."""

    _INSIDE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    _KEPT = (b"mdhd", b"hdlr", b"stsd")

    def __init__(self) -> None:
        self._tracks: list[dict[bytes, bytes]] = []
        self._room = self.ROOM

    def follow(self) -> Follower:
        """Follow one stream. Boxes inside of a box come right after its header: no stack is needed."""
        offset = 0
        for _ in range(self.MOST_BOXES):
            header = yield offset, 8
            size, name = struct.unpack(">I4s", header)
            if size == 1:
                header += yield offset + 8, 8
                (size,) = struct.unpack(">8xQ", header)
            if size < len(header):
                return  # it reaches to the end of the stream, or is broken
            if name == b"trak":
                self._tracks.append({})
            if name in self._INSIDE:
                offset += len(header)
                continue
            if name in self._KEPT and self._tracks and len(header) < size <= self._room:
                self._room -= size
                body = yield offset + len(header), size - len(header)
                # QuickTime has a second `hdlr` in each track, for where its data lies.
                self._tracks[-1].setdefault(name, body)
            offset += size

    def read(self) -> tuple[float, int]:
        """Seconds and channels of the first audio track. Raises ValueError when there is none."""
        for track in self._tracks:
            if track.get(b"hdlr", b"")[8:12] == b"soun":
                return _read_track(track[b"mdhd"], track[b"hdlr"], track[b"stsd"])
        raise ValueError("no audio track")


def _read_track(mdhd: bytes, hdlr: bytes, stsd: bytes) -> tuple[float, int]:
    try:
        info = _read_mp4(mdhd, hdlr, _box(b"stsd", stsd))
        return info.length, info.channels
    except MP4StreamInfoError:
        # QuickTime describes uncompressed audio more briefly than mutagen expects.
        (channels,) = struct.unpack_from(">H", stsd, 32)
        return _read_mp4(mdhd, hdlr, b"").length, channels


def _read_mp4(mdhd: bytes, hdlr: bytes, stsd: bytes) -> MP4:
    """mutagen's account of an MP4 file of one track that has nothing but these boxes."""
    media = _box(b"mdhd", mdhd) + _box(b"hdlr", hdlr) + _box(b"minf", _box(b"stbl", stsd))
    file = _box(b"ftyp", b"M4A \0\0\0\0") + _box(b"moov", _box(b"trak", _box(b"mdia", media)))
    return MP4(BytesIO(file)).info


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def _synchsafe(data: bytes) -> int:
    size = 0
    for byte in data:
        size = size << 7 | byte & 0x7F
    return size
