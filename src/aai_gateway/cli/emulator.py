"""`aai-gateway emulator`: an AssemblyAI look-alike on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.output import note
from aai_gateway.errors import ConfigurationError
from aai_gateway.wire_errors import fits_header

if TYPE_CHECKING:
    from aai_gateway.emulator import EmulatorConfig

app = typer.Typer(add_completion=False)


def parse_key(text: str) -> str:
    """An account key that a header can carry. Raises BadParameter."""
    if not text or text.strip() != text or not fits_header(text):
        raise typer.BadParameter(f"{text!r} is no key that a header can carry.")
    return text


@app.command(epilog="Example: aai-gateway emulator > emulator.env; then: . ./emulator.env; aai-gateway serve")
def emulator(
    us_port: Annotated[int, typer.Option(min=0, max=65535, help="Speech-to-text, US; 0: any port.")] = 4101,
    eu_port: Annotated[int, typer.Option(min=0, max=65535, help="Speech-to-text, EU.")] = 4102,
    llm_us_port: Annotated[int, typer.Option(min=0, max=65535, help="LLM Gateway, US.")] = 4111,
    llm_eu_port: Annotated[int, typer.Option(min=0, max=65535, help="LLM Gateway, EU.")] = 4112,
    account_key: Annotated[
        str, typer.Option(metavar="KEY", parser=parse_key, help="The account key that it accepts.")
    ] = "emulator-account-key",
    job_seconds: Annotated[float, typer.Option(min=0, max=3600, help="Seconds a job takes.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the URLs as JSON on one line.")] = False,
) -> None:
    """Emulate AssemblyAI, US and EU, until Ctrl-C. Prints what points a gateway at it."""
    from aai_gateway.emulator import EmulatorConfig

    config = EmulatorConfig(
        account_key=account_key,
        us_port=us_port,
        eu_port=eu_port,
        llm_us_port=llm_us_port,
        llm_eu_port=llm_eu_port,
        job_seconds=job_seconds,
    )
    asyncio.run(_run(config, as_json=as_json))


async def _run(config: EmulatorConfig, *, as_json: bool) -> None:
    from dataclasses import asdict

    from aai_gateway.cli.serve import emulator_urls
    from aai_gateway.emulator import Emulator

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = Emulator(config)
    try:
        await running.start()
    except OSError as error:
        raise ConfigurationError(f"The emulator cannot listen: {error.strerror or error}.") from None
    try:
        if as_json:
            typer.echo(json.dumps(asdict(running.urls)))
        else:
            variables = emulator_urls(running.urls) | {"ASSEMBLYAI_API_KEY": config.account_key}
            for name, value in variables.items():
                typer.echo(f"export {name}={quote(value)}")
        note("The emulator is running; Ctrl-C ends it.")
        await stop.wait()
    finally:
        await running.stop()
