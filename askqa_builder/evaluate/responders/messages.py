"""A conversation as chat messages: what every model that hears or reads is given.

    user        PROMPT  "The passage:" ▮ ▮ ▮  "The conversation:" ▮
    assistant   "The motto or the flower?"
    user        ▮

▮ is sound. The narration stands at the head of the first user message; what the assistant said is
text, as a model's own words are in its context; turns of one speaker in a row share a message,
since many chat templates demand that roles alternate. An utterance without sound is text.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from askqa_builder.evaluate.responders import Conversation, Sound, Utterance

PASSAGE, CONVERSATION = "\n\nThe passage:\n", "\n\nThe conversation:\n"

SoundT = TypeVar("SoundT")
"""Sound, or what stands for it."""


@dataclass(frozen=True, eq=False)
class MessageOf(Generic[SoundT]):
    """What one side says before the other does."""

    role: Literal["user", "assistant"]
    parts: tuple[str | SoundT, ...]


Part = str | Sound
Message = MessageOf[Sound]


def heard(utterance: Utterance) -> Part:
    """The user's and the narrator's sound (text where there is none), the assistant's text."""
    if utterance.speaker == "assistant" or utterance.sound is None:
        return utterance.text
    return utterance.sound


def messages_of(conversation: Conversation) -> list[Message]:
    """The messages of a conversation as a model that listens is given it."""
    return laid_out(conversation, heard)


def laid_out(
    conversation: Conversation, part_of: Callable[[Utterance], str | SoundT]
) -> list[MessageOf[SoundT]]:
    """The messages of a conversation; `part_of` says what is given of each utterance."""
    parts: list[str | SoundT] = [conversation.prompt]
    if conversation.narration:
        parts += [PASSAGE, *_spaced([part_of(u) for u in conversation.narration]), CONVERSATION]
    else:
        parts.append("\n\n")
    messages: list[tuple[Literal["user", "assistant"], list[str | SoundT]]] = [("user", parts)]
    for turn in conversation.turns:
        role: Literal["user", "assistant"] = "assistant" if turn.speaker == "assistant" else "user"
        if role == messages[-1][0]:
            messages[-1][1].append(part_of(turn))
        else:
            messages.append((role, [part_of(turn)]))
    return [MessageOf(role, _joined(parts)) for role, parts in messages]


def wav_bytes(sound: Sound) -> bytes:
    """Sound as a WAV file, 16 bit; the same samples are the same bytes."""
    import numpy as np

    pcm = np.clip(np.rint(sound.samples * np.float32(32768)), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.sample_rate_hz)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


def _spaced(parts: list[str | SoundT]) -> list[str | SoundT]:
    """Segments of a written passage are sentences: a space goes between them."""
    return [f"{part} " if isinstance(part, str) else part for part in parts]


def _joined(parts: list[str | SoundT]) -> tuple[str | SoundT, ...]:
    """The same with neighbouring texts in one."""
    joined: list[str | SoundT] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)
