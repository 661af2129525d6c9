"""Killed with SIGKILL at any moment, and run again: only what was in flight is paid again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from forked import forked, whole
from openai_server import OpenAIServer, say
from pydantic import BaseModel

from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint, Limits

CONCURRENCY = 20
QUESTIONS = 300


class Echo(BaseModel):
    text: str


def client(base_url: str, folder: Path) -> None:
    """Ask all questions, and note each reply when it may be used."""

    async def main() -> None:
        with ReplyCache(folder / "llm.sqlite") as cache, (folder / "used").open("a") as used:
            limits = Limits(concurrency=CONCURRENCY)
            async with Endpoint(cache, base_url=base_url, limits=limits) as endpoint:
                model = LanguageModel(endpoint, "m")

                async def ask(index: int) -> None:
                    messages = [{"role": "user", "content": f"question {index}"}]
                    reply = await model.chat(messages, schema=Echo)
                    assert reply.parsed is not None
                    used.write(f"{reply.keys[0]} {reply.parsed.text}\n")
                    used.flush()

                await asyncio.gather(*(ask(index) for index in range(QUESTIONS)))

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(2))
def test_killed_runs_pay_again_only_for_what_was_in_flight(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with OpenAIServer(lambda call: say({"text": call.text}), latency_s=0.05) as server:
        kills = 0
        for target in sorted(chance.sample(range(10, QUESTIONS - 40), 3)):
            process = forked(client, server.base_url, tmp_path)
            while len(server.paid_calls) < target and process.is_alive():
                time.sleep(chance.random() * 0.01)
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL
        assert kills == 3
        whole(forked(client, server.base_url, tmp_path))
        assert len(server.paid_calls) == QUESTIONS
        paid_again = sum(times - 1 for times in server.paid_calls.values())
        assert paid_again <= kills * CONCURRENCY
        paid = server.paid
        whole(forked(client, server.base_url, tmp_path))
        assert server.paid == paid, "a whole run is free"

    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        held = {bytes(key).hex() for (key,) in cache.read("SELECT key FROM replies")}
    lines = (tmp_path / "used").read_text().splitlines()
    assert {line.split()[0] for line in lines} <= held, "used before it was safe"
    answers = Counter(line.split(" ", 1)[1] for line in lines)
    assert set(answers) == {f"question {index}" for index in range(QUESTIONS)}
