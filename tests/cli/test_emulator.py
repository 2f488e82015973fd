"""`aai-gateway emulator` as a process: it says where it is, answers, and ends cleanly."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys

import httpx
import pytest

PORTS = ("--us-port", "--eu-port", "--llm-us-port", "--llm-eu-port")


@pytest.fixture
def emulating(data_dir):
    processes = []

    def emulating(*options):
        command = [sys.executable, "-c", "from aai_gateway.cli.main import main; main()", "emulator"]
        any_ports = [argument for port in PORTS for argument in (port, "0")]
        process = subprocess.Popen(
            [*command, *any_ports, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield emulating
    for process in processes:
        # Not killed: it has a folder to remove.
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_is_one_line_of_urls(emulating, number):
    process = emulating("--json", "--account-key", "play")
    urls = json.loads(process.stdout.readline())
    assert {"us", "eu", "llm_us", "llm_eu"} == urls.keys()
    for url in (urls["us"], urls["eu"]):
        assert 200 == httpx.get(f"{url}/v2/transcript", headers={"authorization": "play"}).status_code
        assert 401 == httpx.get(f"{url}/v2/transcript", headers={"authorization": "other"}).status_code
    for url in (urls["llm_us"], urls["llm_eu"]):
        assert 200 == httpx.get(f"{url}/v1/models", headers={"authorization": "play"}).status_code

    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (0, "") == (process.returncode, out)
    assert "Traceback" not in err
    with pytest.raises(httpx.ConnectError):
        httpx.get(urls["us"])


def test_everything_can_be_steered_over_http(emulating):
    urls = json.loads(emulating("--json", "--account-key", "play", "--job-seconds", "0").stdout.readline())
    key = {"authorization": "play"}

    def control(method, name, body=None):
        answer = httpx.request(method, f"{urls['llm_eu']}/_emulator/{name}", json=body)
        assert 200 == answer.status_code, answer.text
        return answer

    control("POST", "prices", {"speech": {"models": {"universal-9": "3.6"}}, "surcharge": {"us": "0.2"}})
    control("POST", "models", {"id": "nova-1", "input": "1000", "output": "1000"})
    control("POST", "faults", {"method": "POST", "path": "/v2/transcript", "after": True, "cut": True})
    job = {"audio_url": "https://example.org/audio.wav", "speech_models": ["universal-9"]}
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{urls['us']}/v2/transcript", json=job, headers=key)
    chat = {"model": "nova-1", "messages": [{"role": "user", "content": "Four" * 9}], "max_tokens": 1}
    answer = httpx.post(f"{urls['llm_us']}/v1/chat/completions", json=chat, headers=key)
    assert 200 == answer.status_code

    (made,) = [json.loads(line) for line in control("GET", "jobs").text.splitlines()]
    assert ("us", "completed", 5000) == (made["region"], made["status"], made["micros"])  # 5 s at $3.60
    rows = control("GET", "invoice").json()["rows"]
    assert [made["id"], answer.json()["request_id"]] == [row["id"] for row in rows]
    assert 10 * 1200 == rows[1]["micros"]  # 9 tokens in and 1 out, each at $1000 for a million, and 20 %

    control("POST", "jobs", {"job_seconds": 60})
    assert "queued" == httpx.post(f"{urls['eu']}/v2/transcript", json=job, headers=key).json()["status"]
    control("DELETE", "prices")
    control("DELETE", "models")
    assert 400 == httpx.post(f"{urls['us']}/v2/transcript", json=job, headers=key).status_code
    refused = httpx.post(f"{urls['llm_us']}/v1/chat/completions", json=chat, headers=key)
    assert 400 == refused.status_code


def test_what_it_prints_can_be_sourced(emulating):
    process = emulating("--account-key", "two words")
    lines = [process.stdout.readline() for _ in range(5)]
    variables = dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)
    assert {
        "AAI_GATEWAY_US_URL",
        "AAI_GATEWAY_EU_URL",
        "AAI_GATEWAY_LLM_US_URL",
        "AAI_GATEWAY_LLM_EU_URL",
        "ASSEMBLYAI_API_KEY",
    } == variables.keys()
    assert "two words" == variables["ASSEMBLYAI_API_KEY"]
    assert (
        200
        == httpx.get(
            f"{variables['AAI_GATEWAY_EU_URL']}/v2/transcript", headers={"authorization": "two words"}
        ).status_code
    )


def test_a_port_in_use_is_one_sentence(run):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        result = run("emulator", "--us-port", port, "--eu-port", "0", status=1)
    assert result.stderr.startswith("aai-gateway: The emulator cannot listen: ")


@pytest.mark.parametrize("key", ["", " ", "schlüssel", "a\nb"])
def test_a_key_that_nobody_could_send_is_refused(run, key):
    assert "is no key that a header can carry" in run("emulator", "--account-key", key, status=2).stderr
