"""Audio files of every kind, made by the codecs of FFmpeg (PyAV), for tests of what is read out of them."""

from __future__ import annotations

import io
import random
import struct
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av

_FRAME = 1024


@cache
def media_file(
    container: str,
    codec: str,
    seconds: float,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bit_rate: int | None = None,
    codec_options: tuple[tuple[str, str], ...] = (),
    container_options: tuple[tuple[str, str], ...] = (),
    silence: float = 0.0,
    piped: bool = False,
    video: bool = False,
) -> bytes:
    """A file of `seconds` of noise, the first `silence` of them quiet.

    `piped`: written to where nothing can be written twice. `video`: with a picture track before the audio.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "media"
        pipe = _Pipe()
        target = pipe if piped else str(path)
        with av.open(target, "w", format=container, container_options=dict(container_options)) as output:
            picture = output.add_stream("mpeg4", rate=25, width=64, height=64) if video else None
            audio = output.add_stream(codec, rate=rate, options=dict(codec_options))
            audio.layout = "mono" if channels == 1 else "stereo"
            if bit_rate is not None:
                audio.bit_rate = bit_rate
            if picture is not None:
                picture.pix_fmt = "yuv420p"
                for _ in range(round(seconds * 25)):
                    output.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
                output.mux(picture.encode(None))
            for frame in _frames(round(seconds * rate), rate, channels, round(silence * rate)):
                output.mux(audio.encode(frame))
            output.mux(audio.encode(None))
        return pipe.written.getvalue() if piped else path.read_bytes()


class _Pipe:
    def __init__(self) -> None:
        self.written = io.BytesIO()

    def write(self, data: bytes) -> int:
        return self.written.write(data)


def _frames(samples: int, rate: int, channels: int, quiet: int):
    noise = random.Random(7)
    layout = "mono" if channels == 1 else "stereo"
    for at in range(0, samples, _FRAME):
        count = min(_FRAME, samples - at)
        frame = av.AudioFrame(format="s16", layout=layout, samples=count)
        size = count * channels * 2
        data = bytes(size) if at < quiet else noise.randbytes(size)
        frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at
        yield frame


def id3_tag(size: int) -> bytes:
    """An ID3v2 tag with a picture, `size` bytes without its header."""
    synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + synchsafe + b"APIC" + random.Random(3).randbytes(size - 4)


def box(name: bytes, body: bytes) -> bytes:
    """A box of an MP4 file."""
    return struct.pack(">I4s", len(body) + 8, name) + body


def with_large_index(mp4: bytes, size: int) -> bytes:
    """The MP4 with `size` bytes more in its `moov`, before and after its tracks."""
    at = mp4.index(b"moov") - 4
    (length,) = struct.unpack_from(">I", mp4, at)
    filling = box(b"free", bytes(size))
    moov = box(b"moov", filling + mp4[at + 8 : at + length] + filling)
    return mp4[:at] + moov + mp4[at + length :]


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return struct.pack("<4sI", name, len(body)) + body + bytes(len(body) % 2)


def wav(data: bytes, *, stated: int | None = None, layout: bytes = b"", after: bytes = b"") -> bytes:
    """A WAV of 16 kHz, 16 bit, one channel, whose data chunk states `stated` bytes, not its own size."""
    layout = layout or struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    header = struct.pack("<4sI", b"data", len(data) if stated is None else stated)
    body = b"WAVE" + chunk(b"LIST", b"INFOx") + chunk(b"fmt ", layout) + header + data + after
    return struct.pack("<4sI", b"RIFF", min(len(body), 0xFFFFFFFF)) + body
