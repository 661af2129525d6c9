"""Training: it learns, goes on after a kill, and says in one line what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_audio_model import build_tiny_qwen2_audio, build_tiny_voxtral
from tiny_release import PASSAGE, dialogue, tone, write_release

from askqa_builder.audio_models import load
from askqa_builder.errors import AskqaError, BuildError, ModelError, StorageError, TrainingError
from askqa_builder.learn.base import open_base
from askqa_builder.learn.batching import Swapped
from askqa_builder.learn.collate import IDS, Collator
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Examples
from askqa_builder.learn.settings import Trained, TrainRun, TrainSettings
from askqa_builder.learn.tasks import mixture_of
from askqa_builder.learn.train import train
from askqa_builder.learn.trainer import AskqaTrainer
from askqa_builder.learn.watch import Watch, curve, read_log
from askqa_builder.lock import lock

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [dialogue(f"d{n}", passage=f"p{n // 2}", ambiguous=bool(n % 2)) for n in range(12)]
    for number, row in enumerate(rows):  # each passage sounds like itself alone
        row["narration"] = row["narration"][:1]
        row["narration"][0]["audio"]["bytes"] = tone(1.0, 200 + 40 * (number // 2), 0.2)
    return write_release(
        tmp_path_factory.mktemp("release") / "tiny", {"train": rows[:8], "validation": rows[8:]}
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_qwen2_audio(
        tmp_path_factory.mktemp("model") / "qwen", [PASSAGE] * 3, window_s=2
    )


def settings_for(base: Path, **changes: Any) -> TrainSettings:
    fields: dict[str, Any] = {
        "base": str(base),
        "tasks": mixture_of("main,listening"),
        "steps": 4,
        "evaluate_every": 2,
        "batch_size": 3,
        "learning_rate": 3e-3,
        "keep": "last",
        "validation": 4,
    }
    return TrainSettings(**fields | changes)


@pytest.fixture(scope="module")
def trained(release: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    train(release, out, settings_for(base))
    return out


def log_of(folder: Path) -> list[Entry]:
    return read_log(folder / "log.jsonl")


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in log_of(folder) if "loss" in entry]


# --- what comes out


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


def test_done_run_is_only_read(trained: Path, release: Path, base: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    again = train(release, trained, settings_for(base), say=lambda entry: pytest.fail(str(entry)))
    assert again == Trained.model_validate_json((trained / "trained.json").read_bytes())
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


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


def test_full_disk_is_told_where_a_base_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*arguments: Any, **more: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(StorageError, match="base: the disk is full; free some space"):
        open_base("tiny", [PASSAGE], tmp_path / "base")


def test_two_runs_in_a_folder_are_not_mixed(release: Path, base: Path, tmp_path: Path) -> None:
    with lock(tmp_path / "checkpoints"), pytest.raises(BuildError, match="another command"):
        train(release, tmp_path, settings_for(base))


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


# --- going on


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


# --- what goes wrong


def fails(release: Path, out: Path, settings: TrainSettings, kind: type[AskqaError]) -> str:
    """The one line of a run that cannot be."""
    with pytest.raises(kind) as caught:
        train(release, out, settings)
    line = str(caught.value)
    assert len(line.splitlines()) == 1, line
    return line


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


def test_one_passage_has_no_other_to_swap_its_sound_with(
    release: Path, base: Path, tmp_path: Path
) -> None:
    done = train(release, tmp_path / "m", settings_for(base, validation=2, steps=2))
    assert "swapped" not in done.validation
    assert not any("ignored" in warning for warning in done.warnings)


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


# --- sound of others


@pytest.fixture(scope="module")
def examples(release: Path) -> Examples:
    return Examples(Dialogues(release, "train"), mixture_of("main,listening,response"))


def test_swapped_sound_is_of_another_passage(examples: Examples) -> None:
    swapped = Swapped(examples)
    assert len(swapped) == len(examples)
    for index in range(len(examples)):
        own, other = examples[index], swapped[index]
        assert (own.id, own.target) == (other.id, other.target)
        assert len(own.sounds) == len(other.sounds)
    sounds = {
        e.passage_id: {s["audio"].tobytes() for s in e.sounds} for e in examples if e.task == "main"
    }
    main = [i for i in range(len(examples)) if examples[i].task == "main"]
    changed = [
        any(s["audio"].tobytes() not in sounds[examples[i].passage_id] for s in swapped[i].sounds)
        for i in main
    ]
    assert sum(changed) > len(main) / 2


# --- warnings


def warnings_of(losses: list[dict[str, float]], alone: dict[int, float] | None = None) -> list[str]:
    watch = Watch("main", alone)
    for step, entry in enumerate(losses, start=1):
        watch.validated(step, entry, share_done=step / len(losses))
    return watch.warnings


def test_task_that_makes_the_main_one_worse_is_told() -> None:
    losses = [{"main": 3.0}, {"main": 2.0}]
    (warning,) = warnings_of(losses, {0: 4.0, 1: 3.0, 3: 0.8})
    assert warning.startswith("step 2: the other tasks make main worse: validation loss 2.000, al")
    assert "alone 1.900" in warning
    assert warnings_of(losses, {1: 3.0, 2: 2.0}) == []


def test_overfitting_is_told() -> None:
    up = [{"main": x} for x in (2.0, 1.0, 1.2, 1.3)]
    (warning,) = warnings_of(up)
    assert warning.startswith("step 4: overfitting: validation loss 1.300, lowest 1.000")
    assert warnings_of([{"main": x} for x in (2.0, 1.0, 1.2, 0.9)]) == []


def test_model_that_ignores_the_sound_is_told() -> None:
    deaf = [{"main": 2.0, "swapped": 2.0}, {"main": 1.0, "swapped": 1.01}]
    assert len(warnings_of(deaf)) == 2
    assert (
        "the sound is ignored: validation loss 1.000, with the sound of other"
        in warnings_of(deaf)[1]
    )
    assert warnings_of(
        [{"main": 2.0, "swapped": 2.0}, *deaf[1:], {"main": 1.0, "swapped": 3.0}]
    ) == [warnings_of(deaf)[1]]


def test_main_curve_is_that_of_a_run(trained: Path, tmp_path: Path) -> None:
    found = curve(trained, "main")
    assert list(found) == [2, 4]
    with pytest.raises(TrainingError, match="holds no validation loss of task 'reasoning'"):
        curve(trained, "reasoning")
    with pytest.raises(TrainingError, match="no log of a run"):
        curve(tmp_path, "main")


def test_run_warns_against_its_main_curve(release: Path, base: Path, tmp_path: Path) -> None:
    done = train(
        release,
        tmp_path / "m",
        settings_for(base, steps=2),
        main_curve={0: 1.0, 2: 1.0},
    )
    assert "the other tasks make main worse" in done.warnings[0]
    assert "the other tasks make main worse" in (tmp_path / "m" / "README.md").read_text()
