"""A small spoken-language model from scratch, `--base tiny`: no download, minutes on a laptop.

Importing this registers it with transformers, so that `AutoModelForMultimodalLM` and
`AutoProcessor` load what is saved. Its code is saved beside its weights: plain transformers loads
the folder with `trust_remote_code=True`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from askqa_builder.torchaudio_cpu import mend_torchaudio

mend_torchaudio()

from transformers import (  # noqa: E402 - torchaudio has to be mended before
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForMultimodalLM,
    AutoProcessor,
)

from askqa_builder.learn.tiny.configuration import TinyConfig  # noqa: E402
from askqa_builder.learn.tiny.extraction import TinyFeatureExtractor  # noqa: E402
from askqa_builder.learn.tiny.modeling import TinyForConditionalGeneration  # noqa: E402
from askqa_builder.learn.tiny.processing import TinyProcessor  # noqa: E402
from askqa_builder.learn.tiny.vocabulary import AUDIO, END, PAD, make_tokenizer  # noqa: E402

_auto: Any
for _auto, _class in (
    (AutoConfig, None),
    (AutoFeatureExtractor, TinyFeatureExtractor),
    (AutoProcessor, TinyProcessor),
    (AutoModelForMultimodalLM, TinyForConditionalGeneration),
):
    if _class is None:
        _auto.register(TinyConfig.model_type, TinyConfig, exist_ok=True)
    else:
        _auto.register(TinyConfig, _class, exist_ok=True)
TinyConfig.register_for_auto_class()
TinyForConditionalGeneration.register_for_auto_class("AutoModelForMultimodalLM")
TinyProcessor.register_for_auto_class()
TinyFeatureExtractor.register_for_auto_class()

Size = Literal["small", "medium", "large"]
SIZES: dict[Size, dict[str, Any]] = {
    "small": {"hidden_size": 128, "listener_layers": 3, "num_hidden_layers": 3},
    "medium": {"hidden_size": 256, "listener_layers": 6, "num_hidden_layers": 6},
    "large": {  # for a GPU
        "hidden_size": 640,
        "listener_layers": 12,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
    },
}
WORDS = 4096
"""Most words that a tokenizer learns."""


def build(folder: Path, texts: Iterable[str], *, seed: int, size: Size = "small") -> Path:
    """Save a model with random weights, and a processor that knows the words of the texts.

    `texts` are everything that is written or said. The same arguments give the same weights.
    """
    import torch

    tokenizer: Any = make_tokenizer(texts, WORDS)
    config = TinyConfig(
        vocab_size=len(tokenizer),
        audio_token_id=tokenizer.convert_tokens_to_ids(AUDIO),
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        eos_token_id=tokenizer.convert_tokens_to_ids(END),
        **SIZES[size],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TinyForConditionalGeneration(config)
    model.save_pretrained(folder)
    extractor = TinyFeatureExtractor(feature_size=config.num_mel_bins)
    processor = TinyProcessor(
        extractor, tokenizer, frames_per_token=config.frame_stack * config.frame_merge
    )
    processor.save_pretrained(folder)
    return folder
