"""A build, a model and its prompts, opened together: turns candidates into dialogues or rejects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from askqa_builder.config import GenerateSettings, LlmSettings
from askqa_builder.errors import EndpointError, SettingsError
from askqa_builder.generate import judged, read_corrections
from askqa_builder.llm.batch import MAX_REQUESTS, BatchEndpoint
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Budget, load_prices
from askqa_builder.prompts import Prompts
from askqa_builder.quota import Candidate
from askqa_builder.schema import Dialogue, Draft, Passage, Reject
from askqa_builder.shelf import Shelf
from askqa_builder.store import Build
from askqa_builder.verify import Verifier
from askqa_builder.writers.llm import LlmWriter, Written, draft_key
from askqa_builder.writers.llm_calls import Asker, Trail, UnusableError

CACHE = Path("cache") / "llm.sqlite"
"""Paid replies, in the build folder."""


@dataclass(frozen=True)
class Attempt:
    """What became of a candidate."""

    item: Dialogue | Reject
    where: tuple[int, int]
    """Shard and line of its passage."""
    trail: Trail
    finished: bool
    """False where the endpoint could not be used any more."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    wanted: int
    accepted: int
    rejected: int
    spent_usd: float | None
    """By this build, in all its runs; None where the model has no price."""
    budget_usd: float | None
    waiting: str = ""
    """What it waits for, in words: batches under way."""


class Session:
    """Everything that an attempt needs; made by `opened`."""

    def __init__(
        self,
        build: Build,
        settings: GenerateSettings,
        llm: LlmSettings,
        prompts: Prompts,
        endpoint: Endpoint,
        batches: BatchEndpoint | None = None,
    ) -> None:
        assert llm.model is not None
        self.endpoint = endpoint
        self.batches = batches
        """Where requests go in batches."""
        self.shelf = Shelf(build, settings.seed)
        self.stopped: EndpointError | None = None
        """Why no more can be asked."""
        self._settings, self._llm, self._prompts = settings, llm, prompts
        self._corrections = {c.id: c for c in read_corrections(build)}
        writer, solver = (
            Asker(
                LanguageModel(
                    batches or endpoint, name, max_tokens=llm.max_tokens, params=llm.params
                ),
                prompts,
            )
            for name in (llm.model, llm.verify_model or llm.model)
        )
        self._writer = LlmWriter(writer, settings.seed)
        self._verifier = Verifier(solver, llm.verify) if llm.verify else None
        # More than may be in flight: some wait for their next try. And a batch is sent when nobody
        # asks any more: there all must be able to ask.
        self._at_once = MAX_REQUESTS if llm.batch else 2 * llm.concurrency

    @property
    def has_price(self) -> bool:
        """Whether what is spent can be told."""
        assert self._llm.model is not None
        return self.endpoint.price(self._llm.model) is not None

    async def attempt(self, candidate: Candidate) -> Attempt:
        """Try a candidate."""
        passage = self.shelf.passage(candidate.passage)
        trail = Trail()
        found: dict[str, JsonValue] = {}
        """What is known of it so far, beside the trail."""
        finished = True
        try:
            item: Dialogue | Reject = await self._made(candidate, passage, trail, found)
        except UnusableError as error:
            found["refused"] = error.raw
            item = self._reject(candidate, passage, error.reason, error.detail, trail, found)
        except EndpointError as error:
            self.stopped = self.stopped or error
            finished = False
            item = self._reject(candidate, passage, "unfinished", str(error), trail, found)
        where = self.shelf.where(candidate.passage)
        return Attempt(item, where, trail, finished)

    async def attempts(
        self, candidates: Sequence[Candidate], use: Callable[[int, Attempt], None]
    ) -> None:
        """Try many at once; `use(index, attempt)` gets each when it is done, in any order.

        Takes no more candidates once the endpoint cannot be used; those under way are finished
        as far as the cache goes.
        """
        waiting = enumerate(candidates)

        async def work() -> None:
            for index, candidate in waiting:
                use(index, await self.attempt(candidate))
                if self.stopped is not None:
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(candidates))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # one line for people, as everywhere

    async def _made(
        self, candidate: Candidate, passage: Passage, trail: Trail, found: dict[str, JsonValue]
    ) -> Dialogue:
        def judge(draft: Draft) -> Dialogue | Reject:
            return judged(
                passage, draft, self._writer.name, self._writer.version, self._corrections
            )

        written: Written = await self._writer.write(
            passage, candidate.stratum, candidate.sample, judge, trail
        )
        dialogue = written.dialogue
        if written.repaired is not None:
            found["repaired"] = written.repaired
        if written.clarifications:
            found["clarifications"] = list[JsonValue](written.clarifications)
        # A person who corrected the dialogue knows better than the solvers.
        if self._verifier is not None and dialogue.id not in self._corrections:
            found["dialogue"] = dialogue.model_dump(mode="json", exclude_defaults=True)
            found["verification"] = await self._verifier.verify(
                dialogue, written.clarifications, trail
            )
            del found["dialogue"]  # needed only in a reject
        old = dialogue.provenance
        details = {**old.details, **self._details(candidate, trail), **found}
        return dialogue.model_copy(
            update={"provenance": old.model_copy(update={"details": details})}
        )

    def _details(self, candidate: Candidate, trail: Trail) -> dict[str, JsonValue]:
        llm = self._llm
        return {
            "model": llm.model,
            "endpoint": self.endpoint.host,
            "parameters": {"max_tokens": llm.max_tokens, **llm.params},
            "seed": self._settings.seed,
            "sample": candidate.sample,
            **trail.details(self._prompts),
        }

    def _reject(
        self,
        candidate: Candidate,
        passage: Passage,
        reason: str,
        detail: str,
        trail: Trail,
        found: dict[str, JsonValue],
    ) -> Reject:
        key = draft_key(candidate.stratum, candidate.sample)
        return Reject(
            id=f"{passage.id}-{key}",
            stage="verify" if "dialogue" in found else "generate",
            reason=reason,
            detail=detail,
            raw={"details": self._details(candidate, trail), **found},
        )


@asynccontextmanager
async def opened(
    build: Build, settings: GenerateSettings, llm: LlmSettings, prompts: Prompts
) -> AsyncIterator[Session]:
    """Open the cache and the endpoint of a build.

    Raises SettingsError for settings that cannot be used.
    """
    if llm.model is None:
        raise SettingsError("--writer llm needs --model NAME: the endpoint's name of the model")
    prices = load_prices(Path(llm.prices) if llm.prices else None)
    limits = Limits(
        concurrency=llm.concurrency,
        requests_per_minute=llm.requests_per_minute,
        tokens_per_minute=llm.tokens_per_minute,
        timeout_s=llm.timeout_s,
    )
    with build.paid(), ReplyCache(build.root / CACHE) as cache:
        budget = Budget(llm.budget_usd, **cache.billed())
        endpoint = Endpoint(
            cache, base_url=llm.base_url, limits=limits, prices=prices, budget=budget
        )
        async with endpoint:
            if llm.batch:
                async with BatchEndpoint(endpoint) as batches:
                    yield Session(build, settings, llm, prompts, endpoint, batches)
            else:
                yield Session(build, settings, llm, prompts, endpoint)
