"""Length and channels of the containers that state them, each as (seconds, channels).

Each raises whatever error it comes to (mutagen's, struct's, a Gap) when the file does not tell.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

from mutagen.aiff import AIFFInfo
from mutagen.flac import StreamInfo
from mutagen.oggflac import OggFLACStreamInfo
from mutagen.oggopus import OggOpusInfo
from mutagen.oggspeex import OggSpeexInfo
from mutagen.oggvorbis import OggVorbisInfo

from aai_gateway.media.sparse_file import SparseFile

MOST_CHUNKS = 1000
"""Chunks, or objects of an ASF header, that are looked at."""

_EVERY_SAMPLE_ALIKE = (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE)
"""WAV formats whose block is one sample of each channel: PCM, float, A-law, mu-law, extensible."""
_OGG_PAGES = {
    b"OpusHead": OggOpusInfo,
    b"\x01vorbis": OggVorbisInfo,
    b"\x7fFLAC": OggFLACStreamInfo,
    b"Speex   ": OggSpeexInfo,
}
_OPUS_RATE = 48_000
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_ASF_TICKS = 10_000_000


def read_wav(file: SparseFile) -> tuple[float, int]:
    """A RIFF/WAVE file.

    Not mutagen's reader, which believes the stated size: a WAV that was piped (ffmpeg, sox) states 0 or
    0xFFFFFFFF, one that was cut off states too much, and blocks of compressed formats hold many samples.
    """
    layout = b""
    for name, size in _chunks(file, "<4sI"):
        if name == b"fmt ":
            layout = file.read(16)
        elif name == b"data":
            rest = file.size - file.tell()
            encoding, channels, rate, byte_rate, block, _ = struct.unpack("<HHIIHH", layout)
            per_second = rate * block if encoding in _EVERY_SAMPLE_ALIKE else byte_rate
            return min(size or rest, rest) / per_second, channels
    raise ValueError("no audio")


def read_aiff(file: SparseFile) -> tuple[float, int]:
    """An AIFF or AIFF-C file: mutagen reads one that has nothing but the chunk that tells."""
    for name, _ in _chunks(file, ">4sI"):
        if name == b"COMM":
            form = b"AIFF" + struct.pack(">4sI", b"COMM", 18) + file.read(18)
            info = AIFFInfo(BytesIO(struct.pack(">4sI", b"FORM", len(form)) + form))
            return info.length, info.channels
    raise ValueError("no description")


def _chunks(file: SparseFile, layout: str) -> Iterator[tuple[bytes, int]]:
    """Each chunk's name and size, with the file at its first byte."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        name, size = struct.unpack(layout, file.read(8))
        yield name, size
        at += 8 + size + size % 2


def read_flac(file: SparseFile, start: int) -> tuple[float, int]:
    """A FLAC stream that begins at `start`, with its STREAMINFO. One that was piped states a length of 0."""
    file.seek(start + 8)
    info = StreamInfo(file)
    return info.length, info.channels


def read_asf(file: SparseFile) -> tuple[float, int]:
    """An ASF file: WMA, WMV (ASF specification 01.20, 3.2 and 3.3).

    Not mutagen's reader: objects that lie in each other make it copy them hundreds of times, and it takes the
    channels of whatever stream comes last.
    """
    at, seconds, channels = 30, 0.0, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(24))
        if name == _ASF_FILE:
            length, preroll = struct.unpack("<40xQ8xQ", file.read(64))
            seconds = length / _ASF_TICKS - preroll / 1000
        elif name == _ASF_STREAM:
            kind, count = struct.unpack("<16s40xH", file.read(58))
            channels = count if kind == _ASF_AUDIO else channels
        if seconds and channels:
            return seconds, channels
        at += max(size, 24)
    raise ValueError("no audio")


def read_ogg(file: SparseFile) -> tuple[float, int]:
    """The first audio stream of an Ogg file, by the position that its last page states (RFC 3533, section 6).

    mutagen reads the header. It would look for the last page from the beginning on when the file's last page
    belongs to another stream, or does not say that it is the last, as in recordings that were cut off.
    """
    head = file.known_from(0)[:4096]
    found = [magic for magic in _OGG_PAGES if magic in head]
    info = _OGG_PAGES[min(found, key=head.index)](file)
    if isinstance(info, OggFLACStreamInfo) and info.length:
        return info.length, info.channels
    position = _last_position(file, info.serial)
    if isinstance(info, OggOpusInfo):
        # RFC 7845, section 4.5: positions count 48 kHz samples, the pre-skip among them.
        (pre_skip,) = struct.unpack_from("<H", head, head.index(b"OpusHead") + 10)
        return (position - pre_skip) / _OPUS_RATE, info.channels
    return position / info.sample_rate, info.channels


def _last_position(file: SparseFile, serial: int) -> int:
    tail = file.last_part()
    at = tail.rfind(b"OggS")
    while at >= 0:
        if len(tail) - at >= 27:
            version, position, of = struct.unpack_from("<4xBxqI", tail, at)
            if version == 0 and of == serial and position >= 0:
                return int(position)
        at = tail.rfind(b"OggS", 0, at)
    raise ValueError("no page ends the stream")
