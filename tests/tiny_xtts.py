"""A random XTTS of three speakers, on disk as it is downloaded.

Its decoder cannot be made smaller, so it has 90 MB; it takes 2 s to make and as long to speak.
"""

from __future__ import annotations

from pathlib import Path

from askqa_builder.voices import coqui_cpu

SPEAKERS = ("Ana Florence", "Craig Gutsy", "Dionisio Schuyler")
_SPECIAL = ("[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]")


def build(folder: Path) -> Path:
    """Write the model into `folder` and return it."""
    coqui_cpu.prepare()
    import torch
    from tokenizers import Tokenizer, models
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts

    folder.mkdir(parents=True, exist_ok=True)
    symbols = (*_SPECIAL, *"abcdefghijklmnopqrstuvwxyz.,?!'-")
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.save(str(folder / "vocab.json"))
    config = XttsConfig(
        model_args=XttsArgs(
            gpt_layers=1,
            gpt_n_model_channels=32,
            gpt_n_heads=2,
            gpt_max_audio_tokens=40,  # 1.9 s: a random model does not know when to stop
            gpt_max_text_tokens=300,
            gpt_num_audio_tokens=1026,
            gpt_start_audio_token=1024,
            gpt_stop_audio_token=1025,
            gpt_use_perceiver_resampler=True,
            decoder_input_dim=32,
        )
    )
    torch.manual_seed(0)
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(str(folder / "vocab.json"))
    model.init_models()
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    speakers = {
        name: {
            "gpt_cond_latent": torch.randn(1, 32, 32),
            "speaker_embedding": torch.randn(1, 512, 1),
        }
        for name in SPEAKERS
    }
    torch.save(speakers, folder / "speakers_xtts.pth")
    config.save_json(str(folder / "config.json"))
    return folder
