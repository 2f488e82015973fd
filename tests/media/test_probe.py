from __future__ import annotations

import struct
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import box, chunk, id3_tag, media_file, wav, with_large_index
from opened_gateway import opened_gateway, speech_client

from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator, sample_names, sample_path
from aai_gateway.emulator.sample_audio import sample_script
from aai_gateway.media.probe import HEAD, LONGEST_MS, TAIL, Media, MediaProbe
from aai_gateway.store import uploads

MB = 1024 * 1024
SECONDS = 7.3
NO_XING = (("write_xing", "0"),)
OPUS = {"rate": 48_000}
VORBIS = {"rate": 44_100, "channels": 2, "codec_options": (("strict", "experimental"),)}
VBR = {"rate": 44_100, "codec_options": (("q", "4"),)}

EXACT = {
    "wav": ("wav", "pcm_s16le", {}),
    "wav stereo": ("wav", "pcm_s16le", {"channels": 2}),
    "wav float": ("wav", "pcm_f32le", {}),
    "wav a-law": ("wav", "pcm_alaw", {}),
    "wav piped": ("wav", "pcm_s16le", {"piped": True}),
    "wav rf64": ("wav", "pcm_s16le", {"container_options": (("rf64", "always"),)}),
    "aiff": ("aiff", "pcm_s16be", {"channels": 2}),
    "flac": ("flac", "flac", {"channels": 2}),
    "ogg flac": ("ogg", "flac", {}),
    "mov pcm": ("mov", "pcm_s16le", {"channels": 2}),
    "alac": ("ipod", "alac", {}),
    "ogg opus": ("ogg", "libopus", OPUS),
    "ogg opus piped": ("ogg", "libopus", {**OPUS, "piped": True}),
}
"""Formats that state their length to the sample."""

CODED = {
    "mp3": ("mp3", "mp3", {}),
    "mp3 variable": ("mp3", "mp3", {**VBR, "channels": 2}),
    "mp3 without header": ("mp3", "mp3", {"container_options": NO_XING}),
    "mp3 variable without header": ("mp3", "mp3", {**VBR, "container_options": NO_XING, "silence": 3.0}),
    "mp3 piped": ("mp3", "mp3", {"piped": True}),
    "mp2": ("mp2", "mp2", {}),
    "ogg vorbis": ("ogg", "vorbis", VORBIS),
    "m4a": ("ipod", "aac", {}),
    "m4a moov first": ("ipod", "aac", {"container_options": (("movflags", "+faststart"),)}),
    "mp4 opus": ("mp4", "libopus", OPUS),
    "mp4 with pictures": ("mp4", "aac", {"channels": 2, "video": True}),
    "mov": ("mov", "aac", {}),
    "3gp": ("3gp", "aac", {}),
    "webm": ("webm", "libopus", OPUS),
    "webm live": ("webm", "libopus", {**OPUS, "container_options": (("live", "1"),)}),
    "webm piped": ("webm", "libopus", {**OPUS, "piped": True}),
    "matroska": ("matroska", "aac", {"channels": 2}),
    "matroska with pictures": ("matroska", "aac", {"video": True}),
    "adts": ("adts", "aac", {}),
    "adts silent at first": ("adts", "aac", {"silence": 4.0}),
    "adts stereo": ("adts", "aac", {"rate": 44_100, "channels": 2}),
    "wma": ("asf", "wmav2", {"rate": 44_100, "channels": 2, "bit_rate": 128_000}),
}
"""Formats that state it in frames of a codec: up to two frames more than was encoded, or a frame less."""

