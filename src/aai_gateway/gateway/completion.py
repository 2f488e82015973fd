"""One completion's money: held before it is sent, then booked or given back; nothing else is ever guessed.

What becomes of a hold, by how the request ended (`core.job_life`): an answer with its usage books it, a clear
refusal or a request that never left gives it back, and no answer leaves it until it expires as unknown.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from aai_gateway.core.attribution import Attribution
from aai_gateway.core.budgets import usd
from aai_gateway.core.prices import Cost, PriceBook
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.gateway.chat_answer import Answered
from aai_gateway.gateway.chat_estimate import Estimate
from aai_gateway.gateway.chat_request import Fallback
from aai_gateway.gateway.cost_headers import HELD, REMAINING, WARNING, cost_headers
from aai_gateway.gateway.data_plane import Notes
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.prices import Prices
from aai_gateway.store.holds import Hold, Room

log = logging.getLogger("aai_gateway")

LITELLM_COST = b"x-litellm-response-cost"


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A completion that was allowed: who pays for what. `id` is ours; a client can choose LiteLLM's."""

    id: str
    caller: Caller
    region: Region
    model: str
    is_global: bool
    fallbacks: tuple[Fallback, ...] = ()
    attribution: Attribution = field(default_factory=Attribution)

    def is_global_for(self, answering: str) -> bool:
        """Whether the model that answered ran at list price: a fallback may have said so for itself."""
        if answering == self.model:
            return self.is_global
        return next((f.is_global for f in self.fallbacks if f.model == answering), self.is_global)

    def answering_model(self, answered: Answered, book: PriceBook) -> str:
        """The model that answered: the one asked for, unless the answer names another that has a price.

        An answer without `model`, as in June 2026, still repeats in `request` what it answers.
        """
        if answered.model is not None and answered.model in book.chat_models:
            return answered.model
        echoed = (f.model for f in self.fallbacks if f.model == answered.echoed)
        return next(echoed, self.model)


class Completion:
    """An allowed call on its way through the ledger. What it costs is told in `notes`, for the client.

    `is_sent` says that it may have reached AssemblyAI, or that another has taken over its hold: the hold of
    one that was never sent is given back.
    """

    def __init__(
        self, ledger: Ledger, prices: Prices, call: ChatCall, estimate: Estimate, notes: Notes
    ) -> None:
        self.call = call
        self.is_sent = False
        self._ledger = ledger
        self._prices = prices
        self._estimate = estimate
        self.notes = notes
        self._held: tuple[Hold, Room] | None = None

    def again(self, completion_id: str) -> Completion:
        """The same call sent once more: a completion of its own, which AssemblyAI may charge too."""
        call = replace(self.call, id=completion_id)
        return Completion(self._ledger, self._prices, call, self._estimate, self.notes)

    def take_over(self, earlier: Completion) -> None:
        """Go on with the hold of a call that was not sent itself, such as the route's around a chat call."""
        earlier.is_sent = True
        self.call = replace(self.call, id=earlier.call.id)

    async def hold(self) -> None:
        """Set aside what it may cost. Raises BudgetExceeded."""
        self._held = await self._ledger.hold_chat(
            self.call.caller,
            self.call.region,
            completion_id=self.call.id,
            model=self._estimate.model,
            tokens=self._estimate.tokens,
            global_region=self._estimate.is_global,
            attribution=self.call.attribution,
        )
        hold, room = self._held
        self.notes.headers.update(cost_headers(held_micros=hold.micros, room=room))

    async def release(self) -> None:
        """Give the hold back: AssemblyAI made no completion."""
        await self._ledger.release_chat(self.call.id)
        self._forget(HELD, REMAINING, WARNING)

    async def book(self, answered: Answered) -> None:
        """Book what the answer says was used. Raises what the store raises."""
        call, model = self.call, self.answering_model(answered)
        cost = await self._ledger.book_chat(
            call.caller,
            call.region,
            completion_id=call.id,
            model=model,
            tokens=answered.tokens,
            global_region=call.is_global_for(model),
            attribution=call.attribution,
        )
        self._tell(cost)

    def answering_model(self, answered: Answered) -> str:
        """The model that answered."""
        return self.call.answering_model(answered, self._prices.current)

    def _tell(self, cost: Cost) -> None:
        """Say the cost instead of the hold, where the answer has not begun yet."""
        self._forget(HELD)
        self.notes.cost_micros += cost.micros
        room = self._held[1].after(self._held[0], cost.micros) if self._held is not None else None
        self.notes.headers.update(cost_headers(cost_micros=self.notes.cost_micros, room=room))
        self.notes.headers[LITELLM_COST] = usd(self.notes.cost_micros).encode()

    def _forget(self, *names: str) -> None:
        for name in names:
            self.notes.headers.pop(name.encode(), None)
