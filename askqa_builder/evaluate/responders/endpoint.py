"""A model that hears, behind an OpenAI-compatible chat endpoint (OpenAI's, vLLM's …).

Sound goes as `input_audio` parts, base64 of a WAV file, which is what OpenAI's audio models and
vLLM take: https://developers.openai.com/api/docs/guides/audio,
https://docs.vllm.ai/en/latest/features/multimodal_inputs.html.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.evaluate.responders.messages import Message, Part, messages_of, wav_bytes
from askqa_builder.evaluate.responders.room import Room
from askqa_builder.llm.client import LanguageModel


class EndpointModel:
    """A chat model that is sent the sound."""

    def __init__(
        self,
        room: Room,
        model: str,
        *,
        base_url: str | None = None,
        max_new_tokens: int = 256,
        params: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """`params` go into each request as they are: temperature, top_p, modalities …"""
        self._room = room
        endpoint = room.endpoint(base_url)
        self._model = LanguageModel(endpoint, model, max_tokens=max_new_tokens, params=params)
        self.name = f"openai:{model}@{endpoint.base_url}"
        self.settings: dict[str, JsonValue] = {
            "max_new_tokens": max_new_tokens,
            "params": dict(self._model.params),
        }

    def respond(self, conversation: Conversation) -> str:
        """Raises RequestError where the endpoint refuses this one."""
        (response,) = self.respond_many([conversation])
        if isinstance(response, Exception):
            raise response
        return response

    def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
        """Respond to all at the same time, within the endpoint's limits."""
        return [*self._room.each(self._respond, conversations)]

    def close(self) -> None:
        self._room.close()

    async def _respond(self, conversation: Conversation) -> str:
        return await ask(self._model, messages_of(conversation))


async def ask(model: LanguageModel, messages: Sequence[Message]) -> str:
    """What the model says next; a response cut by the token limit counts as it is.

    Raises EvaluationError where the model or its provider would not respond.
    """
    reply = await model.chat([_chat_message(message) for message in messages])
    if reply.outcome in ("refused", "filtered"):
        raise EvaluationError(f"{model.model}: {reply.outcome}: {reply.problem}")
    return reply.text.strip()


def _chat_message(message: Message) -> dict[str, JsonValue]:
    if all(isinstance(part, str) for part in message.parts):  # what text models understand too
        return {"role": message.role, "content": "".join(map(str, message.parts))}
    return {"role": message.role, "content": [_chat_part(part) for part in message.parts]}


def _chat_part(part: Part) -> JsonValue:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = base64.b64encode(wav_bytes(part)).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
