"""`aai-gateway prices` against the emulator's catalogues, and against catalogues that are wrong."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator
from aai_gateway.store import price_books

SONNET = "claude-sonnet-4-6"


@pytest.fixture(scope="module")
def catalogues() -> Iterator[Emulator]:
    """An emulator whose prices may be changed."""
    with running_emulator(EmulatorConfig()) as emulator:
        yield emulator


@pytest.fixture
def assemblyai(catalogues: Emulator, data_dir, monkeypatch) -> Iterator[Emulator]:
    monkeypatch.setenv("AAI_GATEWAY_LLM_US_URL", catalogues.urls.llm_us)
    monkeypatch.setenv("AAI_GATEWAY_LLM_EU_URL", catalogues.urls.llm_eu)
    yield catalogues
    for what in ("prices", "models"):
        httpx.delete(f"{catalogues.urls.us}/_emulator/{what}").raise_for_status()


def tell(emulator: Emulator, what: str, **body: object) -> None:
    httpx.post(f"{emulator.urls.us}/_emulator/{what}", json=body).raise_for_status()


def changed(result) -> list[tuple[str, str, str | None, str | None]]:
    found = json.loads(result.stdout)
    found = found["changes"] if isinstance(found, dict) else found
    return [(one["name"], one["what"], one["before"], one["after"]) for one in found]


def shown(run, *options: str) -> dict[tuple[str, str, str | None], dict]:
    prices = json.loads(run("prices", "show", "--json", *options).stdout)["prices"]
    return {(one["name"], one["what"], one["region"]): one for one in prices}


@pytest.fixture
def answering(monkeypatch):
    """Serve one answer as both regions' catalogue."""

    class Handler(BaseHTTPRequestHandler):
        status, body = 200, b"{}"

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for region in ("US", "EU"):
        monkeypatch.setenv(
            f"AAI_GATEWAY_LLM_{region}_URL", f"http://user:secret@127.0.0.1:{server.server_port}"
        )
    yield Handler
    server.shutdown()
    thread.join()
    server.server_close()


# show


def test_show_needs_no_store_and_makes_none(run, data_dir):
    lines = run("prices", "show").stdout.splitlines()

    assert ["universal-2", "0.15", "hour", "2026-10-07"] == next(
        line.split()[:4] for line in lines if line.startswith("universal-2 ")
    )
    assert [SONNET, "us,", "eu", "3.00", "15.00", "0.30", "3.75", "6.00", "10%", "2026-09-01"] == next(
        line.split()[:10] for line in lines if line.startswith(SONNET)
    )
    assert not data_dir.exists()


def test_show_one_service(run):
    assert {"speech"} == {one["service"] for one in shown(run, "--speech").values()}
    assert {"chat"} == {one["service"] for one in shown(run, "--chat").values()}
    assert SONNET not in run("prices", "show", "--speech").stdout


def test_show_as_of_a_moment(run, tmp_path):
    (tmp_path / "contract.yaml").write_text(
        'speech: {models: {universal-2: [{from: 2026-12-01T10:00:00Z, usd: "0.12", source: contract}]}}'
    )
    run("prices", "load", "contract.yaml")
    price = ("universal-2", "hour", None)

    before, after = (shown(run, "--at", f"2026-12-01T{time}")[price] for time in ("09:59:59Z", "10:00:00Z"))

    assert ("0.15", "2026-10-07", False) == (before["value"], before["since"], before["own"])
    assert ("0.12", "2026-12-01T10:00:00Z", True) == (after["value"], after["since"], after["own"])
    assert "contract (your own)" in run("prices", "show", "--at", "2027-01-01").stdout


# sync


def test_when_nothing_has_changed_nothing_is_written(run, assemblyai, data_dir):
    assert "Nothing has changed." in run("prices", "sync").stderr
    assert not data_dir.exists()
    run("prices", "diff", "--exit-code")


def test_sync_takes_what_changed_and_keeps_the_old_price_dated(run, assemblyai, on_store):
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50", "cache_read": None}})

    dry = run("prices", "sync", "--dry-run", "--json")
    first = run("prices", "sync", "--json")
    again = run("prices", "sync", "--json")

    expected = [(SONNET, "input", "3.00", "3.50"), (SONNET, "cache_read", "0.30", "as input")]
    assert expected == changed(dry) == changed(first)
    assert [None, 1, None] == [json.loads(result.stdout)["number"] for result in (dry, first, again)]
    assert [] == changed(again)
    assert "3.50" == shown(run)[SONNET, "input", "eu"]["value"]
    assert "3.00" == shown(run, "--at", "2026-11-01")[SONNET, "input", "eu"]["value"]
    assert f"{assemblyai.urls.llm_us}/v1/models" in shown(run)[SONNET, "input", "eu"]["source"]
    (stored,) = on_store(price_books.list_all)
    assert stored.source.startswith("sync http") and "/v1/models, " in stored.source


