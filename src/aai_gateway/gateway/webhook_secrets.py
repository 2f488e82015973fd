"""What the gateway's secret does for webhooks: it signs callback URLs and their header, and encrypts what is
kept.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets

from cryptography.fernet import Fernet, InvalidToken

from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.gateway.derived_keys import derived_key, gateway_secret, signature
from aai_gateway.settings import Settings

HEADER_NAME = "X-AAI-Gateway-Webhook"
"""The header that AssemblyAI is asked to send with a callback."""

_TOKEN = re.compile(r"([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})")


def new_webhook_id() -> str:
    """An id that cannot be guessed: 32 characters, 24 random bytes."""
    return secrets.token_urlsafe(24)


def webhook_secrets(settings: Settings) -> WebhookSecrets:
    """Those of the gateway's secret. Raises ConfigurationError."""
    return WebhookSecrets(gateway_secret(settings))


class WebhookSecrets:
    """Signs and encrypts with the keys of one secret."""

    def __init__(self, secret: str) -> None:
        self._url_key = derived_key(secret, b"aai-gateway callback url")
        self._header_key = derived_key(secret, b"aai-gateway callback header")
        self._fernet = Fernet(base64.urlsafe_b64encode(derived_key(secret, b"aai-gateway webhook header")))

    def token(self, region: Region, webhook_id: str) -> str:
        """What stands in the callback URL: the id and its signature."""
        return f"{webhook_id}.{_signed(self._url_key, region, webhook_id)}"

    def webhook_id(self, region: Region, token: str) -> str | None:
        """The id in a token of this region that was signed here, else None; in constant time."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        webhook_id, signed = found.groups()
        genuine = hmac.compare_digest(_signed(self._url_key, region, webhook_id), signed)
        return webhook_id if genuine else None

    def header_value(self, region: Region, webhook_id: str) -> str:
        """The value of HEADER_NAME that a callback must bring."""
        return _signed(self._header_key, region, webhook_id)

    def is_header_value(self, region: Region, webhook_id: str, presented: str | None) -> bool:
        """Whether a callback's header is right; in constant time."""
        expected = self.header_value(region, webhook_id).encode()
        return hmac.compare_digest(expected, (presented or "").encode("utf-8", "replace"))

    def seal(self, text: str) -> str:
        """Text as it may be kept."""
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """What was sealed. Raises ConfigurationError when it was with another secret."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise ConfigurationError(
                "A webhook's header was encrypted with another AAI_GATEWAY_SECRET."
            ) from None


def _signed(key: bytes, region: Region, webhook_id: str) -> str:
    return signature(key, f"{region.value}/{webhook_id}")
