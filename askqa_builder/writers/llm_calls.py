"""One question to a model, from a prompt to a checked object; and the account of all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, JsonValue

from askqa_builder.errors import RequestError
from askqa_builder.llm.client import LanguageModel, Reply
from askqa_builder.llm.prices import Usage
from askqa_builder.prompts import Prompts, Rendered

T = TypeVar("T", bound=BaseModel)


class UnusableError(Exception):
    """A candidate that comes to nothing; becomes a Reject."""

    def __init__(self, reason: str, detail: str, raw: JsonValue = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.raw = reason, detail, raw


@dataclass(frozen=True, slots=True)
class Call:
    """What one question to a model came to."""

    prompt: str
    rendered: str
    """Hash of the prompt as it was sent."""
    model: str
    attempts: int
    usage: Usage
    cost_usd: float | None
    seconds: float | None
    """How long it took; None where the cache knew the answer."""


@dataclass
class Trail:
    """Every call for one candidate, in whatever order the replies came."""

    calls: list[Call] = field(default_factory=list)

    def add(
        self, rendered: Rendered, model: str, reply: Reply[T], seconds: float, charged: bool
    ) -> None:
        """Note a reply; not `charged` is one that belongs to another candidate's account."""
        self.calls.append(
            Call(
                rendered.name,
                rendered.sha256,
                model,
                reply.attempts if charged else 0,
                reply.usage if charged else Usage(),
                reply.cost_usd if charged else 0.0,
                None if reply.cached else seconds,
            )
        )

    @property
    def attempts(self) -> int:
        """Replies that were paid for."""
        return sum(call.attempts for call in self.calls)

    @property
    def usage(self) -> Usage:
        return sum((call.usage for call in self.calls), Usage())

    @property
    def cost_usd(self) -> float | None:
        """None where the price of a call is unknown."""
        costs = [call.cost_usd for call in self.calls]
        # fsum: the same to the last bit in whatever order the replies came
        return math.fsum(c for c in costs if c is not None) if None not in costs else None

    def details(self, prompts: Prompts) -> dict[str, JsonValue]:
        """For provenance: nothing in it depends on when replies came, or on the cache."""
        usage = self.usage
        tokens: dict[str, JsonValue] = {"input": usage.input_tokens, "output": usage.output_tokens}
        if usage.cached_input_tokens:
            tokens["cached_input"] = usage.cached_input_tokens
        named: dict[str, JsonValue] = {}
        for name in sorted({call.prompt for call in self.calls}):
            hashes = sorted({call.rendered for call in self.calls if call.prompt == name})
            named[name] = {
                "version": prompts[name].front.version,
                "sha256": prompts[name].sha256,
                "rendered": list[JsonValue](hashes),
            }
        return {
            "prompts": named,
            "attempts": self.attempts,
            "tokens": tokens,
            "cost_usd": self.cost_usd,
        }


class Asker:
    """Asks one model by the prompts."""

    def __init__(self, model: LanguageModel, prompts: Prompts) -> None:
        self.model, self.prompts = model, prompts

    async def ask(
        self,
        prompt: str,
        schema: type[T],
        trail: Trail,
        *,
        sample: int = 0,
        charged: bool = True,
        facts: Mapping[str, JsonValue] | None = None,
        **material: str,
    ) -> T:
        """Return the model's reply as a `schema`; what it cost is added to the trail if `charged`.

        Raises UnusableError where this question has no usable reply, another EndpointError where
        no question has, SettingsError where the prompt cannot be filled in.
        """
        rendered = self.prompts[prompt].render(material, facts or {})
        began = time.monotonic()
        try:
            reply = await self.model.chat(rendered.messages, schema=schema, sample=sample)
        except RequestError as error:
            raise UnusableError("request_failed", f"{prompt}: {error}") from error
        trail.add(rendered, self.model.model, reply, time.monotonic() - began, charged)
        if reply.parsed is None:
            detail = f"{prompt}: {reply.problem}"
            raise UnusableError(f"reply_{reply.outcome}", detail, reply.text)
        return reply.parsed
