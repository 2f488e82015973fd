"""How long an upload's audio is, told from its bytes as they stream by: no copy, no decoding, no I/O."""

from __future__ import annotations

from aai_gateway.media.probe import Media, MediaProbe

__all__ = ["Media", "MediaProbe"]
