"""README and docs/ are run: Python blocks against the real gateway, commands against the real CLI."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import assemblyai as aai
import click
import pytest
from gateway_process import REPOSITORY, GatewayProcess
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser
from typer.main import get_command

from aai_gateway import errors
from aai_gateway.cli.main import app
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.settings import Settings, environment_name
from aai_gateway.speech import connect

OTHER_PROGRAMS = ("pip", "export", "curl", "litellm", "scripts/", "git", "cd", "docker", "source")


def _run_python(example: Example) -> None:
    source = str(example.parsed)
    for shown, real in example.namespace["reader"].items():
        source = source.replace(shown, real)
    code = compile("\n" * example.line + source, example.path, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, {"__name__": "__document__"})


def _check_commands(example: Example) -> None:
    for line in str(example.parsed).splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:], comments=True)
            if words[0] == "aai-gateway":
                _require_command(words[1:])
            else:
                assert words[0].startswith(OTHER_PROGRAMS), f"who runs {line!r}?"


def _require_command(words: list[str]) -> None:
    """Parse a command line without running it; click says what is wrong with it."""
    command: Any = get_command(app)
    context = click.Context(command, info_name="aai-gateway")
    # Typer carries a click of its own, so a group is known by what it can do.
    while hasattr(command, "get_command"):
        if not words or words[0] in ("--help", "--version"):
            return
        if words[0].startswith("-"):
            break  # the bare call of a group that does something by itself
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    if "--help" not in words:
        command.make_context(command.name or "aai-gateway", list(words), parent=context.parent)


def _examples() -> list[Any]:
    parsers = [CodeBlockParser("python", _run_python), CodeBlockParser("console", _check_commands)]
    sybil = Sybil(parsers=parsers, path=str(REPOSITORY))
    documents = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    return [
        pytest.param(example, id=f"{path.relative_to(REPOSITORY)}:{example.line}")
        for path in documents
        for example in sybil.parse(path)
    ]


@pytest.fixture(scope="module")
def reader(gateway: GatewayProcess, emulator: Emulator) -> dict[str, str]:
    """What a reader puts in the places that the documents show: their URL, key and transcript."""
    team = gateway.team()
    client = connect(gateway.url, team.key, polling_interval=0.1)
    transcript = aai.Transcriber(client=client).transcribe(str(sample_path("interview")))
    return {
        "http://127.0.0.1:4000": gateway.url,
        "sk-your-virtual-key": team.key,
        "your-transcript-id": str(transcript.id),
        # Nobody: this gateway has no public URL, so the emulator calls there itself.
        "https://hooks.example.org/transcripts": "http://127.0.0.1:9/transcripts",
        # The one example that goes to AssemblyAI without a gateway.
        "litellm.completion(": f'litellm.completion(api_base="{emulator.urls.llm_us}/v1", '
        f'api_key="{emulator.config.account_key}", ',
    }


@pytest.fixture
def desk(gateway: GatewayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with `interview.mp3`, the master key at hand, and the SDK's global settings put back after."""
    (tmp_path / "interview.mp3").write_bytes(sample_path("interview").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITELLM_MASTER_KEY", gateway.master_key)
    kept = dict(aai.settings)
    aai.settings.polling_interval = 0.1
    yield
    for name, value in kept.items():
        setattr(aai.settings, name, value)


@pytest.mark.parametrize("example", _examples())
def test_examples_run_as_written(example: Example, reader: dict[str, str], desk: None) -> None:
    example.document.namespace["reader"] = reader

    example.evaluate()


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)`", (REPOSITORY / "docs/settings.md").read_text(), re.M))

    named = {environment_name(field) for field in Settings.model_fields}

    assert named | {"LITELLM_MASTER_KEY", "AAI_GATEWAY_DEBUG"} == documented


def test_every_command_is_documented() -> None:
    documents = "".join(path.read_text() for path in (REPOSITORY / "docs").glob("*.md"))
    command: Any = get_command(app)
    context = click.Context(command, info_name="aai-gateway")

    missing = [name for name in command.list_commands(context) if f"aai-gateway {name}" not in documents]

    assert [] == missing


def test_every_error_is_drawn_in_the_tree() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.GatewayError)
    }

    drawn = set(re.findall(r"(?:[├└]── |^ {4})([A-Z][A-Za-z]+)", errors.__doc__ or "", re.M))

    assert defined == drawn
