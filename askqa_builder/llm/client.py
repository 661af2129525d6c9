"""A chat model behind an endpoint: text in, text or a checked object out.

The mode of structured output is found with the first requests for each schema, remembered in the
cache's file, and never asked again. A reply that does not validate goes back with the
validator's words, a bounded number of times; each is a request of its own, paid once, so that a
run that is repeated takes the same way through the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, overload

from pydantic import BaseModel, JsonValue

from askqa_builder.errors import RequestError, SettingsError
from askqa_builder.llm.endpoint import OPENAI_URL
from askqa_builder.llm.prices import Usage
from askqa_builder.llm.requests import Fetcher, RawReply, Request, json_request
from askqa_builder.llm.structured import (
    COMPLAINT,
    MODES,
    InvalidReplyError,
    Mode,
    parse,
    response_format,
    strict_schema,
    weaker,
    with_shape,
)

Message = Mapping[str, JsonValue]
"""As in OpenAI's chat API: `role`, `content` (text, or a list of parts such as audio)."""

Outcome = Literal["ok", "truncated", "refused", "filtered", "empty", "invalid"]
"""`truncated`: cut by the token limit; `refused`: by the model; `filtered`: by the provider;
`empty`: no text at all; `invalid`: never fitted the schema. Only `ok` has an object to use."""

PATH = "/chat/completions"
PARTS_TOKENS = 3000
"""Counted for a part that is not text, whose size in bytes says little: five minutes of sound at
10 tokens a second, which is what OpenAI's audio models make of it."""

_OURS = {
    "model": "give --model",
    "messages": "the prompts say what is sent (--prompts)",
    "max_tokens": "give --max-tokens, which the budget reserves",
    "max_completion_tokens": "give --max-tokens, which the budget reserves",
    "n": "one reply is asked for, read and reserved at a time",
    "stream": "replies are read whole",
    "response_format": "the strictest form that the endpoint supports is found by itself",
}
"""Fields of a request that its parameters may not set, and what to do instead."""

T = TypeVar("T", bound=BaseModel)


