"""Speech from an OpenAI-compatible endpoint (`/v1/audio/speech`), hosted or one's own.

    --voices openai:gpt-4o-mini-tts
    --voices openai:kokoro --base-url http://127.0.0.1:8880/v1 --voice af_bella --voice am_adam …

Requests go through the same door as those to language models: paid once and kept in the build's
cache, within limits and the budget. Many are in flight while the stage waits in its own thread for
whichever is answered next.

API: https://developers.openai.com/api/reference/resources/audio/subresources/speech
"""

from __future__ import annotations

import asyncio
import math
import os
import queue
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import JsonValue

from askqa_builder import audio
from askqa_builder.config import SpeechSettings
from askqa_builder.errors import RefusedTextError, RequestError, VoiceError
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.endpoint import OPENAI_URL, Endpoint, Limits, checked_url
from askqa_builder.llm.prices import Budget, Usage, load_prices
from askqa_builder.llm.requests import Request, json_request
from askqa_builder.schema import Speaker, Voice
from askqa_builder.voices import Line, Speech

CACHE_NAME = "llm.sqlite"
_PATH = "/audio/speech"
_REVISION = 1
"""Raise it when the same reply would sound different because of this file."""
_PCM_HZ = 24_000
_RATES = (0.25, 4.0)
_AUDIO_TOKENS_PER_S = 25.0
"""More than speech has: 20 a second were billed for gpt-4o-mini-tts in November 2025
(s-anand.net, "OpenAI TTS cost")."""
_LONGEST_S_PER_LETTER, _LONGEST_S = 0.18, 2.0
_WAITING = 64
"""Replies that may wait to be made into clips, beside those in flight."""

_Answer = tuple[int, bytes | RefusedTextError]


