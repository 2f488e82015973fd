"""Method and path to operation: the documented spelling gets through, no other reaches anything."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import compile_path

from aai_gateway.core.operations import READING, Operation, Target, resolve, speech_region
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import MethodNotAllowed, NotFound, UnknownOperation

OPENAPI = Path(__file__).parents[3] / "shared" / "assemblyai" / "openapi.yml"
CANONICAL = re.compile(r"/v2/[A-Za-z0-9_/-]+")
ID = "e5a56f4f-b658-44b0-925a-f7d761ec0d96"

TABLE = [
    ("POST", "/v2/upload", Operation.UPLOAD, None),
    ("POST", "/v2/transcript", Operation.SUBMIT, None),
    ("GET", "/v2/transcript", Operation.LIST, None),
    ("GET", f"/v2/transcript/{ID}", Operation.GET, ID),
    ("DELETE", f"/v2/transcript/{ID}", Operation.DELETE, ID),
    ("GET", f"/v2/transcript/{ID}/sentences", Operation.SENTENCES, ID),
    ("GET", f"/v2/transcript/{ID}/paragraphs", Operation.PARAGRAPHS, ID),
    ("GET", f"/v2/transcript/{ID}/srt", Operation.SRT, ID),
    ("GET", f"/v2/transcript/{ID}/vtt", Operation.VTT, ID),
    ("GET", f"/v2/transcript/{ID}/word-search", Operation.WORD_SEARCH, ID),
    ("GET", f"/v2/transcript/{ID}/redacted-audio", Operation.REDACTED_AUDIO, ID),
]


def test_what_only_reads_is_asked_by_get():
    assert {operation for method, _, operation, _ in TABLE if method == "GET"} == READING


def test_table_names_every_operation():
    assert set(Operation) == {operation for _, _, operation, _ in TABLE}


@pytest.mark.parametrize("region", ALL_REGIONS)
@pytest.mark.parametrize(("method", "path", "operation", "transcript_id"), TABLE)
def test_each_operation_in_each_region(region, method, path, operation, transcript_id):
    expected = Target(region, operation, transcript_id, path)

    assert expected == resolve(method, f"/{region.speech_prefix}{path}")
    assert expected == resolve(method, f"/{region.speech_prefix}{path}/")


@pytest.mark.skipif(not OPENAPI.exists(), reason="AssemblyAI's OpenAPI file is not beside this clone")
def test_every_operation_of_the_openapi_file_resolves():
    paths = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))["paths"]
    asked = [
        (method.upper(), path.replace("{transcript_id}", ID).replace("{subtitle_format}", subtitles))
        for path, methods in paths.items()
        for method in methods
        if method in ("get", "post", "put", "patch", "delete")
        for subtitles in ("srt", "vtt")
    ]

    resolved = {resolve(method, f"/assemblyai{path}").operation for method, path in asked}

    assert set(Operation) == resolved


@pytest.mark.parametrize(
    "path",
    [
        "/assemblyai",
        "/assemblyai/",
        "/assemblyai/v2",
        "/assemblyai/v2/",
        "/assemblyai/v2/account",
        "/assemblyai/v3/token",
        "/assemblyai/v2/transcripts",
        "/assemblyai/v2/upload//",
        "/assemblyai//v2/upload",
        "/assemblyai/v2//upload",
        "/assemblyai/v2/transcript//",
        "/assemblyai/v2/transcript//sentences",
        "/assemblyai/v2/transcript/..",
        "/assemblyai/v2/transcript/../upload",
        "/assemblyai/v2/transcript/abc/SRT",
        "/assemblyai/v2/transcript/abc/srt/x",
        "/assemblyai/v2/transcript/abc/words",
        "/ASSEMBLYAI/v2/upload",
        "/Eu.assemblyai/v2/upload",
        "//assemblyai/v2/upload",
        "/x/../assemblyai/v2/upload",
        "/assemblyai;a/v2/upload",
        "/assemblyai\\v2/upload",
        "assemblyai/v2/upload",
        "",
    ],
)
def test_any_other_spelling_is_unknown(path):
    with pytest.raises(UnknownOperation) as refused:
        resolve("POST", path)

    assert 404 == refused.value.status


@pytest.mark.parametrize("text", ["{id}", "a.b", "a%2Fb", "é", "abc\n", "\0", "...", "a" * 65])
@pytest.mark.parametrize("rest", ["", "/sentences"])
def test_what_can_be_no_id_is_a_transcript_that_does_not_exist(text, rest):
    with pytest.raises(NotFound):
        resolve("GET", f"/assemblyai/v2/transcript/{text}{rest}")
    with pytest.raises(MethodNotAllowed):
        resolve("POST", f"/assemblyai/v2/transcript/{text}{rest}")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/assemblyai/v2/upload", "POST"),
        ("DELETE", "/eu.assemblyai/v2/transcript", "GET, POST"),
        ("PUT", "/assemblyai/v2/transcript/abc", "DELETE, GET"),
        ("HEAD", "/assemblyai/v2/transcript/abc/srt", "GET"),
        ("get", "/assemblyai/v2/transcript/abc", "DELETE, GET"),
    ],
)
def test_a_known_path_with_another_method_says_which_are_allowed(method, path, allow):
    with pytest.raises(MethodNotAllowed) as refused:
        resolve(method, path)

    assert {"Allow": allow} == refused.value.headers
    assert f"AssemblyAI does not take {method} on {path}, only {allow}." == refused.value.text


def test_a_refusal_shows_little_of_what_was_sent():
    with pytest.raises(UnknownOperation) as refused:
        resolve("GET", "/assemblyai/\x1b[31m" + "x" * 5000)

    assert len(refused.value.text) < 300
    assert refused.value.text.isprintable()


@given(
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.one_of(
        st.text(),
        st.text(alphabet="./%\\;?2Ftranscriptabc-_v").map(lambda t: f"/assemblyai/v2/transcript/{t}"),
        st.text().map(lambda t: f"/eu.assemblyai/v2/transcript/{t}/srt"),
    ),
)
def test_an_upstream_path_holds_nothing_but_canonical_characters(method, path):
    try:
        target = resolve(method, path)
    except (UnknownOperation, MethodNotAllowed, NotFound):
        return
    assert CANONICAL.fullmatch(target.upstream_path)
    assert path.removesuffix("/").endswith(target.upstream_path)


@pytest.mark.parametrize(
    ("path", "region"),
    [
        ("/assemblyai/v2/upload", Region.US),
        ("/assemblyai", Region.US),
        ("/assemblyai/", Region.US),
        ("/eu.assemblyai/v2/transcript", Region.EU),
        ("/EU.AssemblyAI/v2", Region.EU),
        ("//assemblyai//v2", Region.US),
        ("/./assemblyai/v2", Region.US),
        ("/x/../eu.assemblyai/v2", Region.EU),
        ("/../../assemblyai/v2", Region.US),
        ("/assemblyai/../v1/models", Region.US),
        ("/x/..;/assemblyai/v2", Region.US),
        ("/%61ssemblyai/v2", Region.US),
        ("/%2561ssemblyai/v2", Region.US),
        ("/%" + "25" * 50 + "61ssemblyai/v2", Region.US),
        ("/x%2F..%2Fassemblyai%2Fv2", Region.US),
        ("/assemblyai%2Fv2", Region.US),
        ("/assemblyai;jsessionid=1/v2", Region.US),
        ("/assemblyai?x/v2", Region.US),
        ("\\assemblyai\\v2", Region.US),
        ("/assemblyai./v2", Region.US),
        ("/eu.assemblyai... /v2", Region.EU),
        ("/ assemblyai\t/v2", Region.US),
        ("/assemblyai\x00/v2", Region.US),
        ("/assembly\u200bai/v2", Region.US),
        ("/ａssemblyai/v2", Region.US),
        ("assemblyai/v2", Region.US),
    ],
)
def test_every_spelling_of_a_speech_route_is_seen(path, region):
    assert region is speech_region(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/chat/completions",
        "/assemblyai2/v2",
        "/assembly/ai",
        "/v1/assemblyai/v2",
        "/us.assemblyai/v2",
        "/eu/assemblyai/v2",
        "/%25%25%25",
        "/streaming.assemblyai/v3/ws",
    ],
)
def test_other_paths_are_left_to_litellm(path):
    assert None is speech_region(path)


@given(st.sampled_from(ALL_REGIONS), st.text())
def test_all_that_starlette_would_route_to_litellm_is_ours(region, rest):
    pattern, _, _ = compile_path(f"/{region.speech_prefix}/{{endpoint:path}}")
    path = f"/{region.speech_prefix}/{rest}"

    if pattern.match(path):
        assert region is speech_region(path)


@st.composite
def spellings(draw: st.DrawFn, region: Region) -> str:
    """A spelling of the route of `region` that some server would resolve to it."""
    name = "".join(
        draw(st.sampled_from([c, c.upper(), f"%{ord(c):02x}", f"%{ord(c):02X}", f"%25{ord(c):02x}"]))
        for c in region.speech_prefix
    )
    slash = st.sampled_from(["/", "//", "\\", "/./", "/x/../", "%2f", "%2F/", "/..", "/%2e%2e/"]).map(
        lambda s: s if s.endswith(("/", "\\", "f")) else s + "/"
    )
    ending = draw(st.sampled_from(["", ".", "%20", ";a=b", "%00", "%3Bx"]))
    return f"{draw(slash)}{name}{ending}/{draw(st.text(alphabet='v2/transcript.%'))}"


@given(st.data(), st.sampled_from(ALL_REGIONS))
def test_random_spellings_are_seen_as_sent_and_as_a_server_decodes_them(data, region):
    path = data.draw(spellings(region))

    assert region is speech_region(path)
    assert region is speech_region(unquote(path))
