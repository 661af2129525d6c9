"""The shape of the small spoken-language model."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class TinyConfig(PreTrainedConfig):
    model_type = "askqa-tiny"

    vocab_size: int = 1024
    hidden_size: int = 128
    listener_layers: int = 3
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    expansion: int = 2
    """Width of the feed-forward layers, in hidden sizes."""
    kernel_size: int = 7
    """Of the listener's convolutions, in frames of 120 ms; odd."""
    key_kernel: int = 4
    """Tokens that a key or value sees: itself and those before it."""
    num_mel_bins: int = 40
    frame_stack: int = 6
    """Mel frames (20 ms) in a frame of the listener."""
    frame_merge: int = 2
    """Frames of the listener in an audio token."""
    frame_dropout: float = 0.05
    ctc_weight: float = 1.0
    audio_token_id: int = 1
    pad_token_id: int | None = 0
    """Also the blank of the transcription loss."""
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = False
    """There is one matrix and nothing to tie."""
