"""Ablations: which runs there are, that none is made twice, what the table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline import askqa, one_line_here
from tiny_audio_model import build_tiny_qwen2_audio
from tiny_release import PASSAGE, dialogue, write_release

from askqa_builder.errors import TrainingError
from askqa_builder.evaluate.bootstrap import Estimate
from askqa_builder.learn.ablate import Cell, ablate, table, variants
from askqa_builder.learn.scoring import score_model
from askqa_builder.learn.settings import TrainSettings
from askqa_builder.learn.tasks import mixture_of
from askqa_builder.learn.watch import read_log

ALL = mixture_of("main,listening=2,reasoning,response")


def test_every_task_is_left_out_and_alone_with_main() -> None:
    found = variants(ALL)
    assert {name: "+".join(mixture) for name, mixture in found.items()} == {
        "main": "main",
        "all": "main+listening+reasoning+response",
        "without-listening": "main+reasoning+response",
        "without-reasoning": "main+listening+response",
        "without-response": "main+listening+reasoning",
        "main-and-listening": "main+listening",
        "main-and-reasoning": "main+reasoning",
        "main-and-response": "main+response",
    }
    assert found["main-and-listening"]["listening"] == 2


def test_same_mixture_is_run_once() -> None:
    assert list(variants(mixture_of("main,listening"))) == ["main", "all"]


@pytest.mark.parametrize("spec", ["main", "listening,reasoning"])
def test_ablation_needs_main_and_another(spec: str) -> None:
    with pytest.raises(TrainingError, match="needs the main task and at least one other"):
        variants(mixture_of(spec))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("ablate") / "build"
    askqa("generate", "--source", "world:30,facts=3,style=plain", "--out", build)
    askqa("synthesize", build)
    askqa("release", build, "--version", "1.0.0")
    return build / "release"


def test_ablation_goes_on_and_tells_means_with_intervals(release: Path, tmp_path: Path) -> None:
    base = build_tiny_qwen2_audio(tmp_path / "base", [PASSAGE] * 3, window_s=10)
    settings = TrainSettings(
        base=str(base),
        tasks=mixture_of("main,listening"),
        steps=1,
        batch_size=2,
        validation=2,
        learning_rate=1e-3,
    )
    out = tmp_path / "study"
    seen: list[str] = []
    # the first time one seed alone, as if it had been stopped
    for seeds in (1, 2):
        cells = ablate(
            release,
            out,
            settings,
            fractions=[0.5],
            seeds=seeds,
            limit=3,
            resamples=50,
            say=lambda name, entry: seen.append(name),
        )
    runs = [f"{name}/0.5/seed-{seed}" for seed in (0, 1) for name in ("main", "all")]
    assert list(dict.fromkeys(seen)) == runs
    assert len(seen) == 2 * len(runs), "a step and a validation each, once"
    assert [(c.variant, c.fraction, c.seeds) for c in cells] == [("main", 0.5, 2), ("all", 0.5, 2)]
    assert not cells[0].against_main
    assert set(cells[1].against_main) == set(cells[1].scores)
    text = (out / "ablation.md").read_text()
    assert "Mean of 2 seeds" in text
    assert "3 test dialogues" in text
    assert text.count("\n| 0.5 | ") == 2
    assert len(json.loads((out / "ablation.json").read_text())) == 2
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")
    card = (out / "all" / "0.5" / "seed-1" / "README.md").read_text()
    assert "## Scores on" in card
    assert "goal completion" in card
    assert "| listening/which_was_narrated |" in card
    model, items = out / "all" / "0.5" / "seed-1", []
    for limit in (1, 4, 1):  # scores of fewer dialogues are not taken for those of more
        score_model(release, model, limit=limit, max_new_tokens=4, resamples=20)
        assert len(read_log(model / "scores" / "predictions.jsonl")) == limit
        tasks = json.loads((model / "task_scores.json").read_text())
        items.append(tasks["listening"]["model"]["items"])
    assert items[0] == items[2] < items[1]


def test_clear_differences_are_bold() -> None:
    def estimate(value: float, low: float, high: float) -> Estimate:
        return Estimate(value, low, high, 100, 50)

    names = ("goal_completion", "trajectory_f1", "decision_macro_f1", "single_turn_em")
    scores = {name: estimate(0.5, 0.4, 0.6) for name in names}
    changes = {name: estimate(0.1, -0.1, 0.3) for name in names}
    changes["trajectory_f1"] = estimate(0.2, 0.1, 0.3)
    cells = [Cell("main", 0.1, 3, scores, {}), Cell("all", 0.1, 3, scores, changes)]
    lines = table(cells).splitlines()
    assert lines[0].startswith("Mean of 3 seeds with 95 % intervals")
    assert "100 test dialogues on 50 passages" in lines[0]
    assert lines[-2].count("**") == 0
    assert lines[-1].split(" | ")[3] == "**0.500 (0.400–0.600)**"
    assert lines[-1].count("**") == 2


# --- the command line


def test_commands_fail_in_one_line(tmp_path: Path) -> None:
    rows = {"train": [dialogue("a")], "validation": [dialogue("b", passage="q")]}
    release = write_release(tmp_path / "release", rows)
    out = str(tmp_path / "out")
    data = str(release)
    for arguments, words in (
        (["train", data, "--out", out, "--tasks", "main,hearing"], "task 'hearing' unknown"),
        (["train", data, "--out", out, "--precision", "fp7"], "--precision: "),
        (["train", data, "--out", out, "--fraction", "0"], "--fraction: "),
        (
            ["train", data, "--out", out, "--base", str(tmp_path), "--no-score"],
            "cannot be loaded",
        ),
        (["train", data, "--out", out], "no split 'test'"),  # said before the training
        (["train", str(tmp_path), "--out", out], "is no release folder"),
        (["train", str(tmp_path), "--out", out, "--no-score"], "no whole release"),
        (["examples", data, "--split", "test"], "no split 'test'"),
        (
            ["ablate", data, "--out", out, "--steps", "1", "--fractions", "0.1,2"],
            "--fractions '0.1,2': expected numbers above 0, up to 1",
        ),
        (
            ["ablate", data, "--out", out, "--steps", "1", "--only", "none"],
            "variants ['none'] unknown; expected of ['main', 'all', ",
        ),
    ):
        assert words in one_line_here(*arguments), arguments


def test_examples_are_shown_and_written(tmp_path: Path) -> None:
    import soundfile

    release = write_release(tmp_path / "release", {"train": [dialogue("a", ambiguous=True)]})
    lines = askqa("examples", release, "--head", "3").stdout.splitlines()
    assert len(lines) == 3
    first = json.loads(lines[0])
    assert (first["task"], first["form"]) == ("main", "respond")
    assert first["messages"][0]["content"][1] == {
        "type": "audio",
        "seconds": 1.0,
        "said": "the mill opened in 1887.",
    }
    out = tmp_path / "out"
    askqa("examples", release, "--tasks", "main", "--out", out)
    written = [json.loads(line) for line in (out / "examples.jsonl").read_text().splitlines()]
    assert [record["form"] for record in written] == ["respond", "after_clarification"]
    paths = [
        part["path"]
        for record in written
        for message in record["messages"]
        for part in message["content"]
        if part["type"] == "audio"
    ]
    assert len(paths) == sum(len(record["transcripts"]) for record in written) == 7
    assert len(set(paths)) == 4, "a clip that several hear is one file"
    assert soundfile.info(out / paths[0]).samplerate == 16_000
