"""`aai-gateway serve`: `litellm --config config.yaml` with everything filled in that it needs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from aai_gateway.cli.master_key import FILE_NAME, master_key_variable, stored_master_key
from aai_gateway.cli.output import note
from aai_gateway.core.regions import ALL_REGIONS
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from aai_gateway.emulator import EmulatorUrls
    from aai_gateway.settings import Settings

app = typer.Typer(add_completion=False)

CALLBACK = "aai_gateway.plugin.gateway"
_LITELLM = "from litellm import run_server; run_server()"
# The model prices that LiteLLM would fetch at start are not ours, and a start should need no network.
_DEFAULTS = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


WORKER_START_SECONDS = 60
"""How long a worker of several may take to answer its parent, on a slow machine."""


@app.command(epilog="Example: aai-gateway serve --port 8080 --workers 2")
def serve(
    config: Annotated[
        Path | None,
        typer.Option(help="A LiteLLM config; ./config.yaml, or else the packaged one."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 4000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="Serve from an emulated AssemblyAI: no account, no cost.")
    ] = False,
) -> None:
    """Start the gateway. It runs until Ctrl-C or SIGTERM."""
    from aai_gateway.settings import load_settings, require_no_database

    if find_spec("litellm") is None or find_spec("fastapi") is None:
        raise ConfigurationError("The gateway needs LiteLLM's proxy: pip install 'aai-gateway[proxy]'")
    require_no_database()
    config = config or default_config()
    content = read_config(config)
    require_free(host, port)
    arguments = litellm_arguments(config, host, port, workers)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if emulator:
        raise typer.Exit(asyncio.run(_serve_with_emulator(arguments, content, host, port)))
    settings = load_settings()
    fill_in_master_key(content, settings.data_path)
    _tell(settings, host, port)
    _become(arguments)


def default_config() -> Path:
    """`config.yaml` here, else the package's own, which an editable install has at the repository's root."""
    import aai_gateway

    package = Path(aai_gateway.__file__).parent
    for path in (Path("config.yaml"), package / "config.yaml", package.parents[1] / "config.yaml"):
        if path.is_file():
            return path
    raise ConfigurationError("There is no config.yaml here; name one with --config.")


def read_config(path: Path) -> dict[str, Any]:
    """A LiteLLM config that installs the gateway. Raises ConfigurationError for any other."""
    from aai_gateway.strict_yaml import read_yaml

    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The config {path} cannot be read: {error}") from None
    settings = content.get("litellm_settings") if isinstance(content, dict) else None
    callbacks = settings.get("callbacks") if isinstance(settings, dict) else None
    if CALLBACK not in ([callbacks] if isinstance(callbacks, str) else callbacks or []):
        raise ConfigurationError(
            f'{path} does not install the gateway; add to it:\nlitellm_settings:\n  callbacks: ["{CALLBACK}"]'
        )
    assert isinstance(content, dict)
    return content


def require_free(host: str, port: int) -> None:
    """Raise ConfigurationError unless the address can be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}. Choose another with --port."
        ) from None


def litellm_arguments(config: Path, host: str, port: int, workers: int) -> list[str]:
    """The command line of the LiteLLM proxy; no secrets, because every user of the machine can read it."""
    options = ["--config", str(config), "--host", host, "--port", str(port), "--num_workers", str(workers)]
    if workers > 1:
        # uvicorn kills a worker that does not answer within 5 s, which takes longer while it loads LiteLLM.
        options += ["--timeout_worker_healthcheck", str(WORKER_START_SECONDS)]
    return [sys.executable, "-c", _LITELLM, *options]


def fill_in_master_key(config: Mapping[str, Any], folder: Path) -> None:
    """Set the variable that the config takes the master key from, unless it is set or the config has the key.

    A key that is made here is printed, this once. Raises ConfigurationError.
    """
    variable = master_key_variable(config)
    if variable is None or os.environ.get(variable):
        return
    os.environ[variable], made = stored_master_key(folder)
    if made:
        note(f"The master key, shown only now and kept in {folder / FILE_NAME}:\n  {os.environ[variable]}")


