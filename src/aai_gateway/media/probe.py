"""How long an upload's media is, told from what was kept of it while it streamed by.

Kept are the stream's first and last bytes, and the few bytes between them that a follower asks for: there is
no second copy, and nothing is decoded. Containers state how long they are; bare frames are measured by their
mean bitrate. What cannot be told is None.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from aai_gateway.media.containers import read_aiff, read_asf, read_flac, read_ogg, read_wav
from aai_gateway.media.followers import Follower, Mp4Boxes, TagSkipper
from aai_gateway.media.frames import is_adts, is_mpeg_audio, read_adts, read_mpeg_audio
from aai_gateway.media.matroska import read_matroska
from aai_gateway.media.sparse_file import SparseFile

log = logging.getLogger("aai_gateway")

HEAD = 256 * 1024
"""Bytes that are kept of a stream's beginning."""
TAIL = 256 * 1024
"""Bytes that are kept of its end; at least a TagSkipper's window, and the largest Ogg page of 64 KiB."""
LONGEST_MS = 24 * 60 * 60 * 1000
"""A longer duration is taken for a lie: AssemblyAI transcribes at most 10 hours."""
MOST_CHANNELS = 64

_MAGIC = 16
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


@dataclass(frozen=True, slots=True)
class Media:
    """The length of an upload's audio in ms, rounded up, and its channels."""

    duration_ms: int
    channels: int


class MediaProbe:
    """Watches one upload stream by, then tells its length. Nothing here raises, whatever the bytes."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes that have streamed by."""
        self._head = bytearray()
        self._tail = bytearray()
        self._boxes: Mp4Boxes | None = None
        self._tags: TagSkipper | None = None
        self._following: Follower | None = None
        self._wanted = (0, 0)
        self._got = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the stream. Keeps at most HEAD + 2 * TAIL bytes and what is followed."""
        start = self.size
        self.size += len(chunk)
        if start < HEAD:
            self._head += chunk[: HEAD - start]
        if start < _MAGIC <= self.size:
            self._start_following()
            self._follow(bytes(self._head[:start]), 0)
        if self._following is not None:
            self._follow(chunk, start)
        self._tail += chunk[-TAIL:]
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]

    def finish(self) -> Media | None:
        """The media's length once the stream is over; None when it cannot be told.

        Takes up to 50 ms of CPU (an MP3 without a header of its own): not for the event loop.
        """
        try:
            seconds, channels = self._read()
            # A float's last digits are not worth another millisecond.
            media = Media(math.ceil(round(seconds * 1000, 3)), channels)
        except Exception as error:
            # mutagen fails in many ways on what is broken or hostile: an upload must not fail with it.
            log.debug("the length of an upload cannot be told: %s", type(error).__name__)
            return None
        if 0 < media.duration_ms <= LONGEST_MS and 0 < media.channels <= MOST_CHANNELS:
            return media
        return None

    def _start_following(self) -> None:
        if self._head[4:8] in _MP4_BOXES:
            self._boxes = Mp4Boxes()
            self._following = self._boxes.follow()
        elif self._head.startswith(b"ID3"):
            self._tags = TagSkipper()
            self._following = self._tags.follow()
        if self._following is not None:
            self._wanted = next(self._following)

    def _follow(self, chunk: bytes, start: int) -> None:
        """Give the follower what it waits for, as far as it lies in this chunk, which begins at `start`."""
        while self._following is not None:
            offset, length = self._wanted
            begin = offset + len(self._got) - start
            if begin >= len(chunk):
                return
            self._got += chunk[begin : offset + length - start]
            if len(self._got) < length:
                return
            try:
                self._wanted = self._following.send(bytes(self._got))
            except StopIteration:
                self._following = None
            self._got.clear()

    def _read(self) -> tuple[float, int]:
        """Seconds and channels. Raises all sorts of errors when they cannot be told."""
        if self._boxes is not None:
            return self._boxes.read()
        file = self._file()
        start = self._tags.end if self._tags is not None else 0
        file.seek(start)
        magic = file.read(_MAGIC)
        file.seek(start)
        if magic[:4] in (b"RIFF", b"RF64", b"BW64") and magic[8:12] == b"WAVE":
            return read_wav(file)
        if magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
            return read_aiff(file)
        if magic[:4] == b"fLaC":
            return read_flac(file, start)
        if magic[:4] == b"OggS":
            return read_ogg(file)
        if magic[:4] == b"\x1a\x45\xdf\xa3":
            return read_matroska(file)
        if magic == _ASF:
            return read_asf(file)
        if is_adts(magic):
            return read_adts(file, start)
        if is_mpeg_audio(magic) or self._tags is not None:
            return read_mpeg_audio(file, start)
        raise ValueError("no format that is known here")

    def _file(self) -> SparseFile:
        parts = [(0, bytes(self._head))]
        if self._tags is not None and self._tags.window:
            parts.append((self._tags.end, bytes(self._tags.window)))
        tail = bytes(self._tail[-TAIL:])
        parts.append((self.size - len(tail), tail))
        return SparseFile(self.size, parts)
