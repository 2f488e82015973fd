"""The console script: fast start, exit status, and no tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aai_gateway import __version__
from aai_gateway.cli.main import COMMANDS

HEAVY = {"aiohttp", "alembic", "assemblyai", "chromadb", "httpx", "litellm", "openai", "pydantic_settings"}
HEAVY |= {"sentence_transformers", "sqlalchemy", "starlette", "torch"}

RUN = "from aai_gateway.cli.main import main; main()"


def python(code, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["teams", "--help"], ["serve", "--help"], ["quotes", "best", "--help"]],
)
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import json, sys
sys.argv = ["aai-gateway", *{arguments!r}]
from aai_gateway.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(json.dumps(sorted(sys.modules)))
"""
    result = python(code)
    assert "" == result.stderr
    assert set() == HEAVY & set(json.loads(result.stdout.splitlines()[-1]))


def test_every_command_has_an_example_in_its_help(run):
    def leaves(*path):
        text = run(*path, "--help").stdout
        if " COMMAND [ARGS]" not in text:
            yield path, text
            return
        names = COMMANDS if not path else _names(text)
        for name in names:
            yield from leaves(*path, name)

    found = dict(leaves())
    assert ("teams", "create") in found
    assert ("serve",) in found
    assert [] == [path for path, text in found.items() if "Example:" not in text]


def _names(text):
    commands = text.split("─ Commands ─")[1]
    return [line.split()[1] for line in commands.splitlines()[1:] if line.startswith("│ ") and line[2] != " "]


def test_version(run):
    assert f"{__version__}\n" == run("--version").stdout


def test_a_known_failure_is_one_sentence_on_stderr(run):
    run("teams", "list")
    result = run("teams", "show", "nobody", status=1)
    assert "" == result.stdout
    assert (
        "aai-gateway: There is no team nobody; `aai-gateway teams list` shows those there are.\n"
        == result.stderr
    )


def test_a_wrong_setting_names_its_variable(run, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_READ_TIMEOUT", "never")
    result = run("teams", "list", status=1)
    assert "AAI_GATEWAY_READ_TIMEOUT" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_command_line_is_status_2(run):
    assert "No such command 'tems'" in run("tems", status=2).stderr
    run("teams", "create", status=2)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        ("KeyboardInterrupt", 130, ""),
        ("GatewayError('It rains.')", 1, "aai-gateway: It rains.\n"),
        ("RuntimeError('oops')", 1, "aai-gateway: unexpected RuntimeError: oops\nThis is a bug;"),
        ("OSError(28, 'No space left on device')", 1, "aai-gateway: The output cannot be written: No space"),
    ],
)
def test_what_commands_raise(raised, status, said):
    code = f"""
import sys
import aai_gateway.cli.teams as teams
from aai_gateway.cli.main import main
from aai_gateway.errors import GatewayError
def broken(work): raise {raised}
teams.on_store = broken
sys.argv = ["aai-gateway", "teams", "list"]
main()
"""
    result = python(code, AAI_GATEWAY_DEBUG="")
    assert (status, "") == (result.returncode, result.stdout)
    assert result.stderr.startswith(said)
    assert "Traceback" not in result.stderr
    if status == 1:
        assert "Traceback" in python(code, AAI_GATEWAY_DEBUG="1").stderr


def test_an_interrupted_command_does_not_wait_for_its_threads():
    code = """
import sys, threading, time
import aai_gateway.cli.teams as teams
from aai_gateway.cli.main import main
def interrupted(work):
    threading.Thread(target=time.sleep, args=(300,)).start()
    sys.stdout.write("so far")
    raise KeyboardInterrupt
teams.on_store = interrupted
sys.argv = ["aai-gateway", "teams", "list"]
main()
"""
    result = python(code)
    assert (130, "so far", "") == (result.returncode, result.stdout, result.stderr)


def test_what_was_to_happen_at_the_end_happens_before_it_ends():
    code = """
import atexit, sys, threading, time
import aai_gateway.cli.teams as teams
from aai_gateway.cli.main import main
def listed(work):
    def late():
        time.sleep(0.2)
        sys.stderr.write("the thread\\n")
    threading.Thread(target=late).start()
    atexit.register(lambda: sys.stdout.write("the handler"))
    return []
teams.on_store = listed
sys.argv = ["aai-gateway", "teams", "list", "--json"]
main()
"""
    result = python(code)
    assert (0, "[]\nthe handler") == (result.returncode, result.stdout)
    assert result.stderr.endswith("the thread\n")


def test_output_that_cannot_be_written_is_told():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", "from aai_gateway.cli.main import main; main()", "--version"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode
    assert "No space left on device" in result.stderr


def test_an_argument_that_is_not_utf8_is_told_as_one():
    question = b"what \xff is it"
    transcript_id = "8f6d2c1e-0000-4000-8000-000000000000"
    result = subprocess.run(
        [sys.executable, "-c", RUN, "ask", transcript_id, question, "--no-speakers", "--key", "sk-1"],
        capture_output=True,
        timeout=60,
        env={**os.environ, "AAI_GATEWAY_DEBUG": ""},
    )
    assert (1, b"") == (result.returncode, result.stdout)
    assert result.stderr == b"aai-gateway: An argument is not UTF-8: 'what \\udcff is it'\n"


def test_what_a_terminal_cannot_show_is_written_as_in_json(run, data_dir):
    run("teams", "create", "Zoë 漢字 😀")
    command = [sys.executable, "-c", RUN, "teams", "list"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "AAI_GATEWAY_DATA_DIR": str(data_dir)}
    shown = subprocess.run(command, capture_output=True, env=ascii_only, timeout=60)
    listed = subprocess.run([*command, "--json"], capture_output=True, env=ascii_only, timeout=60)

    assert (0, 0) == (shown.returncode, listed.returncode), shown.stderr
    assert rb"Zo\u00eb \u6f22\u5b57 \ud83d\ude00" in shown.stdout
    assert "Zoë 漢字 😀" == json.loads(listed.stdout)[0]["name"]
