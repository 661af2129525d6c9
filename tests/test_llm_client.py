"""Structured replies: the strictest mode that works, honest parsing, bounded repairs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from openai_server import Act, Call, OpenAIServer, fail, refuse, say
from pydantic import BaseModel, ConfigDict, Field, model_validator

from askqa_builder.errors import RequestError, SettingsError
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.client import LanguageModel, Reply
from askqa_builder.llm.endpoint import Endpoint, Limits
from askqa_builder.llm.prices import Price, Usage
from askqa_builder.llm.structured import InvalidReplyError, parse, strict_schema, with_shape

LIMITS = Limits(timeout_s=5, attempts=3, backoff_base_s=0.01)
PRICES = {"*": {"m": Price(input=1000.0, output=1000.0)}}


class Pet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["cat", "dog"]
    name: str = Field(min_length=1, description="What it is called.")


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    age: int
    pets: tuple[Pet, ...] = ()
    nickname: str | None = None

    @model_validator(mode="after")
    def _grown(self) -> Person:
        if self.age > 150:
            raise ValueError("nobody is that old")
        return self


ADA: dict[str, Any] = {"name": "Ada", "age": 36, "pets": [], "nickname": None}


def hello(text: str = "hi") -> list[dict[str, Any]]:
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": text}]


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        yield cache


def use(
    server: OpenAIServer,
    cache: ReplyCache,
    work: Callable[[LanguageModel], Coroutine[Any, Any, Any]],
    **settings: Any,
) -> Endpoint:
    async def main() -> Endpoint:
        async with Endpoint(
            cache, base_url=server.base_url, limits=LIMITS, prices=PRICES
        ) as endpoint:
            await work(LanguageModel(endpoint, "m", max_tokens=100, **settings))
        return endpoint

    return asyncio.run(main())


def ask_ada(server: OpenAIServer, cache: ReplyCache, **settings: Any) -> Reply[Person]:
    replies: list[Reply[Person]] = []

    async def work(model: LanguageModel) -> None:
        replies.append(await model.chat(hello(), schema=Person))

    use(server, cache, work, **settings)
    return replies[0]


def modes(server: OpenAIServer) -> list[str | None]:
    return [(body.get("response_format") or {}).get("type") for body in server.bodies]


def test_plain_chat_returns_text_and_its_cost(cache: ReplyCache) -> None:
    async def work(model: LanguageModel) -> None:
        reply = await model.chat(hello())
        assert (reply.outcome, reply.text, reply.mode) == ("ok", "hello", "text")
        assert reply.usage == Usage(50, 30)
        assert reply.cost_usd == pytest.approx(0.08)
        assert (reply.attempts, len(reply.keys), reply.cached) == (1, 1, False)
        assert (await model.chat(hello())) == replace(reply, cached=True)
        other = await model.chat(hello(), sample=1)
        assert not other.cached

    with OpenAIServer(lambda call: say("hello")) as server:
        use(server, cache, work, params={"temperature": 0.7, "seed": 3})
        assert server.bodies[0] == {
            "model": "m",
            "messages": hello(),
            "max_tokens": 100,
            "seed": 3,
            "temperature": 0.7,
        }
        assert server.paid == 2


@pytest.mark.parametrize(
    "params",
    [
        *({"max_tokens": 50_000}, {"max_completion_tokens": 50_000}, {"n": 5}, {"stream": True}),
        *({"model": "dearer"}, {"messages": []}, {"response_format": {"type": "text"}}),
        {"stop": None},
        {"extra": {"stop": ["a", None]}},
    ],
    ids=str,
)
def test_a_parameter_that_would_void_the_budget_or_a_reply_is_refused(
    cache: ReplyCache, params: dict[str, Any]
) -> None:
    with OpenAIServer(lambda call: say("hello")) as server:
        with pytest.raises(SettingsError, match=f"--param {next(iter(params))} "):
            use(server, cache, lambda model: model.chat(hello()), params=params)
        assert not server.calls


@pytest.mark.parametrize(
    ("rejects", "mode"),
    [
        ((), "json_schema"),
        (("json_schema",), "json_object"),
        (("json_schema", "json_object"), "prompt"),
    ],
)
def test_the_strictest_mode_is_found_once_and_remembered(
    cache: ReplyCache, rejects: tuple[str, ...], mode: str
) -> None:
    async def many(model: LanguageModel) -> None:
        replies = await asyncio.gather(
            *(model.chat(hello(str(index)), schema=Person) for index in range(20))
        )
        assert {reply.mode for reply in replies} == {mode}
        assert all(reply.parsed == Person(name="Ada", age=36) for reply in replies)

    with OpenAIServer(lambda call: say(ADA), rejects=rejects) as server:
        use(server, cache, many)
        assert len(server.calls) == 20 + len(rejects), "the others wait for the probe"
        server.calls.clear()
        use(server, cache, many)
        assert not server.calls
        use(server, cache, lambda model: model.chat(hello("new"), schema=Person))
        assert modes(server) == [None if mode == "prompt" else mode], "remembered on the disk"


def test_the_schema_is_sent_as_strict_mode_wants_it(cache: ReplyCache) -> None:
    with OpenAIServer(lambda call: say(ADA)) as server:
        ask_ada(server, cache)
        shape = server.bodies[0]["response_format"]["json_schema"]
    assert (shape["name"], shape["strict"]) == ("Person", True)
    person, pet = shape["schema"], shape["schema"]["$defs"]["Pet"]
    for node in (person, pet):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    assert list(person["properties"]) == ["name", "age", "pets", "nickname"], "in the order written"
    assert person["properties"]["pets"]["items"] == {"$ref": "#/$defs/Pet"}
    assert pet["properties"]["name"]["description"] == "What it is called."
    text = json.dumps(shape)
    assert "minLength" not in text
    assert "default" not in text


def test_weaker_modes_are_told_the_schema_in_words(cache: ReplyCache) -> None:
    with OpenAIServer(lambda call: say(ADA), rejects=("json_schema",)) as server:
        ask_ada(server, cache)
        system = server.bodies[-1]["messages"][0]["content"]
    assert system.startswith("You are brief.")
    assert json.dumps(strict_schema(Person), separators=(",", ":")) in system
    alone = with_shape([{"role": "user", "content": "hi"}], "prompt", Person)
    assert [message["role"] for message in alone] == ["system", "user"]


def test_an_endpoint_that_ignores_the_schema_is_asked_in_words(cache: ReplyCache) -> None:
    """It takes `response_format` without complaint and pays it no heed: many do."""

    def script(call: Call) -> Act:
        told = "JSON schema" in call.body["messages"][0]["content"]
        return say(ADA if told else {"answer": "Ada is 36"})

    with OpenAIServer(script) as server:
        reply = ask_ada(server, cache)
        assert (reply.outcome, reply.mode, reply.attempts) == ("ok", "json_object", 1)
        assert modes(server) == ["json_schema", "json_object"]
        again = ask_ada(server, cache)
        assert again == replace(reply, cached=True), "a repeated run takes the same way"
        assert len(server.calls) == 2


def test_a_truncated_reply_settles_no_mode(cache: ReplyCache) -> None:
    """Seen with `transformers serve`: takes a schema, ignores it, and the first reply is cut."""

    def script(call: Call) -> Act:
        if call.text.startswith("cut"):
            return say("{", finish_reason="length")
        told = "JSON schema" in call.body["messages"][0]["content"]
        return say(ADA if told else {"answer": "Ada is 36"})

    async def work(model: LanguageModel) -> None:
        texts = ["cut 1", "cut 2", "cut 3", *map(str, range(10))]
        first = await model.chat(hello("cut 0"), schema=Person)
        assert (first.outcome, first.mode) == ("truncated", "json_schema")
        replies = await asyncio.gather(*(model.chat(hello(t), schema=Person) for t in texts))
        assert [reply.outcome for reply in replies] == ["truncated"] * 3 + ["ok"] * 10
        assert [reply.mode for reply in replies[3:]] == ["json_object"] * 10
        seen.append([first, *replies])

    seen: list[list[Reply[Person]]] = []
    with OpenAIServer(script) as server:
        use(server, cache, work)
        paid = server.paid
        use(server, cache, work)
        assert server.paid == paid, "a repeated run is free, though it knows the mode"
    assert seen[1] == [replace(reply, cached=True) for reply in seen[0]]


def test_a_wrong_value_does_not_make_the_mode_weaker(cache: ReplyCache) -> None:
    def script(call: Call) -> Act:
        return say({**ADA, "age": 36 if "nobody is that old" in call.text else 360})

    with OpenAIServer(script) as server:
        reply = ask_ada(server, cache)
    assert (reply.outcome, reply.mode, reply.attempts) == ("ok", "json_schema", 2)


def test_a_refusal_for_another_reason_stays_a_refusal(cache: ReplyCache) -> None:
    async def work(model: LanguageModel) -> None:
        with pytest.raises(RequestError, match="context too long"):
            await model.chat(hello(), schema=Person)
        assert cache.read("SELECT * FROM memos") == []
        server.script = lambda call: say(ADA)
        assert (await model.chat(hello(), schema=Person)).mode == "json_schema"

    with OpenAIServer(lambda call: fail(400, "context too long")) as server:
        use(server, cache, work)


def test_a_reply_that_does_not_validate_goes_back_with_the_validators_words(
    cache: ReplyCache,
) -> None:
    cow = {**ADA, "pets": [{"kind": "cow", "name": "Bo"}]}
    answers = iter([cow, {**ADA, "age": "old"}, ADA])

    with OpenAIServer(lambda call: say(next(answers)), rejects=("json_schema",)) as server:
        reply = ask_ada(server, cache)
        talk = server.bodies[-1]["messages"]
    assert reply.parsed == Person(name="Ada", age=36)
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    assert [message["role"] for message in talk] == roles
    assert talk[2]["content"] == json.dumps(cow)
    assert "pets.0.kind: Input should be 'cat' or 'dog'\n" in talk[3]["content"]
    assert "age: Input should be a valid integer" in talk[5]["content"]
    assert reply.attempts == len(set(reply.keys)) == 3
    assert reply.usage == Usage(150, 90)
    assert reply.cost_usd == pytest.approx(0.24)


def test_repairs_are_bounded_and_every_attempt_counts(cache: ReplyCache) -> None:
    with OpenAIServer(lambda call: say("no JSON here"), rejects=("json_schema",)) as server:
        reply = ask_ada(server, cache, repairs=2)
        assert server.paid == 3
        again = ask_ada(server, cache, repairs=2)
        assert server.paid == 3
    assert reply.outcome == "invalid"
    assert reply.parsed is None
    assert "no JSON object" in reply.problem
    assert (reply.attempts, reply.usage) == (3, Usage(150, 90))
    assert again == replace(reply, cached=True)


@pytest.mark.parametrize(
    ("act", "outcome", "problem"),
    [
        (say('{"name": "Ad', finish_reason="length"), "truncated", "token limit"),
        (say(ADA, finish_reason="length"), "truncated", "token limit"),
        (say(None, finish_reason="length"), "truncated", "token limit"),
        (say("", finish_reason="content_filter"), "filtered", "filter"),
        (refuse("I cannot help with that."), "refused", "I cannot help with that."),
        (say(""), "empty", "nothing"),
        (say(None), "empty", "nothing"),
        (say(" \n "), "empty", "nothing"),
    ],
)
def test_what_is_no_answer_is_told_apart_and_not_repaired(
    cache: ReplyCache, act: Act, outcome: str, problem: str
) -> None:
    with OpenAIServer(lambda call: act) as server:
        reply = ask_ada(server, cache)
        assert server.paid == 1
    assert reply.outcome == outcome
    assert problem in reply.problem
    assert reply.parsed is None
    assert not reply.ok


def test_servers_that_name_no_finish_reason_and_no_usage_are_taken(cache: ReplyCache) -> None:
    with OpenAIServer(lambda call: say(ADA, finish_reason=None, usage=False)) as server:
        reply = ask_ada(server, cache)
    assert reply.ok
    assert reply.usage == Usage()
    assert reply.cost_usd is None, "what was not counted is unknown, not free"


def test_hosted_openai_gets_the_new_name_of_the_token_limit(cache: ReplyCache) -> None:
    class Hosted:
        base_url = "https://api.openai.com/v1"

    model = LanguageModel(Hosted(), "m")  # type: ignore[arg-type]
    body = json.loads(model._request([{"role": "user", "content": "hi"}], 0).content)
    assert body["max_completion_tokens"] == 4096
    assert "max_tokens" not in body


def test_the_allowance_bounds_text_by_bytes_and_audio_by_length() -> None:
    class Local:
        base_url = "http://h/v1"

    model = LanguageModel(Local(), "m", max_tokens=7)  # type: ignore[arg-type]
    text = model._request([{"role": "user", "content": "é" * 1000}], 0).allowance
    assert 2000 <= text.input_tokens < 2200
    assert text.output_tokens == 7
    sound = {"type": "input_audio", "input_audio": {"data": "A" * 1_000_000, "format": "wav"}}
    parts = [{"type": "text", "text": "listen"}, sound]
    audio = model._request([{"role": "user", "content": parts}], 0).allowance
    assert 3000 <= audio.input_tokens < 3500


BARE = json.dumps(ADA)


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        f"\n {BARE} \n",
        f"```json\n{BARE}\n```",
        f"```\n{BARE}\n```",
        f"Here you are:\n```json\n{BARE}\n```\nAnything else?",
        f"Sure! {BARE} I hope that helps.",
        f"<think>Maybe {{'name'}}? Or {{}}.</think>\n{BARE}",
    ],
)
def test_json_is_found_bare_or_in_a_fence(text: str) -> None:
    assert parse(text, Person) == Person(name="Ada", age=36)


@pytest.mark.parametrize(
    ("text", "words", "shapeless"),
    [
        ("I would rather not.", "no JSON object", True),
        ('{"name": "Ada", "age": 36', "not JSON", True),
        ('{"name": "Ada", "age": 36,}', "trailing comma|Invalid JSON", True),
        ("{'name': 'Ada', 'age': 36}", "Invalid JSON|not JSON", True),
        ('[{"name": "Ada", "age": 36}]', "should be an object", True),
        ('```json\n[{"name": "Ada", "age": 36}]\n```', "should be an object", True),
        ('{"age": 36}', "name: Field required", True),
        ('{"name": "Ada", "age": 36, "sex": "f"}', "sex: Extra inputs", True),
        ('{"name": "Ada", "age": 36.5}', "age: .*got 36.5", False),
        ('{"name": "Ada", "age": 200}', "nobody is that old", False),
        ('{"name": "Ada", "age": 3, "pets": [{"kind": "cat", "name": ""}]}', "pets.0.name", False),
        ('{"turns": [{"a": 1}, {"b"', "not JSON", True),
        ('{"a":' * 5000, "not JSON", True),
    ],
)
def test_what_is_not_the_object_is_told_and_never_mended(
    text: str, words: str, shapeless: bool
) -> None:
    with pytest.raises(InvalidReplyError, match=words) as caught:
        parse(text, Person)
    assert caught.value.shapeless is shapeless
    assert len(str(caught.value)) < 2000


def test_schemas_that_strict_mode_cannot_say_are_refused() -> None:
    class Free(BaseModel):
        anything: dict[str, int]

    class Mixed(BaseModel):
        pair: tuple[int, str]

    with pytest.raises(ValueError, match=r"Free\.anything: .*dictionaries"):
        strict_schema(Free)
    with pytest.raises(ValueError, match=r"Mixed\.pair: .*tuples"):
        strict_schema(Mixed)
