"""The calls of the provider's Batch API: none costs anything, so that each may be repeated.

Except creating a batch: that must happen once, and an answer that is lost on the way back does not
tell whether it did. So every batch carries a token of ours in its metadata, by which it is found.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from askqa_builder.errors import EndpointError
from askqa_builder.llm.requests import Request

if TYPE_CHECKING:
    import openai
    from openai.types import Batch

TOKEN = "askqa_builder"
"""Name of our token in a batch's metadata."""
FAR_BACK = 1000
"""How many of the newest batches are looked through for a token."""

T = TypeVar("T")


class BatchApi:
    """Files and batches at one endpoint. Every method raises EndpointError for good only."""

    def __init__(
        self, client: openai.AsyncOpenAI, poll_s: float, scrub: Callable[[str], str]
    ) -> None:
        self._client = client.with_options(max_retries=2)
        self._once = client.with_options(max_retries=0)
        self._poll_s = poll_s
        self._scrub = scrub

    async def find(self, token: str) -> str | None:
        """Return the provider's name of the batch with our token; None: there is none."""

        async def look() -> str | None:
            seen = 0
            async for batch in self._client.batches.list(limit=100):
                seen += 1
                if (batch.metadata or {}).get(TOKEN) == token:
                    return batch.id
                if seen >= FAR_BACK:
                    break
            return None

        return await self._insist(look)

    async def create(self, token: str, content: bytes) -> str:
        """Upload the requests and create a batch of them, once; return its name."""

        async def upload() -> str:
            file = ("requests.jsonl", content, "application/jsonl")
            return (await self._client.files.create(file=file, purpose="batch")).id

        file_id = await self._insist(upload)
        first = True

        async def create() -> str:
            nonlocal first
            if not first and (found := await self.find(token)) is not None:
                return found  # the last try did create it
            first = False
            batch = await self._once.batches.create(
                input_file_id=file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={TOKEN: token},
            )
            return batch.id

        return await self._insist(create)

    async def wait(self, batch_id: str, tell: Callable[[str], None]) -> Batch:
        """Poll until the batch has ended in any way; `tell` how far it is, in words."""
        while True:
            batch = await self._insist(lambda: self._client.batches.retrieve(batch_id))
            words, counts = batch.status.replace("_", " "), batch.request_counts
            tell(f"{words} {counts.completed:,}/{counts.total:,}" if counts else words)
            if batch.status in ("completed", "failed", "expired", "cancelled"):
                return batch
            await asyncio.sleep(self._poll_s)

    async def results(
        self, file_id: str, take: Callable[[list[dict[str, Any]]], Awaitable[None]]
    ) -> None:
        """Hand the lines of a result file to `take`, some at a time, without holding the file.

        May hand out a line again where the connection breaks in between.
        """

        async def read() -> None:
            some: list[dict[str, Any]] = []
            async for line in _lines(self._client, file_id):
                some.append(json.loads(line))
                if len(some) >= 256:
                    await take(some)
                    some = []
            await take(some)

        await self._insist(read)

    async def _insist(self, work: Callable[[], Awaitable[T]], tries: int = 20) -> T:
        """Do `work`, again and again where the network or the server fails."""
        import httpx2
        import openai

        passing = (
            openai.APIConnectionError,
            openai.InternalServerError,
            openai.RateLimitError,
            httpx2.HTTPError,
            ValueError,  # a line that is cut short is no JSON
        )
        for attempt in range(1, tries + 1):
            try:
                return await work()
            except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
                if attempt == tries or not isinstance(error, passing):
                    raise EndpointError(
                        f"{str(self._client.base_url).rstrip('/')}: the Batch API: "
                        f"{self._scrub(str(error))}; see that the endpoint has one, then run "
                        f"again: nothing that was submitted is lost"
                    ) from None
            await asyncio.sleep(self._poll_s)
        raise AssertionError("unreachable")


def input_file(chunk: dict[str, Request]) -> bytes:
    """One line a request; the body is the very bytes that the ordinary way would send."""
    lines = []
    for key, request in chunk.items():
        head = {"custom_id": key, "method": "POST", "url": f"/v1{request.path}"}
        lines += [json.dumps(head)[:-1].encode(), b', "body": ', request.content, b"}\n"]
    return b"".join(lines)


async def _lines(client: openai.AsyncOpenAI, file_id: str) -> AsyncIterator[str]:
    async with client.files.with_streaming_response.content(file_id) as response:
        async for line in response.iter_lines():
            if line.strip():
                yield line
