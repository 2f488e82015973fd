"""LiteLLM's own `/assemblyai` routes are out of reach: no spelling, host or root path leads to them.

They would connect to AssemblyAI's fixed address. A trap stands there as the HTTPS proxy of the process, and a
pass-through route of LiteLLM's that is not AssemblyAI's shows that it springs.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator

import pytest
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from raw_http import RawAnswer, ask

from aai_gateway.emulator import Emulator

ID = "8e8e8e8e-0000-4000-8000-000000000000"
ROOTS = ("", "/proxy", "/tenant-a", "/tenant-b/deep", "/proxy/tenant-a")
SEGMENTS = ("assemblyai", "eu.assemblyai", "ASSEMBLYAI", "Eu.AssemblyAI", "%61ssemblyai", "eu%2Eassemblyai")
SEGMENTS += ("%2561ssemblyai", "%25252561ssemblyai", "%EF%BD%81ssemblyai", "assemblyai.", "assemblyai..")
SEGMENTS += (
    "assemblyai;x",
    "assemblyai;x=1",
    "assemblyai%3Bx",
    "assemblyai%20",
    "assemblyai%00",
    "%09assemblyai",
)
SEGMENTS += ("assemblyai%23", "assemblyai%3F", "assemblyai%0d%0a", "eu%E3%80%82assemblyai")
BEFORE = (
    "/",
    "//",
    "///",
    "/./",
    "/x/../",
    "/../",
    "/%2e/",
    "/x/%2e%2e/",
    "/x%2f..%2f",
    "/%2f",
    "\\",
    "/\\",
    "/x\\..\\",
)
BEFORE += (
    "/v1/../",
    "/health/..;/",
    "http://eu.assemblyai.com/",
    "https://api.assemblyai.com//",
    "/%5c",
    "/%252f",
)
AFTER = ("", "/", f"/v2/transcript/{ID}", f"%2Fv2%2Ftranscript%2F{ID}", f"%252Fv2/transcript/{ID}")
AFTER += (
    f"//v2//transcript/{ID}",
    f"/../assemblyai/v2/transcript/{ID}",
    f"\\v2\\transcript\\{ID}",
    "?/x",
    "#/x",
)
ALL = slice(None)
HOSTS = ("eu.assemblyai.com", "api.assemblyai.com:443")


class Trap(socketserver.ThreadingTCPServer):
    """Counts who connects, and hangs up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.sprung = 0

    def verify_request(self, request: object, client_address: object) -> bool:
        self.sprung += 1
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    with Trap() as trap:
        threading.Thread(target=trap.serve_forever, daemon=True).start()
        yield trap
        trap.shutdown()


