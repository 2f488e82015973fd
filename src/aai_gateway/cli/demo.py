"""`aai-gateway demo`: the main job on this machine, from two new teams to what each of them spent."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.core.regions import ALL_REGIONS
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from aai_gateway.demo.processes import Services
    from aai_gateway.demo.screen import Screen
    from aai_gateway.quotes.embedder import Embedder
    from aai_gateway.settings import Settings

app = typer.Typer(add_completion=False)

EMULATED_KEY = "emulator-account-key"
EMULATED_JOB_SECONDS = 1.0
EMULATED_POLLING_SECONDS = 0.2
LIVE_POLLING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Account:
    """The AssemblyAI account behind the demo's gateway: what the gateway's environment says of it, where
    the emulator's invoice is (None: the real service), and the seconds between two looks at a job.
    """

    environment: dict[str, str]
    invoice_url: str | None
    polling_interval: float


@app.command(epilog="Example: ASSEMBLYAI_API_KEY=… aai-gateway demo --live")
def demo(
    live: Annotated[
        bool, typer.Option("--live", help="Use the real AssemblyAI, with ASSEMBLYAI_API_KEY, for some cents.")
    ] = False,
) -> None:
    """Run the main job: two teams share one AssemblyAI account, emulated unless --live, through a gateway.

    The gateway is started for it and stopped at the end; all files are in a temporary folder.
    """
    from aai_gateway.settings import load_settings

    settings = load_settings()
    if live and not all(settings.account_key(region) for region in ALL_REGIONS):
        raise ConfigurationError(
            "--live needs the key of an AssemblyAI account: set ASSEMBLYAI_API_KEY, and "
            "ASSEMBLYAI_EU_API_KEY if the EU has its own. Without --live, AssemblyAI is emulated."
        )
    _reach_loopback_directly()
    from aai_gateway.demo.processes import Services, ended_by_signals, explained
    from aai_gateway.demo.screen import Screen

    screen = Screen()
    _introduce(screen, live)
    with (
        ended_by_signals(),
        ThreadPoolExecutor(1) as pool,
        TemporaryDirectory(prefix="aai-gateway-demo-") as folder,
        Services(Path(folder)) as services,
    ):
        embedder = pool.submit(_load_embedder, settings)
        with explained(services):
            _run(screen, services, settings, embedder, live)
    _what_next(screen)


def _introduce(screen: Screen, live: bool) -> None:
    title = "aai-gateway: two teams share one AssemblyAI account"
    if live:
        screen.title(
            title,
            "Live: about four minutes of audio and five chat completions, less than 10 US cents of the "
            "account's balance. The transcripts are deleted at the end.",
        )
    else:
        screen.title(title, "AssemblyAI is emulated; everything else is real. Nothing leaves this machine.")


def _run(
    screen: Screen, services: Services, settings: Settings, embedder: Future[Embedder], live: bool
) -> None:
    from aai_gateway.cli.serve import default_config, read_config
    from aai_gateway.demo.job import Job
    from aai_gateway.demo.processes import (
        free_port,
        litellm_program,
        own_environment,
        start_proxy,
        wait_until_alive,
    )

    config = default_config()
    read_config(config)
    litellm = litellm_program()
    screen.heading("Start")
    account = _live_account(settings) if live else _emulated_account(screen, services)
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = own_environment(
        **account.environment,
        AAI_GATEWAY_DATA_DIR=str(services.folder),
        LITELLM_MASTER_KEY=master_key,
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with screen.step("litellm --config config.yaml") as step:
        gateway = start_proxy(
            services, "gateway", [litellm, "--config", str(config.absolute())], port, environment
        )
        wait_until_alive(gateway, url)
        step.done = f"litellm --config {config.name}: the gateway, on {url}"
    job = Job(
        screen=screen,
        url=url,
        master_key=master_key,
        store_url=f"sqlite+aiosqlite:///{services.folder / 'gateway.db'}",
        index_folder=services.folder / "quotes",
        embedder=embedder,
        chat_model=settings.chat_model,
        polling_interval=account.polling_interval,
        invoice_url=account.invoice_url,
    )
    try:
        job.run()
    finally:
        if live:
            job.delete_transcripts()


def _emulated_account(screen: Screen, services: Services) -> Account:
    from aai_gateway.cli.serve import emulator_urls as as_settings
    from aai_gateway.demo.processes import emulator_urls, start_emulator

    with screen.step("aai-gateway emulator") as step:
        emulator = start_emulator(services, account_key=EMULATED_KEY, job_seconds=EMULATED_JOB_SECONDS)
        urls = emulator_urls(emulator)
        step.done = f"aai-gateway emulator: AssemblyAI US on {urls.us}, EU on {urls.eu}"
    return Account(
        {**as_settings(urls), "ASSEMBLYAI_API_KEY": EMULATED_KEY},
        f"{urls.us}/_emulator/invoice",
        EMULATED_POLLING_SECONDS,
    )


def _live_account(settings: Settings) -> Account:
    us, eu = (settings.account_key(region) or "" for region in ALL_REGIONS)
    return Account({"ASSEMBLYAI_API_KEY": us, "ASSEMBLYAI_EU_API_KEY": eu}, None, LIVE_POLLING_SECONDS)


def _load_embedder(settings: Settings) -> Embedder:
    """In a thread, while the gateway starts: the model is converted when it is used for the first time."""
    import chromadb  # noqa: F401 - the index needs it next

    from aai_gateway.quotes.embedder import load_embedder

    embedder = load_embedder(settings.embedding_model, settings.embedding_backend, settings.cache_dir)
    embedder.encode(["ready"])
    return embedder


def _reach_loopback_directly() -> None:
    """Keep an HTTP proxy that the environment names out of the way to this machine's own processes."""
    for name in ("NO_PROXY", "no_proxy"):
        others = os.environ.get(name)
        os.environ[name] = f"{others},127.0.0.1" if others else "127.0.0.1"


def _what_next(screen: Screen) -> None:
    screen.heading("Everything is stopped again. Next, on your own:")
    program = Path(sys.executable).with_name("aai-gateway")
    if shutil.which("aai-gateway") != str(program):
        screen.text(f"source {os.path.relpath(program.with_name('activate'))}")
    for command, meaning in (
        ("aai-gateway serve --emulator", "no account; it says what to do"),
        ("aai-gateway teams create research", "in another terminal"),
        ("aai-gateway keys create --team research", "its virtual key"),
        ("aai-gateway quotes best recording.mp3", "or transcribe, topics, ask"),
        ("aai-gateway usage", "who spent what"),
        ("aai-gateway doctor", "what a real account needs"),
    ):
        screen.text(f"{command:42}{meaning}")
