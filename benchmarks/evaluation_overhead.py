"""The harness's own time beside a model that takes 50 ms for a response.

    python benchmarks/evaluation_overhead.py [--release FOLDER] [--milliseconds 50] [--batch-size 8]

A data set is made and spoken, and the oracle is evaluated on all its splits: it asks wherever
something is ambiguous, so that replies are spoken, too. It sleeps for 50 ms at each response, as
if it waited for a GPU or an endpoint. Overhead: everything from the first response asked for to the
last prediction written (reading, decoding, speaking replies, scoring of each item, writing), less
the model's own time, divided by the model's time. What a run takes once, before (hashes, the speech
engine, the first batch) and after (scores, intervals, the report), is given apart, a split.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from made import make
from results import result

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is imported


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
        computed_s = 0.0
        begun: float | None = None
        begun_thread_s: float | None = None

        def respond(self, conversation: Conversation) -> str:
            started, computed = time.perf_counter(), time.thread_time()
            Slow.begun = Slow.begun or started
            Slow.begun_thread_s = Slow.begun_thread_s or computed
            time.sleep(options.milliseconds / 1000)
            response = super().respond(conversation)
            Slow.spent_s += time.perf_counter() - started
            Slow.computed_s += time.thread_time() - computed
            Slow.responses += 1
            return response

    with tempfile.TemporaryDirectory() as folder:
        release = options.release or make(options.source, Path(folder) / "build")
        seconds_heard = 0.0
        for _, row in stream_columns(release, ["narration", "turns"]):
            seconds_heard += sum(clip["duration"] for clip in row["narration"])
        starting = running = computing = scoring = 0.0
        items = 0
        for split in SPLITS:
            marks: list[tuple[float, float]] = []
            Slow.begun = Slow.begun_thread_s = None
            started = time.perf_counter()
            content = evaluation.evaluate(
                release,
                Slow(readings_of(release, split)),
                Path(folder) / split,
                split=split,
                batch_size=options.batch_size,
                progress=lambda prediction, marks=marks: marks.append(  # type: ignore[misc]
                    (time.perf_counter(), time.thread_time())
                ),
            )
            assert Slow.begun is not None
            assert Slow.begun_thread_s is not None
            ended, ended_thread_s = marks[-1]
            starting += Slow.begun - started
            running += ended - Slow.begun
            computing += ended_thread_s - Slow.begun_thread_s
            scoring += time.perf_counter() - ended
            items += content["items"]
            assert content["scores"]["goal_completion"]["value"] == 1
    overhead = running - Slow.spent_s
    print(
        f"{items} dialogues ({seconds_heard / items:.0f} s of narration each), "
        f"{Slow.responses} responses of {1000 * Slow.spent_s / Slow.responses:.1f} ms"
    )
    print(f"model {Slow.spent_s:.2f} s, the harness beside it {overhead:.2f} s")
    print(
        f"of which the model's thread computed {computing - Slow.computed_s:.2f} s; "
        "the rest is waiting for sound, or for the processor"
    )
    print(f"overhead {100 * overhead / Slow.spent_s:.1f} % of the model's time")
    result("evaluation beside its model", 100 * overhead / Slow.spent_s, "% of the model's time")
    n = len(SPLITS)
    print(f"a run: {starting / n:.2f} s before, {scoring / n:.2f} s of scores and report after it")


if __name__ == "__main__":
    main()