@pytest.fixture(scope="module")
def rooted(
    emulator: Emulator, trap: Trap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with running_gateway(
        emulator,
        tmp_path_factory.mktemp("rooted"),
        forked=False,  # LiteLLM reads its root paths as it is imported
        SERVER_ROOT_PATH="/proxy",
        SERVER_ROOT_PATHS="/tenant-a,/tenant-b/deep",
        HTTPS_PROXY=trap.url,
        https_proxy=trap.url,
        OPENAI_API_KEY="sk-nothing",
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def team(rooted: GatewayProcess) -> TeamAccess:
    return rooted.team()


def is_ours(answer: RawAnswer) -> bool:
    """Whether the answer has AssemblyAI's error shape."""
    try:
        error = json.loads(answer.body).get("error")
    except (ValueError, AttributeError):
        return False
    return answer.status in (400, 401, 404, 405) and isinstance(error, str)


def is_nobodys(answer: RawAnswer) -> bool:
    """Whether no route was found."""
    return (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')


def sweep(url: str, key: str, root: str, host: str | None, part: slice) -> list[str]:
    """The spellings, of all or of a part of them, that anything but the gateway answers."""
    headers = {"Authorization": f"Bearer {key}", **({"Host": host} if host else {})}
    strays = []
    plain = [("/", segment, after) for segment in SEGMENTS for after in AFTER]
    targets = plain + [(before, segment, AFTER[2]) for before in BEFORE for segment in SEGMENTS[:5]]
    for before, segment, after in targets[part]:
        target = before.replace("/", f"{root}/", 1) if before.startswith("/") else f"{root}{before}"
        if "://" in before:
            target = f"{before.rstrip('/')}{root}/"
        target += segment + after
        for method, body in (("GET", b""), ("POST", b"{}")):
            answer = ask(url, target, method=method, headers=headers, body=body)
            if not is_ours(answer) and not is_nobodys(answer):
                strays.append(f"{method} {target} {answer.status} {answer.body[:80]!r}")
    return strays


def test_no_spelling_reaches_them_before_or_after_litellm_loads_its_routes(
    rooted: GatewayProcess, team: TeamAccess, trap: Trap, emulator: Emulator
):
    asked = len(emulator.requests)
    # All of them without a root path, and under each and at each host every fourth, beginning at another.
    places = [(root, None, slice(number - 1, None, 4) if root else ALL) for number, root in enumerate(ROOTS)]
    strays = [s for place in places for s in sweep(rooted.url, team.key, *place)]
    assert ([], 0) == (strays, trap.sprung)
    ask(rooted.url, "/openai/v1/files", headers={"Authorization": f"Bearer {rooted.master_key}"})
    assert 0 < trap.sprung
    sprung = trap.sprung
    places += [("", host, slice(number, None, 4)) for number, host in enumerate(HOSTS)]
    strays = [s for place in places for s in sweep(rooted.url, team.key, *place)]
    assert ([], sprung) == (strays, trap.sprung)
    assert [] == emulator.requests[asked:]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "HEAD", "CONNECT", "get"])
def test_nor_does_another_method(
    rooted: GatewayProcess, team: TeamAccess, trap: Trap, emulator: Emulator, method: str
):
    asked, sprung, strays = len(emulator.requests), trap.sprung, []
    targets = [f"/{segment}{AFTER[2]}" for segment in SEGMENTS[1:]]
    targets += [f"{before}assemblyai{AFTER[3]}" for before in BEFORE]
    for target in targets:
        answer = ask(rooted.url, target, method=method, headers=team.bearer)
        bodiless = method == "HEAD" and answer.status in (400, 401, 404, 405)
        if not bodiless and not is_ours(answer) and not is_nobodys(answer):
            strays.append(f"{method} {target} {answer.status} {answer.body[:80]!r}")
    assert ([], sprung, []) == (strays, trap.sprung, emulator.requests[asked:])


@pytest.mark.parametrize("root", ROOTS[:4])
@pytest.mark.parametrize("route", ["assemblyai", "eu.assemblyai"])
def test_the_gateways_routes_serve_under_every_root_path(
    rooted: GatewayProcess, emulator: Emulator, root: str, route: str
):
    team = rooted.team()
    asked = len(emulator.requests)
    base = f"{root}/{route}/v2/transcript"
    for _ in range(2):
        body = b'{"audio_url": "https://example.org/audio.wav"}'
        assert 200 == ask(rooted.url, base, method="POST", headers=team.bearer, body=body).status
    page = json.loads(ask(rooted.url, f"{base}?limit=1", headers=team.bearer).body)
    assert f"{rooted.url}{base}/{page['transcripts'][0]['id']}" == page["transcripts"][0]["resource_url"]
    assert page["page_details"]["prev_url"].startswith(f"{rooted.url}{base}?")
    hosts = {r.host for r in emulator.requests[asked:] if r.method == "POST"}
    assert {"eu" if route.startswith("eu") else "us"} == hosts


@pytest.mark.parametrize("target", ["/assemblyai/v3/ws", "/eu.assemblyai/v3/ws", "//AssemblyAI/v3/ws"])
def test_websockets_are_turned_away(rooted: GatewayProcess, team: TeamAccess, trap: Trap, target: str):
    sprung = trap.sprung
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **team.bearer}
    assert 403 == ask(rooted.url, target, headers={**upgrade, **key}).status
    assert sprung == trap.sprung