LARGE = {
    "aiff": ("aiff", "pcm_s16be", {"rate": 48_000}, 18),
    "flac": ("flac", "flac", {"rate": 48_000}, 18),
    "ogg flac": ("ogg", "flac", {"rate": 48_000}, 18),
    "ogg opus": ("ogg", "libopus", {**OPUS, "channels": 2, "bit_rate": 510_000}, 30),
    "mov pcm": ("mov", "pcm_s16le", {"rate": 48_000}, 18),
    "m4a": ("ipod", "aac", {"rate": 48_000, "channels": 2, "bit_rate": 512_000}, 30),
    "mp3": ("mp3", "mp3", {"rate": 48_000, "bit_rate": 320_000}, 28),
    "mp3 without header": (
        "mp3",
        "mp3",
        {"rate": 48_000, "bit_rate": 320_000, "container_options": NO_XING},
        28,
    ),
    "adts": ("adts", "aac", {"rate": 48_000, "channels": 2, "bit_rate": 512_000}, 30),
    "webm": ("webm", "libopus", {**OPUS, "channels": 2, "bit_rate": 510_000}, 30),
    "webm live": (
        "webm",
        "libopus",
        {**OPUS, "bit_rate": 256_000, "container_options": (("live", "1"),)},
        40,
    ),
}
"""Files several times as large as what is kept of them: container, codec, options, seconds."""


def probed(data: bytes, size: int = 64 * 1024) -> Media | None:
    probe = MediaProbe()
    for at in range(0, len(data), size):
        probe.feed(data[at : at + size])
    assert len(data) == probe.size
    return probe.finish()


def made(formats: dict[str, tuple[str, str, dict]], name: str) -> bytes:
    container, codec, options = formats[name]
    return media_file(container, codec, SECONDS, **options)


@pytest.mark.parametrize("name", EXACT)
def test_a_format_that_states_its_length_is_read_to_the_millisecond(name: str):
    channels = EXACT[name][2].get("channels", 1)
    assert Media(7_300, channels) == probed(made(EXACT, name))


@pytest.mark.parametrize("name", CODED)
def test_a_coded_format_is_read_to_its_frames(name: str):
    media = probed(made(CODED, name))
    assert media is not None
    assert CODED[name][2].get("channels", 1) == media.channels
    assert 7_270 <= media.duration_ms <= 7_460


@pytest.mark.parametrize("name", LARGE)
def test_a_file_larger_than_what_is_kept_is_read_all_the_same(name: str):
    container, codec, options, seconds = LARGE[name]
    data = media_file(container, codec, seconds, **options)
    assert len(data) > 2 * (HEAD + TAIL)
    media = probed(data)
    assert media is not None
    assert options.get("channels", 1) == media.channels
    assert seconds * 1000 - 30 <= media.duration_ms <= seconds * 1000 + 200


@pytest.mark.parametrize("size", [1, 1000, MB])
@pytest.mark.parametrize(
    ("formats", "name"), [(EXACT, name) for name in EXACT] + [(CODED, name) for name in CODED]
)
def test_the_size_of_the_chunks_changes_nothing(formats: dict, name: str, size: int):
    data = made(formats, name)
    assert probed(data) == probed(data, size)


@pytest.mark.parametrize("name", sample_names())
def test_the_samples_have_their_own_length(name: str):
    media = probed(sample_path(name).read_bytes())
    assert media is not None
    assert sample_script(name).channels == media.channels
    assert 0 <= media.duration_ms - sample_script(name).duration_ms <= 110


# -- WAV ----------------------------------------------------------------------------------------------------


def test_a_large_wav_is_read():
    assert Media(1_000_000, 1) == probed(wav(bytes(32_000_000)), MB)


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_piped_wav_is_as_long_as_its_bytes(stated: int):
    assert Media(10_000, 1) == probed(wav(bytes(320_000), stated=stated))


def test_what_follows_a_wavs_audio_is_no_audio():
    assert Media(10_000, 1) == probed(wav(bytes(320_000), after=chunk(b"LIST", bytes(MB))))


def test_a_wav_of_a_compressed_format_is_read_by_its_bytes_per_second():
    adpcm = struct.pack("<HHIIHH", 2, 1, 16_000, 8_000, 256, 4)
    assert Media(10_000, 1) == probed(wav(bytes(80_000), layout=adpcm))


