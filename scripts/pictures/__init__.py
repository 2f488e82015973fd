"""The documentation's pictures: a made-up company's gateway at a moment that stands still, photographed, and
the page of a made-up recording.

The moment holds for whatever is imported after this: the same pictures on any day.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from aai_gateway.core import budgets

# LiteLLM would otherwise ask the internet for its prices, at its first import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

NOW = datetime(2026, 11, 26, 14, 20, tzinfo=timezone.utc)

budgets.utc_now = lambda: NOW
