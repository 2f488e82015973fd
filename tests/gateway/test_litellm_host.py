"""What the gateway relies on in LiteLLM, each promise of `litellm_host` by itself, on the installed release.

A gateway process of its own loads a second callback beside ours, which tells what LiteLLM does.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import litellm
import pytest
import yaml
from chat_world import MESSAGES, SONNET, bodies, booked, held, transcribed
from gateway_process import CONFIG, REPOSITORY, GatewayProcess, TeamAccess, gateway_process, running_gateway
from waiting import until

from aai_gateway.core.regions import ALL_ROUTES
from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator
from aai_gateway.errors import BudgetExceeded
from aai_gateway.gateway import litellm_host

SOURCES = REPOSITORY / "src" / "aai_gateway"
PROBE = '''
import json, os
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

app = proxy_server.app
FACTS = os.environ["PROBE_FACTS"]


def tell(**fact):
    with open(FACTS, "a") as facts:
        facts.write(json.dumps(fact) + "\\n")


async def installed(request):
    """How often the gateway is installed."""
    fronts, stack = 0, app.middleware_stack
    while type(stack).__name__ == "DataPlane":
        fronts, stack = fronts + 1, stack._inner
    mounts = [r.path for r in app.router.routes if isinstance(r, Mount) and "assemblyai" in r.path]
    hooks = [type(c).__name__ for c in proxy_server.litellm.callbacks]
    return JSONResponse({"fronts": fronts, "mounts": mounts, "hooks": hooks.count("ChatHooks")})


def middleware_is_refused():
    try:
        app.add_middleware(object)
    except RuntimeError:
        return True
    return False


tell(event="load", stack_is_built=app.middleware_stack is not None, refused=middleware_is_refused())
for path in ("/models", "/anthropic/{rest:path}", "/installed"):
    app.router.routes.insert(0, Route(path, installed))


class Probe(CustomLogger):
    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        places = [kwargs.get("metadata") or {}, kwargs.get("litellm_metadata") or {}]
        tell(event="hook", hashes=[place.get("user_api_key_hash") for place in places],
             groups=[place.get("model_group") for place in places], type=str(call_type.value),
             deployment=(kwargs.get("model_info") or {}).get("id"),
             tags=[place.get("tags") for place in places if place.get("user_api_key_hash")],
             users=[place.get("user_api_key_end_user_id") for place in places])
        if kwargs.get("seed") == 666:
            raise RuntimeError("A callback after ours fails.")

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        call = kwargs.get("aai_gateway_call")
        tell(event="success", call=call and call.call.id, sent=call and call.is_sent,
             cache_hit=bool(kwargs.get("cache_hit")))


probe = Probe()
'''


@dataclass(frozen=True)
class Probed:
    """A gateway with the probe and LiteLLM's response cache, and what the probe has told."""

    gateway: GatewayProcess
    facts_file: Path

    def facts(self, event: str) -> list[dict[str, Any]]:
        facts = (json.loads(line) for line in self.facts_file.read_text().splitlines())
        return [fact for fact in facts if fact["event"] == event]

    def post(self, team: TeamAccess, path: str = "/v1/chat/completions", **body: Any) -> httpx.Response:
        body = {"model": SONNET, **body}
        return httpx.post(f"{self.gateway.url}{path}", json=body, headers=team.bearer, timeout=60)


