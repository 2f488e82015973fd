"""README and docs/ are run: Python blocks against the real gateway, commands against the real CLI.

The blocks of a section run one after the other, as a reader would try them. Where a block shows what it
prints, in comments that begin with `# →`, it prints that and nothing else; `...` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
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
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser
from typer.main import get_command

from aai_gateway import errors
from aai_gateway.cli.main import app
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.settings import Settings, environment_name
from aai_gateway.speech import connect

OTHER_PROGRAMS = ("pip", "export", "curl", "litellm", "scripts/", "git", "cd", "docker", "source")


SHOWN = re.compile(r"# → ?(.*)$", re.M)
SECTION = re.compile(r"^## ", re.M)


def _run_python(example: Example) -> None:
    source = str(example.parsed)
    shown = SHOWN.findall(source)
    for place, real in example.namespace["reader"].items():
        source = source.replace(place, real)
    code = compile("\n" * example.line + source, example.path, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, example.namespace["names"])
    if shown:
        want, got = "\n".join(shown), printed.getvalue().rstrip()
        assert doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS), f"printed:\n{got}"


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
        pytest.param(examples, id=f"{path.relative_to(REPOSITORY)}:{examples[0].line}")
        for path in documents
        for examples in _together(sybil.parse(path))
    ]


def _together(document: Document) -> list[list[Example]]:
    """The Python blocks of each section, and every other example by itself."""
    sections: dict[tuple[str, int], list[Example]] = {}
    for example in document:
        if example.region.evaluator is _run_python:
            part = ("section", len(SECTION.findall(document.text, 0, example.start)))
        else:
            part = ("example", example.start)
        sections.setdefault(part, []).append(example)
    return list(sections.values())


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
    """A folder with `interview.mp3` and for data, the master key, and the SDK's settings put back after."""
    (tmp_path / "interview.mp3").write_bytes(sample_path("interview").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITELLM_MASTER_KEY", gateway.master_key)
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path / "data"))
    kept = dict(aai.settings)
    aai.settings.polling_interval = 0.1
    yield
    for name, value in kept.items():
        setattr(aai.settings, name, value)


@pytest.mark.parametrize("examples", _examples())
def test_examples_run_as_written(examples: list[Example], reader: dict[str, str], desk: None) -> None:
    names = {"__name__": "__document__"}

    for example in examples:
        example.namespace.update(reader=reader, names=names)
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
