"""Endpoints for responders: opened once, used from one batch to the next, closed at the end.

The LLM room is asynchronous and a responder is not, so that each has an event loop of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from askqa_builder.errors import EvaluationError, RequestError
from askqa_builder.files import storage_errors
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Budget, load_prices

T = TypeVar("T")
R = TypeVar("R")


class Room:
    """Endpoints that share a cache, a budget and limits. Leave it by `with` or `close`.

    Raises SettingsError for an address or a price table that cannot be used.
    """

    def __init__(
        self,
        cache: Path,
        *,
        limits: Limits | None = None,
        budget: Budget | None = None,
        prices: Path | None = None,
    ) -> None:
        """`cache` is the file of paid replies, `prices` a table laid over the one shipped.

        Rooms may share a budget; what the cache's replies cost counts as spent.
        """
        self._limits = limits
        self._prices = load_prices(prices)
        with storage_errors(cache.parent):
            cache.parent.mkdir(parents=True, exist_ok=True)
        self._cache = ReplyCache(cache)
        self._budget = budget or Budget()
        self._budget.spent_usd = max(self._budget.spent_usd, self._cache.spent_usd())
        self._budget.uncertain_usd = max(self._budget.uncertain_usd, self._cache.uncertain_usd())
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()

    def endpoint(self, base_url: str | None = None) -> Endpoint:
        """Open the endpoint at this address; None: OPENAI_BASE_URL, else OpenAI's own."""
        endpoint = Endpoint(
            self._cache,
            base_url=base_url,
            limits=self._limits,
            prices=self._prices,
            budget=self._budget,
        )

        async def enter() -> None:
            await self._open.enter_async_context(endpoint)

        self._runner.run(enter())
        return endpoint

    def each(
        self, work: Callable[[T], Awaitable[R]], on: Sequence[T]
    ) -> list[R | RequestError | EvaluationError]:
        """Do the work on all at the same time: its result, or why this one has none.

        Raises EndpointError where the endpoint is of no use at all.
        """

        async def gathered() -> list[R | BaseException]:
            return await asyncio.gather(*map(work, on), return_exceptions=True)

        results: list[R | RequestError | EvaluationError] = []
        for result in self._runner.run(gathered()):
            if isinstance(result, BaseException) and not isinstance(
                result, RequestError | EvaluationError
            ):
                raise result
            results.append(result)
        return results

    def close(self) -> None:
        """Wait for replies under way, which are being paid for, and store them."""
        self._runner.run(self._open.aclose())
        self._runner.close()
        self._cache.close()

    def __enter__(self) -> Room:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
