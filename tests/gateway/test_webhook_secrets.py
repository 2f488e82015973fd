from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.gateway.derived_keys import FILE_NAME
from aai_gateway.gateway.webhook_secrets import WebhookSecrets, new_webhook_id, webhook_secrets
from aai_gateway.settings import Settings

SECRETS = WebhookSecrets("a secret of the tests")


def test_a_token_is_of_one_id_one_region_and_one_secret():
    webhook_id = new_webhook_id()
    token = SECRETS.token(Region.US, webhook_id)
    assert webhook_id == SECRETS.webhook_id(Region.US, token)
    assert SECRETS.webhook_id(Region.EU, token) is None
    assert WebhookSecrets("another secret of theirs").webhook_id(Region.US, token) is None
    other = f"{new_webhook_id()}.{token.partition('.')[2]}"
    for forged in (
        "",
        ".",
        webhook_id,
        other,
        token + "A",
        token[:-1],
        token.upper(),
        f"{token}\n",
        "é" * 76,
    ):
        assert SECRETS.webhook_id(Region.US, forged) is None


def test_a_header_value_is_not_the_tokens_signature():
    webhook_id = new_webhook_id()
    value = SECRETS.header_value(Region.US, webhook_id)
    assert value not in SECRETS.token(Region.US, webhook_id)
    assert SECRETS.is_header_value(Region.US, webhook_id, value)
    for wrong in (None, "", value[:-1], value + "é", SECRETS.header_value(Region.EU, webhook_id)):
        assert not SECRETS.is_header_value(Region.US, webhook_id, wrong)


def test_what_is_sealed_is_read_with_the_same_secret_only():
    sealed = SECRETS.seal("hush")
    assert "hush" not in sealed
    assert "hush" == SECRETS.unseal(sealed)
    with pytest.raises(ConfigurationError, match="AAI_GATEWAY_SECRET"):
        WebhookSecrets("another secret of theirs").unseal(sealed)


def test_on_one_machine_the_secret_is_made_once(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, secret=None)
    token = webhook_secrets(settings).token(Region.US, "x" * 32)
    assert token == webhook_secrets(settings).token(Region.US, "x" * 32)
    assert 0o600 == stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode)
    (tmp_path / FILE_NAME).chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        webhook_secrets(settings)
    given = webhook_secrets(Settings(data_dir=tmp_path, secret="a secret of the tests"))
    assert SECRETS.token(Region.US, "x" * 32) == given.token(Region.US, "x" * 32)


def test_several_machines_must_be_given_one():
    shared = {"store_url": "postgresql+psycopg://db/gateway", "public_url": "https://gateway.example.org"}
    with pytest.raises(ValidationError, match="Must be set"):
        Settings(**shared)
    Settings(**shared, secret="a secret of the tests")
    with pytest.raises(ValidationError, match="16 characters"):
        Settings(secret="short")
