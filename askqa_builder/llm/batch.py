"""The provider's Batch API: half the price, within a day (developers.openai.com, "Batch API").

A `BatchEndpoint` takes the place of an `Endpoint`. It collects requests until no more come, sends
them as one batch, and hands out the replies as if they had been fetched one by one: whoever asks
all questions of a step at the same time gets one batch a step. Replies land in the same cache, so
that afterwards the ordinary way finds them for free.

What makes it safe to kill: a batch is written down, with a token of ours, *before* it is created,
and the provider keeps the token with the batch. A run that finds a batch without the provider's
name looks for the token in the provider's list, and adopts what it finds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from askqa_builder.errors import EndpointError, RequestError
from askqa_builder.llm.batch_api import BatchApi, input_file
from askqa_builder.llm.endpoint import Endpoint
from askqa_builder.llm.requests import RawReply, Request, error_words, what_is_wrong

MAX_REQUESTS = 50_000
"""A batch's limit at OpenAI."""
MAX_BYTES = 100_000_000
"""Half of OpenAI's limit: the input file passes through memory."""
PERMANENT = (400, 401, 403, 404, 413, 422)
"""Statuses of a line that another batch would not change."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch that we have written down."""

    token: str
    batch_id: str | None
    model: str
    worst: Mapping[str, float]
    """Hex hashes of its requests, also their names (`custom_id`) in the batch, to the dollars that
    each may cost."""

    @property
    def keys(self) -> Set[str]:
        return self.worst.keys()

    @property
    def worst_usd(self) -> float:
        return sum(self.worst.values())


