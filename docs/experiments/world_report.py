"""Runs of the multi-task experiment → results.json, tables and a plot.

    python docs/experiments/world_report.py build/release runs [--out docs/experiments] \
        [--larger RUNS]

Scores are means over the seeds of a setting, their intervals over seeds and passages: each
resample draws both, and so do the differences between two settings, seed for seed. Of the runs
of `--larger`, validation losses are shown.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from listening import FILE as LISTENING
from listening import exact, score_of, scored, wer
from world import BASELINES

from askqa_builder.evaluate.bootstrap import Metric, estimate, estimate_runs
from askqa_builder.evaluate.items import read_items
from askqa_builder.evaluate.run import PREDICTIONS, Prediction
from askqa_builder.evaluate.scoring import Asked, metrics_of
from askqa_builder.files import read_records
from askqa_builder.learn.scoring import FOLDER

SHOWN = {
    "decision_macro_f1": "ask or answer, macro F1",
    "trajectory_em": "EM in the end",
    "trajectory_f1": "F1 in the end",
    "single_turn_em": "EM, unambiguous",
    "question_names_all": "question names both",
    "listener_wer": "WER, listener",
    "transcription_wer": "WER, written",
    "which_was_narrated": "which was narrated",
    "question_about_narration": "question about narration, EM",
}
RESAMPLES = 1000


class Setting:
    """One mixture on one fraction, all its seeds."""

    def __init__(self, name: str, folders: Sequence[Path], asked: Sequence[Asked]) -> None:
        self.name, self.folders = name, folders
        self.passages = [a.passage_id for a in asked]
        self.responses: list[dict[str, Metric]] = []
        self.heard: dict[str, list[list[dict[str, str]]]] = defaultdict(list)
        """Score → for each seed, what was said to its examples."""
        for folder in folders:
            predictions = list(read_records(folder / FOLDER / PREDICTIONS, Prediction))
            if [p.id for p in predictions] != [a.id for a in asked]:
                raise SystemExit(f"{folder}: predictions are not of these test dialogues")
            self.responses.append(metrics_of(asked, predictions))
            for score, rows in by_score(json.loads((folder / LISTENING).read_text())).items():
                self.heard[score].append(rows)

    def scores(self) -> dict[str, Any]:
        """Score → mean and interval, and each seed's value."""
        found = estimate_runs(self.responses, self.passages, resamples=RESAMPLES)
        each = {name: [number(seed[name]) for seed in self.responses] for name in found}
        for name, seeds in self.heard.items():
            metric_of = wer if name.endswith("wer") else exact
            runs = [{name: metric_of(rows)} for rows in seeds]
            passages = [row["passage"] for row in seeds[0]]
            found |= estimate_runs(runs, passages, resamples=RESAMPLES)
            each[name] = [number(run[name]) for run in runs]
        return {
            name: asdict(found[name]) | {"seeds": each[name]} for name in SHOWN if name in found
        }


