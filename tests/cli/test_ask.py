from __future__ import annotations

import pytest
from typer.testing import CliRunner

from aai_gateway.cli.main import app


def run(*arguments: str):
    return CliRunner().invoke(app, ["ask", *arguments])


def test_help_has_an_example_and_the_presets():
    result = run("--help")
    assert 0 == result.exit_code
    assert "Example: aai-gateway ask" in result.stdout


def test_either_a_question_or_a_preset():
    result = run("t-1", "Why?", "--preset", "summary")
    assert 2 == result.exit_code
    assert "Give either a question or --preset." in result.stderr


@pytest.mark.parametrize("arguments", [["t-1"], ["Why"], ["t-1", "8f6d2c1e-0000-4000-8000-000000000000"]])
def test_what_reads_as_an_id_is_not_taken_for_a_question(arguments):
    result = run(*arguments)
    assert 2 == result.exit_code
    assert f"“{arguments[-1]}” reads as a transcript's id." in " ".join(
        result.stderr.replace("│", "").split()
    )


def test_an_unknown_preset_names_those_there_are():
    result = run("t-1", "--preset", "poem", "--key", "sk-1")
    assert 1 == result.exit_code
    assert "summary, feedback, takeaway, action-items" in result.stderr
