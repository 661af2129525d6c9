"""Stage 1 with a language model: rounds of candidates, until exactly the wanted number passed.

    quotas ─▶ candidates ─▶ (session) ─▶ spool ─▶ near duplicates ─▶ accepted ─▶ next round
                                           └▶ at the end: dialogues/ and rejects/

Each round asks for exactly what is missing, and the next one begins when all of it is known. So
what comes out depends on the replies, not on how fast or in which order they came; and nothing is
paid for that the count has no use for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, JsonValue

from askqa_builder import checks, near_duplicates, verify
from askqa_builder.config import GenerateSettings, LlmSettings
from askqa_builder.errors import BudgetError, EndpointError, SettingsError
from askqa_builder.files import digest, write_records
from askqa_builder.generate import CORRECTIONS, read_corrections, tally
from askqa_builder.llm_session import Attempt, Progress, Session, opened
from askqa_builder.near_duplicates import NearDuplicates
from askqa_builder.prompts import Prompts
from askqa_builder.quota import STRATA, Order, Quotas
from askqa_builder.schema import Dialogue, Reject
from askqa_builder.spool import Spool
from askqa_builder.store import Build, Manifest
from askqa_builder.writers.llm import LlmWriter

STAGE = "dialogues"
CANDIDATES_PER_DIALOGUE = 3
"""Candidates to try at most, for each dialogue that is wanted."""
_VERSION = 1  # of this file's logic: raise it when the same replies would give other dialogues

ItemT = TypeVar("ItemT", Dialogue, Reject)


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    manifest: Manifest
    stopped: EndpointError | None
    """Why fewer dialogues came out than were wanted; None where all did."""


def generate(
    build: Build,
    settings: GenerateSettings,
    llm: LlmSettings,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Write `settings.count` dialogues about passages/ into dialogues/.

    Fewer, where candidates or money end first, or the endpoint fails: what was accepted is
    written, and `Result.stopped` says why. Raises EndpointError where the build already has as
    many dialogues as were made until the endpoint failed (it is left as it was), SettingsError
    for settings that cannot be used.
    """
    if settings.count is None:
        raise SettingsError("--writer llm needs --count N: how many dialogues to make and pay for")
    prompts = Prompts(Path(llm.prompts) if llm.prompts else None)
    return asyncio.run(_generate(build, settings, settings.count, llm, prompts, progress))


async def _generate(
    build: Build,
    settings: GenerateSettings,
    count: int,
    llm: LlmSettings,
    prompts: Prompts,
    progress: Callable[[Progress], None],
) -> Result:
    async with opened(build, settings, llm, prompts) as session:
        run = _Run(build, settings, count, llm, prompts, session)
        if (manifest := run.current()) is not None:
            return Result(manifest, None)
        with Spool(build.root / "cache" / ".spool.tmp") as spool:
            stopped = await run.rounds(spool, progress)
            if stopped is not None and not run.improves_on(build.manifest(STAGE)):
                raise stopped
            return Result(run.write(spool), stopped)


