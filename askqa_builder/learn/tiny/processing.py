"""Conversations → tensors, without a template in between: what text says is never a token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from transformers import BatchFeature, ProcessorMixin

from .extraction import TinyFeatureExtractor
from .vocabulary import AUDIO, END, HEARD, normalised

IGNORED = -100


class TinyProcessor(ProcessorMixin):
    """A tokenizer and the log-mel extractor.

    A conversation is `<|role|> parts <|end|>` for each message; the audio token stands once for
    every 240 ms of a clip, and `<|heard|>` ends it. A clip that stands in a batch several times is
    given once.
    """

    feature_extractor: TinyFeatureExtractor
    tokenizer: Any

    def __init__(
        self, feature_extractor: Any, tokenizer: Any, frames_per_token: int = 12, **kwargs: Any
    ) -> None:
        """`frames_per_token`: mel frames that an audio token stands for."""
        super().__init__(feature_extractor, tokenizer, **kwargs)
        self.frames_per_token = frames_per_token
        self.audio_token = AUDIO
        self.audio_token_id: int = tokenizer.convert_tokens_to_ids(AUDIO)

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Any,
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
        return_tensors: str | None = None,
        return_dict: bool = False,
        processor_kwargs: dict[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Make one conversation, or a list of them, into what the model takes.

        Returns a BatchFeature of `input_ids`, `attention_mask` and, where there is sound,
        `input_features`, `clip_tokens` and `clip_order`, as `forward` describes them; without
        `return_dict` the ids, without `tokenize` the text with one audio token a clip.

        Raises ValueError for a part or a role that it does not know, and for conversations of
        different lengths without padding.
        """
        is_batch = bool(conversation) and not isinstance(conversation[0], dict)
        conversations = conversation if is_batch else [conversation]
        if not tokenize:
            texts = [self._text(c, add_generation_prompt) for c in conversations]
            return texts if is_batch else texts[0]
        clips: dict[bytes, int] = {}
        features: list[Any] = []
        order: list[int] = []
        rows = []
        for messages in conversations:
            row: list[int] = []
            for role, content in map(_message, messages):
                row += self._special(f"<|{role}|>")
                for part in content:
                    if part["type"] == "text":
                        row += self._plain(part["text"])
                        continue
                    samples = np.ascontiguousarray(part["audio"], np.float32)
                    clip = clips.setdefault(samples.tobytes(), len(clips))
                    if clip == len(features):
                        features += self.feature_extractor([samples], multiple_of=self._frames)
                    order.append(clip)
                    row += [self.audio_token_id] * (len(features[clip]) // self._frames)
                    row += self._special(HEARD)
                row += self._special(END)
            rows.append(row + (self._special("<|assistant|>") if add_generation_prompt else []))
        padding = (processor_kwargs or {}).get("padding", len(rows) > 1)
        data: dict[str, Any] = self._padded(rows, bool(padding))
        if features:
            data["input_features"] = np.concatenate(features)
            data["clip_tokens"] = np.array([len(f) // self._frames for f in features])
            data["clip_order"] = np.array(order)
        if not return_dict:
            data = {"input_ids": data["input_ids"]}
        found = BatchFeature(data, tensor_type=return_tensors)
        return found if return_dict else found["input_ids"]

    def transcript_labels(self, transcripts: Sequence[Sequence[str]]) -> dict[str, Any]:
        """What is said in the audio parts of each conversation, in order, as the model takes it.

        Returns `transcript_labels` of shape (clips of all conversations, tokens), -100 where a
        transcript has ended; nothing where there is no sound.
        """
        import torch

        rows = [self._plain(normalised(text)) for texts in transcripts for text in texts]
        if not rows:
            return {}
        width = max(1, *map(len, rows))
        padded = [row + [IGNORED] * (width - len(row)) for row in rows]
        return {"transcript_labels": torch.tensor(padded)}

    @property
    def _frames(self) -> int:
        return self.frames_per_token

    def _special(self, token: str) -> list[int]:
        return [self.tokenizer.convert_tokens_to_ids(token)]

    def _plain(self, text: str) -> list[int]:
        return _tokens(self.tokenizer, text)

    def _padded(self, rows: list[list[int]], padding: bool) -> dict[str, Any]:
        width = max(map(len, rows))
        if not padding and any(len(row) != width for row in rows):
            raise ValueError("conversations of different lengths; expected padding=True")
        left = self.tokenizer.padding_side == "left"
        ids = np.full((len(rows), width), self.tokenizer.pad_token_id)
        mask = np.zeros((len(rows), width), np.int64)
        for index, row in enumerate(rows):
            place = slice(width - len(row), width) if left else slice(len(row))
            ids[index, place], mask[index, place] = row, 1
        return {"input_ids": ids, "attention_mask": mask}

    def _text(self, messages: Any, add_generation_prompt: bool) -> str:
        said = ""
        for role, parts in map(_message, messages):
            texts = (p["text"] if p["type"] == "text" else AUDIO + HEARD for p in parts)
            said += f"<|{role}|>{''.join(texts)}{END}"
        return said + ("<|assistant|>" if add_generation_prompt else "")


def _message(message: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The role and the parts of a message, whose content may also be plain text."""
    role, content = message["role"], message["content"]
    if role not in ("user", "assistant", "system"):
        raise ValueError(f"role {role!r}; expected user, assistant or system")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for part in parts:
        if part["type"] not in ("text", "audio") or part["type"] not in part:
            raise ValueError(
                f"a part of type {part['type']!r} with {sorted(part)}; expected text, or audio as "
                "an array at 16 kHz"
            )
    return role, parts


@lru_cache(maxsize=50_000)  # the same instructions and words come again and again
def _tokens(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
        "input_ids"
    ]
    return found
