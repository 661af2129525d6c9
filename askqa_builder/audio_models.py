"""Models that hear, of transformers: loading them and handing them sound.

Code that comes with a model is never run, and weights are read from safetensors alone: pickled
ones can run code.
"""

from __future__ import annotations

import base64
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from askqa_builder.errors import MissingExtraError, ModelError
from askqa_builder.evaluate.responders import Sound
from askqa_builder.evaluate.responders.messages import wav_bytes

if TYPE_CHECKING:
    import torch

MAX_CLIP_S = 30.0
"""Whisper's encoder, which most of these models hear with, takes no more and would cut the rest
without a word."""
TINY = "askqa-tiny"
"""`model_type` of the model that `--base tiny` builds: its code is in this package."""


def load(
    model: str,
    *,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    device_map: str | None = None,
) -> tuple[Any, Any]:
    """A processor and a model of `AutoModelForMultimodalLM`, by folder or Hub id.

    Raises MissingExtraError without the extra [train], ModelError where the model cannot be
    loaded, lacks weights, or takes no audio.
    """
    need_extra(f"the local model {model!r}")
    from askqa_builder.torchaudio_cpu import mend_torchaudio

    mend_torchaudio()
    from safetensors import SafetensorError
    from transformers import AutoModelForMultimodalLM, AutoProcessor, PreTrainedConfig

    auto_processor: Any = AutoProcessor
    where: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    try:
        config, _ = PreTrainedConfig.get_config_dict(model, **where)
        if config.get("model_type") == TINY:
            import_module("askqa_builder.learn.tiny")  # registers it
        processor = auto_processor.from_pretrained(model, **where)
        check_hears(model, processor)
        loaded, report = AutoModelForMultimodalLM.from_pretrained(
            model,
            dtype=dtype,
            device_map=device_map,
            use_safetensors=True,
            output_loading_info=True,
            **where,
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        words = " ".join(str(error).split())
        if "trust_remote_code" in words:
            words = "needs code of its own, which is not run"
        raise ModelError(f"model {model!r} cannot be loaded: {words[:300]}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"model {model!r}: {len(missing)} weights are not in its files, such as "
            f"{missing[0]!r}; it would respond at random"
        )
    _check_match(model, processor, loaded)
    # the Omni models' speaking half is not needed, and takes settings of its own
    return processor, getattr(loaded, "thinker", loaded)


def _check_match(name: str, processor: Any, model: Any) -> None:
    """Raise ModelError where processor and weights are of different models."""
    config = model.config
    words: int | None = getattr(config.get_text_config(), "vocab_size", None)
    bins: int | None = getattr(getattr(config, "audio_config", None), "num_mel_bins", None)
    own_bins: int | None = getattr(listener(processor), "feature_size", None)
    token: int | None = getattr(config, "audio_token_id", None)
    own_token: int | None = getattr(processor, "audio_token_id", None)
    if words is not None and len(processor.tokenizer) > words:
        differ = f"the tokenizer has {len(processor.tokenizer)} tokens, the model {words}"
    elif None not in (bins, own_bins) and bins != own_bins:
        differ = f"it makes {own_bins} mel bins, the model takes {bins}"
    elif None not in (token, own_token) and token != own_token:
        differ = f"sound is token {own_token}, for the model {token}"
    else:
        return
    raise ModelError(
        f"{name}: {type(processor).__name__} does not match {type(model).__name__}: {differ}; "
        "save the processor that belongs to the model beside it"
    )


def need_extra(feature: str) -> None:
    """Raise MissingExtraError, naming the feature, unless the extra [train] is installed."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingExtraError(feature, "train")


def check_hears(model: str, processor: Any) -> None:
    """Raise ModelError unless a processor takes sound."""
    if listener(processor) is None:
        raise ModelError(
            f"{model}: {type(processor).__name__} takes no audio; a model that reads can be "
            "evaluated as cascade:TRANSCRIBER+MODEL behind an endpoint"
        )


def listener(processor: Any) -> Any:
    """The part of a processor that takes sound, or None."""
    for name in ("feature_extractor", "audio_processor"):
        part = getattr(processor, name, None)
        if part is not None and hasattr(part, "sampling_rate"):
            return part
    return None


class Ears:
    """Hands sound to a processor: at its rate, in its form, and never more than it hears."""

    def __init__(self, name: str, processor: Any) -> None:
        """`name` is the model's, for errors."""
        part = listener(processor)
        self._name = name
        self._is_mistral = is_mistral(processor)
        self._sample_rate_hz = int(part.sampling_rate)
        self.longest_s: float = min(
            MAX_CLIP_S, getattr(part, "n_samples", float("inf")) / self._sample_rate_hz
        )

    def chat(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Chat messages whose audio parts are samples at 16 kHz, as the processor takes them.

        Raises ModelError for a clip that the model would hear only the beginning of.
        """
        return [
            {
                "role": message["role"],
                "content": [
                    part if part["type"] == "text" else self.part(Sound(part["audio"], 16_000))
                    for part in message["content"]
                ],
            }
            for message in messages
        ]

    def part(self, sound: Sound) -> dict[str, Any]:
        """A clip as a part of a chat message.

        Raises ModelError for a clip that the model would hear only the beginning of.
        """
        seconds = len(sound.samples) / sound.sample_rate_hz
        if seconds > self.longest_s:
            raise ModelError(
                f"a clip of {seconds:.1f} s: {self._name} hears {self.longest_s:g} s at most and "
                "would cut the rest"
            )
        from askqa_builder.audio import resample

        samples = resample(sound.samples, sound.sample_rate_hz, self._sample_rate_hz)
        if self._is_mistral:
            wav = wav_bytes(Sound(samples, self._sample_rate_hz))  # it decodes files itself
            return {"type": "audio", "base64": base64.b64encode(wav).decode()}
        # Null fields would make Qwen2-Audio's template render a text as sound: each part has
        # its own keys and no others.
        return {"type": "audio", "audio": samples}


def is_mistral(processor: Any) -> bool:
    """Whether a processor's tokenizer is Mistral's own, which has no chat template."""
    return type(processor.tokenizer).__name__ == "MistralCommonBackend"


def context_of(model: Any) -> int | None:
    """How many tokens a model takes at most; None where its configuration does not say."""
    limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, on the GPU or the CPU."""
    import torch

    # the CPU's allocator raises a plain RuntimeError
    words = str(error).lower()
    is_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in words
    return is_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def free_memory() -> None:
    """Give unused GPU memory back."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