@pytest.fixture(scope="module")
def probed(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    folder = tmp_path_factory.mktemp("probed")
    config = yaml.safe_load(CONFIG.read_text())
    ours = config["litellm_settings"]["callbacks"]
    config["litellm_settings"] |= {
        "callbacks": [*ours, "probe.probe", *ours],
        "cache": True,
        "cache_params": {"type": "local"},
    }
    config["model_list"].append(
        {
            "model_name": "house-model",
            "litellm_params": {"model": SONNET, "api_key": "os.environ/ASSEMBLYAI_API_KEY"},
        }
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "probe.py").write_text(PROBE)
    facts = folder / "facts"
    arguments = ("--config", str(folder / "config.yaml"))
    with running_gateway(emulator, folder, *arguments, forked=False, PROBE_FACTS=str(facts)) as gateway:
        yield Probed(gateway, facts)


def test_the_middleware_stack_is_built_when_the_config_loads(probed: Probed) -> None:
    assert {"event": "load", "stack_is_built": True, "refused": True} == probed.facts("load")[0]


def test_every_request_goes_through_the_stack_of_the_moment(probed: Probed) -> None:
    response = httpx.get(f"{probed.gateway.url}/assemblyai/v2/transcript")

    assert {"error": "Authentication error, API token missing/invalid"} == response.json()


def test_loading_the_plugin_twice_installs_it_once(probed: Probed) -> None:
    found = httpx.get(f"{probed.gateway.url}/installed").json()

    assert 1 == found["fronts"]
    assert [f"/{route.prefix}" for route in ALL_ROUTES] == found["mounts"]


@pytest.mark.parametrize("path", ["/models", "/anthropic/v1/messages"], ids=["own", "lazy"])
def test_a_route_at_the_head_of_the_router_wins(probed: Probed, path: str) -> None:
    for _ in range(2):  # a lazy route is loaded by its first request
        assert "fronts" in httpx.get(f"{probed.gateway.url}{path}").json()


def test_custom_auth_is_asked_for_every_identity(probed: Probed) -> None:
    team = probed.gateway.team()
    unknown = TeamAccess(id="", alias="", key="sk-unknown-unknown-unknown")

    refused = probed.post(unknown, messages=MESSAGES)

    assert 401 == refused.status_code
    assert "Authentication error, API token missing/invalid" == refused.json()["error"]["message"]
    assert 200 == probed.post(team, messages=MESSAGES).status_code


def test_the_proxys_master_key_is_the_one_in_force(probed: Probed) -> None:
    with probed.gateway.admin() as admin:
        assert 200 == admin.get("/settings").status_code  # none of a virtual key's routes


def test_the_request_route_is_without_the_root_path() -> None:
    from litellm.proxy.auth.auth_utils import get_request_route
    from starlette.requests import Request

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/proxy/v1/models",
        "root_path": "/proxy",
        "headers": [],
        "query_string": b"",
        "server": ("x", 80),
        "scheme": "http",
    }

    assert "/v1/models" == get_request_route(Request(scope))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 99}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 98, "stream": True}),
        ("/v1/responses", {"input": "Hello there."}),
        ("/v1/responses", {"input": "Hello there.", "stream": True}),
        ("/v1/completions", {"prompt": "Hello, you."}),
        ("/v1/chat/completions", {"messages": MESSAGES, "model": "house-model", "seed": 2}),
    ],
)
def test_the_hooks_logging_object_comes_to_the_success_event(
    probed: Probed, path: str, body: dict[str, Any]
) -> None:
    team = probed.gateway.team()

    response = probed.post(team, path, **body, temperature=0.31, cache={"no-cache": True})

    assert 200 == response.status_code, response.text
    [row] = booked(probed.gateway, team)
    [told] = until(lambda: [fact for fact in probed.facts("success") if fact["call"] == row["source_id"]])
    assert told["sent"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/completions"])
@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
def test_a_clients_metadata_has_no_say_in_who_it_is(probed: Probed, path: str, place: str) -> None:
    team = probed.gateway.team()
    forged = {"user_api_key_hash": "f" * 64, "model_group": "assemblyai/gpt-5"}
    asked = {"prompt": "Hello."} if path == "/v1/completions" else {"messages": MESSAGES, "max_tokens": 9}
    before = len(probed.facts("hook"))

    probed.post(team, path, **asked, **{place: forged}, top_k=4)

    hooks = probed.facts("hook")[before:]
    assert hooks
    for hook in hooks:
        assert {hash_key(team.key)} == {found for found in hook["hashes"] if found}
        trusted = next(place for place, found in enumerate(hook["hashes"][::-1]) if found)
        assert SONNET == hook["groups"][::-1][trusted]


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("/v1/chat/completions", ["acompletion"]),
        ("/v1/messages", ["anthropic_messages", "acompletion"]),
        ("/v1/responses", ["aresponses", "acompletion"]),
        ("/v1/completions", ["atext_completion"]),
        (f"/v1beta/models/{SONNET}:generateContent", ["agenerate_content", "acompletion"]),
        (f"/v1beta/models/{SONNET}:streamGenerateContent", ["agenerate_content_stream", "acompletion"]),
    ],
)
def test_the_hook_runs_for_a_routes_call_and_for_the_chat_call_inside(
    probed: Probed, path: str, types: list[str]
) -> None:
    team, before = probed.gateway.team(), len(probed.facts("hook"))
    asked: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 9}
    if path in ("/v1/responses", "/v1/completions"):
        asked = {"input": "Hello, hook.", "prompt": "Hello, hook."}
    elif "v1beta" in path:
        asked = {"contents": [{"role": "user", "parts": [{"text": "Hello, hook."}]}]}

    response = probed.post(team, path, **asked, cache={"no-cache": True})

    assert 200 == response.status_code, response.text
    hooks = probed.facts("hook")[before:]
    assert types == [hook["type"] for hook in hooks]
    assert [64] == [len(chosen) for chosen in {hook["deployment"] for hook in hooks}]  # one, by its id
    assert ([], 1) == (held(probed.gateway, team), len(booked(probed.gateway, team)))


