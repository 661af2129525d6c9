"""How fast the world source makes stories, and in how much memory.

python benchmarks/world_speed.py [--stories 50000] [--facts 6] [--dialogues 2]
"""

from __future__ import annotations

import argparse
import resource
import time

from results import result

from askqa_builder.schema import Passage
from askqa_builder.sources import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=50_000)
    parser.add_argument("--facts", type=int, default=6)
    parser.add_argument("--dialogues", type=int, default=2)
    given = parser.parse_args()
    spec = f"world:{given.stories},facts={given.facts},dialogues={given.dialogues}"
    wall, cpu = time.perf_counter(), time.process_time()
    dialogues = 0
    for item in open_source(spec):
        assert isinstance(item, Passage)
        dialogues += len(item.drafts)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{spec}: {dialogues:,} dialogues in {wall:.1f} s ({cpu:.1f} s CPU)")
    print(f"{given.stories / cpu:,.0f} stories and {dialogues / cpu:,.0f} dialogues a CPU second")
    print(f"peak memory {peak_mb:.0f} MB")
    result("closed world, one core", dialogues / cpu, "dialogues/s")


if __name__ == "__main__":
    main()
