"""A random VITS of four speakers, on disk as Coqui's trainer would leave it: 2 MB, made in 1 s.

What it says is noise, but everything around the weights is real: config, symbols, speakers,
phonemizer, stochastic durations, loading. Use as `--voices coqui:FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from askqa_builder.voices import coqui_cpu

SPEAKERS = ("ava", "ben", "cara", "dev")


def build(
    folder: Path, *, phonemes: bool = True, speakers: tuple[str, ...] = SPEAKERS, seed: int = 0
) -> Path:
    """Write the model into `folder` and return it."""
    coqui_cpu.prepare()
    import torch
    from TTS.tts.configs.shared_configs import BaseAudioConfig
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits, VitsArgs

    folder.mkdir(parents=True, exist_ok=True)
    names = folder / "speaker_ids.json"
    names.write_text(json.dumps({name: number for number, name in enumerate(speakers)}))
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
            use_speaker_embedding=True,
            speaker_embedding_channels=32,
            speakers_file=str(names),
            init_discriminator=False,
        ),
        use_speaker_embedding=True,
        speakers_file=str(names),
        use_phonemes=phonemes,
        phonemizer="espeak" if phonemes else None,
        phoneme_language="en-us",
        text_cleaner="english_cleaners",
        compute_input_seq_cache=False,
    )
    torch.manual_seed(seed)
    model = Vits(config)
    torch.save({"model": model.state_dict(), "step": 0, "epoch": 0}, folder / "model_file.pth")
    # the paths in a config are those of the machine that trained, as in every released model
    config.speakers_file = config.model_args.speakers_file = "/home/trainer/run/speaker_ids.json"
    config.save_json(str(folder / "config.json"))
    return folder


if __name__ == "__main__":
    build(Path(sys.argv[1]))