class BatchEndpoint:
    """An endpoint whose chat requests go in batches; all others, and probes, go directly.

        async with Endpoint(cache) as endpoint, BatchEndpoint(endpoint) as batches:
            model = LanguageModel(batches, "gpt-4.1-mini")

    Leaving does not cancel what was submitted: the next run on the same cache waits for it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        quiet_s: float = 5.0,
        poll_s: float = 30.0,
        rounds: int = 3,
        max_requests: int = MAX_REQUESTS,
    ) -> None:
        """A batch is sent when `quiet_s` have passed without a new request; a request is sent at
        most `rounds` times."""
        self._endpoint = endpoint
        self._quiet_s, self._poll_s, self._rounds = quiet_s, poll_s, rounds
        self._max_requests = max_requests
        self._one_by_one = False
        self._broken: Exception | None = None
        self._queue: dict[str, Request] = {}
        self._waiting: dict[str, tuple[Request, asyncio.Future[RawReply]]] = {}
        self._sent: dict[str, int] = {}
        self._open: dict[str, Submitted] = {}
        """Batches under way, by token."""
        self.statuses: dict[str, str] = {}
        """The provider's name of each batch that is under way to how far it is, in words."""
        self.on_news: Callable[[], None] = lambda: None
        """Called when one of them may have changed."""
        self._api = BatchApi(endpoint.client, poll_s, endpoint.scrub)
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return self._endpoint.base_url

    def memo(self, name: str) -> str | None:
        return self._endpoint.memo(name)

    async def remember(self, name: str, value: str) -> None:
        await self._endpoint.remember(name, value)

    def cached(self, request: Request) -> RawReply | None:
        return self._endpoint.cached(request)

    async def __aenter__(self) -> BatchEndpoint:
        rows = self._endpoint.cache.read(
            "SELECT token, batch_id, model, keys, worst_usd FROM batches "
            "WHERE endpoint = ? AND NOT done",
            self.base_url,
        )
        for token, batch_id, model, keys, worst_usd in rows:
            worst = json.loads(keys)
            if isinstance(worst, list):  # written by an earlier version, which kept only the sum
                worst = dict.fromkeys(worst, worst_usd / len(worst))
            batch = Submitted(token, batch_id, model, worst)
            self._endpoint.budget.owe(batch.worst_usd)
            self._start(batch)
        self._spawn(self._send_when_quiet())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, future in self._waiting.values():
            future.cancel()

    async def fetch(self, request: Request, *, probe: bool = False) -> RawReply:
        """Return the reply, when its batch is done. Raises as `Endpoint.fetch` does."""
        if probe or request.kind != "chat":
            return await self._endpoint.fetch(request)
        if (reply := self._endpoint.cached(request)) is not None:
            self._endpoint.stats.cached += 1
            return reply
        if self._broken is not None:
            raise self._broken
        self._endpoint.price(request.model)  # refuses here what a budget could not hold
        key = request.key(self.base_url).hex()
        if key not in self._waiting:
            future: asyncio.Future[RawReply] = asyncio.get_running_loop().create_future()
            self._waiting[key] = request, future
            if not any(key in batch.keys for batch in self._open.values()):
                self._queue[key] = request
                self._news.set()
        return await asyncio.shield(self._waiting[key][1])

    # Sending

    async def _send_when_quiet(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            size = -1
            while size != len(self._queue) < self._max_requests:
                size = len(self._queue)
                await asyncio.sleep(self._quiet_s)
            while self._queue and not (self._one_by_one and self._open):
                if not (chunk := self._next_chunk()):
                    break  # the budget has room for it when a batch under way has been settled
                await self._send(chunk)

    def _next_chunk(self) -> dict[str, Request]:
        """Take requests of one model that fit in a batch and in the budget; {}: wait.

        A batch is set aside at its worst case, all of it, so that a budget may let only a part
        go; the rest goes when that part is done and has cost less.
        """
        budget = self._endpoint.budget
        chunk: dict[str, Request] = {}
        model, size, worst_usd = next(iter(self._queue.values())).model, 0, 0.0
        for key, request in self._queue.items():
            if request.model != model:
                continue
            more_usd = self._worst_usd(request)
            left_usd = budget.remaining_usd
            full = len(chunk) >= self._max_requests or size + len(request.content) > MAX_BYTES
            if (chunk and full) or (left_usd is not None and worst_usd + more_usd > left_usd):
                break
            chunk[key] = request
            size += len(request.content)
            worst_usd += more_usd
        if not chunk and not self._open:
            error = budget.reached(f"{len(self._queue)} requests left")
            for key in list(self._queue):
                self._fail(key, error)
        for key in chunk:
            del self._queue[key]
        return chunk

    def _worst_usd(self, request: Request) -> float:
        price = self._endpoint.price(request.model)
        return price.worst_usd(request.allowance, batch=True) if price is not None else 0.0

    async def _send(self, chunk: dict[str, Request]) -> None:
        worst = {key: self._worst_usd(request) for key, request in sorted(chunk.items())}
        model = next(iter(chunk.values())).model
        batch = Submitted(secrets.token_hex(16), None, model, worst)
        await self._endpoint.budget.reserve(batch.worst_usd)
        row = (batch.token, self.base_url, model, json.dumps(worst), batch.worst_usd)
        await self._endpoint.cache.write(
            lambda db: db.execute(
                "INSERT INTO batches (token, endpoint, model, keys, worst_usd) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            )
        )
        for key in chunk:
            self._sent[key] = self._sent.get(key, 0) + 1
        self._start(batch, input_file(chunk))

    def _start(self, batch: Submitted, content: bytes | None = None) -> None:
        self._open[batch.token] = batch
        self._spawn(self._see_through(batch, content))

    def _spawn(self, work: Awaitable[None]) -> None:
        """Run a task; an error that ends it is that of everybody who waits, or comes later."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self._broken = error
                for key in list(self._waiting):
                    self._fail(key, error)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Following one batch

    async def _see_through(self, batch: Submitted, content: bytes | None) -> None:
        """Create (or find) a batch, wait for it, keep its replies, deal with what is missing."""
        batch_id = batch.batch_id
        if batch_id is None:
            if content is not None:
                batch_id = await self._api.create(batch.token, content)
            else:
                batch_id = await self._api.find(batch.token)
            if batch_id is None:
                await self._close(batch, {}, 0.0, 0.0)  # an earlier run died before it was created
                return
            name = batch_id
            await self._endpoint.cache.write(
                lambda db: db.execute(
                    "UPDATE batches SET batch_id = ? WHERE token = ?", (name, batch.token)
                )
            )
        name = batch_id

        def tell(status: str) -> None:
            self.statuses[name] = status
            self.on_news()

        state = await self._api.wait(name, tell)
        del self.statuses[name]
        failures: dict[str, RequestError] = {}
        spent_usd = uncertain_usd = 0.0

        async def take(results: list[dict[str, Any]]) -> None:
            nonlocal spent_usd, uncertain_usd
            mine = [result for result in results if result.get("custom_id") in batch.keys]
            for cost in await asyncio.gather(*(self._keep(batch, r, failures) for r in mine)):
                spent_usd += cost[0]
                uncertain_usd += cost[1]

        for file_id in (state.output_file_id, state.error_file_id):
            if file_id is not None:
                await self._api.results(file_id, take)
        if state.status == "failed":
            problems = state.errors.data if state.errors is not None and state.errors.data else []
            words = "; ".join(f"{p.code}: {p.message}" for p in problems) or "no reason given"
            failures = {key: RequestError(f"batch {batch_id}: {words}") for key in batch.keys}
            if any(problem.code == "token_limit_exceeded" for problem in problems):
                # The provider holds too many of our tokens: smaller batches, one after another.
                self._max_requests = max(1, len(batch.keys) // 2)
                self._one_by_one = True
                if len(batch.keys) > 1:
                    for key in batch.keys & self._sent.keys():
                        self._sent[key] -= 1
                await asyncio.sleep(self._poll_s)
        await self._close(batch, failures, spent_usd, uncertain_usd)
        if state.status == "cancelled":
            raise EndpointError(
                f"batch {batch_id} was cancelled at {self._endpoint.host}; run again to submit "
                f"what it has not answered"
            )

    async def _keep(
        self, batch: Submitted, result: dict[str, Any], failures: dict[str, RequestError]
    ) -> tuple[float, float]:
        """Keep a reply, or note the failure; return what it cost now, and perhaps did."""
        key = result["custom_id"]
        worst_usd = batch.worst[key]
        response = result.get("response") or {}
        status = response.get("status_code")
        content = self._endpoint.redact(json.dumps(response.get("body")).encode())
        wrong, data = what_is_wrong("chat", content, "application/json")
        if status != 200 or wrong is not None:
            error = result.get("error") or response.get("body") or wrong
            failures[key] = RequestError(f"in a batch: {error_words(error)}", status=status)
            if status != 200 or not await self._endpoint.cache.doubt(
                worst_usd, f"{batch.token} {key}"
            ):
                return 0.0, 0.0
            return 0.0, worst_usd
        if self._endpoint.cache.get(bytes.fromhex(key)) is not None:
            # counted when it was kept: by an earlier run, or before a broken download
            return 0.0, 0.0
        like = Request("/chat/completions", b"", batch.model)
        _, cost_usd = await self._endpoint.keep(
            bytes.fromhex(key),
            like,
            content,
            "application/json",
            data,
            worst_usd=worst_usd,
            batch=True,
        )
        return (0.0, worst_usd) if cost_usd is None else (cost_usd, 0.0)

    async def _close(
        self,
        batch: Submitted,
        failures: dict[str, RequestError],
        spent_usd: float,
        uncertain_usd: float,
    ) -> None:
        """Mark a batch as done, give out its replies, and queue what is still missing."""
        await self._endpoint.cache.write(
            lambda db: db.execute("UPDATE batches SET done = 1 WHERE token = ?", (batch.token,))
        )
        del self._open[batch.token]
        self._endpoint.budget.settle(
            batch.worst_usd, spent_usd=spent_usd, uncertain_usd=uncertain_usd
        )
        for key in batch.keys:
            if key not in self._waiting:
                continue
            request, future = self._waiting[key]
            reply = self._endpoint.cached(request)
            failure = failures.get(key)
            if reply is not None:
                del self._waiting[key]
                if not future.done():
                    future.set_result(replace(reply, cached=False))
            elif failure is not None and failure.status in PERMANENT:
                self._fail(key, failure)
            elif self._sent.get(key, 0) >= self._rounds:
                missing = RequestError(f"in {self._rounds} batches: no reply")
                self._fail(key, failure or missing)
            else:
                self._queue[key] = request
        self._news.set()

    def _fail(self, key: str, error: Exception) -> None:
        self._queue.pop(key, None)
        _, future = self._waiting.pop(key)
        if not future.done():
            future.set_exception(error)
