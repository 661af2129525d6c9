"""One OpenAI-compatible endpoint: every reply is paid once, kept, and then free.

The order in which things happen is what makes that true: a reply is read whole, checked, written
to the cache and committed, and only then given to whoever asked. A request under way is not
dropped when its caller is cancelled; leaving the endpoint waits for it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from askqa_builder.errors import (
    AskqaError,
    BuildError,
    EndpointError,
    RequestError,
    SettingsError,
)
from askqa_builder.llm.cache import ReplyCache, StoredReply
from askqa_builder.llm.exchange import Failure, Wire, redacted, scrubbed
from askqa_builder.llm.limits import Breaker, Gate, backoff_s, exhausted_s
from askqa_builder.llm.prices import Budget, Price, Prices, Usage, load_prices, price_of
from askqa_builder.llm.requests import RawReply, Request, read_usage, what_is_wrong

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How an endpoint is treated."""

    concurrency: int = 100
    """Requests in flight, at most; fewer while the endpoint pushes back."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 180.0
    """For one whole exchange, however slowly the reply trickles in."""
    attempts: int = 8
    """Tries of one request that ends in 5xx, a timeout or a cut connection; of 429, four times
    as many."""
    breaker_failures: int = 20
    breaker_patience_s: float = 30.0
    backoff_base_s: float = 0.5
    drain_s: float = 60.0
    """How long leaving waits for replies under way (they are being paid for)."""


@dataclass(slots=True)
class Stats:
    """What happened on this endpoint in this run."""

    sent: int = 0
    paid: int = 0
    cached: int = 0
    """Requests answered from the cache."""
    usage: Usage = field(default_factory=Usage)
    """Of what was paid."""
    failures: Counter[str] = field(default_factory=Counter)
    """By kind: `429`, `500`, `timeout`, `connection`, `garbled` …"""


class Endpoint:
    """The endpoint at `base_url`, with a cache, limits, prices and a budget.

        async with Endpoint(cache, base_url="http://127.0.0.1:8000/v1") as endpoint:
            reply = await endpoint.fetch(request)

    The key comes from OPENAI_API_KEY and stays in memory; an endpoint other than OpenAI's may do
    without. Raises SettingsError for an address or a key that cannot be used, and where a budget
    is set and a model has no price.
    """

    def __init__(
        self,
        cache: ReplyCache,
        *,
        base_url: str | None = None,
        limits: Limits | None = None,
        prices: Prices | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._base_url = checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        if not self._key and self._base_url == OPENAI_URL:
            raise SettingsError(
                f"{OPENAI_URL} needs a key: set the environment variable {KEY_VARIABLE}, "
                f"or name another endpoint with --base-url"
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise SettingsError(f"{KEY_VARIABLE} is not a key: it holds characters that none has")
        self.cache = cache
        self.limits = limits or Limits()
        self.budget = budget or Budget()
        self.stats = Stats()
        self._prices = load_prices() if prices is None else prices
        self._price_of: dict[str, Price | None] = {}
        self._gate = Gate(
            concurrency=self.limits.concurrency,
            requests_per_minute=self.limits.requests_per_minute,
            tokens_per_minute=self.limits.tokens_per_minute,
        )
        self._breaker = Breaker(self.limits.breaker_failures, self.limits.breaker_patience_s)
        self._chance = random.Random()  # jitter only: nothing that is written depends on it
        self._stopped: AskqaError | None = None
        self._closing = False
        self._under_way: dict[bytes, asyncio.Task[RawReply]] = {}
        self._on_wire: set[asyncio.Task[Any]] = set()
        self._wire: Wire | None = None

    @property
    def base_url(self) -> str:
        return self._base_url

    @property
    def host(self) -> str:
        """Name (and port) of the server, for provenance."""
        return urlsplit(self._base_url).netloc

    @property
    def client(self) -> openai.AsyncOpenAI:
        """The openai package's client, for the batch API."""
        assert self._wire is not None, "use `async with Endpoint(…)`"
        return self._wire.client

    async def __aenter__(self) -> Endpoint:
        self._wire = Wire(self._base_url, self._key, self.limits.timeout_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the replies under way and store them; drop what has not been sent."""
        leaving = asyncio.create_task(self._leave())
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:  # while leaving: all the same, these replies are paid for
            await leaving
            raise

    async def _leave(self) -> None:
        self._closing = True
        tasks = set(self._under_way.values())
        for task in tasks - self._on_wire:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.limits.drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        assert self._wire is not None
        await self._wire.close()

    def memo(self, name: str) -> str | None:
        """Return what was remembered about this endpoint."""
        return self.cache.memo(f"{self._base_url} {name}")

    async def remember(self, name: str, value: str) -> None:
        await self.cache.remember(f"{self._base_url} {name}", value)

    def price(self, model: str) -> Price | None:
        """Return the price of a model here, or None.

        Raises SettingsError where it has none and the budget must hold.
        """
        if model not in self._price_of:
            price = price_of(self._prices, self._base_url, model)
            if price is None and self.budget.limit_usd is not None:
                raise SettingsError(
                    f"--budget-usd needs the price of model {model!r} at {self.host!r}; "
                    f"add it to a table of your own and name that with --prices FILE"
                )
            self._price_of[model] = price
        return self._price_of[model]

    def scrub(self, words: str) -> str:
        """Return words for people, on one line and without the key."""
        return scrubbed(words, self._key)

    def redact(self, content: bytes) -> bytes:
        """Return a reply that came by another way, without the key."""
        return redacted(content, self._key)

    def cached(self, request: Request) -> RawReply | None:
        """Return the reply where it is already paid for."""
        return self._look_up(request.key(self._base_url), request)

    async def fetch(self, request: Request, *, probe: bool = False) -> RawReply:
        """Return the reply, from the cache or by paying for it, once.

        Raises RequestError where this request cannot be answered; BudgetError where it may not
        be paid; another EndpointError where the endpoint is of no use at all.
        """
        key = request.key(self._base_url)
        if (reply := self._look_up(key, request)) is not None:
            self.stats.cached += 1
            return reply
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._pay(key, request))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def keep(
        self,
        key: bytes,
        request: Request,
        content: bytes,
        content_type: str,
        data: Any,
        *,
        worst_usd: float,
        batch: bool = False,
    ) -> tuple[RawReply, float | None]:
        """Store a reply that was just paid for; return it, durable, and what it cost: None where
        that is not known, and then `worst_usd` counts in this and all later runs."""
        price = self.price(request.model)
        usage = read_usage(data)
        if usage is None and price is not None and request.kind == "audio":
            usage = request.allowance  # sound comes without a count: take the upper bound
        cost_usd = None
        if price is not None and usage is not None:
            cost_usd = price.cost_usd(usage, batch=batch)
        via: Literal["call", "batch"] = "batch" if batch else "call"
        stored = await self.cache.put(
            key,
            StoredReply(content, content_type, request.model, cost_usd, via),
            uncertain_usd=worst_usd if cost_usd is None else 0.0,
        )
        if stored.content is not content:  # another process paid for it first
            data = what_is_wrong(request.kind, stored.content, stored.content_type)[1]
        self.stats.paid += 1
        self.stats.usage += usage or Usage()
        return _raw(key, stored, data, cached=False), cost_usd

    def _look_up(self, key: bytes, request: Request) -> RawReply | None:
        stored = self.cache.get(key)
        if stored is None:
            return None
        wrong, data = what_is_wrong(request.kind, stored.content, stored.content_type)
        assert wrong is None, f"a reply that was checked is stored broken: {wrong}"
        return _raw(key, stored, data, cached=True)

    def _landed(self, key: bytes, task: asyncio.Task[RawReply]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # the caller may be gone; the error was counted where it happened

    async def _pay(self, key: bytes, request: Request) -> RawReply:
        price = self.price(request.model)
        worst_usd = price.worst_usd(request.allowance) if price is not None else 0.0
        allowed = request.allowance.input_tokens + request.allowance.output_tokens
        attempt = 0
        while True:
            attempt += 1
            place = await self._gate.enter(allowed, first=attempt > 1)
            used: float | None = None
            try:
                self._check_open()
                await self.budget.reserve(worst_usd)
                outcome = await self._exchange(key, request, worst_usd)
                if isinstance(outcome, RawReply):
                    usage = outcome.usage
                    used = usage.input_tokens + usage.output_tokens if usage else place.charged
                    return outcome
                used = place.charged if outcome.maybe_billed else None
            finally:
                self._gate.leave(place, used)
            await asyncio.sleep(self._judge(outcome, request, attempt, place.taken_at))

    async def _exchange(self, key: bytes, request: Request, worst_usd: float) -> RawReply | Failure:
        """Send, store, settle.

        What happens between the first byte sent and the commit must not be interrupted by a
        caller who gives up: the task is marked as on the wire.
        """
        task = asyncio.current_task()
        assert task is not None
        self._on_wire.add(task)
        spent_usd, uncertain_usd = 0.0, worst_usd
        try:
            self.stats.sent += 1
            assert self._wire is not None, "use `async with Endpoint(…)`"
            outcome = await self._wire.exchange(request)
            if isinstance(outcome, Failure):
                if not outcome.maybe_billed:
                    uncertain_usd = 0.0
                elif worst_usd:
                    await self._kept(self.cache.doubt(worst_usd))
                return outcome
            self._breaker.on_success()
            self._gate.window.on_success()
            if (wait_s := exhausted_s(outcome.headers)) is not None:
                self._gate.pause(wait_s)
            reply, cost_usd = await self._kept(
                self.keep(
                    key,
                    request,
                    outcome.content,
                    outcome.content_type,
                    outcome.data,
                    worst_usd=worst_usd,
                )
            )
            if cost_usd is not None:
                spent_usd, uncertain_usd = cost_usd, 0.0
            return reply
        except asyncio.CancelledError:  # nobody waits for the reply any more; the bill may come
            if worst_usd:
                self.cache.doubt(worst_usd)
            raise
        finally:
            self.budget.settle(worst_usd, spent_usd=spent_usd, uncertain_usd=uncertain_usd)
            self._on_wire.discard(task)

    async def _kept(self, writing: Awaitable[T]) -> T:
        """Wait for a commit: what cannot be kept (a full disk, say) must not be paid."""
        try:
            return await writing
        except BuildError as error:
            self._stopped = error
            raise

    def _judge(self, failure: Failure, request: Request, attempt: int, started_at: float) -> float:
        """Count a failure; return the wait before the next try, or raise."""
        now = asyncio.get_running_loop().time()
        self.stats.failures[failure.kind] += 1
        what = f"{self._base_url}{request.path}: {failure.kind}: {failure.words}"
        if failure.is_pushback:
            self._gate.window.on_pushback(now, started_at)
        if failure.action == "stop":
            self._stopped = EndpointError(f"{what}; {failure.remedy}")
        # To be told to wait is no failure of the request: it is given more patience.
        most = self.limits.attempts * (4 if failure.kind == "429" else 1)
        last = failure.action == "reject" or attempt >= most
        # A 429 says that the endpoint is alive: it counts only when a request is given up for it.
        reached = failure.kind != "connection" or failure.maybe_billed
        if (failure.kind != "429" or last) and self._breaker.on_failure(
            now, hopeless=failure.is_hopeless, reached=reached
        ):
            self._stopped = EndpointError(
                f"{what} ({self._breaker.failures} failures in a row); {failure.remedy}, then run "
                f"again: nothing that was paid is lost"
            )
        if last and self._stopped is None:
            tries = f" ({attempt} tries)" if attempt > 1 else ""
            status = int(failure.kind) if failure.kind.isdigit() else None
            raise RequestError(what + tries, status=status)
        self._check_open()
        wait_s = backoff_s(attempt, self._chance, base_s=self.limits.backoff_base_s)
        if failure.retry_after_s is not None:
            self._gate.pause(failure.retry_after_s)
            wait_s = max(wait_s, failure.retry_after_s)
        return wait_s

    def _check_open(self) -> None:
        if self._stopped is not None:
            raise self._stopped
        if self._closing:
            raise RequestError(f"{self._base_url}: the run was ended before this was sent")


def _raw(key: bytes, stored: StoredReply, data: Any, *, cached: bool) -> RawReply:
    usage, content_type = read_usage(data), stored.content_type
    return RawReply(stored.content, content_type, key.hex(), usage, stored.cost_usd, cached, data)


def checked_url(base_url: str) -> str:
    """The address, without a slash at its end. Raises SettingsError if it cannot be used."""
    # first, so that no other line quotes it; an @ anywhere: with a slash in it, a password looks
    # like a path
    if any(sign in base_url for sign in "@?#"):
        raise SettingsError(
            f"the base URL holds a password or a query, which would be written to provenance; give "
            f"the bare address and put the key in {KEY_VARIABLE}"
        )
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(
            f"base URL {base_url!r} is not an address; it looks like http://127.0.0.1:8000/v1"
        )
    return base_url.rstrip("/")
