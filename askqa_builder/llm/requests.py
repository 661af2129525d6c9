"""What is sent, and what comes back, whatever the endpoint: chat, speech, transcription.

A request is the exact bytes of its body; its key is a hash over all that shapes the reply: those
bytes (model, messages, parameters, schema), the address, and which sample of the same question
it is. What does not shape the reply (limits, timeouts, prices, the API key) is not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from askqa_builder.errors import RequestError as RequestError  # part of what `fetch` promises
from askqa_builder.llm.prices import Usage

Kind = Literal["chat", "json", "audio", "transcription"]
"""What a good reply is: a chat completion, any JSON object, sound, or an object with a `text`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One POST to an endpoint."""

    path: str
    """Below the base URL, such as `/chat/completions`."""
    content: bytes = field(repr=False)
    model: str
    kind: Kind = "chat"
    content_type: str = "application/json"
    sample: int = 0
    """Tells independent answers to the same question apart."""
    allowance: Usage = field(default_factory=Usage)
    """An upper bound of what it may use: what the budget and the token limit reserve."""

    def key(self, base_url: str) -> bytes:
        """Return the hash under which the reply is kept."""
        shape = json.dumps(
            ["askqa request 1", base_url, self.path, self.content_type, self.sample]
        ).encode()
        return hashlib.sha256(shape + b"\0" + self.content).digest()


def json_request(
    path: str,
    body: Mapping[str, JsonValue],
    *,
    kind: Kind,
    sample: int = 0,
    allowance: Usage | None = None,
) -> Request:
    """Make a request with a JSON body; `body["model"]` names the model.

    Fields stay in the order given: that of a schema's properties shapes what a model writes.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    content = text.encode("utf-8", "replace")  # a lone surrogate is no character: sent as "?"
    if allowance is None:
        allowance = Usage(input_tokens=len(content))
    return Request(path, content, str(body["model"]), kind, sample=sample, allowance=allowance)


def form_request(
    path: str,
    fields: Mapping[str, str],
    files: Mapping[str, tuple[str, bytes, str]],
    *,
    kind: Kind = "json",
    sample: int = 0,
    allowance: Usage | None = None,
) -> Request:
    """Make a multipart request (RFC 7578), such as a transcription; `fields` holds the model.

    `files`: field name to (file name, content, media type). The boundary follows from the
    content, so that the same form is the same request.
    """
    digest = hashlib.sha256(repr(sorted(fields.items())).encode())
    for _, content, _ in files.values():
        digest.update(content)
    boundary = f"askqa-{digest.hexdigest()}".encode()
    parts: list[bytes] = []
    for name, value in fields.items():
        head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n'
        parts += [b"--", boundary, b"\r\n", head.encode(), value.encode(), b"\r\n"]
    for name, (file_name, content, media_type) in files.items():
        assert not set('"\r\n') & set(name + file_name + media_type), "a header would break"
        head = (
            f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        )
        parts += [b"--", boundary, b"\r\n", head.encode(), content, b"\r\n"]
    parts += [b"--", boundary, b"--\r\n"]
    return Request(
        path,
        b"".join(parts),
        fields["model"],
        kind,
        f"multipart/form-data; boundary={boundary.decode()}",
        sample,
        allowance or Usage(),
    )


@dataclass(frozen=True, slots=True)
class RawReply:
    """A good reply, as it came (now, or when it was paid)."""

    content: bytes = field(repr=False)
    content_type: str
    key: str
    """The request's hash, in hex: goes into provenance."""
    usage: Usage | None
    """None where the endpoint did not count."""
    cost_usd: float | None
    """What it cost when it was paid; None where the price is unknown."""
    cached: bool
    """True where nothing was paid now."""
    data: Any = field(default=None, repr=False)
    """The body's JSON object; None for sound."""


class Fetcher(Protocol):
    """Gives the reply to a request, paying for it at most once: `Endpoint`, `BatchEndpoint`."""

    @property
    def base_url(self) -> str: ...

    def memo(self, name: str) -> str | None:
        """Return what was remembered about the endpoint."""

    async def remember(self, name: str, value: str) -> None: ...

    def cached(self, request: Request) -> RawReply | None:
        """Return the reply where it is already paid for."""

    async def fetch(self, request: Request, *, probe: bool = False) -> RawReply:
        """Return the reply; `probe`: it is needed soon (a batch is not waited for).

        Raises RequestError where this request cannot be answered, another EndpointError
        where none can.
        """


def read_usage(data: Any) -> Usage | None:
    """Return the token counts of a reply: chat's names or transcription's; None if absent."""
    counts = data.get("usage") if isinstance(data, dict) else None
    if not isinstance(counts, dict):
        return None
    into = counts.get("prompt_tokens", counts.get("input_tokens"))
    out = counts.get("completion_tokens", counts.get("output_tokens"))
    if not isinstance(into, int) or not isinstance(out, int) or min(into, out) < 0:
        return None
    details = counts.get("prompt_tokens_details") or counts.get("input_token_details") or {}
    out_details = counts.get("completion_tokens_details") or {}
    return Usage(
        into,
        out,
        _count(details, "cached_tokens"),
        _count(details, "audio_tokens"),
        _count(out_details, "audio_tokens"),
    )


def what_is_wrong(kind: Kind, content: bytes, content_type: str) -> tuple[str | None, Any]:
    """Tell why a body with status 200 is no reply (None: it is one), and its JSON object."""
    if kind == "audio":
        if not content:
            return "an empty body instead of sound", None
        if content_type.startswith(("text/", "application/json")):
            return f"{content_type.split(';')[0]!r} instead of sound", None
        return None, None
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return f"a body that is not JSON ({content_type.split(';')[0] or 'no type'!r})", None
    if not isinstance(data, dict):
        return "a JSON body that is not an object", None
    if kind == "transcription" and not isinstance(data.get("text"), str):
        return f"a transcription without text: {error_words(data)}", None
    if kind == "chat":
        if data.get("error"):
            return f"an error with status 200: {error_words(data)}", None
        choices = data.get("choices")
        if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
            return "a completion without choices", None
        if not isinstance(choices[0].get("message"), dict):
            return "a completion without a message", None
    return None, data


def error_words(data: Any) -> str:
    """Return the message of an error body: OpenAI's form, or what comes near."""
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or json.dumps(error)
    return " ".join(str(error).split())[:300]


def _count(details: Any, name: str) -> int:
    value = details.get(name) if isinstance(details, dict) else None
    return max(0, value) if isinstance(value, int) else 0