def checked_params(params: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Parameters that may go into requests, in the order of their names.

    Raises SettingsError for one that would change what a budget has reserved or how a reply is
    read, and for null, which no settings file can hold.
    """
    for name, value in params.items():
        if name in _OURS:
            raise SettingsError(f"--param {name} cannot be set: {_OURS[name]}")
        if _has_null(value):
            raise SettingsError(
                f"--param {name} holds null, which askqa.toml cannot; leave it away: a parameter "
                "that is not sent has the endpoint's default"
            )
    return dict(sorted(params.items()))


def _has_null(value: JsonValue) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_null, value.values() if isinstance(value, dict) else value))
    return value is None


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What became of one question to the model. Repeating a run gives the same, but `cached`."""

    outcome: Outcome
    text: str
    """What the model last wrote."""
    parsed: T | None
    """The object, where one was asked for and `outcome` is `ok`."""
    problem: str
    """Why it is not `ok`, in words; empty where it is."""
    finish_reason: str
    mode: Mode | Literal["text"]
    usage: Usage
    """Of all attempts."""
    cost_usd: float | None
    """Of all attempts, at the price of the day they were paid; None where the price is unknown."""
    attempts: int
    """Replies that were paid for: 1, and one for each repair."""
    cached: bool
    """True where nothing was paid now."""
    keys: tuple[str, ...]
    """The hash of each request."""

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"


class LanguageModel:
    """One model at one endpoint, with the parameters that all its calls share.

    `params` go into the request as they are (`temperature`, `top_p`, `seed` …), as far as
    `checked_params` lets them. `max_tokens` bounds each reply: no call without a bound, or no
    budget could hold.
    """

    def __init__(
        self,
        endpoint: Fetcher,
        model: str,
        *,
        max_tokens: int = 4096,
        params: Mapping[str, JsonValue] | None = None,
        repairs: int = 2,
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self.params: dict[str, JsonValue] = checked_params(params or {})
        self._max_tokens = max_tokens
        self._repairs = repairs
        self._modes: dict[type[BaseModel], Mode] = {}
        self._settled: set[type[BaseModel]] = set()
        """Schemas whose mode has proved itself: it is remembered on the disk."""
        self._strictest: dict[type[BaseModel], Mode] = {}
        """Where to begin probing, if the strictest mode is known not to work."""
        self._probing: dict[type[BaseModel], asyncio.Lock] = {}

    @overload
    async def chat(self, messages: Sequence[Message], *, sample: int = 0) -> Reply[Any]: ...

    @overload
    async def chat(
        self, messages: Sequence[Message], *, schema: type[T], sample: int = 0
    ) -> Reply[T]: ...

    async def chat(
        self, messages: Sequence[Message], *, schema: type[T] | None = None, sample: int = 0
    ) -> Reply[Any]:
        """Ask; with a `schema`, return an object of it in `Reply.parsed`.

        `sample` tells independent answers to the same question apart: each is paid for once.
        Raises RequestError where this question cannot be answered (the run goes on without it),
        BudgetError or another EndpointError where no question can.
        """
        talk = [dict(message) for message in messages]
        if schema is None:
            return self._reply([await self.endpoint.fetch(self._request(talk, sample))], "text")
        mode, first = await self._first(talk, schema, sample)
        raws = [first]
        while True:
            reply = self._reply(raws, mode, schema)
            if reply.outcome != "invalid" or len(raws) > self._repairs:
                return reply
            words = COMPLAINT.format(words=reply.problem)
            talk += [
                {"role": "assistant", "content": reply.text},
                {"role": "user", "content": words},
            ]
            raws.append(await self.endpoint.fetch(self._request(talk, sample, mode, schema)))

    async def _first(
        self, talk: list[dict[str, JsonValue]], schema: type[BaseModel], sample: int
    ) -> tuple[Mode, RawReply]:
        """Return the first reply, and the mode it was asked in: the strictest that works."""
        while True:
            if (mode := self._known_mode(schema)) is None:
                async with self._probing.setdefault(schema, asyncio.Lock()):
                    if self._known_mode(schema) is None:
                        return await self._probe(talk, schema, sample)
                continue
            # What was asked before the mode was settled is not asked again in another.
            for earlier in MODES[: MODES.index(mode)]:
                old = self.endpoint.cached(self._request(talk, sample, earlier, schema))
                if old is not None and _follows(old, schema) is not False:
                    return earlier, old
            raw = await self.endpoint.fetch(self._request(talk, sample, mode, schema))
            if schema in self._settled or await self._settle(schema, mode, raw):
                return mode, raw

    async def _probe(
        self, talk: list[dict[str, JsonValue]], schema: type[BaseModel], sample: int
    ) -> tuple[Mode, RawReply]:
        """Find the mode with a real request: an endpoint that refuses one is asked in the next."""
        mode: Mode = self._strictest.get(schema, "json_schema")
        refusal: RequestError | None = None
        while True:
            request = self._request(talk, sample, mode, schema)
            next_mode = weaker(mode)
            try:
                raw = await self.endpoint.fetch(request, probe=True)
            except RequestError as error:
                refusal = refusal or error
                if next_mode is None or error.status not in (400, 415, 422, 501):
                    raise refusal from None
                mode = next_mode
                continue
            self._modes[schema] = mode
            if await self._settle(schema, mode, raw):
                return mode, raw
            mode = self._strictest[schema]

    async def _settle(self, schema: type[BaseModel], mode: Mode, raw: RawReply) -> bool:
        """Learn from a reply; False where the question must be asked again in a weaker mode.

        An endpoint that accepts a schema may still pay it no heed: only a whole reply tells. The
        question is then asked from the start, so that a repeated run, which knows the mode, finds
        the same request.
        """
        follows = _follows(raw, schema) if mode == "json_schema" else True
        if follows is False:
            self._strictest[schema] = "json_object"
            if self._modes.get(schema) == "json_schema":
                del self._modes[schema]
            return False
        if follows is True:
            self._settled.add(schema)
            await self.endpoint.remember(self._memo_name(schema), mode)
        return True

    def _known_mode(self, schema: type[BaseModel]) -> Mode | None:
        if schema not in self._modes:
            remembered = self.endpoint.memo(self._memo_name(schema))
            for mode in MODES:
                if mode == remembered and schema not in self._strictest:
                    self._modes[schema] = mode
                    self._settled.add(schema)
        return self._modes.get(schema)

    def _memo_name(self, schema: type[BaseModel]) -> str:
        """Endpoints refuse schemas one by one, so that the mode belongs to the schema too."""
        digest = hashlib.sha256(json.dumps(strict_schema(schema)).encode()).hexdigest()[:16]
        return f"mode {self.model} {schema.__name__} {digest}"

    def _request(
        self,
        talk: list[dict[str, JsonValue]],
        sample: int,
        mode: Mode = "prompt",
        schema: type[BaseModel] | None = None,
    ) -> Request:
        if schema is not None:
            talk = with_shape(talk, mode, schema)
        # OpenAI's newer models refuse the old name, other servers do not know the new one.
        hosted = self.endpoint.base_url == OPENAI_URL
        limit = "max_completion_tokens" if hosted else "max_tokens"
        body: dict[str, JsonValue] = {"model": self.model, "messages": list(talk)}
        body[limit] = self._max_tokens
        body |= self.params
        if schema is not None and (shape := response_format(mode, schema)) is not None:
            body["response_format"] = shape
        request = json_request(PATH, body, kind="chat", sample=sample)
        return replace(request, allowance=self._allowance(talk, request))

    def _allowance(self, talk: list[dict[str, JsonValue]], request: Request) -> Usage:
        """Bound what a call can use: no tokenizer makes more tokens than there are bytes."""
        into = len(request.content)
        for message in talk:
            if isinstance(parts := message.get("content"), list):
                media = [part for part in parts if isinstance(part, dict) and "text" not in part]
                into += sum(PARTS_TOKENS - len(json.dumps(part)) for part in media)
        return Usage(input_tokens=max(into, 1), output_tokens=self._max_tokens)

    def _reply(
        self,
        raws: list[RawReply],
        mode: Mode | Literal["text"],
        schema: type[BaseModel] | None = None,
    ) -> Reply[Any]:
        text, finish_reason, outcome, problem = _read(raws[-1])
        parsed: BaseModel | None = None
        if schema is not None and outcome == "ok":
            try:
                parsed = parse(text, schema)
            except InvalidReplyError as error:
                outcome, problem = "invalid", str(error)
        costs = [raw.cost_usd for raw in raws]
        known = [cost for cost in costs if cost is not None]
        return Reply(
            outcome=outcome,
            text=text,
            parsed=parsed,
            problem=problem,
            finish_reason=finish_reason,
            mode=mode,
            usage=sum((raw.usage for raw in raws if raw.usage is not None), Usage()),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            attempts=len(raws),
            cached=all(raw.cached for raw in raws),
            keys=tuple(raw.key for raw in raws),
        )


def _follows(raw: RawReply, schema: type[BaseModel]) -> bool | None:
    """Tell whether a reply keeps to the schema; None where it is not whole enough to tell."""
    text, _, outcome, _ = _read(raw)
    if outcome != "ok":
        return None
    try:
        parse(text, schema)
    except InvalidReplyError as error:
        return not error.shapeless
    return True


def _read(raw: RawReply) -> tuple[str, str, Outcome, str]:
    """Return a completion's text, why it ended, what became of it, and words for that."""
    choice = raw.data["choices"][0]
    message = choice["message"]
    content, refusal = message.get("content"), message.get("refusal")
    text = content if isinstance(content, str) else ""
    finish_reason = str(choice.get("finish_reason") or "")
    if finish_reason == "length":
        return text, finish_reason, "truncated", "cut by the token limit"
    if finish_reason == "content_filter":
        return text, finish_reason, "filtered", "held back by the provider's content filter"
    if refusal:
        return text, finish_reason, "refused", str(refusal)
    if not text.strip():
        return text, finish_reason, "empty", "the model wrote nothing"
    return text, finish_reason, "ok", ""