@pytest.mark.parametrize(
    ("headers", "body", "tags", "user"),
    [
        ({"x-litellm-tags": "a, b"}, {}, ["a", "b"], None),
        ({"x-litellm-tags": "a"}, {"tags": ["c"]}, ["c"], None),  # a body's own win over the header's
        ({"x-litellm-tags": "a"}, {"metadata": {"tags": ["m"]}, "tags": ["c"]}, ["m", "c"], None),
        ({}, {"litellm_metadata": {"tags": ["l"]}, "user": "u"}, ["l"], "u"),
        ({"x-litellm-customer-id": "h"}, {"user": "u"}, None, "h"),  # a header's user wins over the body's
        ({"x-litellm-end-user-id": "e"}, {}, None, "e"),
    ],
)
def test_litellm_gathers_tags_and_the_end_user(
    probed: Probed, headers: dict[str, str], body: dict[str, Any], tags: list[str] | None, user: str | None
) -> None:
    team, before = probed.gateway.team(), len(probed.facts("hook"))

    httpx.post(
        f"{probed.gateway.url}/v1/chat/completions",
        json={"model": SONNET, "messages": MESSAGES, **body},
        headers={**team.bearer, **headers},
        timeout=60,
    ).raise_for_status()

    [hook] = probed.facts("hook")[before:]
    assert [tags] == hook["tags"]
    assert ([user] if user else []) == [found for found in hook["users"] if found]


def test_a_budget_is_refused_as_litellm_refuses_it() -> None:
    refusal = litellm_host.openai_error(BudgetExceeded("Budget has been exceeded!"))
    theirs = litellm.BudgetExceededError(current_cost=2, max_budget=1)

    assert (str(theirs.status_code), "budget_exceeded") == (refusal.code, refusal.type)


@pytest.mark.parametrize("body", [{"seed": 666}, {"messages": [{"role": "user"}, "nonsense"]}])
def test_an_attempt_that_fails_inside_litellm_leaves_nothing_held(
    probed: Probed, body: dict[str, Any]
) -> None:
    team = probed.gateway.team()

    response = probed.post(team, **{"messages": MESSAGES, **body})

    assert response.status_code >= 400
    until(lambda: not held(probed.gateway, team))
    assert [] == booked(probed.gateway, team)


def test_a_client_cannot_switch_the_log_off(probed: Probed) -> None:
    team = probed.gateway.team()

    assert 200 == probed.post(team, messages=MESSAGES, **{"no-log": True}, top_k=7).status_code

    assert until(lambda: booked(probed.gateway, team))


