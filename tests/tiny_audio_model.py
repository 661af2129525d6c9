"""Tiny random audio models with tokenizers made here: real code paths, no download.

Qwen2-Audio: 0.4 million parameters, a 10 s window instead of Whisper's 30 s. Voxtral: another
family, whose processor has Mistral's own tokenizer and pads sound to 30 s.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from askqa_builder.torchaudio_cpu import mend_torchaudio

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_AUDIO = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")


def build_tiny_qwen2_audio(
    folder: Path, texts: Iterable[str], *, window_s: int = 10, seed: int = 0
) -> Path:
    """Save model and processor to `folder`; the tokenizer learns its pieces from `texts`."""
    import torch

    mend_torchaudio()
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        WhisperFeatureExtractor,
    )

    tokenizer = tiny_tokenizer(texts)
    extractor = WhisperFeatureExtractor(
        feature_size=40, sampling_rate=16_000, hop_length=160, chunk_length=window_s, n_fft=400
    )
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 40,
            "d_model": 64,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 128,
            "max_source_positions": window_s * 50,  # frames / 2, at 100 frames a second
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "tie_word_embeddings": False,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    torch.manual_seed(seed)
    model = Qwen2AudioForConditionalGeneration(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    Qwen2AudioProcessor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def tiny_tokenizer(texts: Iterable[str], vocabulary: int = 500) -> Any:
    """Byte-level BPE with Qwen2-Audio's special tokens: any text goes in and comes out."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*_SPECIAL, *_AUDIO],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", *_AUDIO],
    )


_MISTRAL = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] "
    "[/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] "
    "[SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]"
).split()
_MISTRAL_SPECIAL = 40


def build_tiny_voxtral(folder: Path, *, seed: int = 0) -> Path:
    """Save model and processor to `folder`; every byte is a token."""
    import torch

    mend_torchaudio()
    from transformers import (
        VoxtralConfig,
        VoxtralForConditionalGeneration,
        VoxtralProcessor,
        WhisperFeatureExtractor,
    )
    from transformers.tokenization_mistral_common import MistralCommonBackend

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tekken.json").write_text(json.dumps(_tekken()))
    extractor = WhisperFeatureExtractor(
        feature_size=32, sampling_rate=16_000, hop_length=160, chunk_length=30, n_fft=400
    )
    config = VoxtralConfig(
        audio_config={
            "hidden_size": 32,
            "intermediate_size": 128,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_mel_bins": 32,
            "max_source_positions": 1500,
        },
        text_config={
            "model_type": "llama",
            "vocab_size": 256 + _MISTRAL_SPECIAL,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 4096,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 11,
        },
        audio_token_id=24,
    )
    torch.manual_seed(seed)
    model = VoxtralForConditionalGeneration(config)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 2, 11
    model.save_pretrained(folder)
    tokenizer = MistralCommonBackend.from_pretrained(str(folder))
    VoxtralProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def _tekken() -> dict[str, Any]:
    """Mistral's tokenizer file: bytes for a vocabulary, audio at the ids that Voxtral expects."""
    special = [*_MISTRAL, *(f"<SPECIAL_{i}>" for i in range(len(_MISTRAL), 24))]
    special += ["[AUDIO]", "[BEGIN_AUDIO]", *(f"<SPECIAL_{i}>" for i in range(26, 34))]
    special.append("[TRANSCRIBE]")
    return {
        "vocab": [
            {"rank": i, "token_bytes": base64.b64encode(bytes([i])).decode(), "token_str": None}
            for i in range(256)
        ],
        "special_tokens": [
            {"rank": i, "token_str": token, "is_control": True} for i, token in enumerate(special)
        ],
        "config": {
            "pattern": r"\S+|\s+",
            "num_vocab_tokens": 256,
            "default_vocab_size": 256 + _MISTRAL_SPECIAL,
            "default_num_special_tokens": _MISTRAL_SPECIAL,
            "version": "v7",
        },
        "version": 1,
        "type": "Tekken",
        "audio": {
            "sampling_rate": 16_000,
            "frame_rate": 12.5,
            "audio_encoding_config": {"num_mel_bins": 32, "hop_length": 160, "window_size": 400},
            "chunk_length_s": 30.0,
        },
    }
