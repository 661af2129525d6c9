"""Killed with SIGKILL at any moment, and run again: only what was in flight is paid again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from openai_server import OpenAIServer, say

from askqa_builder.llm.cache import ReplyCache

CONCURRENCY = 20
QUESTIONS = 300

CLIENT = """
import asyncio, sys
from pathlib import Path
from pydantic import BaseModel
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint, Limits

class Echo(BaseModel):
    text: str

async def main(base_url, folder, questions, concurrency):
    with ReplyCache(folder / "llm.sqlite") as cache, (folder / "used").open("a") as used:
        limits = Limits(concurrency=concurrency)
        async with Endpoint(cache, base_url=base_url, limits=limits) as endpoint:
            model = LanguageModel(endpoint, "m")

            async def ask(index):
                messages = [{"role": "user", "content": f"question {index}"}]
                reply = await model.chat(messages, schema=Echo)
                used.write(f"{reply.keys[0]} {reply.parsed.text}\\n")
                used.flush()

            await asyncio.gather(*(ask(index) for index in range(questions)))

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
"""


@pytest.mark.parametrize("seed", range(2))
def test_killed_runs_pay_again_only_for_what_was_in_flight(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with OpenAIServer(lambda call: say({"text": call.text}), latency_s=0.05) as server:
        command = [sys.executable, "-c", CLIENT, server.base_url, str(tmp_path)]
        command += [str(QUESTIONS), str(CONCURRENCY)]
        kills = 0
        for target in sorted(chance.sample(range(10, QUESTIONS - 40), 3)):
            client = subprocess.Popen(command)
            while len(server.paid_calls) < target and client.poll() is None:
                time.sleep(chance.random() * 0.01)
            if client.poll() is None:
                os.kill(client.pid, signal.SIGKILL)
                kills += 1
            client.wait()
        assert kills >= 1
        assert subprocess.run(command, timeout=240).returncode == 0
        assert len(server.paid_calls) == QUESTIONS
        paid_again = sum(times - 1 for times in server.paid_calls.values())
        assert paid_again <= kills * CONCURRENCY
        paid = server.paid
        assert subprocess.run(command, timeout=240).returncode == 0
        assert server.paid == paid, "a whole run is free"

    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        held = {bytes(key).hex() for (key,) in cache.read("SELECT key FROM replies")}
    lines = (tmp_path / "used").read_text().splitlines()
    assert {line.split()[0] for line in lines} <= held, "used before it was safe"
    answers = Counter(line.split(" ", 1)[1] for line in lines)
    assert set(answers) == {f"question {index}" for index in range(QUESTIONS)}
