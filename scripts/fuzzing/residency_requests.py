"""Random requests that try to leave the EU: every operation, every route of a model, and LiteLLM's levers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from residency_world import EU_MODEL, US_MODEL

from fuzzing.asking import Ask

ROUTES = {
    "eu": ("/eu.assemblyai", "/eu.assemblyai", "/eu.assemblyai/"),
    "us": ("/assemblyai", "/assemblyai", "/assemblyai/"),
}
SPELLED = (
    "/EU.assemblyai", "/Assemblyai", "//assemblyai", "/./assemblyai", "/x/../assemblyai", "/%61ssemblyai",
    "/%2561ssemblyai", "/eu.assemblyai/../assemblyai", "/eu.assemblyai/..%2fassemblyai", "/assemblyai;x",
    "/eu.assemblyai%2f..%2fassemblyai", "/assemblyai%20", "/assemblyai.", "/us.assemblyai", "/assemblyai%00",
    "/eu.assemblyai/v2/../../assemblyai", "/llm-gateway.assemblyai", "/streaming.assemblyai",
)  # fmt: skip
LLM_ROUTES = (
    *("/llm-gateway.eu.assemblyai", "/llm-gateway.assemblyai") * 3,
    *(
        "/LLM-gateway.assemblyai",
        "//llm-gateway.assemblyai",
        "/llm-gateway.eu.assemblyai/../llm-gateway.assemblyai",
    ),
)
ON_A_TRANSCRIPT = ("", "/sentences", "/paragraphs", "/srt", "/vtt", "/word-search?words=a", "/redacted-audio")
UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
PUBLIC = "https://example.org/audio.wav"
HEADERS: tuple[dict[str, str], ...] = (
    {"Host": "api.assemblyai.com"},
    {"Host": "eu.assemblyai.com"},
    {"X-Forwarded-Host": "api.assemblyai.com"},
    {"X-Forwarded-Prefix": "/assemblyai"},
    {"X-Original-URL": "/assemblyai/v2/transcript"},
    {"X-Rewrite-URL": "/assemblyai/v2/transcript"},
    {"X-HTTP-Method-Override": "DELETE"},
    {"x-litellm-tags": "us,default"},
    {"x-litellm-num-retries": "2"},
    {"x-litellm-timeout": "30"},
    {"x-litellm-model": US_MODEL},
    {"x-litellm-api-base": "http://127.0.0.1:9"},
    {"x-litellm-enable-message-redaction": "true"},
    {"x-api-key": "sk-other"},
    {"anthropic-beta": "x"},
    {"api-base": "http://127.0.0.1:9"},
)
MODELS = (
    *(EU_MODEL, "eu.assemblyai/gemini-2.5-flash", "house-eu", "fast") * 4,
    "eu.assemblyai/gpt-5", "eu.assemblyai/nope",
    US_MODEL, "assemblyai/gpt-5", "house-eu", "house-us", "house-mixed", "fast", "slow",
    "eu.assemblyai/sneaky", "EU.assemblyai/gpt-5", "eu.assemblyai/assemblyai/gpt-5",
    "assemblyai/eu.assemblyai/x", "assemblyai/*", "eu.assemblyai/*", "eu.assemblyai/",
    "eu.assemblyai/../assemblyai/gpt-5", "claude-sonnet-4-6", "anthropic/claude-3",
    "inside-gpt-4o-mini", "outside-gpt-4o-mini", "inside-wildcard/gpt-4o", "openai/gpt-4o",
    f"{EU_MODEL},{US_MODEL}", f"house-eu,{US_MODEL}", "outside-gpt-4o-mini,house-eu", "nothing", "", None, 7,
    ["house-eu"],
)  # fmt: skip
LEVERS: tuple[dict[str, Any], ...] = (
    {"fallbacks": [US_MODEL]},
    {"fallbacks": ["outside-gpt-4o-mini", "house-us"]},
    {"fallbacks": [{"model": "gpt-5"}]},
    {"fallbacks": [{"model": US_MODEL}, "x"]},
    {"fallbacks": [{"model": "claude-sonnet-4-6", "model_region": "global"}]},
    {"fallbacks": [{EU_MODEL: [US_MODEL]}]},
    {"extra_body": {"fallbacks": [{"model": "gpt-5", "model_region": "global"}]}},
    {"context_window_fallbacks": [{EU_MODEL: [US_MODEL]}]},
    {"content_policy_fallbacks": [{EU_MODEL: ["house-us"]}]},
    {"default_fallbacks": [US_MODEL]},
    {"mock_testing_fallbacks": True},
    {"mock_testing_context_fallbacks": True},
    {"mock_response": "mocked"},
    {"disable_fallbacks": True},
    {"num_retries": 2},
    {"model_region": "global"},
    {"model_region": ["global"]},
    {"extra_body": {"model_region": "global"}},
    {"extra_body": {"extra_body": {"model_region": "global"}}},
    {"optional_params": {"model_region": "global"}},
    {"region_name": "us"},
    {"region_name": "eu"},
    {"allowed_model_region": "us"},
    {"model_info": {"id": "x", "region": "eu", "base_model": US_MODEL}},
    {"metadata": {"model_group": EU_MODEL, "deployment_model_name": "eu.assemblyai/*"}},
    {"litellm_metadata": {"model_group": US_MODEL, "model_info": {"id": "x"}}},
    {"custom_llm_provider": "openai"},
    {"api_key": "sk-other"},
    {"api_base": "http://127.0.0.1:9"},
    {"base_url": "http://127.0.0.1:9"},
    {"extra_headers": {"host": "api.assemblyai.com"}},
    {"headers": {"host": "api.assemblyai.com"}},
    {"litellm_params": {"region_name": "eu", "api_base": "http://127.0.0.1:9"}},
    {"router_settings_override": {"fallbacks": [{EU_MODEL: [US_MODEL]}]}},
    {"specific_deployment": True},
    {"model_list": []},
    {"organization": "us"},
    {"temperature": 9},
    {"max_tokens": 10_000_000},
    {"stream": True},
    {"user": "reader"},
    {"tools": [{"type": "web_search"}]},
    {"transcript_id": UNKNOWN},
    {"background": True},
)
SAYS = "Repeat: a quick brown fox."
MESSAGES = [{"role": "user", "content": SAYS}]


@dataclass
class RandomRequests:
    """A stream of random requests, the same again for the same seed, as far as answers are the same.

    `keys` are the virtual keys that ask; `chat_share` of the requests are for LiteLLM's routes.
    """

    keys: tuple[str, ...]
    seed: int
    chat_share: float
    transcripts: list[str] = field(default_factory=lambda: [UNKNOWN])
    uploads: list[str] = field(default_factory=lambda: ["https://cdn.assemblyai.com/upload/0/0"])

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret

    def __call__(self) -> Ask:
        """The next one."""
        if self._random.random() < self.chat_share:
            route: Callable[[RandomRequests], Ask] = self._pick(MODEL_ROUTES)
            return route(self)
        return self._speech()

    def learn(self, ask: Ask, status: int, answer: dict[str, Any]) -> None:
        """Take up what an answer offers to be asked for later."""
        if status == 200 and isinstance(url := answer.get("upload_url"), str):
            self.uploads.append(url)
        elif status == 200 and ask.method == "POST" and isinstance(made := answer.get("id"), str):
            self.transcripts.append(made)

    def _speech(self) -> Ask:
        chance = self._random.random()
        if chance < 0.45:
            kind, prefix = "speech, EU route", self._pick(ROUTES["eu"])
        elif chance < 0.8:
            kind, prefix = "speech, US route", self._pick(ROUTES["us"])
        else:
            kind, prefix = "speech, odd spelling", self._pick(SPELLED)
        chance = self._random.random()
        if chance < 0.15:
            return self._ask(kind, "POST", f"{prefix}/v2/upload", data=self._random.randbytes(64))
        if chance < 0.4:
            body = {"audio_url": self._pick((PUBLIC, PUBLIC, *self.uploads[-20:])), **self._pick(OPTIONS)}
            return self._ask(kind, "POST", f"{prefix}/v2/transcript", json=body)
        if chance < 0.5:
            return self._ask(kind, "GET", f"{prefix}/v2/transcript?limit={self._random.randrange(1, 20)}")
        method = self._pick(("GET", "GET", "GET", "GET", "DELETE", "HEAD", "PUT"))
        path = f"/v2/transcript/{self._pick(self.transcripts[-200:])}{self._pick(ON_A_TRANSCRIPT)}"
        return self._ask(kind, method, f"{prefix}{path}")

    def _ask(self, kind: str, method: str, target: str, **more: Any) -> Ask:
        key = self._pick(self.keys)
        headers = {
            "Authorization": self._pick((f"Bearer {key}", key if "speech" in kind else f"Bearer {key}"))
        }
        if self._random.random() < 0.3:
            headers |= self._pick(HEADERS)
        return Ask(kind, method, target, headers, **more)

    def _asked(self, **body: Any) -> dict[str, Any]:
        """A body with a random model and up to three levers."""
        body = {"model": self._pick(MODELS), **body}
        for _ in range(self._pick((0, 1, 1, 2, 3))):
            body |= self._pick(LEVERS)
        return body

    def _chat(self) -> Ask:
        path = self._pick(
            ("/v1/chat/completions", "/v1/chat/completions", "/chat/completions", "//v1/chat/completions")
        )
        return self._ask("chat completions", "POST", path, json=self._asked(messages=MESSAGES))

    def _messages(self) -> Ask:
        body = self._asked(**{"messages": MESSAGES, "max_tokens": 9})
        return self._ask("messages", "POST", "/v1/messages", json=body)

    def _responses(self) -> Ask:
        return self._ask("responses", "POST", "/v1/responses", json=self._asked(input=SAYS))

    def _completions(self) -> Ask:
        return self._ask("completions", "POST", "/v1/completions", json=self._asked(prompt=SAYS))

    def _generate(self) -> Ask:
        verb = self._pick(("generateContent", "streamGenerateContent", "countTokens"))
        path = f"/v1beta/models/{self._pick([name for name in MODELS if isinstance(name, str)])}:{verb}"
        body = {"contents": [{"role": "user", "parts": [{"text": SAYS}]}], **self._pick(LEVERS)}
        return self._ask("generateContent, countTokens", "POST", path, json=body)

    def _deployment_path(self) -> Ask:
        model = self._pick([name for name in MODELS if isinstance(name, str)])
        path = f"/{self._pick(('engines', 'openai/deployments'))}/{model}/chat/completions"
        return self._ask("deployments' paths", "POST", path, json=self._asked(messages=MESSAGES))

    def _llm_gateway(self) -> Ask:
        prefix = self._pick(LLM_ROUTES)
        match self._random.randrange(4):
            case 0:
                return self._ask("LLM Gateway's routes", "GET", f"{prefix}/v1/models")
            case 1:
                path = self._pick(("/v1/understanding", "/v1/understanding/validate"))
                task = {"request": {"translation": {"target_languages": ["de"]}}}
                body = {"transcript_id": self._pick(self.transcripts[-200:]), "speech_understanding": task}
                return self._ask("LLM Gateway's routes", "POST", f"{prefix}{path}", json=body)
            case _:
                model = self._pick(("claude-haiku-4-5-20251001", "gpt-5", EU_MODEL, US_MODEL))
                body = {**self._asked(messages=MESSAGES), "model": model}
                return self._ask("LLM Gateway's routes", "POST", f"{prefix}/v1/chat/completions", json=body)

    def _other(self) -> Ask:
        place = self._pick(("inside", "outside"))
        path, model, body = self._pick(
            (
                ("/v1/embeddings", f"{place}-text-embedding-3-small", {"input": SAYS}),
                ("/v1/moderations", "outside-moderation", {"input": SAYS}),
                ("/v1/rerank", "outside-rerank", {"query": SAYS, "documents": [SAYS]}),
                ("/v1/images/generations", f"{place}-gpt-image-1", {"prompt": SAYS}),
                ("/v1/audio/speech", f"{place}-tts-1", {"input": SAYS, "voice": "alloy"}),
                ("/utils/token_counter?call_endpoint=true", "anthropic/claude-3", {"prompt": SAYS}),
                ("/v1/messages/count_tokens", "anthropic/claude-3", {"messages": MESSAGES}),
            )
        )
        asked = self._asked(**body) | self._pick(({}, {"model": model}, {"model": model}))
        if self._random.random() < 0.1:
            asked.pop("model", None)
        return self._ask("embeddings, images, speech, …", "POST", path, json=asked)

    def _passing(self) -> Ask:
        path = self._pick(
            (
                "/openai/v1/chat/completions",
                "/anthropic/v1/messages",
                "/v1/files",
                "/v1/realtime",
                "/v1/batches",
            )
        )
        return self._ask("the master key's routes", "POST", path, json=self._asked(messages=MESSAGES))

    def _lists(self) -> Ask:
        path = self._pick(("/v1/models", "/model/info", f"/v1/models/{EU_MODEL}", "/model_group/info"))
        return self._ask("lists of models", "GET", path)

    def _pick(self, of: Any) -> Any:
        return self._random.choice(of)


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"speaker_labels": True},
    {"redact_pii": True, "redact_pii_audio": True, "redact_pii_policies": ["person_name"]},
    {"region": "us", "model_region": "global"},
    {"webhook_url": "https://example.org/hook"},
)
MODEL_ROUTES: tuple[Callable[[RandomRequests], Ask], ...] = (
    *(RandomRequests._chat,) * 8,
    *(RandomRequests._messages, RandomRequests._responses, RandomRequests._generate) * 2,
    *(RandomRequests._other, RandomRequests._llm_gateway) * 3,
    RandomRequests._completions,
    RandomRequests._deployment_path,
    RandomRequests._passing,
    RandomRequests._lists,
)
