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

from aai_gateway.core.operations import KNOWN, READING, Operation, Target, Who, resolve, route_of
from aai_gateway.core.regions import ALL_ROUTES, Host, Region, Route
from aai_gateway.errors import MethodNotAllowed, NotFound, UnknownOperation

DESCRIBED = Path(__file__).parents[3] / "shared" / "assemblyai"
OPENAPI, LLM_GATEWAY = DESCRIBED / "openapi.yml", DESCRIBED / "llm-gateway.yml"
CANONICAL = re.compile(r"/v[12]/[A-Za-z0-9_/-]+")
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

LLM_TABLE = [
    ("GET", "/v1/models", Operation.MODELS, None),
    ("POST", "/v1/chat/completions", Operation.CHAT, None),
    ("POST", "/v1/understanding", Operation.UNDERSTANDING, None),
    ("POST", "/v1/understanding/validate", Operation.VALIDATE_UNDERSTANDING, None),
]


def test_what_only_reads_is_asked_by_get_but_for_one_that_checks():
    asked = {known.operation for known in KNOWN if known.method == "GET"}
    assert READING == asked | {Operation.VALIDATE_UNDERSTANDING}


def test_table_names_every_operation():
    assert list(Operation) == [operation for _, _, operation, _ in [*TABLE, *LLM_TABLE]]
    assert list(Operation) == [known.operation for known in KNOWN]


def test_an_operation_that_names_a_transcript_says_where_and_is_its_owners():
    for known in KNOWN:
        assert ("{id}" in known.path) == (known.names == "path")
        assert (known.names is None) == (known.who in (Who.ANY_KEY, Who.OWN_ONLY))


@pytest.mark.parametrize("route", ALL_ROUTES)
@pytest.mark.parametrize(("method", "path", "operation", "transcript_id"), [*TABLE, *LLM_TABLE])
def test_each_operation_in_each_region_of_its_own_host(route, method, path, operation, transcript_id):
    if (path.startswith("/v1")) != (route.host is Host.LLM_GATEWAY):
        with pytest.raises(UnknownOperation):
            resolve(method, f"/{route.prefix}{path}")
        return
    expected = Target(route.region, operation, transcript_id, path, route.host)

    assert expected == resolve(method, f"/{route.prefix}{path}")
    assert expected == resolve(method, f"/{route.prefix}{path}/")


@pytest.mark.skipif(not LLM_GATEWAY.exists(), reason="AssemblyAI's description is not beside this clone")
def test_every_operation_of_the_llm_gateways_description_resolves():
    paths = yaml.safe_load(LLM_GATEWAY.read_text(encoding="utf-8"))["paths"]

    resolved = {
        resolve(method.upper(), f"/llm-gateway.eu.assemblyai/v1{path}").operation
        for path, methods in paths.items()
        for method in methods
    }

    assert {Operation.CHAT, Operation.UNDERSTANDING} == resolved


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

    assert {known.operation for known in KNOWN if known.host is Host.SPEECH} == resolved


@pytest.mark.parametrize(
    "path",
    [
        "/llm-gateway.assemblyai",
        "/llm-gateway.assemblyai/v1",
        "/llm-gateway.assemblyai/v1/embeddings",
        "/llm-gateway.assemblyai/v2/upload",
        "/llm-gateway.assemblyai/v1//understanding",
        "/llm-gateway.assemblyai/v1/understanding/validate/x",
        "/llm-gateway.assemblyai/v1/Understanding",
        "/llm-gateway.eu.assemblyai//v1/understanding",
        "/LLM-gateway.assemblyai/v1/understanding",
        "/eu.llm-gateway.assemblyai/v1/understanding",
        "/assemblyai/v1/understanding",
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
        ("GET", "/llm-gateway.assemblyai/v1/understanding", "POST"),
        ("POST", "/llm-gateway.eu.assemblyai/v1/models", "GET"),
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
    assert Route(Host.SPEECH, region) == route_of(path)


@pytest.mark.parametrize(
    ("path", "region"),
    [
        ("/llm-gateway.assemblyai/v1/models", Region.US),
        ("/LLM-Gateway.EU.assemblyai", Region.EU),
        ("//llm-gateway.assemblyai//v1", Region.US),
        ("/x/../llm%2Dgateway.eu.assemblyai/v1", Region.EU),
        ("/llm-gateway%2eassemblyai;x/v1", Region.US),
        ("/llm-gateway.assemblyai./v1", Region.US),
        ("\\llm-gateway.assemblyai\\v1", Region.US),
    ],
)
def test_every_spelling_of_an_llm_gateway_route_is_seen(path, region):
    assert Route(Host.LLM_GATEWAY, region) == route_of(path)


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
    assert None is route_of(path)


@given(st.sampled_from(ALL_ROUTES), st.text())
def test_all_that_starlette_would_route_to_litellm_is_ours(route, rest):
    pattern, _, _ = compile_path(f"/{route.prefix}/{{endpoint:path}}")
    path = f"/{route.prefix}/{rest}"

    if pattern.match(path):
        assert route == route_of(path)


@st.composite
def spellings(draw: st.DrawFn, route: Route) -> str:
    """A spelling of `route` that some server would resolve to it."""
    name = "".join(
        draw(st.sampled_from([c, c.upper(), f"%{ord(c):02x}", f"%{ord(c):02X}", f"%25{ord(c):02x}"]))
        for c in route.prefix
    )
    slash = st.sampled_from(["/", "//", "\\", "/./", "/x/../", "%2f", "%2F/", "/..", "/%2e%2e/"]).map(
        lambda s: s if s.endswith(("/", "\\", "f")) else s + "/"
    )
    ending = draw(st.sampled_from(["", ".", "%20", ";a=b", "%00", "%3Bx"]))
    return f"{draw(slash)}{name}{ending}/{draw(st.text(alphabet='v2/transcript.%'))}"


@given(st.data(), st.sampled_from(ALL_ROUTES))
def test_random_spellings_are_seen_as_sent_and_as_a_server_decodes_them(data, route):
    path = data.draw(spellings(route))

    assert route == route_of(path)
    assert route == route_of(unquote(path))
