from __future__ import annotations

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.settings import load_settings


@pytest.mark.parametrize(("own", "key"), [("", "account-key"), (" ", "account-key"), ("eu-key", "eu-key")])
def test_an_empty_key_for_the_eu_is_none_of_its_own(monkeypatch: pytest.MonkeyPatch, own: str, key: str):
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "account-key")
    monkeypatch.setenv("ASSEMBLYAI_EU_API_KEY", own)
    settings = load_settings()
    assert (key, "account-key") == (settings.account_key(Region.EU), settings.account_key(Region.US))
