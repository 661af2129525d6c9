"""A transcriber and a model that reads: what can be had without listening end to end.

Each sound is transcribed by itself (a passage's narration once, however many dialogues stand on
it); the model is given the transcripts in place of the sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.evaluate.responders.endpoint import ask
from askqa_builder.evaluate.responders.messages import Message, laid_out, wav_bytes
from askqa_builder.evaluate.responders.room import Room
from askqa_builder.llm.client import LanguageModel
from askqa_builder.llm.endpoint import Endpoint
from askqa_builder.llm.prices import Usage
from askqa_builder.llm.requests import form_request

PATH = "/audio/transcriptions"
_TOKENS_PER_S = 25
"""More than any transcriber is known to count, in or out, for a second of speech."""


class Cascade:
    """A transcription endpoint and a text endpoint, which may be the same."""

    def __init__(
        self,
        room: Room,
        transcriber: str,
        model: str,
        *,
        transcriber_url: str | None = None,
        base_url: str | None = None,
        max_new_tokens: int = 256,
        params: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """`params` go into each request to the text model as they are."""
        self._room = room
        self._transcriber = transcriber
        self._model = LanguageModel(
            room.endpoint(base_url), model, max_tokens=max_new_tokens, params=params
        )
        self._listening = room.endpoint(transcriber_url or base_url)
        self.name = (
            f"cascade:{transcriber}@{self._listening.base_url}"
            f"+{model}@{self._model.endpoint.base_url}"
        )
        self.settings: dict[str, JsonValue] = {
            "max_new_tokens": max_new_tokens,
            "params": dict(self._model.params),
        }

    def respond(self, conversation: Conversation) -> str:
        """Raises RequestError where an endpoint refuses this one."""
        (response,) = self.respond_many([conversation])
        if isinstance(response, Exception):
            raise response
        return response

    def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
        """Respond to all at the same time, within the endpoints' limits."""
        return [*self._room.each(self._respond, conversations)]

    def close(self) -> None:
        self._room.close()

    async def _respond(self, conversation: Conversation) -> str:
        said = [*conversation.narration, *conversation.turns]
        transcripts = dict(
            zip(map(id, said), await asyncio.gather(*map(self._read, said)), strict=True)
        )
        messages: list[Message] = laid_out(
            conversation, lambda utterance: transcripts[id(utterance)]
        )
        return await ask(self._model, messages)

    async def _read(self, utterance: Utterance) -> str:
        """What is heard in an utterance, or its text where there is nothing to hear."""
        if utterance.speaker == "assistant" or utterance.sound is None:
            return utterance.text
        return await transcribe(self._listening, self._transcriber, utterance.sound)


async def transcribe(endpoint: Endpoint, model: str, sound: Sound) -> str:
    """The words of a sound, by OpenAI's form of transcription.

    Raises RequestError where the endpoint refuses this sound, EvaluationError where the reply
    holds no text.
    """
    tokens = round(_TOKENS_PER_S * len(sound.samples) / sound.sample_rate_hz) + 100
    request = form_request(
        PATH,
        {"model": model, "response_format": "json", "temperature": "0"},
        {"file": ("speech.wav", wav_bytes(sound), "audio/wav")},
        allowance=Usage(input_tokens=tokens, output_tokens=tokens),
    )
    reply = await endpoint.fetch(request)
    text = reply.data.get("text")
    if not isinstance(text, str):
        raise EvaluationError(f"{endpoint.base_url}{PATH}: a reply without 'text'")
    return text.strip()