class _Run:
    def __init__(
        self,
        build: Build,
        settings: GenerateSettings,
        count: int,
        llm: LlmSettings,
        prompts: Prompts,
        session: Session,
    ) -> None:
        self._build, self._session, self._count = build, session, count
        self._most = candidates_allowed(llm, count)
        self.quotas = Quotas(count, settings.ambiguous_share, settings.seed)
        order = Order(session.shelf.ids, settings.ambiguous_share, settings.seed)
        self._orders = {stratum: order.candidates(stratum) for stratum in STRATA}
        self.settings: dict[str, JsonValue] = {
            "writer": LlmWriter.name,
            "seed": settings.seed,
            "ambiguous_share": settings.ambiguous_share,
            "count": count,
            "candidates": self._most,
            "model": llm.model,
            "base_url": session.endpoint.base_url,
            "parameters": {"max_tokens": llm.max_tokens, **llm.params},
            "verify": llm.verify,
            "verify_model": llm.verify_model or llm.model,
            "prompts": dict(prompts.digests()),
        }
        self._corrected = {correction.id for correction in read_corrections(build)}
        loose = build.loose(CORRECTIONS)
        shards = range(build.complete("passages").shards)
        self._inputs = [build.inputs("passages", shard) | loose for shard in shards]
        self._fingerprint = digest(
            _VERSION,
            [checks.VERSION, verify.VERSION, LlmWriter.version, near_duplicates.VERSION],
            self.settings,
            # of all shards: which passages are used depends on which there are
            [dict(inputs) for inputs in self._inputs],
        )

    def current(self) -> Manifest | None:
        """Return the manifest where everything has been made already."""
        manifest = self._build.manifest(STAGE)
        if manifest is None or manifest.counts.get("accepted") != self._count:
            return None
        current = (
            self._build.current(STAGE, shard, self._fingerprint)
            for shard in range(len(self._inputs))
        )
        return manifest if all(current) else None

    async def rounds(
        self, spool: Spool, progress: Callable[[Progress], None]
    ) -> EndpointError | None:
        """Try candidates until the quotas are filled; or return why they are not."""
        similar = NearDuplicates(spool.database)
        number = 0
        while self.quotas.missing and self._session.stopped is None and number < self._most:
            candidates = self.quotas.next_round(self._orders, self._most - number)
            done = Counter[bool]()

            def tell(done: Counter[bool] = done) -> None:
                progress(self._progress(done))

            def use(index: int, attempt: Attempt, first: int = number) -> None:
                spool.put(first + index, *attempt.where, attempt.item)
                done[isinstance(attempt.item, Dialogue)] += 1  # noqa: B023  # used in this turn
                tell()

            if self._session.batches is not None:
                self._session.batches.on_news = tell
            await self._session.attempts(candidates, use)
            for index, candidate in enumerate(candidates, start=number):
                if (kept := spool.get(index)) is None:
                    continue
                shard, line, dialogue = kept
                if dialogue is not None and (fault := similar.check(dialogue)) is not None:
                    spool.put(index, shard, line, _similar(dialogue, *fault))
                    dialogue = None
                self.quotas.add(candidate.stratum, accepted=dialogue is not None)
            self.quotas.give_up()
            number += len(candidates)
        if self._session.stopped is not None or not self.quotas.missing:
            return self._session.stopped
        return BudgetError(
            f"{self.quotas.total_accepted:,} of {self._count:,} dialogues were accepted from "
            f"{number:,} candidates, and --candidates allows no more; raise it and run again "
            "(what was paid stays paid), or see rejects/ for the reasons"
        )

    def improves_on(self, manifest: Manifest | None) -> bool:
        """Whether what came of a run that ended early should replace what is there."""
        if self._session.stopped is None:
            return True  # a whole run: all candidates that were allowed have been tried
        there = manifest.counts.get("accepted", 0) if manifest is not None else 0
        return self.quotas.total_accepted > there

    def write(self, spool: Spool) -> Manifest:
        """Write the shards, and the manifest last."""
        self._build.open_stage(STAGE)
        totals: Counter[str] = Counter()
        for shard, inputs in enumerate(self._inputs):
            with self._build.shard(STAGE, shard, self._fingerprint, inputs) as (output, counts):
                dialogues = self._tallied(counts, spool.dialogues(shard))
                write_records(output.path(".jsonl"), dialogues)
                rejects = self._tallied(counts, spool.rejects(shard))
                write_records(output.rejects_path(), rejects)
            totals.update(counts)
        return self._build.close_stage(STAGE, len(self._inputs), self.settings, totals)

    def _tallied(self, counts: Counter[str], items: Iterable[ItemT]) -> Iterator[ItemT]:
        """Count candidates, and what they cost, on their way to the file."""
        for item in items:
            tally(counts, item)
            counts.update(_cost(item))
            if item.id in self._corrected:
                counts["corrected"] += 1
            yield item

    def _progress(self, done: Counter[bool]) -> Progress:
        accepted, tried = self.quotas.total_accepted, sum(self.quotas.tried.values())
        budget, batches = self._session.endpoint.budget, self._session.batches
        return Progress(
            wanted=self._count,
            accepted=accepted + done[True],
            rejected=tried - accepted + done[False],
            spent_usd=budget.spent_usd if self._session.has_price else None,
            budget_usd=budget.limit_usd,
            waiting=", ".join(batches.statuses.values()) if batches is not None else "",
        )


def candidates_allowed(llm: LlmSettings, count: int) -> int:
    """How many candidates may be tried for so many dialogues."""
    return llm.candidates or CANDIDATES_PER_DIALOGUE * count


def _similar(dialogue: Dialogue, reason: str, detail: str) -> Reject:
    raw = dialogue.model_dump(mode="json", exclude_defaults=True)
    details = dialogue.provenance.details
    return Reject(
        id=dialogue.id,
        stage="generate",
        reason=reason,
        detail=detail,
        raw={"details": details, "refused": raw},
    )


class _Paid(BaseModel):
    """What the details of a dialogue or a reject say about money."""

    attempts: int
    tokens: dict[str, int]
    cost_usd: float | None


def _cost(item: Dialogue | Reject) -> dict[str, int]:
    """What was paid for a candidate, in whole numbers: replies, tokens, millionths of a dollar."""
    if isinstance(item, Dialogue):
        paid = _Paid.model_validate(item.provenance.details)
    else:
        assert isinstance(item.raw, dict), "every reject of this stage has details"
        paid = _Paid.model_validate(item.raw["details"])
    counts = {"replies": paid.attempts}
    counts |= {f"{name}_tokens": number for name, number in paid.tokens.items()}
    if paid.cost_usd is not None:
        counts["microdollars"] = round(paid.cost_usd * 1e6)
    return counts
