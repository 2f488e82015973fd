"""What everything costs at one moment, by the emulator's own figures.

They are on purpose not shared with the gateway's price book: the invoice is the independent figure that the
ledger is compared with. Source: AssemblyAI documentation, "Pricing" pages read between 2026-05-29 and
2026-10-07.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aai_gateway.emulator.catalogue import MODELS, Model

# USD per hour of audio, by `speech_model_used`. `best` and `nano` are the old names of two of them.
_SPEECH_MODELS = """
universal-3-5-pro 0.21
universal-3-pro   0.21
universal-2       0.15
best              0.21
nano              0.15
"""
# USD per hour of audio on top of the model, by the name of the invoice's line.
_ADD_ONS = """
speaker_labels                              0.02
entity_detection                            0.08
sentiment_analysis                          0.02
auto_chapters                               0.08
auto_highlights                             0.01
iab_categories                              0.15
summarization                               0.03
keyterms_prompt                             0.05
prompt                                      0.05
filter_profanity                            0.01
redact_pii                                  0.08
redact_pii_audio                            0.05
content_safety                              0.15
domain=medical-v1                           0.15
speech_understanding.speaker_identification 0.02
speech_understanding.translation            0.06
speech_understanding.custom_formatting      0.03
"""
# Without a published price: a model is charged like the dearest, so is an understanding task or a domain.
_OTHER_MODEL = Decimal("0.21")
_OTHER_ADD_ON = Decimal("0.15")

TASK = "speech_understanding."
"""How the line of a `speech_understanding` task begins; the task's name follows."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices in US dollars: speech per hour of audio, chat (in `models`) per 1M tokens."""

    speech_models: Mapping[str, Decimal]
    add_ons: Mapping[str, Decimal]
    models: Mapping[str, Model]
    """The chat models by id."""
    surcharges: Mapping[str, Decimal]
    """By region, where another share than the model's own is charged for staying in it."""

    def speech_model(self, name: str) -> Decimal:
        """An hour with a speech model."""
        return self.speech_models.get(name, _OTHER_MODEL)

    def add_on(self, name: str) -> Decimal:
        """An hour with an add-on, on top of the model."""
        return self.add_ons.get(name, _OTHER_ADD_ON)

    @property
    def options(self) -> list[str]:
        """The add-ons that are fields of a request, charged when they are true or not empty."""
        return [name for name in self.add_ons if name.isidentifier()]

    def surcharge(self, model: Model, region: str) -> Decimal:
        """What staying in `region` costs on top, as a share of the price; models without one never do."""
        return self.surcharges.get(region, model.surcharge) if model.surcharge else Decimal(0)

    def served(self, region: str) -> dict[str, Model]:
        """The chat models that `region` ("us" or "eu") serves, by id. The EU serves no OpenAI and no Qwen."""
        return {model.id: model for model in self.models.values() if region in model.regions}


def _table(text: str) -> dict[str, Decimal]:
    return {name: Decimal(price) for name, price in map(str.split, text.strip().splitlines())}


PUBLISHED = PriceList(_table(_SPEECH_MODELS), _table(_ADD_ONS), MODELS, {})
"""The published prices."""
