"""A model on this machine: any of transformers' `AutoModelForMultimodalLM` that hears.

Decoding is greedy, in bfloat16 on a GPU and float32 on a CPU. Code that comes with a model is
never run, and weights are read from safetensors alone: pickled ones can run code.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from askqa_builder.errors import EvaluationError, MissingExtraError
from askqa_builder.evaluate.responders import Conversation, Sound
from askqa_builder.evaluate.responders.messages import Part, messages_of, wav_bytes

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)

MAX_CLIP_S = 30.0
"""Whisper's encoder, which most of these models hear with, takes no more and would cut the rest
without a word."""

Chat = list[dict[str, Any]]


class LocalModel:
    """A model and its processor; one batch is what `respond_many` is given.

    Raises MissingExtraError without the extra [train], EvaluationError where the model cannot be
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
        if find_spec("torch") is None or find_spec("transformers") is None:
            raise MissingExtraError(f"the local model {model!r}", "train")
        self.name = f"hf:{model}" + (f"@{revision}" if revision else "")
        self._max_new_tokens = max_new_tokens
        self._at_once: int | None = None
        """How many conversations fit into memory, once a batch has not."""
        self._processor, self._model = _load(model, revision, device)
        listener = _listener(self._processor)
        if listener is None:
            raise EvaluationError(
                f"{model}: {type(self._processor).__name__} takes no audio; a model that reads can "
                "be evaluated as cascade:TRANSCRIBER+MODEL behind an endpoint"
            )
        self._sample_rate_hz = int(listener.sampling_rate)
        self._longest_s = min(
            MAX_CLIP_S, getattr(listener, "n_samples", float("inf")) / self._sample_rate_hz
        )

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What shapes the responses, beside the model."""
        dtype = str(self._model.dtype).removeprefix("torch.")
        return {"max_new_tokens": self._max_new_tokens, "dtype": dtype, "decoding": "greedy"}

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
            except EvaluationError as error:
                said[index] = error
        responses = self._generate_or_halve([chat for _, chat in chats])
        for (index, _), response in zip(chats, responses, strict=True):
            said[index] = response
        return said

    def chat(self, conversation: Conversation) -> Chat:
        """The messages as the processor takes them, with sound at its sample rate.

        Raises EvaluationError for a clip that the model would hear only the beginning of.
        """
        return [
            {"role": message.role, "content": [self._part(part) for part in message.parts]}
            for message in messages_of(conversation)
        ]

    def _part(self, part: Part) -> dict[str, Any]:
        # Null fields would make Qwen2-Audio's template render a text as sound: each part has
        # its own keys and no others.
        if isinstance(part, str):
            return {"type": "text", "text": part}
        seconds = len(part.samples) / part.sample_rate_hz
        if seconds > self._longest_s:
            raise EvaluationError(
                f"a clip of {seconds:.1f} s: {self.name} hears {self._longest_s:g} s at most and "
                "would cut the rest"
            )
        from askqa_builder.audio import resample

        samples = resample(part.samples, part.sample_rate_hz, self._sample_rate_hz)
        if type(self._processor.tokenizer).__name__ == "MistralCommonBackend":
            wav = wav_bytes(Sound(samples, self._sample_rate_hz))  # it decodes files itself
            return {"type": "audio", "base64": base64.b64encode(wav).decode()}
        return {"type": "audio", "audio": samples}

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
                if _is_out_of_memory(error):
                    self._at_once = len(chats) // 2
                    _LOG.warning(
                        "out of memory with %d conversations at once, going on with %d; "
                        "--batch-size %d saves the attempt",
                        *(len(chats), self._at_once, self._at_once),
                    )
            _free_memory()  # not before: the traceback holds the tensors
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
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        longest = int(inputs["attention_mask"].sum(dim=1).max())
        if limit is not None and longest + self._max_new_tokens > limit:
            raise EvaluationError(
                f"a conversation of {longest} tokens and {self._max_new_tokens} for the response: "
                f"{self.name} takes {limit} together"
            )

    def _explained(self, error: Exception) -> Exception:
        if not _is_out_of_memory(error):
            return error
        return EvaluationError(
            f"out of memory with one conversation and max_new_tokens={self._max_new_tokens}: lower "
            "--max-new-tokens, free the GPU of other processes, or take a smaller model"
        )


def _load(model: str, revision: str | None, device: str) -> tuple[Any, Any]:
    import torch

    from askqa_builder.torchaudio_cpu import mend_torchaudio

    mend_torchaudio()
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("device 'cuda': torch finds no GPU here; use --device cpu")
    auto_processor: Any = AutoProcessor
    where: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    try:
        processor = auto_processor.from_pretrained(model, **where)
        loaded, report = AutoModelForMultimodalLM.from_pretrained(
            model,
            dtype=_dtype(on_gpu),
            device_map="auto" if on_gpu else None,  # over several GPUs where one is too small
            use_safetensors=True,
            output_loading_info=True,
            **where,
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        words = " ".join(str(error).split())
        if "trust_remote_code" in words:
            words = "needs code of its own, which is not run"
        raise EvaluationError(f"model {model!r} cannot be loaded: {words[:300]}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise EvaluationError(
            f"model {model!r}: {len(missing)} weights are not in its files, such as "
            f"{missing[0]!r}; it would respond at random"
        )
    processor.tokenizer.padding_side = "left"  # what is generated follows the prompt
    # the Omni models' speaking half is not needed, and takes settings of its own
    return processor, getattr(loaded, "thinker", loaded).eval()


def _dtype(on_gpu: bool) -> torch.dtype:
    import torch

    return torch.bfloat16 if on_gpu else torch.float32


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    # the CPU's allocator raises a plain RuntimeError
    words = str(error).lower()
    is_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in words
    return is_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def _free_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _listener(processor: Any) -> Any:
    """The part of a processor that takes sound, or None."""
    for name in ("feature_extractor", "audio_processor"):
        part = getattr(processor, name, None)
        if part is not None and hasattr(part, "sampling_rate"):
            return part
    return None
