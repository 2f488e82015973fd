"""The webhooks' own paths."""

from __future__ import annotations

CALLBACK_PREFIX = "/webhooks/assemblyai/"
"""What AssemblyAI calls, followed by the region, `/` and the webhook's token."""
LOG_PATH = "/webhooks/deliveries"
"""What a team reads."""


def is_webhook_path(path: str) -> bool:
    """Whether the webhooks' routes answer a path."""
    return path.startswith(CALLBACK_PREFIX) or path == LOG_PATH
