"""A random Whisper of 100,000 parameters in CTranslate2's form: real paths, nonsense for words."""

from __future__ import annotations

import json
from pathlib import Path

SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)


def make_tiny_whisper(folder: Path) -> Path:
    """Write the model into `folder`, which must not exist; takes a few seconds."""
    from askqa_builder.torchaudio_cpu import mend_torchaudio

    mend_torchaudio()
    import ctranslate2
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast as FastTokenizer
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: n for n, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    timestamps = 1501
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(alphabet) + len(SPECIAL) + timestamps,
        num_mel_bins=80,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        pad_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    source = folder.with_name(folder.name + "-source")
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():  # or it would mostly say time stamps
        model.model.decoder.embed_tokens.weight[len(alphabet) + 1 :] = 0.0
        model.model.decoder.embed_tokens.weight *= 50
    model.generation_config.suppress_tokens = []
    model.generation_config.begin_suppress_tokens = []
    model.generation_config.lang_to_id = {"<|en|>": ids["<|en|>"]}
    model.save_pretrained(source)
    fast = FastTokenizer(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL[1:]),
    )
    fast.save_pretrained(source)
    ctranslate2.converters.TransformersConverter(str(source)).convert(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": 80, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder
