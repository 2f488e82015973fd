"""A copy of a recording with spans of it silenced.

PCM WAV samples are set to zero; MP3 frames get an empty side information block, which decodes to silence. A
file of another kind has no copy.
"""

from __future__ import annotations

import shutil
import wave
from collections.abc import Sequence
from pathlib import Path

_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def write_silenced(source: Path, target: Path, spans: Sequence[tuple[int, int]]) -> bool:
    """Write `source` with `spans` (start and end in ms) silenced to `target`; False if it cannot be done."""
    with source.open("rb") as file:
        head = file.read(3)
    if head == b"RIF":
        _silence_wav(source, target, spans)
        return True
    if head == b"ID3" or head[:1] == b"\xff":
        target.write_bytes(silenced_mp3(source.read_bytes(), spans))
        return True
    return False


def _silence_wav(source: Path, target: Path, spans: Sequence[tuple[int, int]]) -> None:
    with wave.open(str(source)) as opened:
        size = opened.getnchannels() * opened.getsampwidth()
        rate, frames = opened.getframerate(), opened.getnframes()
        quiet = b"\x80" if opened.getsampwidth() == 1 else b"\0"
    header = _data_offset(source)
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for start, end in spans:
            first, last = start * rate // 1000, min(end * rate // 1000 + 1, frames)
            file.seek(header + first * size)
            file.write(quiet * max(0, last - first) * size)


def _data_offset(wav: Path) -> int:
    """Where the samples begin in a WAV file that `wave` has read without complaint."""
    with wav.open("rb") as file:
        at = 12
        while True:
            file.seek(at)
            chunk = file.read(8)
            if chunk[:4] == b"data":
                return at + 8
            length = int.from_bytes(chunk[4:], "little")
            at += 8 + length + length % 2


def silenced_mp3(data: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    """The same MP3 with the frames that touch `spans` (ms) decoding to silence."""
    out = bytearray(data)
    at = 0
    if data[:3] == b"ID3":
        at = 10 + sum((data[6 + index] & 0x7F) << (21 - 7 * index) for index in range(4))
    played = 0.0
    while at + 4 <= len(data):
        frame = _frame(data[at : at + 4])
        if frame is None:
            at += 1
            continue
        size, ms, side = frame
        if any(start < played + ms and end > played for start, end in spans):
            out[at + 4 : at + 4 + side] = bytes(side)
        played += ms
        at += size
    return bytes(out)


def _frame(header: bytes) -> tuple[int, float, int] | None:
    """Bytes, ms and side information bytes of a layer III frame, None if this is no header."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or version == 1 or layer != 1:
        return None
    if bitrate in (0, 15) or rate == 3:
        return None
    kilobits, hertz = _BITRATES[1 if version == 3 else 2][bitrate], _RATES[version][rate]
    samples = 1152 if version == 3 else 576
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    side += 0 if header[1] & 1 else 2
    size = samples // 8 * kilobits * 1000 // hertz + (header[2] >> 1 & 1)
    return size, samples * 1000 / hertz, side
