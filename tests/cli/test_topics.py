from __future__ import annotations

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
