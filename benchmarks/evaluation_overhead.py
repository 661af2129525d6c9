"""The harness's own time beside a model that takes 50 ms for a response.

    python benchmarks/evaluation_overhead.py [--release FOLDER] [--milliseconds 50] [--batch-size 8]

A data set is made and spoken, and the oracle is evaluated on all its splits: it asks wherever
something is ambiguous, so that replies are spoken, too. It sleeps for 50 ms at each response, as
if it waited for a GPU or an endpoint. Overhead: everything from the first dialogue read to the
last prediction written (reading, decoding, speaking replies, scoring of each item, writing), less
the model's own time, divided by the model's time. Scores, intervals and the report come after it
and are given apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is imported


def make(source: str, build: Path) -> Path:
    for command in (
        ("generate", "--source", source, "--out", build),
        ("synthesize", build),
        ("release", build, "--version", "1.0.0"),
    ):
        words = [sys.executable, "-m", "askqa_builder", *map(str, command), "--quiet"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return build / "release"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="sample")
    parser.add_argument("--release", type=Path, help="one that is there, instead of a new one")
    parser.add_argument("--milliseconds", type=float, default=50)
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()

    from askqa_builder.evaluate import evaluation
    from askqa_builder.evaluate.responders import Conversation
    from askqa_builder.evaluate.responders.baselines import OracleText
    from askqa_builder.evaluate.responders.opening import readings_of
    from askqa_builder.release.stream import stream_columns
    from askqa_builder.schema import SPLITS

    class Slow(OracleText):
        """The oracle, after a while."""

        spent_s = 0.0
        responses = 0

        def respond(self, conversation: Conversation) -> str:
            started = time.perf_counter()
            time.sleep(options.milliseconds / 1000)
            response = super().respond(conversation)
            Slow.spent_s += time.perf_counter() - started
            Slow.responses += 1
            return response

    with tempfile.TemporaryDirectory() as folder:
        release = options.release or make(options.source, Path(folder) / "build")
        seconds_heard = 0.0
        for _, row in stream_columns(release, ["narration", "turns"]):
            seconds_heard += sum(clip["duration"] for clip in row["narration"])
        running = scoring = 0.0
        items = 0
        for split in SPLITS:
            marks: list[float] = []
            started = time.perf_counter()
            content = evaluation.evaluate(
                release,
                Slow(readings_of(release, split)),
                Path(folder) / split,
                split=split,
                batch_size=options.batch_size,
                progress=lambda prediction, marks=marks: marks.append(time.perf_counter()),  # type: ignore[misc]
            )
            running += marks[-1] - started
            scoring += time.perf_counter() - marks[-1]
            items += content["items"]
            assert content["scores"]["goal_completion"]["value"] == 1
    overhead = running - Slow.spent_s
    print(
        f"{items} dialogues ({seconds_heard / items:.0f} s of narration each), "
        f"{Slow.responses} responses of {1000 * Slow.spent_s / Slow.responses:.1f} ms"
    )
    print(f"model {Slow.spent_s:.2f} s, the harness beside it {overhead:.2f} s")
    print(f"overhead {100 * overhead / Slow.spent_s:.1f} % of the model's time")
    print(f"scores, intervals and reports of {len(SPLITS)} splits afterwards: {scoring:.1f} s")


if __name__ == "__main__":
    main()