def test_the_deployment_hook_runs_before_the_cache_and_a_cached_answer_is_free(
    probed: Probed, emulator: Emulator
) -> None:
    research, newsroom = probed.gateway.team(), probed.gateway.team(regions=["eu"])
    body = {"messages": [{"role": "user", "content": "Ask this twice."}]}
    before = len(bodies(emulator.urls.llm_us))

    answers = [probed.post(research, **body) for _ in range(2)]
    refused = probed.post(newsroom, **body)

    assert [200, 200, 403] == [response.status_code for response in (*answers, refused)]
    assert before + 1 == len(bodies(emulator.urls.llm_us))
    until(lambda: any(fact["cache_hit"] for fact in probed.facts("success")))
    assert 1 == len(booked(probed.gateway, research))
    until(lambda: not held(probed.gateway, research))


def test_the_cache_never_answers_about_a_transcript(probed: Probed, emulator: Emulator) -> None:
    research, stranger = probed.gateway.team(), probed.gateway.team()
    body = {"messages": [{"role": "user", "content": "Summarize.\n\n{{ transcript }}"}]}
    own, other = transcribed(probed.gateway, research), transcribed(probed.gateway, stranger)
    before = len(bodies(emulator.urls.llm_us))

    for _ in range(2):
        assert 200 == probed.post(research, **body, transcript_id=own).status_code
    assert 404 == probed.post(stranger, **body, transcript_id=own).status_code
    assert 200 == probed.post(stranger, **body, transcript_id=other).status_code

    asked = [body["transcript_id"] for body in bodies(emulator.urls.llm_us)[before:]]
    assert [own, own, other] == asked


def test_a_deployment_with_a_name_of_its_own_is_ours_as_well(probed: Probed) -> None:
    research, stranger = probed.gateway.team(), probed.gateway.team()
    own = transcribed(probed.gateway, research)
    body = {"model": "house-model", "messages": MESSAGES, "transcript_id": own}

    assert 200 == probed.post(research, **body).status_code
    assert 404 == probed.post(stranger, **body).status_code


def test_the_installed_release_is_the_pinned_one() -> None:
    pins = [
        line for line in (REPOSITORY / "pyproject.toml").read_text().splitlines() if "litellm[proxy]" in line
    ]

    assert len(pins) == 1
    assert f'"litellm[proxy]=={importlib.metadata.version("litellm")}"' in pins[0]


def test_no_other_module_touches_litellm() -> None:
    touching = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if "litellm" in imports(path)
    }

    assert {"gateway/litellm_budget.py", "gateway/litellm_host.py", "litellm_models.py"} == touching


def imports(path: Path) -> set[str]:
    """The first parts of everything that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_a_database_url_is_refused_before_anything_is_installed(emulator: Emulator, tmp_path: Path) -> None:
    """In a process that is loading the config; the `litellm` command itself may refuse earlier still."""
    script = """
from litellm.proxy.proxy_server import app
app.middleware_stack = app.build_middleware_stack()
try:
    import aai_gateway.plugin
except Exception as error:
    print(type(error).__name__, error)
print(type(app.middleware_stack).__name__)
"""
    url = "postgresql://user:secret@127.0.0.1:9/none"
    environment = gateway_process(emulator, tmp_path).environment | {"DATABASE_URL": url}

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    refusal, stack = done.stdout.splitlines()[-2:]
    assert "ConfigurationError DATABASE_URL is set" in refusal
    assert "unset it" in refusal
    assert "secret" not in done.stdout
    assert "DataPlane" != stack


def test_the_shipped_config_installs_the_gateway_by_its_callbacks_line_alone() -> None:
    config = yaml.safe_load(CONFIG.read_text())

    assert ["aai_gateway.plugin.gateway"] == config["litellm_settings"].pop("callbacks")
    assert "aai_gateway" not in yaml.safe_dump(config)


async def test_what_is_to_end_at_shutdown_ends_before_litellm_does(monkeypatch: pytest.MonkeyPatch):
    from litellm.proxy import proxy_server

    ended: list[str] = []

    async def own() -> None:
        ended.append("ours")
        raise OSError("whatever")

    async def last(worker_heartbeat: object = None) -> None:
        ended.append("theirs")

    monkeypatch.setattr(proxy_server, "proxy_shutdown_event", last)
    litellm_host.at_shutdown(own)
    with pytest.raises(OSError, match="whatever"):
        await proxy_server.proxy_shutdown_event(worker_heartbeat=None)
    assert ["ours", "theirs"] == ended