class OpenAIVoices:
    """A speech endpoint behind the `ManyVoices` seam."""

    name = "openai"
    batch = 1
    max_processes: int | None = 1  # one process has the budget and the limits in its hands

    def __init__(
        self,
        model: str,
        settings: SpeechSettings | None = None,
        cache: Path | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        """`cache`: folder of the paid replies. Raises VoiceError without a model's name and
        SettingsError for a bad address; that nobody answers there is found out when it is asked."""
        if not model:
            raise VoiceError("--voices openai needs the endpoint's name of the model: openai:tts-1")
        self.model = model
        self._settings = settings = settings or SpeechSettings()
        self._cache = cache
        self._limits = limits or Limits(
            concurrency=settings.concurrency,
            requests_per_minute=settings.requests_per_minute,
            timeout_s=settings.timeout_s,
            attempts=settings.attempts,
        )
        url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self._base_url = checked_url(url)
        self._host = urlsplit(self._base_url).netloc
        self.version = f"{self._host}-{_REVISION}"

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What else shapes the sound."""
        return {
            "base_url": self._base_url,
            "response_format": self._settings.response_format,
            "instructions": self._settings.instructions,
        }

    def voices(self) -> Sequence[Voice]:
        """Those that the settings name: endpoints do not tell theirs."""
        return tuple(
            Voice(id=voice, engine=self.name, name=voice, description=f"at {self._host}")
            for voice in self._settings.voices
        )

    def speak(self, text: str, speaker: Speaker) -> Speech:
        """Say `text`."""
        ((_, speech),) = self.speak_many([Line(text, speaker)])
        if isinstance(speech, RefusedTextError):
            raise speech
        return speech

    def speak_many(self, lines: Sequence[Line]) -> Iterator[tuple[int, Speech | RefusedTextError]]:
        """Say lines, as many at a time as the limits allow; yields what is answered next."""
        requests = [self._request(line) for line in lines]
        asking = _Asking(self._ask_all, requests, self._limits.concurrency + _WAITING)
        try:
            for _ in lines:
                index, answer = asking.next()
                yield index, self._speech(answer) if isinstance(answer, bytes) else answer
        finally:
            asking.end()

    def close(self) -> None:
        """Nothing to free: an endpoint is open while lines are spoken."""

    def _request(self, line: Line) -> Request:
        speaker, settings = line.speaker, self._settings
        if speaker.id not in settings.voices:
            raise VoiceError(
                f"openai:{self.model} has no voice {speaker.id!r}; expected one of "
                f"{list(settings.voices)} (--voice)"
            )
        if speaker.pitch or not _RATES[0] <= speaker.rate <= _RATES[1]:
            raise VoiceError(
                f"rate {speaker.rate:g}, pitch {speaker.pitch:+g}: speech endpoints take rates "
                f"from {_RATES[0]:g} to {_RATES[1]:g} and no pitch"
            )
        body: dict[str, JsonValue] = {
            "model": self.model,
            "input": line.text,
            "voice": speaker.id,
            "response_format": settings.response_format,
        }
        if settings.instructions:
            body["instructions"] = settings.instructions
        if speaker.rate != 1.0:
            body["speed"] = speaker.rate
        letters = sum(map(str.isalnum, line.text))
        longest_s = _LONGEST_S + _LONGEST_S_PER_LETTER * letters
        allowance = Usage(
            input_tokens=len((line.text + settings.instructions).encode()),
            output_tokens=math.ceil(longest_s * _AUDIO_TOKENS_PER_S),
            characters=len(line.text),
        )
        return json_request(_PATH, body, kind="audio", allowance=allowance)

    async def _ask_all(self, requests: Sequence[Request], asking: _Asking) -> None:
        """Answer each request; raises what makes all others pointless."""
        assert self._cache is not None, "an endpoint that is paid needs a cache"
        settings = self._settings
        prices = load_prices(Path(settings.prices) if settings.prices else None)

        async def ask(endpoint: Endpoint, index: int) -> None:
            try:
                reply = await endpoint.fetch(requests[index])
            except RequestError as error:
                if error.status is None or error.status == 429 or error.status >= 500:
                    raise  # the endpoint's trouble, not the text's: the next run may do better
                asking.answer(index, RefusedTextError(str(error)))
            else:
                asking.answer(index, reply.content)

        with ReplyCache(self._cache / CACHE_NAME) as cache:
            endpoint = Endpoint(
                cache,
                base_url=self._base_url,
                limits=self._limits,
                prices=prices,
                budget=Budget(settings.budget_usd, **cache.billed()),
            )
            async with endpoint, asyncio.TaskGroup() as group:
                for index in range(len(requests)):
                    await asking.slots.acquire()
                    group.create_task(ask(endpoint, index))

    def _speech(self, content: bytes) -> Speech | RefusedTextError:
        form = self._settings.response_format
        try:
            return Speech(*_decoded(content, form))
        except VoiceError as error:
            return RefusedTextError(f"{self._host} sent no {form}: {error}")


class _Asking:
    """Requests on their way, in a thread with an event loop of its own."""

    def __init__(
        self,
        ask_all: Callable[[Sequence[Request], _Asking], Coroutine[None, None, None]],
        requests: Sequence[Request],
        slots: int,
    ) -> None:
        """`slots`: requests that may be in flight or answered and not yet taken."""
        self.slots = asyncio.Semaphore(slots)
        self._answers: queue.SimpleQueue[_Answer | BaseException] = queue.SimpleQueue()
        self._started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ask_all, requests), name="speech", daemon=True
        )
        self._thread.start()

    def answer(self, index: int, answer: bytes | RefusedTextError) -> None:
        """Called in the thread's loop."""
        self._answers.put((index, answer))

    def next(self) -> _Answer:
        """Wait for an answer; raises what ended the asking."""
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        with suppress(RuntimeError):  # the loop has closed: all is answered
            self._loop.call_soon_threadsafe(self.slots.release)
        return answer

    def end(self) -> None:
        """Ask no more, and wait until what is in flight has been stored: it is being paid for."""
        self._started.wait()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    def _run(
        self,
        ask_all: Callable[[Sequence[Request], _Asking], Coroutine[None, None, None]],
        requests: Sequence[Request],
    ) -> None:
        async def main() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._loop, self._task = asyncio.get_running_loop(), task
            self._started.set()
            await ask_all(requests, self)

        try:
            asyncio.run(main())
        except BaseException as error:  # raised again where the answers are waited for
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self._answers.put(error)


def _decoded(content: bytes, form: str) -> tuple[audio.Samples, int]:
    """Samples and their rate, whatever form the endpoint really sent.

    Raises VoiceError if the bytes are no sound.
    """
    if form == "pcm" and content[:4] not in (b"RIFF", b"fLaC", b"OggS"):
        import numpy as np

        if len(content) % 2:
            raise VoiceError(f"{len(content)} bytes are no whole number of 16-bit samples")
        return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32768), _PCM_HZ
    return audio.decode(_with_size(content))


def _with_size(content: bytes) -> bytes:
    """A WAV file whose header says that it is empty, as it was streamed: let it say how long it is.

    (OpenAI's own streams say 0xFFFFFFFF, which libsndfile reads as "to the end".)
    """
    if content[:4] == b"RIFF" and content[36:44] == b"data\0\0\0\0":
        return content[:40] + struct.pack("<I", len(content) - 44) + content[44:]
    return content