def by_score(rows: Sequence[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """What was said to the listening task, by the score that it goes into."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[score_of(row)].append(row)
    return dict(found)


def number(metric: Metric) -> float:
    return round(float(metric.formula(*(part.sum(keepdims=True) for part in metric.parts))[0]), 4)


def constants(folder: Path) -> dict[str, Any]:
    """The best that one response to everything scores on listening comprehension."""
    heard = scored(json.loads((folder / LISTENING).read_text()))
    return {
        name: {"value": score["best_constant"], "low": None, "high": None, "seeds": []}
        for name, score in heard.items()
    }


def compared(b: Setting, a: Setting) -> dict[str, Any]:
    """B minus A, seed for seed, for the scores of responses."""
    found = estimate_runs(b.responses, b.passages, minus=a.responses, resamples=RESAMPLES)
    return {name: asdict(found[name]) for name in SHOWN if name in found}


def table(settings: dict[str, Any]) -> str:
    """A Markdown table of all settings, intervals in small."""
    lines = [
        "| run | seeds | steps | " + " | ".join(SHOWN.values()) + " |",
        "|---|---|---|" + "---|" * len(SHOWN),
    ]
    for name, entry in settings.items():
        cells = []
        for score in SHOWN:
            found = entry["scores"].get(score)
            if found is None or found["value"] is None:
                cells.append("–")
            elif found["low"] is None:
                cells.append(f"{found['value']:.3f}")
            else:
                cells.append(f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
        steps = entry["steps"] or "–"
        lines.append(f"| {name} | {entry['runs'] or '–'} | {steps} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differing(differences: dict[str, Any]) -> str:
    """A Markdown table of paired differences."""
    names = [name for name in SHOWN if any(name in d for d in differences.values())]
    lines = [
        "| difference, paired | " + " | ".join(SHOWN[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for title, scores in differences.items():
        cells = [
            f"{s['value']:+.3f} [{s['low']:+.3f}, {s['high']:+.3f}]"
            if (s := scores[name])["low"] is not None
            else "–"
            for name in names
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(settings: dict[str, Any], path: Path) -> None:
    """The three scores that decide, as bars with their intervals."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "askqa"
    import matplotlib.pyplot as plt

    shown = {n: e for n, e in settings.items() if e["runs"]}
    figure, axes = plt.subplots(1, 3, figsize=(11, 0.4 * len(shown) + 1.4), sharey=True)
    for axis, score in zip(
        axes, ("decision_macro_f1", "trajectory_f1", "question_names_all"), strict=True
    ):
        for place, (name, entry) in enumerate(reversed(shown.items())):
            found = entry["scores"].get(score)
            if found is None or found["value"] is None or found["low"] is None:
                continue
            colour = "#888888" if name.startswith("main,") else "#2a6f97"
            error = [[found["value"] - found["low"]], [found["high"] - found["value"]]]
            axis.barh(place, found["value"], xerr=error, color=colour, height=0.6, capsize=3)
            axis.plot(found["seeds"], [place] * len(found["seeds"]), "k.", markersize=4)
        best_of = [
            e["scores"][score]["value"]
            for n, e in settings.items()
            if not e["runs"]
            and n != "random"
            and e["scores"].get(score, {}).get("value") is not None
        ]
        if best_of:
            axis.axvline(max(best_of), color="#bb3e03", linestyle="--", linewidth=1)
        axis.set_title(SHOWN[score])
        axis.set_yticks(range(len(shown)), list(reversed(shown)))
        axis.set_xlim(left=0)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def telling(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of settings that answer a question of the experiment."""
    for b in names:
        for a in names:
            (mixture, data), (other, other_data) = b.split(", ", 1), a.split(", ", 1)
            if mixture != "all" or other == "all":
                continue
            most = "100 %" + data.removeprefix(data.split(", ")[0])  # of equally many steps
            if other_data == data or (other == "main" and other_data == most):
                yield b, a


def larger_runs(folder: Path) -> list[dict[str, Any]]:
    """What runs of another size came to."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))]
    for record in records:
        record["listening"] = {"listener_wer": record["listening"]["listener_wer"]}
    return sorted(records, key=lambda r: (r["run"]["fraction"], r["run"]["mixture"]))


def losses(records: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of validation losses."""
    lines = [
        "| run | parameters | steps × examples | main | main, sound swapped | WER, listener |",
        "|---|---|---|---|---|---|",
    ]
    for record in records:
        run, trained = record["run"], record["trained"]
        learnt_to_hear = "listening" in trained["validation"]
        wer_of = f"{record['listening']['listener_wer']['value']:.3f}" if learnt_to_hear else "–"
        cells = [
            f"{run['mixture']}, {run['fraction'] * 100:g} %",
            f"{trained['parameters'] / 1e6:.1f} M",
            f"{trained['steps']:,} × {record['settings']['batch_size']}",
            *(f"{trained['validation'][name]:.3f}" for name in ("main", "swapped")),
            wer_of,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_results(page: str, name: str, made: str) -> str:
    """The page with what stands between two marks made anew."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"the page lacks the marks {begin} and {end}")
    head, _, rest = page.partition(begin)
    return f"{head}{begin}\n{made}\n{end}{rest.partition(end)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--larger", type=Path, help="runs of a larger model")
    arguments = parser.parse_args()
    groups: dict[str, dict[int, Path]] = defaultdict(dict)
    records: dict[str, list[Any]] = defaultdict(list)
    for path in sorted(arguments.runs.glob("*/result.json")):
        record = json.loads(path.read_text())
        run = record["run"]
        mixture = run["mixture"].replace("all-", "all but ").replace("+", " + ")
        name = f"{mixture}, {run['fraction'] * 100:g} %" + (", long" if run["long"] else "")
        groups[name][run["seed"]] = path.parent
        records[name].append(record)
    limit = next(iter(records.values()))[0]["settings"]["limit"]
    asked = [Asked.of(item) for item in islice(read_items(arguments.data, "test"), limit)]

    def pooled(name: str, seeds: Iterable[int]) -> Setting:
        return Setting(name, [groups[name][seed] for seed in sorted(seeds)], asked)

    made = {name: pooled(name, folders) for name, folders in groups.items()}
    content: dict[str, Any] = {}
    for name in sorted(made, key=lambda n: (n.split(", ")[::-1], n)):
        content[name] = {
            "runs": len(made[name].folders),
            "steps": max(r["trained"]["steps"] for r in records[name]),
            "scores": made[name].scores(),
            "each": records[name],
        }
    for name in BASELINES:
        folder = arguments.runs / f"baseline-{name}"
        if folder.is_dir():
            predictions = list(read_records(folder / PREDICTIONS, Prediction))
            found = estimate(
                metrics_of(asked, predictions), [a.passage_id for a in asked], resamples=RESAMPLES
            )
            content[name] = {
                "runs": 0,
                "steps": 0,
                "scores": {n: asdict(found[n]) | {"seeds": []} for n in SHOWN if n in found},
            }
    content["best constant response"] = {
        "runs": 0,
        "steps": 0,
        "scores": constants(next(iter(made.values())).folders[0]),
    }
    differences = {}
    for b, a in telling(list(made)):
        shared = groups[a].keys() & groups[b].keys()  # paired: the same seeds
        if shared:
            title = f"{b} − {a} (seeds: {len(shared)})"
            differences[title] = compared(pooled(b, shared), pooled(a, shared))
    larger = larger_runs(arguments.larger) if arguments.larger else []
    result = {
        "test_dialogues": len(asked),
        "settings": content,
        "differences": differences,
        "larger": larger,
    }
    (arguments.out / "world-results.json").write_text(json.dumps(result, indent=1) + "\n")
    plot(content, arguments.out / "world.svg")
    page = arguments.out / "multitask.md"
    text = page.read_text()
    text = with_results(text, "results", table(content) + "\n\n" + differing(differences))
    if larger:
        text = with_results(text, "larger", losses(larger))
    page.write_text(text)


if __name__ == "__main__":
    main()
