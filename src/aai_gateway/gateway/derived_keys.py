"""The gateway's own secret, and the keys that are derived from it.

Each purpose has a key of its own, derived by HKDF (RFC 5869), so that none tells of another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aai_gateway.secret_file import stored_secret
from aai_gateway.settings import Settings

FILE_NAME = "webhooks.key"
"""Named for what it served first."""


def gateway_secret(settings: Settings) -> str:
    """That of the setting, or of a file in the data directory that is made at its first use.

    Raises ConfigurationError.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    path = settings.data_path / FILE_NAME
    return stored_secret(path, "gateway's secret", lambda: secrets.token_urlsafe(32))[0]


def derived_key(secret: str, purpose: bytes) -> bytes:
    """The 32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def signature(key: bytes, text: str) -> str:
    """An HMAC-SHA256 in 43 characters that may stand in a URL or a cookie."""
    digest = hmac.digest(key, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
