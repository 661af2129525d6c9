"""Asking a scripted server the way the writer and the verifier do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from openai_server import OpenAIServer

from askqa_builder.generate import judged
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Price
from askqa_builder.prompts import Prompts
from askqa_builder.schema import AmbiguityKind, Dialogue, Draft, Passage, Reject
from askqa_builder.writers.llm import LlmWriter, Written
from askqa_builder.writers.llm_calls import Asker, Trail

T = TypeVar("T")

LIMITS = Limits(timeout_s=5, attempts=3, backoff_base_s=0.01)
PRICES = {"*": {"m": Price(input=1.0, output=10.0)}}


def asking(
    server: OpenAIServer, folder: Path, work: Callable[[Asker], Awaitable[T]], model: str = "m"
) -> T:
    """Do some work with an open endpoint; replies are kept in the folder."""

    async def main() -> T:
        with ReplyCache(folder / "llm.sqlite") as cache:
            async with Endpoint(
                cache, base_url=server.base_url, limits=LIMITS, prices=PRICES
            ) as endpoint:
                return await work(Asker(LanguageModel(endpoint, model, max_tokens=500), Prompts()))

    return asyncio.run(main())


def passage_of(text: str) -> Passage:
    return Passage(id="p", group="g", text=text, source="test")


def write(
    server: OpenAIServer,
    folder: Path,
    text: str,
    kind: AmbiguityKind | None,
    *,
    sample: int = 0,
    seed: int = 0,
    trail: Trail | None = None,
) -> Written:
    """Write one dialogue; raises UnusableError as the writer does."""
    passage = passage_of(text)

    def judge(draft: Draft) -> Dialogue | Reject:
        return judged(passage, draft, LlmWriter.name, LlmWriter.version, {})

    return asking(
        server,
        folder,
        lambda asker: LlmWriter(asker, seed).write(passage, kind, sample, judge, trail or Trail()),
    )
