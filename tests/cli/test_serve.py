"""`aai-gateway serve`: what it fills in, what it refuses, and that it starts and ends well."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from gateway_process import free_port

from aai_gateway.cli import serve
from aai_gateway.cli.master_key import master_key_variable, stored_master_key
from aai_gateway.emulator import EmulatorUrls
from aai_gateway.errors import ConfigurationError
from aai_gateway.settings import load_settings

INSTALLING = 'litellm_settings: {callbacks: ["aai_gateway.plugin.gateway"]}\n'


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_master_key_is_made_once_for_its_owner_s_eyes(tmp_path):
    folder = tmp_path / "data"
    key, made = stored_master_key(folder)
    assert made
    assert (0o700, 0o600) == (mode(folder), mode(folder / "master.key"))
    assert key.startswith("sk-")
    assert len(key) >= 43
    assert (key, False) == stored_master_key(folder)
    assert [folder / "master.key"] == list(folder.iterdir())


def test_a_master_key_that_others_may_read_is_refused(tmp_path):
    stored_master_key(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        stored_master_key(tmp_path)


def test_an_empty_master_key_is_refused(tmp_path):
    (tmp_path / "master.key").touch(0o600)
    with pytest.raises(ConfigurationError, match="is empty"):
        stored_master_key(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        stored_master_key(tmp_path / "file" / "data")


@pytest.mark.parametrize(
    ("config", "variable"),
    [
        ({}, "LITELLM_MASTER_KEY"),
        ({"general_settings": None}, "LITELLM_MASTER_KEY"),
        ({"general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"}}, "LITELLM_MASTER_KEY"),
        ({"general_settings": {"master_key": "os.environ/OUR_KEY"}}, "OUR_KEY"),
        ({"general_settings": {"master_key": "sk-in-the-file"}}, None),
    ],
)
def test_where_a_config_takes_its_master_key_from(config, variable):
    assert variable == master_key_variable(config)


def test_the_master_key_of_the_environment_is_left_alone(data_dir, monkeypatch, capsys):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-from-the-environment")
    serve.fill_in_master_key({}, data_dir)
    assert "sk-from-the-environment" == os.environ["LITELLM_MASTER_KEY"]
    assert not data_dir.exists()
    assert ("", "") == capsys.readouterr()


def test_a_made_master_key_is_printed_once(data_dir, capsys):
    serve.fill_in_master_key({}, data_dir)
    key = os.environ.pop("LITELLM_MASTER_KEY")
    assert key in capsys.readouterr().err
    serve.fill_in_master_key({}, data_dir)
    assert key == os.environ["LITELLM_MASTER_KEY"]
    assert "" == capsys.readouterr().err


def test_the_process_list_shows_no_secret(data_dir, monkeypatch):
    serve.fill_in_master_key({}, data_dir)
    arguments = serve.litellm_arguments(Path("config.yaml"), "127.0.0.1", 4000, 2)
    assert not any("sk-" in argument for argument in arguments)
    options = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", "4000", "--num_workers", "2"]
    options += ["--timeout_worker_healthcheck", "60"]
    assert options == arguments[-10:]


def test_the_config_here_comes_before_the_packaged_one(data_dir):
    packaged = serve.default_config()
    assert serve.read_config(packaged)["litellm_settings"]["callbacks"] == [serve.CALLBACK]
    Path("config.yaml").write_text(INSTALLING)
    assert Path("config.yaml") == serve.default_config()
    assert packaged != serve.default_config()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "does not install the gateway"),
        ("model_list: []", "does not install the gateway"),
        ("litellm_settings: {callbacks: [other]}", "does not install the gateway"),
        ("- a\n- b", "does not install the gateway"),
        ("a: [", "cannot be read"),
        ("[" * 5000, "cannot be read: it is nested too deeply"),
        (f"litellm_settings: {{max_budget: 5}}\n{INSTALLING}", "litellm_settings is written twice"),
        (None, "cannot be read"),
    ],
)
def test_a_config_without_the_gateway_is_refused(run, content, said):
    if content is not None:
        Path("config.yaml").write_text(content)
    assert said in run("serve", "--config", "config.yaml", status=1).stderr


def test_one_callback_may_be_written_without_a_list(data_dir):
    Path("config.yaml").write_text("litellm_settings: {callbacks: aai_gateway.plugin.gateway}")
    assert serve.read_config(Path("config.yaml"))


def test_a_port_in_use_is_said_before_anything_starts(run):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port} cannot be listened on" in run("serve", "--port", str(port), status=1).stderr


def test_an_address_that_is_not_here_is_said(run):
    assert "cannot be listened on" in run("serve", "--host", "192.0.2.1", status=1).stderr


def test_the_emulator_is_kept_apart_from_the_books(data_dir, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_STORE_URL", "sqlite:////books.db")
    monkeypatch.setenv("ASSEMBLYAI_EU_API_KEY", "the real one")
    urls = EmulatorUrls("http://us", "http://eu", "http://llm-us", "http://llm-eu")
    folder = serve.use_emulator(urls, "play key", data_dir)
    settings = load_settings()
    assert data_dir / "emulator" == folder == settings.data_path
    assert str(folder) in settings.resolved_store_url
    for region in serve.ALL_REGIONS:
        assert "play key" == settings.account_key(region)
        assert f"http://{region.value}" == settings.speech_url(region)
        assert f"http://llm-{region.value}" == settings.llm_url(region)


def test_a_file_in_place_of_the_data_folder_is_said(data_dir):
    data_dir.touch()
    urls = EmulatorUrls(us="http://u", eu="http://e", llm_us="http://lu", llm_eu="http://le")
    with pytest.raises(ConfigurationError, match=r"cannot be used: File exists\. Set AAI_G"):
        serve.use_emulator(urls, "play key", data_dir)


@pytest.fixture
def serving(data_dir):
    """Start `serve` as a process of its own and wait until it answers: `(process, url)`."""
    processes = []

    def serving(*options):
        port = free_port()
        command = [sys.executable, "-c", "from aai_gateway.cli.main import main; main()"]
        process = subprocess.Popen(
            [*command, "serve", "--port", str(port), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        url = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            assert process.poll() is None, process.stderr.read()
            try:
                if httpx.get(f"{url}/health/liveliness", timeout=5).status_code == 200:
                    return process, url
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError("The gateway did not start.")

    yield serving
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process, number):
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return said


def ended(url):
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_serve_is_the_proxy_and_ends_on_sigterm(serving, data_dir):
    process, url = serving()
    key = (data_dir / "master.key").read_text().strip()
    assert 200 == httpx.get(f"{url}/team/list", headers={"authorization": f"Bearer {key}"}).status_code
    assert {"error": "Authentication error, API token missing/invalid"} == httpx.get(
        f"{url}/assemblyai/v2/transcript"
    ).json()
    said = end(process, signal.SIGTERM)
    assert -signal.SIGTERM == process.returncode
    assert key in said
    assert f"{url}/eu.assemblyai/v2/…  no account key: answers 503" in said
    assert "Application shutdown complete" in said
    ended(url)


def test_serve_with_the_emulator_works_without_an_account(serving, data_dir):
    process, url = serving("--emulator")
    key = (data_dir / "emulator" / "master.key").read_text().strip()
    admin = {"authorization": f"Bearer {key}"}
    made = httpx.post(f"{url}/key/generate", headers=admin, json={"key_alias": "laptop"}).json()
    for route in ("assemblyai", "eu.assemblyai"):
        uploaded = httpx.post(
            f"{url}/{route}/v2/upload", headers={"authorization": made["key"]}, content=b"sound"
        )
        assert 200 == uploaded.status_code, uploaded.text
    said = end(process, signal.SIGINT)
    assert 0 == process.returncode
    assert f"export AAI_GATEWAY_DATA_DIR={data_dir / 'emulator'}" in said
    assert "Application shutdown complete" in said
    assert "Traceback" not in said
    ended(url)


def test_a_database_is_refused_before_anything_starts(run, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@127.0.0.1/litellm")
    result = run("serve", status=1)
    assert "DATABASE_URL is set" in result.stderr
    assert "secret" not in result.stderr