def test_sync_shows_a_table(run, assemblyai):
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50"}})

    result = run("prices", "sync")

    assert ["chat", SONNET, "input", "us,", "eu", "3.00", "3.50"] == result.stdout.splitlines()[2].split()[:7]
    assert "Stored as change 1." in result.stderr


def test_sync_of_one_region_leaves_the_other(run, assemblyai):
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50"}})

    run("prices", "sync", "--region", "eu")

    prices = shown(run)
    assert ("3.00", "3.50") == tuple(prices[SONNET, "input", region]["value"] for region in ("us", "eu"))
    rows = [line for line in run("prices", "show", "--chat").stdout.splitlines() if line.startswith(SONNET)]
    assert [["us", "3.00"], ["eu", "3.50"]] == [row.split()[1:3] for row in rows]
    run("prices", "sync", "--region", "us")
    assert "Nothing has changed." in run("prices", "sync").stderr


def test_sync_adds_a_new_model_and_a_surcharge_of_its_own(run, assemblyai):
    tell(assemblyai, "models", id="gpt-6-sol", input="40", output="80", surcharge="0.05", regions=["us"])

    run("prices", "sync")

    prices = shown(run)
    assert ("40.00", "5%") == tuple(
        prices["gpt-6-sol", what, "us"]["value"] for what in ("input", "surcharge")
    )
    assert ("gpt-6-sol", "input", "eu") not in prices
    assert "80.00" == prices["(any other model)", "output", "us"]["value"]
    httpx.delete(f"{assemblyai.urls.us}/_emulator/models").raise_for_status()
    assert ("gpt-6-sol", "regions", "us", "none") in changed(run("prices", "sync", "--json"))
    assert ("gpt-6-sol", "input", "us") in shown(run)


def test_sync_takes_a_regions_surcharge(run, assemblyai):
    tell(assemblyai, "prices", surcharge={"eu": "0.2"})

    assert [("(every model)", "surcharge", "10%", "20%")] == changed(run("prices", "sync", "--json"))


def test_own_prices_stay_whatever_the_catalogue_says(run, assemblyai, tmp_path):
    (tmp_path / "contract.json").write_text(
        json.dumps(
            {
                "chat": {
                    "models": {
                        SONNET: {
                            "prices": [
                                {"from": "2026-01-01", "input": "2.40", "output": "12", "source": "contract"}
                            ]
                        }
                    }
                }
            }
        )
    )
    run("prices", "load", "contract.json")
    assert "Nothing has changed." in run("prices", "sync").stderr
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50"}})

    result = run("prices", "sync")

    assert "1 of these change no charge: your own prices hold." in result.stderr
    assert "2.40" == shown(run)[SONNET, "input", "us"]["value"]
    assert "Nothing has changed." in run("prices", "sync").stderr


def test_a_region_that_cannot_be_reached_takes_nothing_from_the_other(run, assemblyai, monkeypatch):
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50"}})
    monkeypatch.setenv("AAI_GATEWAY_LLM_EU_URL", "http://127.0.0.1:9")

    result = run("prices", "sync", status=1)

    assert (
        "Nothing was taken from EU: http://127.0.0.1:9/v1/models: it cannot be reached (ConnectError)."
        in result.stderr
    )
    assert "Stored as change 1." in result.stderr
    assert ("3.50", "3.00") == tuple(shown(run)[SONNET, "input", r]["value"] for r in ("us", "eu"))
    assert "it cannot be reached" in run("prices", "diff", status=1).stderr


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b"{}", "it answered 503"),
        (302, b"{}", "it answered 302"),
        (200, b"<html>", "its answer is no JSON"),
        (200, b"\xff\xfe\x00", "its answer is no JSON"),
        (200, b"[" * 100_000, "its answer is no JSON"),
        (200, b'{"data": []}', "it lists no models"),
        (200, b'{"data": [1e99999999999999999999]}', "its answer is no JSON"),
        (200, b" " * (8 * 1024 * 1024 + 1), "its answer is too long"),
    ],
)
def test_what_is_no_catalogue_is_not_taken(run, data_dir, answering, status, body, said):
    answering.status, answering.body = status, body

    result = run("prices", "sync", "--region", "us", status=1)

    assert f"/v1/models: {said}." in result.stderr
    assert "secret" not in result.output
    assert not data_dir.exists()


