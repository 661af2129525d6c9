"""Transcription by an OpenAI-compatible endpoint (`/v1/audio/transcriptions`).

    --asr openai:whisper-1
    --asr openai:Systran/faster-whisper-small.en@http://127.0.0.1:8000/v1

API: https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from askqa_builder.config import SpeechSettings
from askqa_builder.errors import RecogniserError, RefusedClipError, RequestError
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.endpoint import OPENAI_URL, Endpoint, Limits, checked_url
from askqa_builder.llm.prices import Budget, Usage, load_prices
from askqa_builder.llm.requests import Request, form_request

CACHE_NAME = "llm.sqlite"
_PATH = "/audio/transcriptions"
_TOKENS_PER_S, _TOKENS = 25, 100
"""More than any transcriber is known to count, in or out, for a second of speech, and for none."""
_ROUND = 256
"""Clips that are asked about together: all that must be held in memory."""


class OpenAIRecogniser:
    """A transcription endpoint; paid once, within the limits and the budget of [synthesize]."""

    max_processes: int | None = 1  # one process has the budget and the limits in its hands

    def __init__(self, model: str, settings: SpeechSettings, cache: Path, *, language: str) -> None:
        """`model`: the endpoint's name of it, and the endpoint's address after an @, if it is not
        that of [synthesize.openai]. `cache`: folder of the paid replies.

        Raises RecogniserError without a model's name, SettingsError for a bad address.
        """
        self._model, _, url = model.partition("@")
        if not self._model:
            raise RecogniserError(
                "--asr openai needs the endpoint's name of the model: openai:whisper-1"
            )
        url = url or settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self._base_url = checked_url(url)
        self._settings, self._cache, self._language = settings, cache, language
        self.name = f"openai:{self._model}@{urlsplit(self._base_url).netloc} ({language})"

    def transcribe(
        self, sounds: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, str | RefusedClipError]]:
        """As many at a time as the limits allow."""
        sounds = iter(sounds)
        while some := list(islice(sounds, _ROUND)):
            yield from asyncio.run(self._all(some))

    async def _all(
        self, sounds: list[tuple[str, bytes]]
    ) -> list[tuple[str, str | RefusedClipError]]:
        settings = self._settings
        limits = Limits(
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            timeout_s=settings.timeout_s,
            attempts=settings.attempts,
        )
        prices = load_prices(Path(settings.prices) if settings.prices else None)
        with ReplyCache(self._cache / CACHE_NAME) as cache:
            budget = Budget(settings.budget_usd, **cache.billed())
            endpoint = Endpoint(
                cache, base_url=self._base_url, limits=limits, prices=prices, budget=budget
            )
            try:
                async with endpoint, asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._transcribe(endpoint, key, flac))
                        for key, flac in sounds
                    ]
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None  # one line for people, as everywhere
        return [task.result() for task in tasks]

    async def _transcribe(
        self, endpoint: Endpoint, key: str, flac: bytes
    ) -> tuple[str, str | RefusedClipError]:
        try:
            reply = await endpoint.fetch(self._request(flac))
        except RequestError as error:
            if error.status is None or error.status == 429 or error.status >= 500:
                raise  # the endpoint's trouble, not the clip's: the next run may do better
            return key, RefusedClipError(str(error))
        return key, str(reply.data["text"]).strip()

    def _request(self, flac: bytes) -> Request:
        import soundfile

        tokens = round(_TOKENS_PER_S * soundfile.info(io.BytesIO(flac)).duration) + _TOKENS
        return form_request(
            _PATH,
            {
                "model": self._model,
                "language": self._language,
                "response_format": "json",
                "temperature": "0",
            },
            {"file": ("clip.flac", flac, "audio/flac")},
            kind="transcription",
            allowance=Usage(input_tokens=tokens, output_tokens=tokens),
        )
