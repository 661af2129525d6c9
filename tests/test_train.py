"""Training: it learns, and tells how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from short_training import log_of, settings_for, short_base, short_release
from tiny_audio_model import build_tiny_voxtral

from askqa_builder.audio_models import load
from askqa_builder.errors import TrainingError
from askqa_builder.learn.collate import IDS, Collator
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Examples
from askqa_builder.learn.settings import Trained, TrainRun
from askqa_builder.learn.train import train
from askqa_builder.learn.watch import curve, read_log


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


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in log_of(folder) if "loss" in entry]


def test_model_folder_loads_in_plain_transformers(trained: Path, release: Path) -> None:
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    processor = AutoProcessor.from_pretrained(trained)
    model = AutoModelForMultimodalLM.from_pretrained(trained, use_safetensors=True)
    assert type(model).__name__ == "Qwen2AudioForConditionalGeneration"
    validation = Examples(Dialogues(release, "validation"), {"main": 1.0})
    batch = Collator("q", processor)([validation[0]])
    del batch[IDS]
    with torch.no_grad():
        assert torch.isfinite(model(**batch).loss)
    assert not list(trained.rglob("*.bin")), "no pickles"
    assert not (trained / "checkpoints").exists()


def test_kept_weights_have_the_validation_loss_of_the_record(trained: Path, release: Path) -> None:
    processor, model = load(str(trained))
    record = Trained.model_validate_json((trained / "trained.json").read_bytes())
    validation = Examples(Dialogues(release, "validation"), {"main": 1.0})
    collator, sums = Collator("q", processor), 0.0
    for start in range(0, len(validation), 3):
        some = [validation[i] for i in range(start, min(start + 3, len(validation)))]
        batch = collator(some)
        del batch[IDS]
        with torch.no_grad():
            sums += float(model(**batch).loss) * len(some)
    assert record.validation["main"] == pytest.approx(sums / len(validation), rel=1e-4)
    assert set(record.validation) == {"main", "listening", "swapped"}


def test_it_learns(trained: Path) -> None:
    entries = [e["validation"] for e in log_of(trained) if "validation" in e]
    assert len(entries) == 2
    assert entries[1]["main"] < entries[0]["main"] - 0.1
    assert len(losses(trained)) == 4


def test_card_log_plot_and_samples_tell_how_it_went(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    for words in ("tiny 1.2.3", "main, listening", "| seed | 0 |", "main, sound of other passages"):
        assert words in card
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    samples = read_log(trained / "samples.jsonl")
    assert {s["step"] for s in samples} == {2, 4}
    assert all(s["target"] and isinstance(s["said"], str) for s in samples)


def test_best_weights_are_those_of_the_best_validation(
    release: Path, base: Path, tmp_path: Path
) -> None:
    # the rate is far too high, so that the last weights are not the best
    wild = settings_for(base, keep="best", learning_rate=0.3, evaluate_every=1, warmup=0.0, steps=5)
    done = train(release, tmp_path / "m", wild)
    by_step = {
        e["step"]: e["validation"]["main"] for e in log_of(tmp_path / "m") if "validation" in e
    }
    assert done.best_step == min(by_step, key=lambda step: by_step[step])
    assert done.best_step != 5
    test_kept_weights_have_the_validation_loss_of_the_record(tmp_path / "m", release)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")  # peft asks by it
def test_adapter_is_saved_alone_and_merged(release: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    base = build_tiny_voxtral(tmp_path / "voxtral")
    out = tmp_path / "m"
    done = train(release, out, settings_for(base, lora=2, steps=2, batch_size=2))
    assert 0 < done.trained_parameters < done.parameters / 10
    processor, merged = load(str(out))
    adapted = PeftModel.from_pretrained(load(str(base))[1], out / "adapter").eval()
    changed = {name.split(".lora_")[0] for name, _ in adapted.named_parameters() if "lora" in name}
    assert changed
    assert all("language_model" in name for name in changed), "what hears stays as it was"
    validation = Examples(Dialogues(release, "validation"), {"main": 1.0})
    batch = Collator("v", processor)([validation[0]])
    del batch[IDS]
    with torch.no_grad():
        alone, whole = adapted(**batch).logits, merged.eval()(**batch).logits
        untouched = load(str(base))[1].eval()(**batch).logits
    torch.testing.assert_close(alone, whole, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(untouched, whole, atol=1e-4)


def test_accumulated_batches_weigh_as_one(release: Path, base: Path, tmp_path: Path) -> None:
    for name, changes in {
        "one": {"batch_size": 4},
        "two": {"batch_size": 2, "accumulate": 2},
    }.items():
        settings = settings_for(base, steps=1, tasks={"main": 1.0}, **changes)
        train(release, tmp_path / name, settings)
    (one,), (two,) = (
        [e for e in log_of(tmp_path / name) if "loss" in e] for name in ("one", "two")
    )
    assert two["loss"] == pytest.approx(one["loss"], rel=0.05)
    assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=0.2), "not the sum of both"


def test_new_model_is_taught_to_hear(release: Path, tmp_path: Path) -> None:
    from askqa_builder.learn.task_scores import score_tasks

    out = tmp_path / "m"
    train(release, out, settings_for(Path("tiny"), learning_rate=None))
    steps = [e for e in log_of(out) if "loss" in e]
    assert all(0 < e["transcription_loss"] < e["loss"] for e in steps)
    assert all(e["validation"]["main"] < 20 for e in log_of(out) if "validation" in e)
    _, model = load(str(out))
    assert type(model).__name__ == "TinyForConditionalGeneration"
    assert "import askqa_builder.learn.tiny" in (out / "README.md").read_text()
    scores = score_tasks(
        release, out, ["listening"], split="validation", max_new_tokens=4, resamples=20
    )
    form = scores["listening/which_was_narrated"]
    assert 0 <= form["model"]["value"] <= 1
    assert 0 <= form["constant"]["value"] <= 1
    assert scores["listening"]["model"]["items"] == sum(
        scores[name]["model"]["items"] for name in scores if "/" in name
    )


def test_best_constant_is_what_is_right_most_often(release: Path) -> None:
    from askqa_builder.learn.task_scores import constant_responses, right

    examples = Examples(Dialogues(release, "train"), {"reasoning": 3.0})
    constants = constant_responses(examples)
    said = [e.target for e in examples if e.form == "is_it_ambiguous"]
    assert said.count(constants["reasoning/is_it_ambiguous"]) >= len(said) / 2
    assert right("A.", "A") == right(" a", "A") == 1.0
    assert right("the", "A") == right("", "A") == 0.0


def test_gradient_checkpointing_changes_no_loss(
    release: Path, base: Path, trained: Path, tmp_path: Path
) -> None:
    train(release, tmp_path / "m", settings_for(base, gradient_checkpointing=True))
    assert losses(tmp_path / "m") == pytest.approx(losses(trained), rel=1e-4)


def test_two_processes_train_one_model(release: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    settings = ("--steps", "2", "--batch-size", "2", "--evaluate-every", "1", "--validation", "4")
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
            *("-m", "askqa_builder", "train", release, "--base", base, "--tasks", "main"),
            *(*settings, "--no-score", "--quiet", "--out", out),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"},
        check=True,
    )
    run = TrainRun.model_validate_json((out / "run.json").read_bytes())
    assert run.devices == 2
    assert Trained.model_validate_json((out / "trained.json").read_bytes()).steps == 2
    assert [e["step"] for e in read_log(out / "log.jsonl") if "validation" in e] == [1, 2]
    load(str(out))


def test_no_better_validation_ends_the_run(release: Path, base: Path, tmp_path: Path) -> None:
    still = settings_for(base, learning_rate=1e-12, patience=1, evaluate_every=1, steps=9)
    done = train(release, tmp_path / "m", still)
    assert done.stopped_early
    assert done.steps <= 4


def test_one_passage_has_no_other_to_swap_its_sound_with(
    release: Path, base: Path, tmp_path: Path
) -> None:
    done = train(release, tmp_path / "m", settings_for(base, validation=2, steps=2))
    assert "swapped" not in done.validation
    assert not any("ignored" in warning for warning in done.warnings)


def test_run_warns_against_its_main_curve(release: Path, base: Path, tmp_path: Path) -> None:
    done = train(
        release,
        tmp_path / "m",
        settings_for(base, steps=2),
        main_curve={0: 1.0, 2: 1.0},
    )
    assert "the other tasks make main worse" in done.warnings[0]
    assert "the other tasks make main worse" in (tmp_path / "m" / "README.md").read_text()


def test_main_curve_is_that_of_a_run(trained: Path, tmp_path: Path) -> None:
    found = curve(trained, "main")
    assert list(found) == [2, 4]
    with pytest.raises(TrainingError, match="holds no validation loss of task 'reasoning'"):
        curve(trained, "reasoning")
    with pytest.raises(TrainingError, match="no log of a run"):
        curve(tmp_path, "main")
