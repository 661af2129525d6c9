"""Every fault at once: each question ends with a reply or a reason, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from openai_server import (
    Act,
    Call,
    OpenAIServer,
    cut,
    fail,
    garble,
    hang,
    html,
    refuse,
    say,
    trickle,
)
from pydantic import BaseModel

from askqa_builder.errors import RequestError
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint, Limits

QUESTIONS = 300


class Echo(BaseModel):
    text: str


def misbehave(call: Call) -> Act:
    """A fault or a good reply: by the question and how often it was asked, not by the clock."""
    chance = random.Random(f"{call.number}")
    good = say({"text": call.body["messages"][-1]["content"][:30]})
    acts = [
        *[good] * 8,
        fail(429, retry_after="0.01"),
        fail(500),
        fail(503, retry_after="0.01"),
        fail(400, "context too long"),
        hang() if call.number % 7 == 0 else good,
        cut(),
        garble(),
        html(),
        html(502),
        trickle({"text": "slow"}, 0.05) if call.number % 7 == 0 else good,
        say("no JSON at all"),
        say({"txet": "wrong field"}),
        say('{"text": "cut of', finish_reason="length"),
        say(None),
        refuse("I would rather not."),
        say("", finish_reason="content_filter"),
    ]
    return chance.choice(acts)


@pytest.mark.parametrize("rejects", [(), ("json_schema",), ("json_schema", "json_object")])
def test_every_question_ends_with_a_reply_or_a_reason(
    tmp_path: Path, rejects: tuple[str, ...]
) -> None:
    limits = Limits(concurrency=30, timeout_s=2.0, attempts=3, backoff_base_s=0.01)

    async def main() -> Counter[str]:
        ends: Counter[str] = Counter()
        async with Endpoint(cache, base_url=server.base_url, limits=limits) as endpoint:
            model = LanguageModel(endpoint, "m")

            async def ask(index: int) -> None:
                messages = [{"role": "user", "content": f"question {index}"}]
                try:
                    reply = await model.chat(messages, schema=Echo)
                except RequestError:
                    ends["failed"] += 1
                    return
                assert reply.ok == (reply.parsed is not None) == (not reply.problem)
                ends[reply.outcome] += 1

            await asyncio.gather(*(ask(index) for index in range(QUESTIONS)))
        return ends

    with OpenAIServer(misbehave, rejects=rejects) as server:
        with ReplyCache(tmp_path / "llm.sqlite") as cache:
            ends = asyncio.run(main())
            assert ends.total() == QUESTIONS, ends
            assert ends["ok"] > QUESTIONS / 3
            assert {"truncated", "refused", "filtered", "empty", "failed"} <= ends.keys()
        # Asked again, a server in good health answers what failed; all else is free.
        server.script, before = (lambda call: say({"text": "well"})), len(server.calls)
        with ReplyCache(tmp_path / "llm.sqlite") as cache:
            again = asyncio.run(main())
        assert again["failed"] == 0
        assert again["refused"] == ends["refused"]
        assert len(server.calls) - before <= 3 * ends["failed"] + len(rejects)
