"""A random VITS of four speakers, on disk as Coqui's trainer would leave it: 2 MB, made in 1 s.

What it says is noise, but everything around the weights is real: config, symbols, speakers,
phonemizer, stochastic durations, loading. Use as `--voices coqui:FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from askqa_builder.voices import coqui_cpu

SPEAKERS = ("ava", "ben", "cara", "dev")


def build(folder: Path, *, phonemes: bool = True, imitates: bool = False, seed: int = 0) -> Path:
    """Write the model into `folder` and return it.

    `phonemes`: else it reads letters. `imitates`: it is of YourTTS's kind, with vectors instead of
    numbers for its speakers, two languages, and an encoder that makes a vector of a clip.
    """
    coqui_cpu.prepare()
    import torch
    from TTS.tts.configs.shared_configs import BaseAudioConfig
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits, VitsArgs

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    speakers = _vectors(folder) if imitates else _numbers(folder)
    config = VitsConfig(
        run_name="tiny",
        audio=BaseAudioConfig(
            sample_rate=16000, hop_length=256, win_length=1024, fft_size=1024, num_mels=80
        ),
        model_args=VitsArgs(
            hidden_channels=32,
            hidden_channels_ffn_text_encoder=32,
            num_heads_text_encoder=2,
            num_layers_text_encoder=1,
            num_layers_posterior_encoder=1,
            num_layers_flow=1,
            upsample_rates_decoder=[8, 8, 2, 2],
            upsample_initial_channel_decoder=16,
            upsample_kernel_sizes_decoder=[16, 16, 4, 4],
            resblock_type_decoder="2",
            resblock_kernel_sizes_decoder=[3],
            resblock_dilation_sizes_decoder=[[1, 3]],
            init_discriminator=False,
            **speakers,
        ),
        use_phonemes=phonemes,
        phonemizer="espeak" if phonemes else None,
        phoneme_language="en-us",
        text_cleaner="english_cleaners",
        compute_input_seq_cache=False,
    )
    model = Vits(config)
    torch.save({"model": model.state_dict(), "step": 0, "epoch": 0}, folder / "model_file.pth")
    config.save_json(str(folder / "config.json"))
    # the paths in a config are those of the machine that trained, as in every released model
    path = folder / "config.json"
    path.write_text(path.read_text().replace(str(folder), "/home/trainer/run"))
    return folder


def _numbers(folder: Path) -> dict[str, Any]:
    names = folder / "speaker_ids.json"
    names.write_text(json.dumps({name: number for number, name in enumerate(SPEAKERS)}))
    return {
        "use_speaker_embedding": True,
        "speaker_embedding_channels": 32,
        "speakers_file": str(names),
    }


def _vectors(folder: Path) -> dict[str, Any]:
    import torch
    from TTS.config.shared_configs import BaseAudioConfig
    from TTS.encoder.configs.speaker_encoder_config import SpeakerEncoderConfig
    from TTS.encoder.utils.generic_utils import setup_encoder_model

    clips = {
        f"{name}/{place}.wav": {"name": name, "embedding": torch.randn(32).tolist()}
        for name in SPEAKERS
        for place in range(2)
    }
    (folder / "speakers.json").write_text(json.dumps(clips))
    (folder / "language_ids.json").write_text(json.dumps({"en": 0, "fr-fr": 1}))
    config = SpeakerEncoderConfig(
        audio=BaseAudioConfig(sample_rate=16000, num_mels=40),
        num_classes_in_batch=2,
        num_utter_per_class=2,
        num_loader_workers=0,
        model_params={
            "model_name": "lstm",
            "input_dim": 40,
            "proj_dim": 32,
            "lstm_dim": 32,
            "num_lstm_layers": 1,
            "use_lstm_with_projection": True,
        },
    )
    encoder = setup_encoder_model(config)
    torch.save({"model": encoder.state_dict()}, folder / "model_se.pth")
    config.save_json(str(folder / "config_se.json"))
    return {
        "use_d_vector_file": True,
        "d_vector_file": [str(folder / "speakers.json")],
        "d_vector_dim": 32,
        "use_language_embedding": True,
        "embedded_language_dim": 4,
        "language_ids_file": str(folder / "language_ids.json"),
        "speaker_encoder_model_path": str(folder / "model_se.pth"),
        "speaker_encoder_config_path": str(folder / "config_se.json"),
    }


if __name__ == "__main__":
    build(Path(sys.argv[1]))
