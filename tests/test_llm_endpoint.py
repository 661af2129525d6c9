"""The endpoint against a real server on the loopback: paid once, through every misbehaviour."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    say,
    send,
    trickle,
)

from askqa_builder.errors import (
    BudgetError,
    EndpointError,
    RequestError,
    SettingsError,
    StorageError,
)
from askqa_builder.llm.cache import ReplyCache, StoredReply
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Budget, Price, Usage
from askqa_builder.llm.requests import Request, form_request, json_request

SECRET = "sk-a-very-secret-key-0123456789"
QUICK = Limits(timeout_s=20, attempts=4, backoff_base_s=0.01, breaker_patience_s=0.0)
PRICES = {"*": {"m": Price(input=1000.0, output=1000.0)}}


def ask(text: str, **more: Any) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return json_request("/chat/completions", body, kind="chat", **more)


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        yield cache


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def use(
    server: OpenAIServer,
    cache: ReplyCache,
    work: Callable[[Endpoint], Coroutine[Any, Any, Any]],
    **settings: Any,
) -> Endpoint:
    """Run `work(endpoint)`; return the endpoint, closed, for its statistics."""

    async def main() -> Endpoint:
        settings.setdefault("limits", QUICK)
        async with Endpoint(cache, base_url=server.base_url, **settings) as endpoint:
            await work(endpoint)
        return endpoint

    return asyncio.run(main())


def text_of(reply: Any) -> str:
    return str(reply.data["choices"][0]["message"]["content"])


def test_a_reply_is_paid_once_and_then_free(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        first = await endpoint.fetch(ask("hi"))
        again = await endpoint.fetch(ask("hi"))
        assert (first.cached, again.cached) == (False, True)
        assert again == replace(first, cached=True)
        assert first.usage == Usage(50, 30)
        assert first.cost_usd == pytest.approx(0.08)

    with OpenAIServer(lambda call: say("hello")) as server:
        endpoint = use(server, cache, work, prices=PRICES)
        assert (server.paid, endpoint.stats.paid, endpoint.stats.cached) == (1, 1, 1)
        use(server, cache, lambda e: e.fetch(ask("hi")), prices=PRICES)  # another run
        assert server.paid == 1


def test_the_same_question_at_the_same_time_is_paid_once(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        replies = await asyncio.gather(*(endpoint.fetch(ask("hi")) for _ in range(50)))
        assert len({reply.content for reply in replies}) == 1

    with OpenAIServer(latency_s=0.05) as server:
        use(server, cache, work)
        assert server.paid == 1


def test_what_shapes_the_reply_changes_the_key_and_nothing_else_does() -> None:
    def key(base_url: str = "http://h/v1", sample: int = 0, **body: Any) -> bytes:
        full = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
        request = json_request("/chat/completions", full, kind="chat", sample=sample)
        return request.key(base_url)

    shape = {"type": "json_schema", "json_schema": {"name": "S", "schema": {"type": "object"}}}
    keys = [
        key(),
        key(base_url="http://other/v1"),
        key(sample=1),
        key(model="m2"),
        key(temperature=0.5),
        key(temperature=0.6),
        key(seed=1),
        key(max_tokens=10),
        key(response_format=shape),
        key(messages=[{"role": "system", "content": "hi"}]),
        key(messages=[{"role": "user", "content": "hi "}]),
        json_request("/other", {"model": "m"}, kind="chat").key("http://h/v1"),
        form_request("/t", {"model": "m"}, {"file": ("a", b"1", "audio/wav")}).key("http://h/v1"),
        form_request("/t", {"model": "m"}, {"file": ("a", b"2", "audio/wav")}).key("http://h/v1"),
        form_request("/t", {"model": "n"}, {"file": ("a", b"1", "audio/wav")}).key("http://h/v1"),
    ]
    assert len(set(keys)) == len(keys)
    bounded = ask("hi", allowance=Usage(7, 7))
    assert bounded.key("http://h/v1") == ask("hi").key("http://h/v1") == key()


def test_limits_timeouts_prices_and_the_api_key_do_not_change_the_key(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as server:
        use(server, cache, lambda e: e.fetch(ask("hi")))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
        other = Limits(concurrency=1, requests_per_minute=6000, timeout_s=9)
        use(server, cache, lambda e: e.fetch(ask("hi")), limits=other, prices=PRICES)
        assert server.paid == 1


FAULTS: dict[str, Callable[[], Act]] = {
    "429": lambda: fail(429, retry_after="0.05"),
    "500": lambda: fail(500),
    "503": lambda: fail(503, retry_after="0.05"),
    "hang": hang,
    "cut": cut,
    "garble": garble,
    "html": html,
    "html502": lambda: html(502),
    "trickle": lambda: trickle("slow", 0.01),
    "no choices": lambda: send(b'{"choices": []}', "application/json"),
    "no message": lambda: send(b'{"choices": [{}]}', "application/json"),
    "a list": lambda: send(b"[]", "application/json"),
    "empty": lambda: send(b"", "application/json"),
    "error in 200": lambda: send(b'{"error": {"message": "overloaded"}}', "application/json"),
    "deep": lambda: send(b"[" * 100_000, "application/json"),
}


def limits_for(fault: str) -> Limits:
    return replace(QUICK, timeout_s=1.0) if fault in ("hang", "trickle") else QUICK


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_ridden_out(cache: ReplyCache, fault: str) -> None:
    def script(call: Call) -> Act:
        return FAULTS[fault]() if call.number < 2 else say("made it")

    async def work(endpoint: Endpoint) -> None:
        assert text_of(await endpoint.fetch(ask("hi"))) == "made it"

    with OpenAIServer(script) as server:
        endpoint = use(server, cache, work, limits=limits_for(fault))
        assert len(server.calls) == 3
        assert endpoint.stats.failures.total() == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_rejects_the_request_with_a_line(cache: ReplyCache, fault: str) -> None:
    async def work(endpoint: Endpoint) -> None:
        with pytest.raises(
            RequestError, match=r"http://.*/chat/completions: .+ \([28] tries\)$"
        ) as e:
            await endpoint.fetch(ask("bad"))
        assert "\n" not in str(e.value)
        assert text_of(await endpoint.fetch(ask("good"))) == "fine"

    def script(call: Call) -> Act:
        return FAULTS[fault]() if call.text == "bad" else say("fine")

    with OpenAIServer(script) as server:
        use(server, cache, work, limits=replace(limits_for(fault), attempts=2))


def test_a_refused_request_is_not_tried_again(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        with pytest.raises(RequestError, match=r"400: context too long$") as caught:
            await endpoint.fetch(ask("long"))
        assert caught.value.status == 400

    with OpenAIServer(lambda call: fail(400, "context too long")) as server:
        use(server, cache, work)
        assert len(server.calls) == 1


@pytest.mark.parametrize("key", ["test", "1", "x", "none", "EMPTY", "not-needed"])
def test_a_key_that_is_no_secret_changes_nothing_in_a_reply(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said = "11 x 11 is not-needed in a test: EMPTY, none."

    async def work(endpoint: Endpoint) -> None:
        assert text_of(await endpoint.fetch(ask("hi"))) == said
        with pytest.raises(RequestError) as caught:
            await endpoint.fetch(ask("bad"))
        assert "Bearer *** is" in str(caught.value)

    def script(call: Call) -> Act:
        bad = call.text == "bad"
        return fail(400, f"{call.headers['Authorization']} is wrong") if bad else say(said)

    with OpenAIServer(script) as server:
        use(server, cache, work)


@pytest.mark.parametrize("key", ["x", SECRET])
def test_sound_is_kept_as_it_came_whatever_the_key(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    sound = b"RIFFx" + key.encode() + bytes(range(256))

    async def work(endpoint: Endpoint) -> None:
        asked = json_request("/audio/speech", {"model": "m"}, kind="audio")
        assert (await endpoint.fetch(asked)).content == sound

    with OpenAIServer(lambda call: send(sound, "audio/wav")) as server:
        use(server, cache, work)


@pytest.mark.parametrize(
    ("act", "remedy"),
    [
        (fail(401, f"Incorrect API key provided: {SECRET}"), "check OPENAI_API_KEY"),
        (fail(404, "no such model"), "--model"),
        (fail(429, "You exceeded your quota", code="insufficient_quota"), "add credit"),
        (fail(402, "pay"), "credit"),
    ],
)
def test_what_no_request_can_survive_stops_the_run(
    cache: ReplyCache, act: Act, remedy: str
) -> None:
    async def work(endpoint: Endpoint) -> None:
        for _ in range(2):
            with pytest.raises(EndpointError, match=remedy) as caught:
                await endpoint.fetch(ask("hi"))
            assert not isinstance(caught.value, RequestError)
            assert SECRET not in str(caught.value)

    with OpenAIServer(lambda call: act) as server:
        use(server, cache, work)
        assert len(server.calls) == 1, "the second must not be sent"


def test_cancelled_again_while_it_leaves_it_keeps_what_is_paid(cache: ReplyCache) -> None:
    async def work(server: OpenAIServer) -> None:
        async with Endpoint(cache, base_url=server.base_url, limits=QUICK) as endpoint:
            await endpoint.fetch(ask("a"))

    async def main(server: OpenAIServer) -> None:
        task = asyncio.create_task(work(server))
        while not server.calls:
            await asyncio.sleep(0.01)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await task

    with OpenAIServer(latency_s=0.5) as server:
        asyncio.run(main(server))
        assert server.paid == 1
    assert len(cache.read("SELECT key FROM replies")) == 1


def test_the_breaker_stops_a_run_against_a_dead_server(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        results = await asyncio.gather(
            *(endpoint.fetch(ask(str(index))) for index in range(200)), return_exceptions=True
        )
        stopped = [error for error in results if type(error) is EndpointError]
        assert len(stopped) == 200
        assert "failures in a row" in str(stopped[0])

    limits = replace(QUICK, breaker_failures=10, attempts=50)
    with OpenAIServer(lambda call: fail(500, "broken")) as server:
        use(server, cache, work, limits=limits)
        assert len(server.calls) <= 40
    use(server, cache, work, limits=limits)  # nobody listens there any more


def test_429_never_opens_the_breaker_while_requests_get_through(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        return fail(429) if call.number < 60 else say("ok")

    async def work(endpoint: Endpoint) -> None:
        await asyncio.gather(*(endpoint.fetch(ask(str(index))) for index in range(30)))

    with OpenAIServer(script) as server:
        limits = replace(QUICK, attempts=70, breaker_failures=5)
        endpoint = use(server, cache, work, limits=limits)
        assert endpoint.stats.paid == 30


def test_concurrency_falls_on_429_and_everything_arrives(cache: ReplyCache) -> None:
    """A server that takes four at a time and pushes back above."""
    most_allowed = 4

    def script(call: Call) -> Act:
        return fail(429, retry_after="0.02") if server.open >= most_allowed else say("ok")

    async def work(endpoint: Endpoint) -> None:
        await asyncio.gather(*(endpoint.fetch(ask(str(index))) for index in range(150)))

    with OpenAIServer(script, latency_s=0.02) as server:
        endpoint = use(server, cache, work, limits=replace(QUICK, attempts=30))
        assert endpoint.stats.paid == 150
        assert endpoint.stats.failures["429"] < 150
        assert set(server.paid_calls.values()) == {1}


def test_retry_after_is_honoured(cache: ReplyCache) -> None:
    times: list[float] = []

    def script(call: Call) -> Act:
        times.append(asyncio.get_running_loop().time())
        return fail(429, retry_after="0.5") if call.number == 0 else say("ok")

    with OpenAIServer(script) as server:
        use(server, cache, lambda e: e.fetch(ask("hi")))
    assert times[1] - times[0] >= 0.5


def test_a_used_up_allowance_pauses_before_the_429(cache: ReplyCache) -> None:
    times: list[float] = []
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}

    def script(call: Call) -> Act:
        times.append(asyncio.get_running_loop().time())
        return say("ok", headers=spent if call.number == 0 else {})

    async def work(endpoint: Endpoint) -> None:
        await endpoint.fetch(ask("one"))
        await endpoint.fetch(ask("two"))

    with OpenAIServer(script) as server:
        use(server, cache, work)
    assert times[1] - times[0] >= 0.4


def test_a_caller_who_gives_up_loses_nothing_that_was_paid(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        tasks = [asyncio.create_task(endpoint.fetch(ask(str(index)))) for index in range(30)]
        while len(server.calls) < 10:
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with OpenAIServer(latency_s=0.1) as server:
        use(server, cache, work, limits=replace(QUICK, concurrency=10))
        sent = len(server.calls)
        assert 10 <= sent < 30, "what was not sent must not be sent any more"
        (stored,) = cache.read("SELECT count(*) FROM replies")[0]
        assert stored == server.paid == sent


def test_what_cannot_be_kept_is_not_paid_any_more(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(key: bytes, reply: StoredReply, **more: float) -> StoredReply:
        raise StorageError("the disk is full")

    async def work(endpoint: Endpoint) -> None:
        results = await asyncio.gather(
            *(endpoint.fetch(ask(str(index))) for index in range(100)), return_exceptions=True
        )
        assert all(isinstance(error, StorageError) for error in results)

    monkeypatch.setattr(cache, "put", full)
    with OpenAIServer(latency_s=0.02) as server:
        use(server, cache, work, limits=replace(QUICK, concurrency=5))
        assert server.paid <= 10


def test_the_budget_is_never_overrun(cache: ReplyCache) -> None:
    chance = random.Random(3)

    def script(call: Call) -> Act:
        return chance.choice(
            [
                say("ok", prompt_tokens=20, completion_tokens=chance.randrange(100)),
                say("ok", usage=False),
                cut(),
                fail(500),
            ]
        )

    budget = Budget(20.0)  # $1 for 1,000 tokens; each call at most 20 + 100

    async def work(endpoint: Endpoint) -> None:
        requests = [ask(str(index), allowance=Usage(20, 100)) for index in range(400)]
        results = await asyncio.gather(
            *(endpoint.fetch(request) for request in requests), return_exceptions=True
        )
        assert any(isinstance(result, BudgetError) for result in results)
        paid = [result for result in results if not isinstance(result, BaseException)]
        assert len(paid) == server.paid
        assert all(isinstance(r, EndpointError) for r in results if isinstance(r, BaseException))

    with OpenAIServer(script, latency_s=0.01) as server:
        limits = replace(QUICK, breaker_failures=1000)
        use(server, cache, work, prices=PRICES, budget=budget, limits=limits)
    assert 15.0 < budget.spent_usd + budget.uncertain_usd <= 20.0
    assert budget.spent_usd == pytest.approx(cache.spent_usd())


@pytest.mark.parametrize("act", [say("ok", usage=False), cut(), garble(), hang()], ids=str)
def test_what_may_have_been_billed_counts_in_all_later_runs(cache: ReplyCache, act: Act) -> None:
    """Each call may cost $0.12: after two, a budget of 0.3 is used up for good."""
    limits = replace(QUICK, attempts=1, timeout_s=0.3)

    async def work(endpoint: Endpoint) -> None:
        with contextlib.suppress(EndpointError):
            await endpoint.fetch(ask(str(len(server.calls)), allowance=Usage(20, 100)))

    with OpenAIServer(lambda call: act) as server:
        for sent in (1, 2, 2, 2):
            budget = Budget(0.3, **cache.billed())
            use(server, cache, work, prices=PRICES, budget=budget, limits=limits)
            assert len(server.calls) == sent
            assert cache.billed() == {"spent_usd": 0, "uncertain_usd": pytest.approx(0.12 * sent)}
            assert budget.uncertain_usd == pytest.approx(0.12 * sent)


def test_a_request_that_is_given_up_in_flight_may_have_been_billed(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        task = asyncio.create_task(endpoint.fetch(ask("hi", allowance=Usage(20, 100))))
        while not server.calls:
            await asyncio.sleep(0.01)
        task.cancel()

    with OpenAIServer(lambda call: hang()) as server:
        use(server, cache, work, prices=PRICES, limits=replace(QUICK, drain_s=0.1))
    while not cache.uncertain_usd():  # the writer may be a moment behind
        time.sleep(0.01)
    assert cache.uncertain_usd() == pytest.approx(0.12)


def test_negative_counts_are_none(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        reply = await endpoint.fetch(ask("hi"))
        assert (reply.usage, reply.cost_usd) == (None, None)

    with OpenAIServer(lambda call: say("ok", completion_tokens=-1000)) as server:
        use(server, cache, work, prices=PRICES)


def test_a_budget_without_a_price_is_refused(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        with pytest.raises(SettingsError, match=r"price of model 'm'.*--prices"):
            await endpoint.fetch(ask("hi"))

    with OpenAIServer() as server:
        use(server, cache, work, budget=Budget(1.0), prices={})
        assert not server.calls


def test_an_unknown_price_is_none_and_not_zero(cache: ReplyCache) -> None:
    async def work(endpoint: Endpoint) -> None:
        assert (await endpoint.fetch(ask("hi"))).cost_usd is None

    with OpenAIServer() as server:
        use(server, cache, work)


def test_speech_and_transcription_go_the_same_way(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        if call.path == "/audio/speech":
            return send(b"RIFF" + call.body["input"].encode(), "audio/wav")
        name, content = call.files["file"]
        return send(json.dumps({"text": f"{name} {len(content)}"}).encode(), "application/json")

    async def work(endpoint: Endpoint) -> None:
        body = {"model": "tts", "input": "hello", "voice": "v"}
        allowance = Usage(characters=5)
        speech = json_request("/audio/speech", body, kind="audio", allowance=allowance)
        reply = await endpoint.fetch(speech)
        assert (reply.content, reply.content_type, reply.data) == (b"RIFFhello", "audio/wav", None)
        assert reply.cost_usd == pytest.approx(75e-6)
        wav = ("clip.wav", bytes(range(256)) * 9, "audio/wav")
        form = form_request("/audio/transcriptions", {"model": "asr"}, {"file": wav})
        assert (await endpoint.fetch(form)).data == {"text": "clip.wav 2304"}
        assert (await endpoint.fetch(speech)).cached
        assert (await endpoint.fetch(form)).cached

    prices = {"*": {"tts": Price(input=0, output=0, characters=15)}}
    with OpenAIServer(script) as server:
        use(server, cache, work, prices=prices)
        assert server.paid == 2


@pytest.mark.parametrize("act", [html(), say("text"), send(b"", "audio/wav")])
def test_what_is_no_sound_is_no_speech(cache: ReplyCache, act: Act) -> None:
    async def work(endpoint: Endpoint) -> None:
        with pytest.raises(RequestError, match="sound"):
            await endpoint.fetch(json_request("/audio/speech", {"model": "t"}, kind="audio"))

    with OpenAIServer(lambda call: act) as server:
        use(server, cache, work)


def test_the_key_is_in_no_file_and_no_log(
    cache: ReplyCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where the server sends it back, in replies and in errors."""
    errors: list[str] = []

    def script(call: Call) -> Act:
        assert call.headers["Authorization"] == f"Bearer {SECRET}"
        if call.text == "reply":
            return say(f"your key is {SECRET}")
        return fail(400, f"bad key {SECRET} and sk-some-other-key-123456")

    async def work(endpoint: Endpoint) -> None:
        await endpoint.fetch(ask("reply"))
        for request in (ask("error"), ask("more")):
            with pytest.raises(RequestError) as caught:
                await endpoint.fetch(request)
            errors.append(str(caught.value) + repr(caught.value) + repr(endpoint.stats))

    with caplog.at_level(logging.DEBUG), OpenAIServer(script) as server:
        use(server, cache, work)
        cache.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in caplog.text + "".join(errors)
    assert "sk-some-other" not in "".join(errors)
    assert "***" in errors[0]


