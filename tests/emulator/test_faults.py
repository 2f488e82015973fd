from __future__ import annotations

import httpx
import pytest

from aai_gateway.emulator import Emulator, Fault, FaultError, Faults


def test_a_fault_is_used_up_by_matching_requests():
    faults = Faults()
    faults.add(Fault(host="us", method="GET", path="/v2/transcript/*", status=500, count=2))
    assert faults.take("eu", "GET", "/v2/transcript/x") is None
    assert faults.take("us", "POST", "/v2/transcript/x") is None
    assert faults.take("us", "GET", "/v2/upload") is None
    taken = [faults.take("us", "GET", "/v2/transcript/x") for _ in range(3)]
    assert [500, 500, None] == [fault and fault.status for fault in taken]
    assert not faults


def test_probability_is_repeatable():
    def run() -> list[bool]:
        faults = Faults()
        faults.add(Fault(status=503, count=None, probability=0.3))
        return [faults.take("us", "GET", "/") is not None for _ in range(200)]

    assert run() == run()
    assert 30 < sum(run()) < 90


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"status": 200},
        {"status": True},
        {"status": 500, "count": 0},
        {"status": 500, "probability": 0},
        {"status": 500, "colour": "red"},
        {"cut": "yes"},
        {"delay_seconds": -1},
    ],
)
def test_impossible_faults_are_refused(value: object):
    with pytest.raises(FaultError):
        Fault.from_json(value)


def test_speech_errors_have_assemblyais_shape(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(status=429, retry_after=7))
    response = us.get("/v2/transcript")
    assert (429, "7") == (response.status_code, response.headers["retry-after"])
    assert {"error": "Too Many Requests"} == response.json()
    emulator.faults.add(Fault(status=400, error="Your current account balance is negative."))
    assert {"error": "Your current account balance is negative."} == us.get("/v2/transcript").json()
    assert 200 == us.get("/v2/transcript").status_code


def test_gateway_errors_have_its_own_shape(emulator: Emulator):
    emulator.faults.add(Fault(host="llm-eu", status=429, retry_after=3))
    assert 200 == httpx.get(f"{emulator.urls.llm_us}/v1/models").status_code
    response = httpx.get(f"{emulator.urls.llm_eu}/v1/models")
    assert (429, "3") == (response.status_code, response.headers["retry-after"])
    assert (429, "too many requests for this action") == (response.json()["code"], response.json()["message"])


def test_cut_connection(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(cut=True))
    with pytest.raises(httpx.TransportError):
        us.get("/v2/transcript")
    assert 0 == emulator.requests[-1].status
    assert 200 == us.get("/v2/transcript").status_code


def test_slow_answers(emulator: Emulator, us: httpx.Client):
    emulator.faults.add(Fault(delay_seconds=5))
    with pytest.raises(httpx.ReadTimeout):
        us.get("/v2/transcript", timeout=0.2)


def test_over_http(emulator: Emulator, us: httpx.Client):
    control = f"{emulator.urls.eu}/_emulator/faults"
    added = httpx.post(
        control, json=[{"host": "us", "status": 500}, {"host": "us", "status": 503, "count": None}]
    )
    assert [500, 503] == [fault["status"] for fault in added.json()]
    assert [500, 503, 503] == [us.get("/v2/transcript").status_code for _ in range(3)]
    assert 200 == httpx.delete(control).status_code
    assert 200 == us.get("/v2/transcript").status_code
    assert 400 == httpx.post(control, json={"status": 7}).status_code
    assert 400 == httpx.post(control, content=b"x").status_code
