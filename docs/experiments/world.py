r"""The multi-task experiment on the closed world, from scratch: every run, resumable.

    askqa-build generate --out build \
        --source world:5000,facts=3,dialogues=2,history=0,frames=6,style=plain
    askqa-build synthesize build && askqa-build release build --version 1.0.0
    python docs/experiments/world.py build/release --out runs [--part 1/2]
    python docs/experiments/world_report.py build/release runs

A run is a folder under --out: the trained model, its scores by the evaluator, its scores on
listening comprehension. What is there is not made again, and a killed run goes on. Two processes
share the work as --part 1/2 and --part 2/2. Runs are made in the order of what they tell: main
alone against all tasks first, with every seed, then single tasks, then main alone for long.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy and torch are imported

AUXILIARY = ("listening", "reasoning", "response")
MIXTURES: dict[str, dict[str, float]] = {
    "main": {"main": 1},
    "all": {"main": 1, "listening": 0.5, "reasoning": 0.25, "response": 0.25},
    **{f"main+{task}": {"main": 1, task: 1} for task in AUXILIARY},
    "all-listening": {"main": 1, "reasoning": 0.5, "response": 0.5},
    "all-reasoning": {"main": 1, "listening": 0.5, "response": 0.5},
    "all-response": {"main": 1, "listening": 0.5, "reasoning": 0.5},
}
"""Where there are auxiliary tasks, half of the examples are theirs."""
FRACTIONS = (0.1, 1.0, 0.01)
BASELINES = ("always-answer", "always-ask", "most-frequent-answer", "random")


@dataclass(frozen=True)
class Run:
    """One training run."""

    mixture: str
    fraction: float
    seed: int
    long: bool = False
    """Until the main task's validation loss has not fallen for five validations."""

    @property
    def name(self) -> str:
        return f"{self.mixture}-{self.fraction:g}-{self.seed}" + ("-long" if self.long else "")


def runs(seeds: int) -> Iterator[Run]:
    """All runs, the most telling first."""
    for seed in range(seeds):
        for fraction in FRACTIONS:
            for mixture in ("all", "main"):
                yield Run(mixture, fraction, seed)
    for seed in range(seeds):
        for mixture in MIXTURES:
            if mixture not in ("main", "all"):
                yield Run(mixture, 0.1, seed)
    yield Run("main", 1.0, 0, long=True)
    yield Run("all", 0.1, 0, long=True)


def make(run: Run, release: Path, folder: Path, settings: argparse.Namespace) -> None:
    """Train and score a run, or what is missing of it; `result.json` is written last."""
    from listening import score_listening

    from askqa_builder.evaluate.evaluation import evaluate
    from askqa_builder.evaluate.responders.local import LocalModel
    from askqa_builder.learn.scoring import FOLDER
    from askqa_builder.learn.settings import TrainSettings
    from askqa_builder.learn.train import train

    if (folder / "result.json").is_file():
        return
    began, cpu = time.time(), time.process_time()
    steps = settings.steps * (settings.longer if run.long else 1)
    trained = train(
        release,
        folder,
        TrainSettings(
            base=settings.base,
            tasks=MIXTURES[run.mixture],
            fraction=run.fraction,
            seed=run.seed,
            steps=steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            evaluate_every=max(1, settings.steps // 5),
            patience=5 if run.long else None,
            keep="best" if run.long else "last",
            validation=100 if run.long else 20,
            precision=settings.precision,
        ),
        workers=settings.workers,
    )
    trained_cpu = time.process_time() - cpu
    evaluate(
        release,
        LocalModel(str(folder), max_new_tokens=24, device=settings.device),
        folder / FOLDER,
        limit=settings.limit,
        batch_size=32,
        max_failures=1.0,  # a model that says nothing is a result, too
    )
    heard = score_listening(release, folder, limit=settings.limit, device=settings.device)
    record = {
        "run": asdict(run),
        "name": run.name,
        "settings": vars(settings) | {"out": None, "part": None, "data": None},
        "trained": trained.model_dump(mode="json"),
        "listening": heard,
        "cpu_s": {"training": round(trained_cpu, 1), "all": round(time.process_time() - cpu, 1)},
        "wall_s": round(time.time() - began, 1),
    }
    (folder / "result.json").write_text(json.dumps(record, indent=1))


def baselines(settings: argparse.Namespace) -> None:
    """Score the responders that hear nothing, where they are not scored yet."""
    from askqa_builder.evaluate.evaluation import evaluate
    from askqa_builder.evaluate.responders.opening import open_responder

    for name in BASELINES:
        folder = settings.out / f"baseline-{name}"
        if not (folder / "scores.json").is_file():
            with open_responder(name, settings.data) as responder:
                evaluate(settings.data, responder, folder, limit=settings.limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the release folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", default="tiny", help="tiny, tiny:medium, tiny:large")
    parser.add_argument("--precision", default="fp32", help="fp32, or auto: bf16 on a GPU")
    parser.add_argument("--device", default="cpu", help="that scores: cpu (fp32), cuda (bf16)")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches")
    parser.add_argument("--steps", type=int, default=1600, help="optimiser steps of a run")
    parser.add_argument("--longer", type=int, default=6, help="times as many in the long runs")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--limit", type=int, default=400, help="test dialogues")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="1/1", help="I/N: every Nth run from the Ith on")
    parser.add_argument("--only", default="", help="names of runs, with commas")
    settings = parser.parse_args()
    part, parts = map(int, settings.part.split("/"))
    wanted = [name for name in settings.only.split(",") if name]
    listed = [run for run in runs(settings.seeds) if not wanted or run.name in wanted]
    if part == 1 and not wanted:
        baselines(settings)
    for run in listed[part - 1 :: parts]:
        make(run, settings.data, settings.out / run.name, settings)
        result = json.loads((settings.out / run.name / "result.json").read_text())
        print(run.name, result["cpu_s"], flush=True)


if __name__ == "__main__":
    main()