def test_the_key_is_needed_by_openai_only(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        Endpoint(cache)
    with OpenAIServer() as server:
        use(server, cache, lambda e: e.fetch(ask("hi")))
        assert server.paid == 1
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url + "/")
        assert Endpoint(cache).base_url == server.base_url


def test_a_key_that_no_header_can_hold_is_refused(
    cache: ReplyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-“curly”")
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
        Endpoint(cache, base_url="http://127.0.0.1:1/v1")
    assert "curly" not in str(caught.value)


def test_the_token_limit_learns_what_requests_use_of_their_allowance(cache: ReplyCache) -> None:
    """Each may use 10,000 tokens and uses 80: by the worst case 60 would take a minute."""

    async def work(endpoint: Endpoint) -> None:
        start = asyncio.get_running_loop().time()
        await asyncio.gather(
            *(endpoint.fetch(ask(str(i), allowance=Usage(5000, 5000))) for i in range(60))
        )
        assert asyncio.get_running_loop().time() - start < 25

    with OpenAIServer(latency_s=1.0) as server:
        limits = replace(QUICK, tokens_per_minute=60_000)
        use(server, cache, work, limits=limits)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "not an address"),
        ("ftp://h/v1", "not an address"),
        ("http://user:pass@h/v1", "password"),
        ("http://h/v1?key=1", "query"),
    ],
)
def test_a_bad_address_is_refused_without_repeating_secrets(
    cache: ReplyCache, url: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Endpoint(cache, base_url=url)
    assert "pass@" not in str(caught.value)
