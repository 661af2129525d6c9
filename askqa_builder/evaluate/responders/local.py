"""A model on this machine: any of transformers' `AutoModelForMultimodalLM` that hears.

Decoding is greedy, in bfloat16 on a GPU and float32 on a CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from askqa_builder.audio_models import (
    Ears,
    context_of,
    free_memory,
    is_out_of_memory,
    load,
    need_extra,
)
from askqa_builder.errors import EvaluationError, ModelError
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.evaluate.responders.messages import Part, messages_of
from askqa_builder.files import digest, sha256_of

_MODEL_FILES = (
    *(".safetensors", "config.json", "tokenizer.json", "vocab.json", "merges.txt", ".model"),
    *(".jinja", ".py"),
)
"""Ends of names: weights, configurations, words, template and code, not logs, cards and scores."""
_LOG = logging.getLogger(__name__)

Chat = list[dict[str, Any]]


class LocalModel:
    """A model and its processor; one batch is what `respond_many` is given.

    Raises MissingExtraError without the extra [train], ModelError where the model cannot be
    loaded or hears nothing.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        max_new_tokens: int = 128,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> None:
        """`model` is a folder or a Hub id, `revision` a tag or commit of the latter."""
        self.name = f"hf:{model}" + (f"@{revision}" if revision else "")
        self._max_new_tokens = max_new_tokens
        self._at_once: int | None = None
        """How many conversations fit into memory, once a batch has not."""
        self._version = weights_version(Path(model)) if Path(model).is_dir() else None
        self._processor, self._model = _load(model, revision, device)
        self._ears = Ears(self.name, self._processor)

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What shapes the responses, beside the model."""
        dtype = str(self._model.dtype).removeprefix("torch.")
        version = self._version or getattr(self._model.config, "_commit_hash", None)
        return {
            "max_new_tokens": self._max_new_tokens,
            "dtype": dtype,
            "decoding": "greedy",
            **({"version": version} if version else {}),
        }

    def respond(self, conversation: Conversation) -> str:
        """Raises EvaluationError for a conversation that the model cannot take."""
        (response,) = self.respond_many([conversation])
        if isinstance(response, Exception):
            raise response
        return response

    def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
        """Respond to all in one batch; one that breaks it is found and fails alone."""
        said: list[str | Exception] = [""] * len(conversations)
        chats: list[tuple[int, Chat]] = []
        for index, conversation in enumerate(conversations):
            try:
                chats.append((index, self.chat(conversation)))
            except ModelError as error:
                said[index] = error
        responses = self._generate_or_halve([chat for _, chat in chats])
        for (index, _), response in zip(chats, responses, strict=True):
            said[index] = response
        return said

    def respond_to(self, chats: Sequence[Chat]) -> list[str | Exception]:
        """Respond to chat messages whose audio parts are samples at 16 kHz; as `respond_many`."""
        return self._generate_or_halve([self._ears.chat(chat) for chat in chats])

    def chat(self, conversation: Conversation) -> Chat:
        """The messages as the processor takes them, with sound at its sample rate.

        Raises ModelError for a clip that the model would hear only the beginning of.
        """
        return [
            {"role": message.role, "content": [self._part(part) for part in message.parts]}
            for message in messages_of(conversation)
        ]

    def _part(self, part: Part) -> dict[str, Any]:
        return {"type": "text", "text": part} if isinstance(part, str) else self._ears.part(part)

    def _generate_or_halve(self, chats: list[Chat]) -> list[str | Exception]:
        """Halve a batch that fails until what fails is one conversation."""
        if not chats:
            return []
        if self._at_once is None or len(chats) <= self._at_once:
            try:
                return list(self._generate(chats))
            except Exception as error:  # whatever a model raises is the item's failure, on record
                if len(chats) == 1:
                    return [self._explained(error)]
                if is_out_of_memory(error):
                    self._at_once = len(chats) // 2
                    _LOG.warning(
                        "out of memory with %d conversations at once, going on with %d; "
                        "--batch-size %d saves the attempt",
                        *(len(chats), self._at_once, self._at_once),
                    )
            free_memory()  # not before: the traceback holds the tensors
        half = len(chats) // 2
        return [*self._generate_or_halve(chats[:half]), *self._generate_or_halve(chats[half:])]

    def _generate(self, chats: list[Chat]) -> list[str]:
        import torch

        inputs = self._processor.apply_chat_template(
            chats,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        self._check(inputs, chats)
        inputs = inputs.to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                max_new_tokens=self._max_new_tokens,
                do_sample=False,
                # a model's own settings may hold these, which greedy decoding has no use for
                temperature=None,
                top_p=None,
                top_k=None,
            )
        new = tokens[:, inputs["input_ids"].shape[1] :]
        texts = self._processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _check(self, inputs: Any, chats: list[Chat]) -> None:
        """Refuse what a model would take without a word and answer badly."""
        token: int | None = getattr(self._processor, "audio_token_id", None)
        for ids, chat in zip(inputs["input_ids"], chats, strict=True):
            has_sound = any(p["type"] == "audio" for m in chat for p in m["content"])
            if has_sound and token is not None and not (ids == token).any():
                raise EvaluationError(f"{self.name}: its chat template leaves out the sound")
        limit = context_of(self._model)
        longest = int(inputs["attention_mask"].sum(dim=1).max())
        if limit is not None and longest + self._max_new_tokens > limit:
            raise EvaluationError(
                f"a conversation of {longest} tokens and {self._max_new_tokens} for the response: "
                f"{self.name} takes {limit} together"
            )

    def _explained(self, error: Exception) -> Exception:
        if not is_out_of_memory(error):
            return error
        return EvaluationError(
            f"out of memory with one conversation and max_new_tokens={self._max_new_tokens}: lower "
            "--max-new-tokens, free the GPU of other processes, or take a smaller model"
        )


def _load(model: str, revision: str | None, device: str) -> tuple[Any, Any]:
    need_extra(f"the local model {model!r}")
    import torch

    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("device 'cuda': torch finds no GPU here; use --device cpu")
    processor, loaded = load(
        model,
        revision=revision,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        device_map="auto" if on_gpu else None,  # over several GPUs where one is too small
    )
    processor.tokenizer.padding_side = "left"  # what is generated follows the prompt
    return processor, loaded.eval()


def weights_version(folder: Path) -> str:
    """Hash of the files that a model folder is loaded from: trained on, it is another model."""
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(_MODEL_FILES))
    return digest({name: sha256_of(folder / name).sha256 for name in names})
