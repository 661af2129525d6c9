"""A random Whisper of 100,000 parameters in CTranslate2's form: real paths, nonsense for words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
WIDTH, INNER, MELS, HEARD, SAID = 16, 32, 80, 1500, 448
"""Channels, those of the feed-forward layers, of the mel spectrogram; frames, tokens."""


def make_tiny_whisper(folder: Path) -> Path:
    """Write the model into `folder`, which must not exist."""
    import ctranslate2
    import numpy as np
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: n for n, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    times = [f"<|{place * 0.02:.2f}|>" for place in range(1501)]
    tokens = [*alphabet, *SPECIAL, *times]

    chance = np.random.default_rng(0)

    def random(*shape: int) -> Any:
        return chance.normal(0, 0.02, shape).astype(np.float32)

    def linear(spec: Any, inputs: int, outputs: int) -> None:
        spec.weight, spec.bias = random(outputs, inputs), random(outputs)

    def norm(spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def layer(spec: Any) -> None:
        norm(spec.self_attention.layer_norm)
        linear(spec.self_attention.linear[0], WIDTH, 3 * WIDTH)
        linear(spec.self_attention.linear[1], WIDTH, WIDTH)
        norm(spec.ffn.layer_norm)
        linear(spec.ffn.linear_0, WIDTH, INNER)
        linear(spec.ffn.linear_1, INNER, WIDTH)

    spec = ctranslate2.specs.WhisperSpec(1, 2, 1, 2)
    encoder, decoder = spec.encoder, spec.decoder
    for convolution, inputs in ((encoder.conv1, MELS), (encoder.conv2, WIDTH)):
        convolution.weight, convolution.bias = random(WIDTH, inputs, 3), random(WIDTH)
    for stack, length in ((encoder, HEARD), (decoder, SAID)):
        stack.position_encodings.encodings = random(length, WIDTH)
        norm(stack.layer_norm)
        layer(stack.layer[0])
    across = decoder.layer[0].attention
    norm(across.layer_norm)
    for number, outputs in enumerate((WIDTH, 2 * WIDTH, WIDTH)):
        linear(across.linear[number], WIDTH, outputs)
    embeddings = 50 * random(len(tokens), WIDTH)
    letters = [place for place, char in enumerate(alphabet) if char in "abcdefghijklmnopqrstuvwxyz"]
    embeddings[np.setdiff1d(np.arange(len(tokens)), letters)] = 0  # or it would say time stamps
    decoder.embeddings.weight = decoder.projection.weight = embeddings
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.lang_ids = [tokenizer.token_to_id("<|en|>")]
    spec.config.alignment_heads = [(0, 0), (0, 1)]
    spec.validate()
    folder.mkdir(parents=True)
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": MELS, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder
