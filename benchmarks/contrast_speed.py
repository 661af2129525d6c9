"""How many passages a second the contrast writer reads on one core, and where the time goes.

    python benchmarks/contrast_speed.py ../shared/data/squad/squad-44-articles.json [--profile]

The passages are read and validated before the clock starts; making and validating the drafts is
counted. With --profile, prints the functions in which the time is spent.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import pstats
import time
from pathlib import Path

from results import result

from askqa_builder.schema import Draft, Passage
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a SQuAD file")
    parser.add_argument("--repeat", type=int, default=5, help="runs; the fastest counts")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()

    source = open_source(f"squad:{options.file}")
    passages = [item for item in source if isinstance(item, Passage)]
    questions = sum(len(passage.questions) for passage in passages)
    writer = open_writer("contrast")

    def write() -> tuple[int, int]:
        items = list(itertools.chain.from_iterable(map(writer.write, passages)))
        drafts = [item for item in items if isinstance(item, Draft)]
        return len(drafts), sum(draft.ambiguous for draft in drafts)

    started = time.perf_counter()
    drafts, ambiguous = write()
    first = time.perf_counter() - started
    best = first
    for _ in range(options.repeat - 1):
        started = time.process_time()
        write()
        best = min(best, time.process_time() - started)
    print(f"{len(passages):,} passages with {questions:,} questions: {drafts} drafts, {ambiguous} ")
    print(f"ambiguous; {len(passages) / best:,.0f} passages a second ({best:.2f} s of one core),")
    result("contrast writer, one core", len(passages) / best, "passages/s")
    print(f"{len(passages) / first:,.0f} in the first run, with the dictionary to load")
    if options.profile:
        with cProfile.Profile() as profile:
            write()
        pstats.Stats(profile).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()