def use_emulator(urls: EmulatorUrls, account_key: str, data_path: Path) -> Path:
    """Point this process at an emulator; the data folder that keeps its play money out of the books.

    Raises ConfigurationError when the data folder cannot be made.
    """
    folder = data_path / "emulator"
    try:
        data_path.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {data_path} cannot be used: {error.strerror}. Set AAI_GATEWAY_DATA_DIR."
        ) from None
    for name in ("AAI_GATEWAY_STORE_URL", "ASSEMBLYAI_EU_API_KEY"):
        os.environ.pop(name, None)
    os.environ.update(
        {
            **emulator_urls(urls),
            "ASSEMBLYAI_API_KEY": account_key,
            "AAI_GATEWAY_DATA_DIR": str(folder),
        }
    )
    return folder


def emulator_urls(urls: EmulatorUrls) -> dict[str, str]:
    """The settings that point a gateway at an emulator."""
    return {
        "AAI_GATEWAY_US_URL": urls.us,
        "AAI_GATEWAY_EU_URL": urls.eu,
        "AAI_GATEWAY_LLM_US_URL": urls.llm_us,
        "AAI_GATEWAY_LLM_EU_URL": urls.llm_eu,
    }


async def _serve_with_emulator(
    arguments: Sequence[str], config: Mapping[str, Any], host: str, port: int
) -> int:
    """Run emulator and proxy until the proxy ends; its exit status."""
    from aai_gateway.emulator import Emulator
    from aai_gateway.settings import load_settings

    async with Emulator() as emulator:
        folder = use_emulator(emulator.urls, emulator.config.account_key, load_settings().data_path)
        fill_in_master_key(config, folder)
        _tell(load_settings(), host, port)
        note(f"AssemblyAI is emulated. In other terminals: export AAI_GATEWAY_DATA_DIR={folder}")
        return await _run(arguments)


async def _run(arguments: Sequence[str]) -> int:
    """Run a child to its end, handing on the signals that ask this process to end; its exit status."""
    # In a session of its own, so that Ctrl-C reaches it once, through us: LiteLLM takes a second as an order
    # to drop its clients.
    child = await asyncio.create_subprocess_exec(*arguments, start_new_session=True)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, child.send_signal, _gentle(number))
    status = await child.wait()
    return status if status >= 0 else 128 - status


def _gentle(number: signal.Signals) -> signal.Signals:
    return signal.SIGTERM if number == signal.SIGHUP else number


def _become(arguments: Sequence[str]) -> NoReturn:
    """Turn this process into the proxy, so that signals reach it and its exit status is ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(arguments[0], [*arguments])  # noqa: S606 - our own interpreter


def _tell(settings: Settings, host: str, port: int) -> None:
    """Say on stderr what is being started, and which settings it is started without."""
    from aai_gateway.settings import unknown_settings

    for text in unknown_settings():
        note(text)
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    note(f"Gateway on {base}; its store is {_public(settings.resolved_store_url)}")
    for region in ALL_REGIONS:
        state = "" if settings.account_key(region) else "  no account key: answers 503"
        note(f"  {region.value.upper()}  {base}/{region.speech_prefix}/v2/…{state}")
    note(f"  chat {base}/v1/chat/completions with assemblyai/* and eu.assemblyai/* models")
    if not all(settings.account_key(region) for region in ALL_REGIONS):
        note("Set ASSEMBLYAI_API_KEY to the account's key, or try --emulator without one.")
    note("Make a team and a key: aai-gateway teams create NAME; aai-gateway keys create --team NAME")


def _public(store_url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(store_url).render_as_string(hide_password=True)
    except ArgumentError:
        raise ConfigurationError("AAI_GATEWAY_STORE_URL cannot be read as a SQLAlchemy URL.") from None
