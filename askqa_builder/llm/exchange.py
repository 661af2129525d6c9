"""One HTTP exchange, and what became of it: a good body, or a failure sorted by what to do.

| what happened | action | may have been billed |
|---|---|---|
| 401, 402, 404, quota used up | stop: no request will do better | no |
| 408, 409, 425, 429, 5xx | retry | no |
| any other status but 200 | reject this request | no |
| no connection at all | retry | no |
| cut, too slow, or a body that is no reply | retry | yes |
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from askqa_builder.llm.limits import retry_after_s
from askqa_builder.llm.requests import Request, error_words, what_is_wrong

if TYPE_CHECKING:
    import httpx2

Action = Literal["retry", "reject", "stop"]


@dataclass(frozen=True, slots=True)
class Body:
    """A good reply."""

    content: bytes = field(repr=False)
    content_type: str
    data: Any = field(repr=False)
    """Its JSON object; None for sound."""
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """No reply."""

    kind: str
    """The status, or `timeout`, `connection`, `garbled`."""
    words: str
    action: Action
    maybe_billed: bool = False
    retry_after_s: float | None = None

    @property
    def is_pushback(self) -> bool:
        """The endpoint has too much to do."""
        return self.kind in ("429", "503", "529", "timeout")

    @property
    def is_hopeless(self) -> bool:
        """Nobody listens, or what we send is refused: waiting alone will not help."""
        return self.kind == "connection" or self.action == "reject"

    @property
    def remedy(self) -> str:
        return {
            "401": "check OPENAI_API_KEY",
            "402": "the account has no credit left",
            "404": "check --base-url (it usually ends in /v1) and --model",
            "429": "the account's quota is used up: add credit, then run again",
        }.get(self.kind, "see that the server runs and takes such requests")


class Wire:
    """The way to one endpoint: the openai package's client and its aiohttp transport.

    Calls that are paid go to the transport directly, with the headers that the client would send:
    its request and reply models cost more time than all else (measured with
    `benchmarks/llm_throughput.py`), and `max_retries=0` would be all that is used of them.
    """

    def __init__(self, base_url: str, key: str, timeout_s: float) -> None:
        import httpx2
        import openai

        self._key = key
        self._timeout_s = timeout_s
        self._base_url = base_url
        self._http = openai.DefaultAioHttpClient()
        self.client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key or "none",
            max_retries=0,  # our own limiter must see every 429
            timeout=timeout_s,
            http_client=self._http,
        )
        """For what is not paid by the call: files and batches."""
        headers = {**self.client.default_headers, **self.client.auth_headers}
        self._headers = httpx2.Headers({k: v for k, v in headers.items() if isinstance(v, str)})
        self._extensions = {"timeout": httpx2.Timeout(timeout_s).as_dict()}
        self._urls: dict[str, httpx2.URL] = {}

    async def close(self) -> None:
        await self.client.close()

    async def exchange(self, request: Request) -> Body | Failure:
        """Send one request; return what became of it. Raises nothing that the network does."""
        import aiohttp
        import httpx2

        if (url := self._urls.get(request.path)) is None:
            url = self._urls[request.path] = httpx2.URL(self._base_url + request.path)
        headers = self._headers.copy()
        headers["content-type"] = request.content_type
        outgoing = httpx2.Request(
            "POST", url, headers=headers, content=request.content, extensions=self._extensions
        )
        try:
            async with asyncio.timeout(self._timeout_s):  # a trickle would renew a read timeout
                response = await self._http.send(outgoing)
        except (TimeoutError, httpx2.HTTPError, aiohttp.ClientError) as error:
            return _breakdown(error, self._timeout_s, self._key)
        if response.status_code != 200:
            return _refusal(response, self._key)
        content = response.content
        if request.kind != "audio":  # a change in the middle of sound would spoil it
            content = redacted(content, self._key)
        content_type = response.headers.get("content-type", "")
        wrong, data = what_is_wrong(request.kind, content, content_type)
        if wrong is not None:
            return Failure("garbled", scrubbed(wrong, self._key), "retry", maybe_billed=True)
        return Body(content, content_type, data, response.headers)


SECRET_CHARS = 12
"""A shorter key is no secret: what providers hand out has 20 characters and more, what people set
for a server of their own (`test`, `none`, `x`, `EMPTY`) is an ordinary word, and putting stars in
the place of every such word would falsify the data that is paid for."""


def redacted(content: bytes, key: str) -> bytes:
    """Return a reply without the key: a server may echo what it was sent."""
    return content.replace(key.encode(), b"***") if len(key) >= SECRET_CHARS else content


def scrubbed(words: str, key: str) -> str:
    """Return words for people on one line, without the key or anything that looks like one.

    They are no data, so that a short key goes as well, where it stands alone.
    """
    if len(key) >= SECRET_CHARS:
        words = words.replace(key, "***")
    elif key:
        words = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", "***", words)
    return " ".join(re.sub(r"\bsk-[\w*-]{6,}", "sk-***", words).split())


def _refusal(response: httpx2.Response, key: str) -> Failure:
    status = response.status_code
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    # An error page of a proxy is not worth quoting; the reason phrase says as much.
    words = error_words(body) if isinstance(body, dict) else response.reason_phrase
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    action: Action
    if status in (401, 402, 404) or code == "insufficient_quota":
        action = "stop"
    elif status in (408, 409, 425, 429) or status >= 500:
        action = "retry"
    else:
        action = "reject"
    wait_s = retry_after_s(response.headers, time.time())
    return Failure(str(status), scrubbed(words, key), action, retry_after_s=wait_s)


def _breakdown(error: BaseException, timeout_s: float, key: str) -> Failure:
    """Sort an exception by its causes (the transport calls a cut connection a timeout)."""
    import aiohttp

    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__
    for cause in causes:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return Failure("connection", scrubbed(str(cause), key), "retry")
    for cause in causes:
        if isinstance(cause, aiohttp.ClientError) and not isinstance(
            cause, aiohttp.ServerTimeoutError
        ):
            words = "the connection was cut before the reply was whole"
            return Failure("connection", words, "retry", maybe_billed=True)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        words = f"no whole reply within {timeout_s:g} s"
        return Failure("timeout", words, "retry", maybe_billed=True)
    words = scrubbed(str(causes[-1]), key) or type(causes[-1]).__name__
    return Failure("connection", words, "retry", maybe_billed=True)
