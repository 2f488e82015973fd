"""Length and channels of streams of bare frames, MP3 and AAC (ADTS): by their size, at a mean bitrate."""

from __future__ import annotations

from mutagen.mp3 import HeaderNotFoundError, MPEGFrame, MPEGInfo

from aai_gateway.media.sparse_file import Gap, SparseFile

MOST_FRAMES = 2000
"""MPEG frames that are looked at for a mean bitrate: 52 seconds at 44.1 kHz."""
FEWEST_FRAMES = 4
"""Frames in a row that make a stream: any two bytes may look like the beginning of one."""
MUCH_LONGER = 1.5
"""A stream that is this many times as long as its first header says was put together from several."""

_ENDING = 16 * 1024
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_SAMPLES = 1024


def is_mpeg_audio(magic: bytes) -> bool:
    """Whether an MPEG audio frame (layer I, II, III) may begin here."""
    return magic[0] == 0xFF and magic[1] & 0xE0 == 0xE0 and magic[1] & 0x06 != 0


def is_adts(magic: bytes) -> bool:
    """Whether an AAC frame with an ADTS header may begin here."""
    return magic[0] == 0xFF and magic[1] & 0xF6 == 0xF0


def read_mpeg_audio(file: SparseFile, start: int) -> tuple[float, int]:
    """Seconds and channels of the MP3 at `start`: what its Xing or VBRI header states, else by its size.

    By size it is exact for a constant bitrate, and an estimate for a variable one, out of the first frames.
    """
    info = MPEGInfo(file, start)
    if info.sketchy:
        raise ValueError("too few frames")
    rest = file.size - info.frame_offset
    by_size = rest * 8 / info.bitrate
    stated = info.length
    # mutagen's own estimate takes the first frame's bitrate for all. A piped header states 0, and an episode
    # with advertisements put before it begins with the first advertisement's header.
    unstated = stated <= 0 or stated == by_size
    if unstated or (
        by_size > MUCH_LONGER * stated and _is_mpeg_at(file, file.size - min(rest // 4, _ENDING))
    ):
        estimate = rest * _seconds_per_byte(file, info.frame_offset)
        if unstated or estimate > MUCH_LONGER * stated:
            return estimate, info.channels
    return stated, info.channels


def _is_mpeg_at(file: SparseFile, offset: int) -> bool:
    try:
        return not MPEGInfo(file, offset).sketchy
    except HeaderNotFoundError:
        return False


def _seconds_per_byte(file: SparseFile, start: int) -> float:
    seconds, at = 0.0, start
    file.seek(start)
    try:
        for _ in range(MOST_FRAMES):
            frame = MPEGFrame(file)
            seconds += _samples(frame) / frame.sample_rate
            at = file.tell()
    except (HeaderNotFoundError, Gap):
        pass
    return seconds / (at - start)


def _samples(frame: MPEGFrame) -> int:
    if frame.layer == 1:
        return 384
    return 576 if frame.layer == 3 and frame.version >= 2 else 1152


def read_adts(file: SparseFile, start: int) -> tuple[float, int]:
    """Seconds and channels of the ADTS stream at `start` (ISO/IEC 13818-7, 6.2), an estimate for a long one.

    mutagen would look at the first 100 frames: two seconds of silence there make it many times too long.
    """
    data = file.known_from(start)
    at = frames = blocks = 0
    while at + 7 <= len(data) and is_adts(data[at : at + 2]):
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if length < 7:
            break
        blocks += (data[at + 6] & 3) + 1
        frames += 1
        at += length
    if frames < FEWEST_FRAMES:
        raise ValueError("too few frames")
    rate = _ADTS_RATES[data[2] >> 2 & 0xF]
    channels = (data[2] & 1) << 2 | data[3] >> 6
    seconds = blocks * _ADTS_SAMPLES / rate
    return seconds * (file.size - start) / at, 8 if channels == 7 else channels
