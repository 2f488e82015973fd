from __future__ import annotations

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.settings import load_settings, unknown_settings


@pytest.mark.parametrize(("own", "key"), [("", "account-key"), (" ", "account-key"), ("eu-key", "eu-key")])
def test_an_empty_key_for_the_eu_is_none_of_its_own(monkeypatch: pytest.MonkeyPatch, own: str, key: str):
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "account-key")
    monkeypatch.setenv("ASSEMBLYAI_EU_API_KEY", own)
    settings = load_settings()
    assert (key, "account-key") == (settings.account_key(Region.EU), settings.account_key(Region.US))


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch):
    for name in ("MAX_BUDGET", "PUBLIC_URL", "READ_TIMEOUT", "LOG_FORMAT"):
        monkeypatch.setenv(f"AAI_GATEWAY_{name}", "")
    settings = load_settings()
    assert (None, None) == (settings.max_budget, settings.public_url)
    assert (60.0, "readable") == (settings.read_timeout, settings.log_format)


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300", "0"])
def test_no_time_span_leads_out_of_the_calendar(monkeypatch: pytest.MonkeyPatch, seconds: str):
    monkeypatch.setenv("AAI_GATEWAY_RECOVER_AFTER", seconds)
    with pytest.raises(ConfigurationError, match="AAI_GATEWAY_RECOVER_AFTER"):
        load_settings()


def test_what_looks_like_a_setting_and_is_none_is_told(monkeypatch: pytest.MonkeyPatch):
    kubernetes = ("PORT", "PORT_4000_TCP", "PORT_4000_TCP_ADDR", "SERVICE_HOST", "EU_SERVICE_PORT_HTTP")
    for name in ("DATA_PATH", "COLOUR", "DATA_DIR", "DEBUG", *kubernetes):
        monkeypatch.setenv(f"AAI_GATEWAY_{name}", "x")
    assert [
        "AAI_GATEWAY_COLOUR is no setting",
        "AAI_GATEWAY_DATA_PATH is no setting; is it AAI_GATEWAY_DATA_DIR?",
    ] == list(unknown_settings())


@pytest.mark.parametrize("key", ["“account-key”", "account\nkey", "account-key\x7f"])
def test_an_account_key_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", key)
    with pytest.raises(ConfigurationError, match=r"ASSEMBLYAI_API_KEY.*no header can carry") as refused:
        load_settings()
    assert key not in str(refused.value)
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "account-key\r\n")
    assert "account-key" == load_settings().account_key(Region.US)
