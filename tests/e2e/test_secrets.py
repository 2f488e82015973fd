"""Whatever a whole run writes, no secret is in it: logs, answers, metrics, files, the process list."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess, gateway_process
from otlp_receiver import OtlpReceiver, otlp_receiver
from waiting import until

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_path

MARK = "Zq7"
"""In every secret of this run, so that even a cut-off piece of one is found."""


def made_up(prefix: str = "") -> str:
    return f"{prefix}{MARK}{secrets.token_hex(12)}{MARK}"


@dataclass
class Run:
    """A gateway that is used in every way, the secrets it was told, and all that it said and wrote."""

    emulator: Emulator
    gateway: GatewayProcess
    collector: OtlpReceiver
    known: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def ask(self, method: str, path: str, key: str | None, **arguments: object) -> httpx.Response:
        """One request; its answer is kept for the search."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        headers |= dict(arguments.pop("headers", {}))  # type: ignore[call-overload]  # as httpx takes
        answer = httpx.request(method, f"{self.gateway.url}{path}", headers=headers, timeout=60, **arguments)  # type: ignore[arg-type]  # as httpx takes
        told = b"\n".join(b"%s: %s" % pair for pair in answer.headers.raw)
        self.said.append((f"{method} {path} {answer.status_code}", told + b"\n" + answer.content))
        return answer

    def command(self, *words: str, kept: bool = True) -> str:
        """A command line on the same store, its output given; what it says is kept for the search."""
        done = subprocess.run(
            [sys.executable, "-c", "from aai_gateway.cli.main import main; main()", *words],
            env=self.gateway.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.said.append((" ".join(words), ((done.stdout if kept else "") + done.stderr).encode()))
        return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    config = EmulatorConfig(account_key=made_up(), eu_account_key=made_up(), job_seconds=0.05)
    with running_emulator(config) as emulator, otlp_receiver() as collector:
        # The wordiest log that LiteLLM can be told to write.
        folder, wordy = tmp_path_factory.mktemp("secrets"), "--detailed_debug"
        eu_key = {"ASSEMBLYAI_EU_API_KEY": str(config.eu_account_key)}
        gateway = gateway_process(emulator, folder, wordy, forked=False, **eu_key)
        gateway.environment |= {
            "LITELLM_MASTER_KEY": made_up("sk-"),
            "AAI_GATEWAY_SECRET": made_up(),
            "AAI_GATEWAY_TRACES": collector.url,
            "AAI_GATEWAY_PUBLIC_URL": gateway.url,
            "AAI_GATEWAY_EU_PUBLIC_URL": gateway.url,
            "AAI_GATEWAY_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        gateway.master_key = gateway.environment["LITELLM_MASTER_KEY"]
        used = Run(emulator, gateway, collector)
        used.known = {
            "the account's key": config.account_key,
            "the account's key in the EU": str(config.eu_account_key),
            "the master key": gateway.master_key,
            "the secret of the webhooks": gateway.environment["AAI_GATEWAY_SECRET"],
            "the header of a webhook": made_up(),
            "the token of the metrics": gateway.environment["AAI_GATEWAY_METRICS_TOKEN"],
        }
        gateway.start()
        try:
            use(used)
            used.said.append(("the process list", command_lines(gateway)))
            gateway.stop()
            yield used
        finally:
            gateway.kill()


def use(run: Run) -> None:
    """Teams and keys, audio, webhooks, chats, errors of all kinds, and what an operator reads."""
    master = run.gateway.master_key
    team, stranger = new_team(run, "research"), new_team(run, "newsroom")
    run.known["research's rotated key"] = run.command("keys", "rotate", "research-key", kept=False).strip()
    wrong = {"a wrong key": made_up("sk-"), "what is no key": made_up()}
    run.known |= wrong
    for route, llm in (("/assemblyai", "assemblyai"), ("/eu.assemblyai", "eu.assemblyai")):
        made = transcribed(run, route, team.key)
        path = f"{route}/v2/transcript/{made}"
        for key in (run.known["research's rotated key"], stranger.key, *wrong.values(), None):
            for rest in ("", "/srt", "/word-search?words=a", "/redacted-audio", "/nothing"):
                run.ask("GET", path + rest, key)
            run.ask("GET", f"{route}/v2/transcript", key)
            run.ask("POST", f"{route}/v2/transcript", key, content=b"{")
            for ours in ("/v1/models", "/metrics", "/key/list", "/audit", "/webhooks/deliveries"):
                run.ask("GET", ours, key)
            for more in ({"transcript_id": made, "stream": True}, {"top_k": "x"}):
                if key not in (run.known["research's rotated key"], wrong["a wrong key"]):
                    continue  # each costs a second of the wordy log
                chat = {"model": f"{llm}/claude-haiku-4-5-20251001", "max_tokens": 5, **more}
                chat["messages"] = [{"role": "user", "content": "{{ transcript }}"}]
                run.ask("POST", "/v1/chat/completions", key, json=chat)
            asked = {"transcript_id": made, "speech_understanding": {"request": {"translation": {}}}}
            run.ask("POST", f"/llm-gateway.{llm}/v1/understanding", key, json=asked)
        run.ask("DELETE", path, team.key)
    troubles(run, team)
    for ours in ("/metrics", "/key/list"):
        run.ask("GET", ours, run.known["the token of the metrics"])
    run.ask("GET", "/key/info", master, params={"key": hash_key(team.key)})
    with run.gateway.admin() as admin:  # answers with the key that it was asked about, as LiteLLM does
        admin.get("/key/info", params={"key": team.key}).raise_for_status()
    run.ask("POST", "/key/update", master, json={"key": team.key, "max_budget": "much"})
    run.ask("POST", "/key/block", master, json={"key": stranger.key})
    run.ask("POST", "/key/delete", master, json={"keys": [hash_key(stranger.key)]})
    for ours in ("/metrics", "/audit?limit=100", "/webhooks/deliveries"):
        run.ask("GET", ours, master)
    for words in ("keys show research-key --json", "doctor", "audit list --json --all"):
        run.command(*words.split())
    run.command("webhooks", "list", "--json")


def transcribed(run: Run, route: str, key: str) -> str:
    """The id of a completed job whose webhook was told."""
    upload = run.ask("POST", f"{route}/v2/upload", key, content=sample_path("hello").read_bytes())
    body = {
        "audio_url": upload.json()["upload_url"],
        "webhook_url": f"{run.gateway.url}/nobody-takes-this",
        "webhook_auth_header_name": "X-Secret",
        "webhook_auth_header_value": run.known["the header of a webhook"],
    }
    made = str(run.ask("POST", f"{route}/v2/transcript", key, json=body).json()["id"])
    until(lambda: run.ask("GET", f"{route}/v2/transcript/{made}", key).json()["status"] == "completed")
    log = f"/webhooks/deliveries?transcript_id={made}"
    until(lambda: any(one["attempts"] for one in run.ask("GET", log, key).json()["deliveries"]))
    return made


def troubles(run: Run, team: TeamAccess) -> None:
    """AssemblyAI fails in its ways."""
    for url in (run.emulator.urls.us, run.emulator.urls.llm_us):
        for fault in ({"status": 500}, {"status": 401}, {"status": 429, "retry_after": 1}, {"cut": True}):
            body = {"method": "POST", "path": "/v*", **fault, "count": 2}
            httpx.post(f"{url}/_emulator/faults", json=body).raise_for_status()
            run.ask(
                "POST", "/assemblyai/v2/transcript", team.key, json={"audio_url": "https://example.org/a"}
            )
            chat = {"model": "assemblyai/claude-haiku-4-5-20251001", "messages": []}
            run.ask("POST", "/v1/chat/completions", team.key, json=chat)


def new_team(run: Run, alias: str) -> TeamAccess:
    with run.gateway.admin() as admin:
        team = admin.post("/team/new", json={"team_alias": alias}).raise_for_status().json()
        secret = made_up("sk-")
        body = {"team_id": team["team_id"], "key": secret, "key_alias": f"{alias}-key"}
        admin.post("/key/generate", json=body).raise_for_status()
    run.known[f"{alias}'s key"] = secret
    return TeamAccess(team["team_id"], alias, secret)


def command_lines(gateway: GatewayProcess) -> bytes:
    """The arguments of the gateway's processes, as `ps` shows them."""
    group = [str(gateway.pid), *children(str(gateway.pid))]
    return b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in group)


def children(pid: str) -> list[str]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*found, *(grandchild for child in found for grandchild in children(child))]