# -- MP3 and tags -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 64 * 1024, 3 * MB])
@pytest.mark.parametrize("after", [0, 3 * MB])
def test_the_pictures_before_an_mp3_are_skipped(size: int, after: int):
    plain = media_file("mp3", "mp3", SECONDS)
    # Bytes after the frames count for nothing where the file states how many frames it has.
    assert probed(plain) == probed(id3_tag(size) + id3_tag(100) + plain + bytes(after))


def test_the_pictures_before_a_flac_are_skipped():
    flac = media_file("flac", "flac", SECONDS)
    assert Media(7_300, 1) == probed(id3_tag(MB) + flac)


def test_an_mp3_that_is_put_together_from_several_is_as_long_as_all():
    first = media_file("mp3", "mp3", 2, rate=44_100, bit_rate=128_000)
    second = media_file("mp3", "mp3", 30, rate=44_100, bit_rate=128_000)
    media = probed(first + second)
    assert media is not None
    assert media.duration_ms == pytest.approx(32_000, rel=0.01)


# -- MP4 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m4a", "m4a moov first", "mp4 with pictures", "mov"])
@pytest.mark.parametrize("size", [61, 4096, MB])
def test_an_index_of_any_size_is_skipped(name: str, size: int):
    data = made(CODED, name)
    assert probed(data) == probed(with_large_index(data, MB), size)


def test_an_mp4_with_a_64_bit_size_is_read():
    data = made(CODED, "m4a")
    at = data.index(b"mdat") - 4
    (length,) = struct.unpack_from(">I", data, at)
    wide = struct.pack(">I4sQ", 1, b"mdat", length + 8) + data[at + 8 : at + length]
    assert probed(data) == probed(data[:at] + wide + data[at + length :])


def test_an_mp4_without_audio_has_no_length():
    track = box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(12)))
    assert None is probed(box(b"ftyp", b"isom") + box(b"moov", box(b"trak", track)))


# -- What cannot be told ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"RIFF",
        bytes(MB),
        b"%PDF-1.7" + bytes(1000),
        b"RIFF\0\0\0\0WAVE",
        b"\xff\xfb" * 100_000,
        wav(b""),
        wav(bytes(320), layout=struct.pack("<HHIIHH", 1, 65, 16_000, 32_000, 2, 16)),
        wav(bytes(LONGEST_MS // 1000 + 1), layout=struct.pack("<HHIIHH", 1, 1, 1, 1, 1, 8)),
        box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"moov", 2**64 - 1) + bytes(100),
    ],
)
def test_what_cannot_be_told_is_none(data: bytes):
    assert None is probed(data)


def test_a_file_that_states_a_length_of_nothing_is_none():
    fragments = (("movflags", "+frag_keyframe+empty_moov"),)
    assert None is probed(media_file("mp4", "aac", SECONDS, container_options=fragments))
    assert None is probed(media_file("flac", "flac", SECONDS, piped=True))


def test_a_length_that_would_come_out_of_what_was_not_kept_is_none():
    # COMM, with the length, lies behind more than the head, and before more than the tail.
    comm = struct.pack(">4sIhLh10s", b"COMM", 18, 1, 16_000, 16, bytes.fromhex("400cfa00000000000000"))
    large = struct.pack(">4sI", b"ANNO", MB) + bytes(MB)
    for body, expected in ((comm, Media(1_000, 1)), (large + comm + large, None)):
        form = b"AIFF" + body
        assert expected == probed(struct.pack(">4sI", b"FORM", len(form)) + form)


