"""The Batch API: half the price, resumed after any death, only the missing sent again."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from forked import forked
from openai_server import Act, Call, OpenAIServer, fail, hang, say
from pydantic import BaseModel

from askqa_builder.errors import BudgetError, EndpointError, RequestError
from askqa_builder.llm.batch import BatchEndpoint
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel, Reply
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Budget, Price

PRICES = {"*": {"m": Price(input=1000.0, output=1000.0)}}
SECRET = "sk-a-very-secret-key-0123456789"


class Echo(BaseModel):
    text: str


def echo(call: Call) -> Act:
    return say({"text": call.text})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        yield cache


def use(
    server: OpenAIServer,
    cache: ReplyCache,
    work: Callable[[LanguageModel], Awaitable[Any]],
    *,
    budget: Budget | None = None,
    **settings: Any,
) -> Any:
    settings = {"quiet_s": 0.05, "poll_s": 0.03, **settings}

    async def main() -> Any:
        async with (
            Endpoint(
                cache, base_url=server.base_url, prices=PRICES, budget=budget, limits=Limits()
            ) as endpoint,
            BatchEndpoint(endpoint, **settings) as batches,
        ):
            return await work(LanguageModel(batches, "m", max_tokens=100, repairs=1))

    return asyncio.run(main())


def ask(
    texts: list[str], schema: type[BaseModel] | None = None
) -> Callable[[LanguageModel], Awaitable[list[Reply[Any] | BaseException]]]:
    def one(model: LanguageModel, text: str) -> Awaitable[Reply[Any]]:
        messages = [{"role": "user", "content": text}]
        return model.chat(messages, schema=schema) if schema else model.chat(messages)

    async def work(model: LanguageModel) -> list[Reply[Any] | BaseException]:
        tasks = (one(model, text) for text in texts)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    return work


TEXTS = [f"question {index}" for index in range(12)]


def lines_of(server: OpenAIServer, number: int) -> list[dict[str, Any]]:
    batch = server.batches[f"batch-{number}"]
    return [json.loads(line) for line in server.files[batch["input_file_id"]].splitlines()]


def test_one_batch_at_half_the_price_and_then_free(cache: ReplyCache) -> None:
    with OpenAIServer(echo) as server:
        replies = use(server, cache, ask(TEXTS))
        assert len(server.batches) == 1
        assert all(call.batch for call in server.calls)
        assert [json.loads(reply.text)["text"] for reply in replies] == TEXTS
        assert {reply.cost_usd for reply in replies} == {0.04}
        assert not any(reply.cached for reply in replies)
        batch = server.batches["batch-0"]
        assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
        assert {line["url"] for line in lines_of(server, 0)} == {"/v1/chat/completions"}
        assert cache.spent_usd() == pytest.approx(0.48)

        async def directly() -> list[Any]:
            async with Endpoint(cache, base_url=server.base_url) as endpoint:
                return await ask(TEXTS)(LanguageModel(endpoint, "m", max_tokens=100))

        assert all(reply.cached for reply in asyncio.run(directly())), "the same cache"
        assert all(reply.cached for reply in use(server, cache, ask(TEXTS)))
        assert server.paid == 12


def test_each_step_is_one_batch_and_the_probe_goes_directly(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        return say({"text": "fine"} if "not accepted" in call.text else {"text": 3})

    with OpenAIServer(script, rejects=("json_schema", "json_object")) as server:
        replies = use(server, cache, ask(TEXTS, Echo))
        assert [reply.parsed for reply in replies] == [Echo(text="fine")] * 12
        assert {reply.attempts for reply in replies} == {2}
        direct = [call for call in server.calls if not call.batch]
        assert len(direct) == 3, "two refusals and the reply that settled the mode"
        assert [len(lines_of(server, number)) for number in range(len(server.batches))][-1] >= 11
        assert len(server.batches) <= 3


def test_a_run_that_ends_early_is_resumed(cache: ReplyCache) -> None:
    async def leave(model: LanguageModel) -> None:
        task = asyncio.ensure_future(ask(TEXTS)(model))
        while not server.batches:
            await asyncio.sleep(0.01)
        task.cancel()

    with OpenAIServer(echo, batch_polls=10**9) as server:
        use(server, cache, leave)
        assert server.paid == 0
        server.batch_polls = 0
        replies = use(server, cache, ask(TEXTS))
        assert len(server.batches) == 1, "not submitted again"
        assert all(reply.ok for reply in replies)
        assert server.paid == 12


def test_a_batch_whose_name_was_lost_is_found_by_its_token(cache: ReplyCache) -> None:
    async def leave(model: LanguageModel) -> None:
        task = asyncio.ensure_future(ask(TEXTS)(model))
        while not server.batches:
            await asyncio.sleep(0.01)
        task.cancel()

    with OpenAIServer(echo, batch_polls=10**9) as server:
        use(server, cache, leave)
        forget = "UPDATE batches SET batch_id = NULL"
        asyncio.run(cache.write(lambda db: db.execute(forget)))
        for number in range(150):  # other people's, newer: more than a page of them
            other = dict(server.batches["batch-0"], id=f"other-{number}", metadata=None)
            server.batches[other["id"]] = other
        server.batch_polls = 0
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert server.paid == 12
        assert len(server.batches) == 151


def test_a_batch_that_was_never_created_is_sent(cache: ReplyCache) -> None:
    with OpenAIServer(echo) as server:
        row = ("lost", server.base_url, "m", json.dumps(["00" * 32]), 0.1)
        insert = "INSERT INTO batches (token, endpoint, model, keys, worst_usd) VALUES (?,?,?,?,?)"
        asyncio.run(cache.write(lambda db: db.execute(insert, row)))
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert cache.read("SELECT count(*) FROM batches WHERE NOT done") == [(0,)]


def test_a_creation_whose_answer_is_lost_is_not_repeated(cache: ReplyCache) -> None:
    with OpenAIServer(echo, lost_creates=1) as server:
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert len(server.batches) == 1
        assert server.paid == 12


def test_only_what_failed_is_sent_again(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        number = int(call.text.split()[1])
        first = len(server.batches) == 1
        if first and number < 3:
            return fail(500) if number else hang()
        return fail(400, "too long") if number == 11 else echo(call)

    with OpenAIServer(script) as server:
        *good, bad = use(server, cache, ask(TEXTS))
        assert all(reply.ok for reply in good)
        assert isinstance(bad, RequestError)
        assert "too long" in str(bad)
        assert [len(lines_of(server, number)) for number in (0, 1)] == [12, 3]
        assert set(server.paid_calls.values()) == {1}


def test_a_line_that_never_comes_is_given_up_after_some_rounds(cache: ReplyCache) -> None:
    with OpenAIServer(lambda call: hang() if call.text == TEXTS[0] else echo(call)) as server:
        bad, *good = use(server, cache, ask(TEXTS), rounds=2)
        assert isinstance(bad, RequestError)
        assert all(reply.ok for reply in good)
        assert len(server.batches) == 2


def test_an_expired_batch_keeps_its_part_and_the_rest_is_sent_again(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        first = len(server.batches) == 1
        return hang() if first and int(call.text.split()[1]) % 2 else echo(call)

    ends = ["expired", "completed"]
    with OpenAIServer(script, batch_ends=lambda number: ends[number]) as server:
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert [len(lines_of(server, number)) for number in (0, 1)] == [12, 6]
        assert set(server.paid_calls.values()) == {1}


def test_too_many_tokens_enqueued_means_smaller_batches_in_turn(cache: ReplyCache) -> None:
    open_at_once: list[int] = []

    def ends(number: int) -> str:
        states = [batch["status"] for batch in server.batches.values()]
        open_at_once.append(sum(state in ("validating", "in_progress") for state in states))
        return "failed" if len(lines_of(server, number)) > 4 else "completed"

    with OpenAIServer(echo, batch_ends=ends) as server:
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert [len(lines_of(server, n)) for n in range(len(server.batches))] == [12, 6, 3, 3, 3, 3]
        assert max(open_at_once[1:]) <= 1
        assert server.paid == 12


def test_a_batch_that_a_person_cancelled_stops_the_run_and_the_next_sends_the_rest(
    cache: ReplyCache,
) -> None:
    def script(call: Call) -> Act:
        first = len(server.batches) == 1
        return hang() if first and int(call.text.split()[1]) >= 5 else echo(call)

    ends = ["cancelled", "completed"]
    with OpenAIServer(script, batch_ends=lambda number: ends[number]) as server:
        results = use(server, cache, ask(TEXTS))
        assert all(reply.ok for reply in results[:5])
        for error in results[5:]:
            assert type(error) in (EndpointError, RequestError)
        assert "cancelled at 127.0.0.1" in str(results[5])
        assert all(reply.ok for reply in use(server, cache, ask(TEXTS)))
        assert len(lines_of(server, 1)) == 7
        assert set(server.paid_calls.values()) == {1}


def test_the_budget_lets_a_part_go_and_then_the_rest(cache: ReplyCache) -> None:
    """A request is set aside at less than $0.1, and costs $0.04."""
    with OpenAIServer(echo) as server:
        budget = Budget(0.6)
        replies = use(server, cache, ask(TEXTS), budget=budget)
        assert all(reply.ok for reply in replies)
        assert len(server.batches) > 1
        assert budget.spent_usd == pytest.approx(0.48)
        more = use(server, cache, ask([f"more {index}" for index in range(12)]), budget=budget)
        assert [isinstance(result, BudgetError) for result in more] == [False] + [True] * 11
        assert budget.spent_usd == pytest.approx(cache.spent_usd())
        assert budget.spent_usd <= 0.6
        assert budget.reserved_usd == 0


def test_an_endpoint_without_batches_says_so(cache: ReplyCache) -> None:
    with OpenAIServer(echo) as server:

        async def main() -> list[Any]:
            base_url = server.base_url + "/elsewhere"
            async with (
                Endpoint(cache, base_url=base_url, prices=PRICES) as endpoint,
                BatchEndpoint(endpoint, quiet_s=0.01, poll_s=0.01) as batches,
            ):
                model = LanguageModel(batches, "m")
                first = await ask(TEXTS)(model)
                return [*first, *await ask(["later"])(model)]

        for error in asyncio.run(main()):
            assert isinstance(error, EndpointError)
            assert "the Batch API: " in str(error)
            assert "\n" not in str(error)


def client(base_url: str, path: Path) -> None:
    """Ask sixty questions, and one after each, in batches of twenty."""

    async def main() -> None:
        with ReplyCache(path) as cache:
            async with (
                Endpoint(cache, base_url=base_url) as endpoint,
                BatchEndpoint(endpoint, quiet_s=0.05, poll_s=0.05, max_requests=20) as batches,
            ):
                model = LanguageModel(batches, "m")

                async def ask(index: int) -> None:
                    reply = await model.chat([{"role": "user", "content": f"question {index}"}])
                    again = [{"role": "user", "content": f"and then? {reply.text}"}]
                    assert (await model.chat(again)).ok

                await asyncio.gather(*(ask(index) for index in range(60)))

    asyncio.run(main())


def test_killed_at_any_moment_nothing_is_paid_twice(tmp_path: Path) -> None:
    chance = random.Random(5)
    with OpenAIServer(lambda call: say(f"to {call.text}"), batch_polls=3) as server:
        kills = 0
        while True:
            process = forked(client, server.base_url, tmp_path / "llm.sqlite")
            size = len(server.files) + chance.randrange(2, 6)
            while process.is_alive() and (kills == 4 or len(server.files) < size):
                time.sleep(0.005)
            if process.is_alive():
                time.sleep(chance.random() * 0.1)
                process.kill()
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
            kills += 1
        assert kills >= 2
        assert len(server.paid_calls) == 120
        assert set(server.paid_calls.values()) == {1}
    assert not [p for p in tmp_path.iterdir() if SECRET.encode() in p.read_bytes()]


def test_lines_without_a_count_and_garbled_ones_count_at_their_worst_in_all_runs(
    cache: ReplyCache,
) -> None:
    def script(call: Call) -> Act:
        number = int(call.text.split()[1])
        return say("fine", usage=number % 3 > 0) if number < 6 else Act("send", b'{"choices": []}')

    with OpenAIServer(script) as server:
        budget = Budget(10.0)
        use(server, cache, ask(TEXTS), budget=budget, rounds=1)
        worst = json.loads(cache.read("SELECT keys FROM batches")[0][0])
        assert len(worst) == 12
    doubtful = 2 + 6
    assert budget.spent_usd == pytest.approx(0.04 * 4)
    assert budget.uncertain_usd == pytest.approx(sum(worst.values()) * doubtful / 12, rel=0.02)
    assert budget.reserved_usd == 0
    assert cache.billed() == {
        "spent_usd": pytest.approx(budget.spent_usd),
        "uncertain_usd": pytest.approx(budget.uncertain_usd),
    }
