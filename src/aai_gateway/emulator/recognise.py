"""Recognise the speech in a PCM WAV file with pocketsphinx; run as a process: `python -m … file.wav`.

Prints a JSON list of words. pocketsphinx hears natural English speech fairly, and synthetic speech badly.
"""

from __future__ import annotations

import array
import json
import sys
import wave
from pathlib import Path
from typing import Any

_RATE = 16_000
_FRAME_MS = 10
_QUIET = 100


def recognise(path: Path) -> list[dict[str, Any]]:
    """The words in a file, in spoken order; each channel by itself, every voice of it as speaker "A"."""
    with wave.open(str(path)) as opened:
        channels, width, rate = opened.getnchannels(), opened.getsampwidth(), opened.getframerate()
        samples = _samples(opened.readframes(opened.getnframes()), width)
    words = []
    for channel in range(channels):
        mono = _resampled(samples[channel::channels], rate)
        words += _words(mono, str(channel + 1) if channels > 1 else None)
    return sorted(words, key=lambda word: (word["start"], word["channel"] or ""))


def _samples(frames: bytes, width: int) -> array.array[int]:
    """Frames of any width as 16-bit samples."""
    if width == 1:
        return array.array("h", [(byte - 128) << 8 for byte in frames])
    if width > 2:
        kept = bytearray(len(frames) // width * 2)
        kept[0::2], kept[1::2] = frames[width - 2 :: width], frames[width - 1 :: width]
        frames = bytes(kept)
    return array.array("h", frames[: len(frames) // 2 * 2])


def _resampled(samples: array.array[int], rate: int) -> array.array[int]:
    """Samples at 16 kHz, by the nearest one: enough for a recogniser."""
    if rate == _RATE:
        return samples
    size = len(samples) * _RATE // rate
    return array.array("h", [samples[index * rate // _RATE] for index in range(size)])


def _words(samples: array.array[int], channel: str | None) -> list[dict[str, Any]]:
    if max(map(abs, samples), default=0) < _QUIET:  # a recogniser hears words in perfect silence too
        return []
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(_RATE), loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    words = []
    for segment in decoder.seg() or ():
        text = segment.word.split("(")[0]
        if text.startswith(("<", "[")):
            continue
        probability = min(1.0, max(0.0, decoder.logmath.exp(segment.prob)))
        words.append(
            {
                "text": text,
                "start": segment.start_frame * _FRAME_MS,
                "end": (segment.end_frame + 1) * _FRAME_MS,
                "confidence": round(probability, 5),
                "speaker": "A",
                "channel": channel,
            }
        )
    return _punctuated(words)


def _punctuated(words: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A sentence ends where nobody speaks for half a second."""
    for index, word in enumerate(words):
        if index == 0 or word["start"] - words[index - 1]["end"] >= 500:
            word["text"] = word["text"].capitalize()
        if index + 1 == len(words) or words[index + 1]["start"] - word["end"] >= 500:
            word["text"] += "."
    return words


if __name__ == "__main__":
    json.dump(recognise(Path(sys.argv[1])), sys.stdout)
