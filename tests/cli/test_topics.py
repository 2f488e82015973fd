from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aai_gateway.cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, ["topics", *arguments])


def test_an_unknown_list_is_refused_before_anything_is_asked():
    result = run("t-1", "--list", "colours", "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert 1 == result.exit_code
    assert "There is no topic list colours" in result.stderr


def test_a_gateway_that_is_not_there_is_one_sentence():
    result = run("t-1", "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "Nothing answers at http://127.0.0.1:9" in result.stderr


def test_a_list_of_ids_may_begin_with_a_mark(tmp_path):
    (tmp_path / "ids.txt").write_text("t-1\r\n\r\n", encoding="utf-8-sig")
    marked = (tmp_path / "ids.txt").read_bytes()
    for batch, given in ((str(tmp_path / "ids.txt"), None), ("-", marked)):
        arguments = ["topics", "--batch", batch, "--dry-run", "--key", "sk-1", "--url", "http://127.0.0.1:9"]
        result = CliRunner().invoke(app, arguments, input=given)
        assert "Nothing answers at http://127.0.0.1:9" in result.stderr


@pytest.mark.parametrize(
    ("redirected", "why"),
    [("<&-", "stdin is closed"), ("<<< $'\\xff'", "ids on stdin cannot be read"), ("< /dev/null", "Give")],
)
def test_ids_that_stdin_does_not_give_are_said(redirected, why):
    command = f"{Path(sys.executable).with_name('aai-gateway')} topics --batch - --key sk-1 {redirected}"
    command = f"PYTHONIOENCODING=utf-8:strict {command}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert why in done.stderr
    assert "bug" not in done.stderr
