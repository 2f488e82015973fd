"""What the gateway's secret does for the dashboard: it signs cookies and forms, and hashes the master key."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from aai_gateway.gateway.derived_keys import derived_key, signature

_COOKIE = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})")


def new_id() -> str:
    """An id that cannot be guessed: 43 characters, 32 random bytes."""
    return secrets.token_urlsafe(32)


def hash_id(id_: str) -> str:
    """SHA-256 of an id, as hex: the only form that is stored."""
    return hashlib.sha256(id_.encode()).hexdigest()


class SessionSecrets:
    """Signs with the keys of one secret."""

    def __init__(self, secret: str) -> None:
        self._cookie_key = derived_key(secret, b"aai-gateway dashboard cookie")
        self._form_key = derived_key(secret, b"aai-gateway dashboard form")
        self._master_key = derived_key(secret, b"aai-gateway dashboard master key")

    def cookie(self, id_: str) -> str:
        """What stands in a cookie: the id and its signature."""
        return f"{id_}.{signature(self._cookie_key, id_)}"

    def id_of(self, cookie: str) -> str | None:
        """The id in a cookie that was signed here, else None; in constant time."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return None
        genuine = hmac.compare_digest(signature(self._cookie_key, found[1]), found[2])
        return found[1] if genuine else None

    def csrf(self, id_: str) -> str:
        """What every form of a session brings, and nobody knows who cannot read its pages."""
        return signature(self._form_key, id_)

    def is_csrf(self, id_: str, presented: str) -> bool:
        """Whether a form is of this session; in constant time."""
        return hmac.compare_digest(self.csrf(id_).encode(), presented.encode())

    def master_hash(self, master_key: str) -> str:
        """A hash of the master key that tells nobody without the secret whether a guess is right."""
        return signature(self._master_key, master_key)