def test_a_model_that_makes_no_sense_is_left_out_and_said(run, answering):
    items = [
        {"id": "good", "context_length": 9, "pricing": {"global": {"prompt": 1, "completions": 2}}},
        {"id": "bad", "context_length": 9, "pricing": {"global": {"prompt": -1, "completions": 2}}},
    ]
    answering.body = json.dumps({"data": items}).encode()

    result = run("prices", "sync", "--region", "us", "--json", status=1)

    assert ("good", "input", None, "1.00") in changed(result)
    assert "Left out: us bad: pricing.global.prompt is -1, which is not from 0 to 10,000." in result.stderr
    assert "secret" not in json.dumps(json.loads(run("prices", "history", "--json").stdout))


# diff


def test_diff_says_what_sync_would_change(run, assemblyai, data_dir):
    tell(assemblyai, "prices", chat={SONNET: {"input": "3.50"}})

    assert [(SONNET, "input", "3.00", "3.50")] == changed(run("prices", "diff", "--json"))
    run("prices", "diff", "--exit-code", status=1)
    assert not data_dir.exists()


def test_diff_of_two_moments(run):
    september = run("prices", "diff", "--from", "2026-05-30", "--to", "2026-10-06", "--json")

    assert ("speaker_labels", "hour, on top", None, "0.02") in changed(september)
    assert {"universal-2"}.isdisjoint(name for name, *_ in changed(september))
    assert "Nothing differs." in run("prices", "diff", "--from", "1d", "--exit-code").stderr
    assert "--to needs a --from" in run("prices", "diff", "--to", "1d", status=2).stderr


# load and history


def test_load_says_what_it_changes_and_history_keeps_it(run, tmp_path):
    (tmp_path / "contract.yaml").write_text(
        """
        sources: {contract: &contract "Contract of 2026-11-02"}
        speech:
          models: {universal-2: [{from: 2026-01-01, usd: "0.12", source: *contract}]}
          addons: {emotion_detection: [{from: 2026-12-01, usd: "0.04", source: *contract}]}
        """
    )

    dry = run("prices", "load", "contract.yaml", "--dry-run")
    loaded = run("prices", "load", "contract.yaml", "--json")

    assert "Nothing was stored." in dry.stderr
    assert [
        ("universal-2", "hour", "0.15", "0.12"),
        ("emotion_detection", "hour, on top", None, "0.04"),
    ] == changed(loaded)
    assert "Nothing has changed." in run("prices", "load", "contract.yaml").stderr
    (change,) = json.loads(run("prices", "history", "--json").stdout)
    assert (1, "load contract.yaml") == (change["number"], change["source"])
    audited = json.loads(run("audit", "list", "--json").stdout)
    assert ("prices.load", "price_book:1") == (audited["action"], audited["target"])
    assert {"source": change["source"], "body": change["body"]} == audited["details"]
    assert ["1", "contract.yaml", "2"] == [
        run("prices", "history").stdout.splitlines()[2].split()[i] for i in (0, -2, -1)
    ]


def test_without_changes_there_is_no_history(run, data_dir):
    assert "nothing has been synced or loaded" in run("prices", "history").stderr
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("speech: {models: {universal-2: [{from: 2026-01-01, usd: 0.12, source: a}]}}", "0.12 is no amount"),
        ("speech: [", "contract.yaml: line 1"),
        ("speech: {models: {a: 1, a: 2}}", "a is written twice"),
        ("[" * 5000, "nested too deeply"),
        ("", "contract.yaml: price book: expected chat, sources, speech, found None"),
        ("speech: {}", "contract.yaml holds no prices"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("chat: {models: {new: {context: 5}}}", "chat.models.new: parameters, prices, regions, surcharge is"),
        ("\udcff", "it is no text in UTF-8"),
    ],
)
def test_a_wrong_file_is_refused(run, data_dir, tmp_path, text, said):
    (tmp_path / "contract.yaml").write_bytes(os.fsencode(text))

    assert said in run("prices", "load", "contract.yaml", status=1).stderr
    assert not data_dir.exists()


def test_a_file_that_is_not_there(run):
    assert (
        "contract.yaml cannot be read: No such file"
        in run("prices", "load", "contract.yaml", status=1).stderr
    )
