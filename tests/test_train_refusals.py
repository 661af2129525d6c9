"""What a training cannot do it says in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from short_training import fails, settings_for, short_base, short_release
from tiny_audio_model import build_tiny_qwen2_audio
from tiny_release import PASSAGE, dialogue, write_release

from askqa_builder.errors import ModelError, TrainingError
from askqa_builder.learn.train import train
from askqa_builder.learn.trainer import AskqaTrainer


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_release(tmp_path_factory.mktemp("release") / "tiny")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_base(tmp_path_factory.mktemp("model") / "qwen")


def test_loss_that_is_no_number_stops_the_run(
    release: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(base, learning_rate=1e30, warmup=0.0, evaluate_every=4)
    line = fails(release, tmp_path / "m", settings, TrainingError)
    assert "step 2: the loss is nan on examples d" in line
    assert "lower --learning-rate (it is 1e+30)" in line


def test_error_of_a_loading_process_is_one_line(tmp_path: Path) -> None:
    short = build_tiny_qwen2_audio(tmp_path / "short", [PASSAGE] * 3, window_s=1)
    rows = {"train": [dialogue("a")], "validation": [dialogue("b", passage="q")]}
    release = write_release(tmp_path / "long", rows)
    with pytest.raises(TrainingError) as caught:
        train(release, tmp_path / "m", settings_for(short, tasks={"main": 1.0}), workers=1)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith("example 'a:main:0': a clip of 1.2 s: ")


def test_out_of_memory_names_the_setting(
    release: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen2AudioForConditionalGeneration

    def forward(self: Any, **inputs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20 GiB")

    monkeypatch.setattr(Qwen2AudioForConditionalGeneration, "forward", forward)
    line = fails(release, tmp_path / "m", settings_for(base), TrainingError)
    assert line == (
        "out of memory at step 1 with --batch-size 3: try --batch-size 1 --accumulate 3, "
        "--gradient-checkpointing, --lora 16"
    )


def test_base_that_reads_only_is_refused(release: Path, tmp_path: Path) -> None:
    from tiny_audio_model import tiny_tokenizer
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path / "reader"
    Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=600,
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    ).save_pretrained(folder)
    tiny_tokenizer([PASSAGE] * 3).save_pretrained(folder)
    line = fails(release, tmp_path / "m", settings_for(folder), ModelError)
    assert "takes no audio" in line or "cannot be loaded" in line


def test_processor_of_another_model_is_refused(release: Path, base: Path, tmp_path: Path) -> None:
    other = build_tiny_qwen2_audio(tmp_path / "other", [PASSAGE, "quite other words"] * 9)
    mixed = tmp_path / "mixed"
    shutil.copytree(base, mixed)
    path = mixed / "processor_config.json"
    config = json.loads(path.read_text())
    config["feature_extractor"]["feature_size"] = 80
    path.write_text(json.dumps(config))
    line = fails(release, tmp_path / "m", settings_for(mixed), ModelError)
    assert "Qwen2AudioProcessor does not match Qwen2AudioForConditionalGeneration" in line
    assert "it makes 80 mel bins, the model takes 40" in line
    assert other.is_dir()


def test_weights_that_are_cut_off_are_refused(release: Path, base: Path, tmp_path: Path) -> None:
    cut = Path(shutil.copytree(base, tmp_path / "cut")) / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-1000])
    line = fails(release, tmp_path / "m", settings_for(cut.parent), ModelError)
    assert "cannot be loaded" in line


def test_model_that_cannot_compute_again_is_refused(release: Path, tmp_path: Path) -> None:
    settings = settings_for(Path("tiny"), gradient_checkpointing=True)
    line = fails(release, tmp_path / "m", settings, ModelError)
    assert line.endswith("leave --gradient-checkpointing out")


def test_model_that_does_not_fit_is_one_line(
    release: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20 GiB")

    monkeypatch.setattr(AskqaTrainer, "_move_model_to_device", full)
    line = fails(release, tmp_path / "m", settings_for(base), TrainingError)
    assert line.startswith("out of memory at step 1 with --batch-size 3: try")


def test_adapter_without_a_place_is_refused(release: Path, tmp_path: Path) -> None:
    line = fails(release, tmp_path / "m", settings_for(Path("tiny"), lora=2), ModelError)
    assert line.startswith("TinyForConditionalGeneration has no layers that an adapter goes to")


def test_new_base_of_a_size_that_is_not_there(release: Path, tmp_path: Path) -> None:
    line = fails(release, tmp_path / "m", settings_for(Path("tiny:huge")), ModelError)
    assert line == "base 'tiny:huge': no such size; expected one of small, medium, large"
    assert not (tmp_path / "m").exists()


def test_base_that_is_not_there(release: Path, tmp_path: Path) -> None:
    line = fails(release, tmp_path / "m", settings_for(tmp_path / "none"), ModelError)
    assert "cannot be loaded" in line


def test_folder_that_is_no_release(base: Path, tmp_path: Path) -> None:
    line = fails(tmp_path, tmp_path / "m", settings_for(base), TrainingError)
    assert "no whole release" in line
