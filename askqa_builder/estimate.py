"""What a run will take, from a preview of 20 dialogues: calls, tokens, dollars, time.

The preview's candidates are the first that the run itself will try, so that what they cost is not
paid again. Its passages are resampled for the intervals (see `evaluate.bootstrap`): what is
uncertain is above all how many candidates it takes until one is accepted. Where all twenty were,
resampling would call that certain, so the interval is at least as wide as that of the accepted
share alone (Wilson, 1927).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.config import GenerateSettings, LlmSettings
from askqa_builder.errors import SettingsError
from askqa_builder.generate_llm import candidates_allowed
from askqa_builder.llm_session import Attempt, Progress, Session, opened
from askqa_builder.prompts import Prompts
from askqa_builder.quota import STRATA, Candidate, Order, Quotas
from askqa_builder.schema import Dialogue, Record
from askqa_builder.store import Build

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PREVIEW = 20
"""Candidates that are tried."""
_LATENCY = "seconds per reply"


class Range(Record):
    """An expected value and its 95 % interval; null where the preview does not tell."""

    value: float | None
    low: float | None
    high: float | None


class Estimate(Record):
    """What `generate` will take, the preview included."""

    count: int
    batch: bool
    preview_candidates: int
    preview_accepted: int
    preview_usd: float | None
    """What the preview's replies cost, now or before; null: a price is unknown."""
    candidates: Range
    """Each bounded by --candidates."""
    calls: Range
    input_tokens: Range
    output_tokens: Range
    usd: Range
    seconds: Range
    """Without what a Batch API makes wait; null there."""

    def text(self) -> str:
        """For people."""
        rows = [
            ("candidates", self.candidates, "{:,.0f}"),
            ("calls", self.calls, "{:,.0f}"),
            ("tokens in", self.input_tokens, "{:,.0f}"),
            ("tokens out", self.output_tokens, "{:,.0f}"),
            ("dollars", self.usd, "{:,.2f}"),
        ]
        for unit, size_s in (("hours", 3600), ("minutes", 60), ("seconds", 1)):
            if unit == "seconds" or (self.seconds.value or 0) >= 2 * size_s:
                rows.append((unit, _scaled(self.seconds, 1 / size_s), "{:,.1f}"))
                break
        lines = [
            f"{self.count:,} dialogues, by a preview of {self.preview_candidates} "
            f"({self.preview_accepted} accepted)"
        ]
        for name, values, form in rows:
            if values.value is None:
                lines.append(f"{name:12}unknown")
                continue
            told = form.format(values.value)
            if values.low is not None and values.high is not None:
                told += f"   (95 %: {form.format(values.low)} to {form.format(values.high)})"
            lines.append(f"{name:12}{told}")
        if self.usd.value is None:
            lines.append("the model has no price: add it to a table and give that with --prices")
        return "\n".join(lines)