def written(run: Run) -> Iterator[tuple[str, bytes]]:
    """Everything that was said or written, and where."""
    yield from run.said
    yield "the log", run.gateway.log.read_bytes()
    yield "the traces", b"\n".join(run.collector.raw)
    for path in sorted(run.gateway.data_dir.rglob("*")):
        if path.is_file():
            yield str(path.name), path.read_bytes()


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it may stand in a file: as it is, in a URL, in base64 at any offset."""
    yield secret.encode()
    yield quote(secret).encode()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + secret.encode())
        yield encoded[4:-4]


def test_no_secret_is_in_anything_that_a_run_wrote(run: Run):
    assert 11 == len(run.known)
    found = [
        f"{what} in {where}"
        for where, content in written(run)
        for what, secret in run.known.items()
        if any(spelling in content for spelling in spellings(secret))
    ]
    assert [] == found


def test_the_search_finds_what_is_there(run: Run):
    planted = b"".join(spellings("sk-a-secret-that-is-planted"))
    assert all(spelling in planted for spelling in spellings("sk-a-secret-that-is-planted"))
    assert any(b"research" in content for _, content in written(run))
    assert any(name == "gateway.db" for name, _ in written(run))
    assert b" request request_id=" in run.gateway.log.read_bytes()
    assert any(span.attributes.get("aai_gateway.team") == "research" for span in run.collector.spans)