def test_a_cut_recording_is_as_long_as_what_is_there():
    for name, formats in (("wav", EXACT), ("ogg opus", EXACT), ("webm live", CODED), ("adts", CODED)):
        data = made(formats, name)
        media = probed(data[: len(data) // 2])
        assert media is not None
        assert media.duration_ms == pytest.approx(3_650, abs=1100), name


ALL = [(EXACT, name) for name in EXACT] + [(CODED, name) for name in CODED]


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A file of a format that is known here, with a few bytes changed, cut out, or doubled."""
    formats, name = draw(st.sampled_from(ALL))
    data = bytearray(id3_tag(300) if draw(st.booleans()) else b"")
    data += made(formats, name)
    places = st.one_of(st.integers(0, min(2000, len(data))), st.integers(0, len(data)))
    for _ in range(draw(st.integers(1, 6))):
        at, length = draw(places), draw(st.integers(0, 200))
        new = draw(
            st.one_of(st.binary(max_size=16), st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"]))
        )
        data[at : at + draw(st.sampled_from([len(new), length, 0]))] = new
    return bytes(data)


@given(broken_files(), st.sampled_from([1000, 64 * 1024, MB]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_it_fail(data: bytes, size: int):
    media = probed(data, size)
    assert media is None or (0 < media.duration_ms <= LONGEST_MS and 0 < media.channels <= 64)


@given(
    st.sampled_from(
        [b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"ID3\x04\0\0", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3"]
    )
    | st.sampled_from([b"FORM\0\0\0\0AIFF", b"\xff\xfb\x90\0", b"\xff\xf1\x50\x80"]),
    st.binary(max_size=2000),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_after_a_formats_first_make_it_fail(magic: bytes, rest: bytes):
    media = probed(magic + rest)
    assert media is None or 0 < media.duration_ms


def endless(first: bytes, repeated: bytes) -> Iterator[bytes]:
    """64 MB that begin with one thing and go on with another."""
    block = (repeated * (64 * 1024 // len(repeated) + 1))[: 64 * 1024]
    yield first
    for _ in range(1024):
        yield bytes(bytearray(block))


HDLR = box(b"hdlr", bytes(8) + b"vide" + bytes(12))


@pytest.mark.parametrize(
    ("first", "repeated"),
    [
        (wav(b"")[:-8] + struct.pack("<4sI", b"data", 0), bytes(100)),
        (box(b"ftyp", b"isom"), box(b"free", b"")),
        (box(b"ftyp", b"isom") + struct.pack(">I4s", 2**31, b"moov"), box(b"trak", box(b"mdia", HDLR))),
        (
            box(b"ftyp", b"isom") + struct.pack(">I4s", 2**31, b"moov"),
            box(b"trak", box(b"stsd", bytes(16_000))),
        ),
        (id3_tag(10), id3_tag(10)),
        (b"\x1a\x45\xdf\xa3\x80", b"\xec\x80"),
        (b"OggS", b"OggS"),
        (b"\xff\xf1", b"\xff\xf1\x50\x80\x00\xff\xfc"),
        (b"\xff\xfb\x90\0", b"\xff\xfb\x90\0"),
    ],
)
def test_an_upload_of_any_size_is_watched_with_little_memory(first: bytes, repeated: bytes):
    probe = MediaProbe()
    tracemalloc.start()
    try:
        for piece in endless(first, repeated):
            probe.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < HEAD + 4 * TAIL + MB
    probe.finish()


# -- In the gateway -----------------------------------------------------------------------------------------


async def _in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 4096):
        yield data[at : at + 4096]


async def test_an_upload_is_recorded_with_its_length(emulator: Emulator, tmp_path: Path):
    m4a = made(CODED, "m4a")
    async with opened_gateway(emulator, tmp_path) as gateway, speech_client(gateway) as client:

        async def recorded(data: bytes) -> uploads.Upload | None:
            answer = await client.post("/assemblyai/v2/upload", content=_in_pieces(data))
            async with gateway.store.read() as connection:
                return await uploads.get(connection, Region.US, answer.json()["upload_url"])

        known, unknown = await recorded(m4a), await recorded(b"no audio at all")

    assert known is not None and unknown is not None
    expected = probed(m4a)
    assert (len(m4a), expected) == (known.size_bytes, Media(known.duration_ms, known.channels))
    assert (15, None, None) == (unknown.size_bytes, unknown.duration_ms, unknown.channels)
