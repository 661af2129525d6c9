"""Draw a sample of the contrast writer's ambiguous dialogues, to be read and judged by a person.

    python benchmarks/contrast_sample.py squad:FILE [--seed 0] [--size 100] [--titles A,B]

Prints Markdown; the same file, seed and version of the writer give the same sample. `--titles`
draws from some articles only, `--except A,B` from all others: rules are made while reading some and
measured on the rest. The verdicts of the project's own reading are in docs/contrast-sample.md.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator

from askqa_builder.generate import written
from askqa_builder.schema import Dialogue, Passage
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="as for askqa-build generate: squad:FILE, sample, world:N")
    parser.add_argument("--seed", default="0", help="of the drawing, not of the writer")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--titles", default="", help="only these articles, separated by commas")
    parser.add_argument("--except", dest="left_out", default="", help="all articles but these")
    options = parser.parse_args()

    only = {title for title in options.titles.split(",") if title}
    left_out = {title for title in options.left_out.split(",") if title}
    found = [
        dialogue
        for dialogue in dialogues(options.source)
        if dialogue.ambiguous
        and (not only or dialogue.title in only)
        and dialogue.title not in left_out
    ]
    drawn = random.Random(options.seed).sample(found, min(options.size, len(found)))
    patterns = Counter(str(dialogue.provenance.details["pattern"]) for dialogue in found)
    kinds = Counter(dialogue.ambiguity_kind for dialogue in found)
    print(f"{len(drawn)} of {len(found)} ambiguous dialogues, seed {options.seed!r}")
    print("patterns:", ", ".join(f"{name} {count}" for name, count in patterns.most_common()))
    print("kinds:", ", ".join(f"{name} {count}" for name, count in kinds.most_common()))
    for number, dialogue in enumerate(drawn, start=1):
        print(f"\n{number}. *{dialogue.title}* ({dialogue.provenance.details['pattern']})  ")
        print("   " + " — ".join(turn.text for turn in dialogue.turns))


def dialogues(source: str) -> Iterator[Dialogue]:
    """The dialogues that pass the checks, in the order of the source."""
    writer = open_writer("contrast")
    for passage in open_source(source):
        if isinstance(passage, Passage):
            for item in written(passage, writer, {}):
                if isinstance(item, Dialogue):
                    yield item


if __name__ == "__main__":
    main()
