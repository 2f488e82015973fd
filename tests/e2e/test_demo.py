"""`aai-gateway demo` as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

AAI_GATEWAY = str(Path(sys.executable).with_name("aai-gateway"))


def environment(temporary: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ASSEMBLYAI_", "AAI_"))}
    return {**kept, "TMPDIR": str(temporary), **more}


def gateway_url(text: str) -> str:
    found = re.search(r"the gateway, on (http://127\.0\.0\.1:\d+)", text)
    assert found is not None, text
    return found[1]


def assert_nothing_is_left(url: str, temporary: Path) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert [] == [path.name for path in temporary.glob("aai-gateway-demo-*")]


def test_the_demo_does_the_main_job_and_its_books_are_equal(tmp_path: Path) -> None:
    done = subprocess.run(
        [AAI_GATEWAY, "demo"], env=environment(tmp_path), capture_output=True, text=True, timeout=300
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    for line in (
        "174 s of audio: 45 sentences",
        "The 3 best quotes of the interview",
        "topic, of 15: Environment",
        '400 {"error"',
        "The same, word for word, as AssemblyAI's own answer for an id that does not exist.",
        "403 {",
        "The invoice is equal, to the micro-dollar, for each service.",
        "aai-gateway serve --emulator",
    ):
        assert line in done.stdout
    total = next(line for line in done.stdout.splitlines() if line.strip().startswith("Total"))
    research, newsroom, ledger, invoice = (cell.lstrip("$") for cell in total.split()[1:])
    assert ledger == invoice
    assert float(ledger) == pytest.approx(float(research) + float(newsroom), abs=1e-9)
    assert_nothing_is_left(gateway_url(done.stdout), tmp_path)


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    with subprocess.Popen(
        [AAI_GATEWAY, "demo"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C: the tests, and all that they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as demo:
        assert demo.stdout is not None
        shown = ""
        while "the gateway, on" not in shown:
            line = demo.stdout.readline()
            assert line, shown
            shown += line
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        assert 130 == demo.wait(300)

    assert_nothing_is_left(gateway_url(shown), tmp_path)


def test_live_without_a_key_says_what_to_set(tmp_path: Path) -> None:
    done = subprocess.run(
        [AAI_GATEWAY, "demo", "--live"], env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )

    assert 1 == done.returncode
    assert "" == done.stdout
    assert "set ASSEMBLYAI_API_KEY" in done.stderr


def test_a_gateway_that_does_not_start_is_explained(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        'litellm_settings:\n  callbacks: ["aai_gateway.plugin.gateway"]\nmodel_list: 7\n'
    )

    done = subprocess.run(
        [AAI_GATEWAY, "demo"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert 1 == done.returncode
    assert "The end of the gateway's log:" in done.stderr
    assert "The gateway ended with status" in done.stderr
    assert [] == list(tmp_path.glob("aai-gateway-demo-*"))
