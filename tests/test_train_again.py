"""A training that was cut off goes on, and loses nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from short_training import Entry, fails, log_of, settings_for, short_base, short_release
from tiny_release import PASSAGE, dialogue, write_release

from askqa_builder.audio_models import load
from askqa_builder.errors import BuildError, ModelError, StorageError, TrainingError
from askqa_builder.learn.base import open_base
from askqa_builder.learn.settings import Trained
from askqa_builder.learn.train import train
from askqa_builder.lock import lock


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_release(tmp_path_factory.mktemp("release") / "tiny")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_base(tmp_path_factory.mktemp("model") / "qwen")


@pytest.fixture(scope="module")
def trained(release: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    train(release, out, settings_for(base))
    return out


class Killed(BaseException):
    """What ends a process in the middle."""


def kill_at(step: int) -> Any:
    def say(entry: Entry) -> None:
        if entry["step"] == step and "loss" in entry:
            raise Killed

    return say


def test_killed_run_goes_on_to_the_same_losses(
    release: Path, base: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    with pytest.raises(Killed):
        train(release, out, settings_for(base), say=kill_at(3))
    assert [p.name for p in (out / "checkpoints").glob("c*")] == ["checkpoint-2"]
    # a kill in the middle of the next checkpoint leaves a part of it
    shutil.copytree(out / "checkpoints" / "checkpoint-2", out / "checkpoints" / "checkpoint-3")
    (out / "checkpoints" / "checkpoint-3" / "trainer_state.json").write_text('{"best')
    seen: list[Entry] = []
    train(release, out, settings_for(base), say=seen.append)
    assert min(entry["step"] for entry in seen) == 3, "what was done is not done again"
    assert log_of(out) == log_of(trained)
    one, two = (
        torch.cat([p.flatten() for p in load(str(f))[1].parameters()]) for f in (out, trained)
    )
    torch.testing.assert_close(one, two, atol=0, rtol=0)


def test_run_killed_after_its_last_step_learns_no_more(
    release: Path, base: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"

    def killed(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("askqa_builder.learn.train._save", killed)
        with pytest.raises(Killed):
            train(release, out, settings_for(base))
    done = train(release, out, settings_for(base), say=lambda entry: pytest.fail(str(entry)))
    assert done.steps == 4
    assert log_of(out) == log_of(trained)
    one, two = (
        torch.cat([p.flatten() for p in load(str(f))[1].parameters()]) for f in (out, trained)
    )
    torch.testing.assert_close(one, two, atol=0, rtol=0)


def test_killed_adapter_run_goes_on_to_the_same_losses(
    release: Path, base: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "m"
    settings = settings_for(base, lora=2, keep="best", tasks={"main": 1.0})
    train(release, whole, settings)
    with pytest.raises(Killed):
        train(release, out, settings, say=kill_at(3))
    train(release, out, settings)
    assert log_of(out) == log_of(whole)


def test_folder_of_another_run_is_not_touched(
    trained: Path, release: Path, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"was begun with seed 0, not 1; choose another --out"):
        train(release, trained, settings_for(base, seed=1))
    other = write_release(
        tmp_path / "other", {"train": [dialogue("x")], "validation": [dialogue("y", passage="q")]}
    )
    with pytest.raises(TrainingError, match=r"was begun on tiny 1\.2\.3, which is not this"):
        train(other, trained, settings_for(base))


def test_start_that_failed_does_not_hold_the_folder(
    release: Path, base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    fails(release, out, settings_for(tmp_path / "none"), ModelError)
    done = train(release, out, settings_for(base, steps=1, evaluate_every=1))
    assert done.steps == 1


def test_folder_of_something_else_is_not_touched(release: Path, base: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"model": "oracle-text"}')
    line = fails(release, tmp_path, settings_for(base), TrainingError)
    assert line.endswith("run.json: is not of a training; choose another --out")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_base_killed_in_the_making_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any) -> None:
        raise Killed

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _, one = open_base("tiny", [PASSAGE] * 3, whole)
    with monkeypatch.context() as patch:
        patch.setattr("askqa_builder.learn.tiny.TinyProcessor.save_pretrained", killed)
        with pytest.raises(Killed):
            open_base("tiny", [PASSAGE] * 3, cut)
    _, two = open_base("tiny", [PASSAGE] * 3, cut)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "whole"]


def test_two_runs_in_a_folder_are_not_mixed(release: Path, base: Path, tmp_path: Path) -> None:
    with lock(tmp_path / "checkpoints"), pytest.raises(BuildError, match="another command"):
        train(release, tmp_path, settings_for(base))


def test_done_run_is_only_read(trained: Path, release: Path, base: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    again = train(release, trained, settings_for(base), say=lambda entry: pytest.fail(str(entry)))
    assert again == Trained.model_validate_json((trained / "trained.json").read_bytes())
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


def full_disk(monkeypatch: pytest.MonkeyPatch, error: Exception, after: int) -> None:
    """The disk fills when a checkpoint's optimiser state is written for the second time."""
    saved = []
    save = torch.save

    def failing(content: Any, path: Any, **settings: Any) -> None:
        saved.append(path)
        if str(path).endswith("optimizer.pt") and len(saved) > after:
            Path(path).write_bytes(b"half")
            raise error
        save(content, path, **settings)

    monkeypatch.setattr(torch, "save", failing)


def test_full_disk_leaves_the_last_checkpoint(
    release: Path, base: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    error = RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    with pytest.MonkeyPatch.context() as patch:
        full_disk(patch, error, after=4)
        line = fails(release, out, settings_for(base), StorageError)
    assert "checkpoint-4: the disk does not take the checkpoint" in line
    assert "goes on from step 2" in line
    assert [p.name for p in (out / "checkpoints").glob("c*")] == ["checkpoint-2"]
    train(release, out, settings_for(base))
    assert log_of(out) == log_of(trained)


def test_full_disk_is_told_where_a_base_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*arguments: Any, **more: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(StorageError, match="base: the disk is full; free some space"):
        open_base("tiny", [PASSAGE], tmp_path / "base")