def estimate(
    build: Build,
    settings: GenerateSettings,
    llm: LlmSettings,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Estimate:
    """Try the first candidates of a run; what is paid is kept for it.

    Raises SettingsError for settings that cannot be used, EndpointError where the endpoint fails.
    """
    if settings.count is None:
        raise SettingsError("estimate needs --count N: for how many dialogues")
    prompts = Prompts(Path(llm.prompts) if llm.prompts else None)
    return asyncio.run(_estimate(build, settings, settings.count, llm, prompts, progress))


async def _estimate(
    build: Build,
    settings: GenerateSettings,
    count: int,
    llm: LlmSettings,
    prompts: Prompts,
    progress: Callable[[Progress], None],
) -> Estimate:
    direct = llm.model_copy(update={"batch": False})  # nobody waits hours for a preview
    async with opened(build, settings, direct, prompts) as session:
        order = Order(session.shelf.ids, settings.ambiguous_share, settings.seed)
        orders = {stratum: order.candidates(stratum) for stratum in STRATA}
        quotas = Quotas(min(PREVIEW, count), settings.ambiguous_share, settings.seed)
        candidates = quotas.next_round(orders, PREVIEW)
        attempts: dict[int, Attempt] = {}

        def use(index: int, attempt: Attempt) -> None:
            attempts[index] = attempt
            quotas.add(candidates[index].stratum, accepted=isinstance(attempt.item, Dialogue))
            accepted = quotas.total_accepted
            spent_usd = session.endpoint.budget.spent_usd if session.has_price else None
            limit_usd = session.endpoint.budget.limit_usd
            refused = len(attempts) - accepted
            progress(Progress(len(candidates), accepted, refused, spent_usd, limit_usd))

        await session.attempts(candidates, use)
        if session.stopped is not None:
            raise session.stopped
        in_order = [attempts[index] for index in range(len(candidates))]
        latency_s = await _latency_s(session, in_order)
        discount = 0.0
        assert llm.model is not None
        if llm.batch and (price := session.endpoint.price(llm.model)) is not None:
            discount = price.batch_discount
        return _scale(candidates, in_order, count, llm, latency_s, discount)


def _scale(
    candidates: Sequence[Candidate],
    attempts: Sequence[Attempt],
    count: int,
    llm: LlmSettings,
    latency_s: float | None,
    discount: float,
) -> Estimate:
    """Scale a preview to `count` dialogues."""
    import numpy as np

    from askqa_builder.evaluate.bootstrap import Estimate as Resampled
    from askqa_builder.evaluate.bootstrap import Metric
    from askqa_builder.evaluate.bootstrap import estimate as resampled

    def column(values: Sequence[float]) -> Floats:
        return np.asarray(values, np.float64)

    tries = column([1.0] * len(attempts))
    accepted = column([isinstance(attempt.item, Dialogue) for attempt in attempts])
    calls = column([attempt.trail.attempts for attempt in attempts])
    into = column([attempt.trail.usage.input_tokens for attempt in attempts])
    out = column([attempt.trail.usage.output_tokens for attempt in attempts])
    costs = [attempt.trail.cost_usd for attempt in attempts]
    known = [cost for cost in costs if cost is not None]
    cost = column(known if len(known) == len(costs) else [np.nan] * len(costs))
    most = candidates_allowed(llm, count)

    def needed(tries: Floats, accepted: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.minimum(count * tries / accepted, most)

    def total(tries: Floats, accepted: Floats, part: Floats) -> Floats:
        return needed(tries, accepted) * part / tries

    def seconds(
        tries: Floats, accepted: Floats, calls: Floats, into: Floats, out: Floats
    ) -> Floats:
        requests = total(tries, accepted, calls)
        tokens = total(tries, accepted, into) + total(tries, accepted, out)
        # at least one after the other: plan, write, and two rounds of solvers
        chain = np.full_like(requests, 4 if llm.verify else 2)
        waits = [np.maximum(requests / llm.concurrency, chain) * (latency_s or np.nan)]
        if llm.requests_per_minute:
            waits.append(requests / llm.requests_per_minute * 60)
        if llm.tokens_per_minute:
            waits.append(tokens / llm.tokens_per_minute * 60)
        longest: Floats = np.maximum.reduce(waits)
        return longest

    found = resampled(
        {
            "candidates": Metric((tries, accepted), needed),
            "calls": Metric((tries, accepted, calls), total),
            "input_tokens": Metric((tries, accepted, into), total),
            "output_tokens": Metric((tries, accepted, out), total),
            "seconds": Metric((tries, accepted, calls, into, out), seconds),
        },
        [str(candidate.passage) for candidate in candidates],
    )
    rate_low, rate_high = _wilson(int(accepted.sum()), len(attempts))
    expected = float(needed(column([len(attempts)]), accepted.sum(keepdims=True))[0])
    at_best, at_worst = (
        min(count / rate, most) / expected if rate else most / expected
        for rate in (rate_high, rate_low)
    )

    def widened(found: Resampled) -> Range:
        value, low, high = found.value, found.low, found.high
        if value is not None and low is not None and high is not None:
            low, high = min(low, value * at_best), max(high, value * at_worst)
        return Range(value=value, low=low, high=high)

    ranges = {name: widened(e) for name, e in found.items()}
    nothing = Range(value=None, low=None, high=None)
    usd = nothing
    if len(known) == len(costs):
        paid = resampled(
            {"usd": Metric((tries, accepted, cost), total)},
            [str(candidate.passage) for candidate in candidates],
        )["usd"]
        usd = _scaled(widened(paid), 1 - discount)
    if llm.batch:
        ranges["seconds"] = nothing
    return Estimate(
        count=count,
        batch=llm.batch,
        preview_candidates=len(attempts),
        preview_accepted=int(accepted.sum()),
        preview_usd=sum(known) if len(known) == len(costs) else None,
        usd=usd,
        **ranges,
    )


async def _latency_s(session: Session, attempts: Sequence[Attempt]) -> float | None:
    """Return the mean time to a reply: of this preview, or of an earlier one of this endpoint."""
    timed = [
        (call.seconds, call.attempts)
        for attempt in attempts
        for call in attempt.trail.calls
        if call.seconds is not None
    ]
    if not timed:
        remembered = session.endpoint.memo(_LATENCY)
        return float(remembered) if remembered is not None else None
    mean_s = sum(s for s, _ in timed) / max(1, sum(replies for _, replies in timed))
    await session.endpoint.remember(_LATENCY, f"{mean_s:.4f}")
    return mean_s


def _wilson(successes: int, tries: int) -> tuple[float, float]:
    """The 95 % interval of a share: JASA 22 (1927), 209–212."""
    z2 = 1.96**2
    share = successes / tries
    middle = share + z2 / (2 * tries)
    spread = (z2 * (share * (1 - share) + z2 / (4 * tries)) / tries) ** 0.5
    low, high = ((middle + sign * spread) / (1 + z2 / tries) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def _scaled(values: Range, factor: float) -> Range:
    def times(value: float | None) -> Any:
        return None if value is None else value * factor

    return Range(value=times(values.value), low=times(values.low), high=times(values.high))
