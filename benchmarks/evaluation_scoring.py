"""Score and slice 100,000 predictions with 1,000 bootstrap resamples, on one core.

    python benchmarks/evaluation_scoring.py [--items 100000] [--resamples 1000]

The predictions are made up: answers with numbers and names against three references each, half of
the items ambiguous, with clarifying questions good and bad. Counted, in processor time, are
decisions, answer scores, coverage, BLEU-1 and ROUGE-2 of the questions asked, and every score with
its interval, in total and by six dimensions; no file is read and no report is written.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass

from results import result as tell

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is imported

NAMES = "Anna Berlin Cedric Delft Emma Fulda George Harlem Ivan Jena Karla Leiden Mona".split()
NOUNS = "bridge tower treaty festival library museum river harbour statue garden".split()
KINDS = ("referent", "attribute", "time", "place", "event", "other")


@dataclass(frozen=True)
class Item:
    """One made-up dialogue with a prediction."""

    passage: str
    facets: dict[str, str]
    readings: tuple[str, ...]
    intended: int
    clarifying_question: str
    references: tuple[str, ...]
    first: str
    final: str


def make(index: int) -> Item:
    draw = random.Random(f"benchmark:{index}")
    ambiguous = draw.random() < 0.5
    one, two = draw.sample(NOUNS, 2)
    name = draw.choice(NAMES)
    readings = tuple(f"When was the {noun} of {name} built?" for noun in (one, two))
    question = f"Do you mean the {one} or the {two}?"
    year = draw.randrange(1500, 2020)
    references = (str(year), f"in {year}", f"in the spring of {year}")
    asked = draw.choice([question, f"Which one of {name} do you mean?", f"Is it the {two}?"])
    answer = draw.choice(
        [
            f"It was built in {year}.",
            f"According to the passage, {name} built it in the spring of {year}.",
            "twenty-one years later",
            f"{year + 1}",
        ]
    )
    return Item(
        passage=f"passage-{index // 5:06d}",
        facets={
            "kind": draw.choice(KINDS) if ambiguous else "unambiguous",
            "speaker": f"voice-{draw.randrange(60)}",
            "accent": f"accent-{draw.randrange(8)}",
            "rate": draw.choice(["under 0.95", "0.95 to 1.05", "1.05 and over"]),
            "pitch": draw.choice(["under -0.5", "-0.5 to 0.5", "0.5 and over"]),
            "source": f"source-{draw.randrange(4)}",
        },
        readings=readings if ambiguous else readings[:1],
        intended=0,
        clarifying_question=question if ambiguous else "",
        references=references,
        first=asked if draw.random() < (0.8 if ambiguous else 0.2) else answer,
        final=answer,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=1_000)
    options = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    items = [make(index) for index in range(options.items)]
    spent: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal started
        spent[name] = time.process_time() - started
        started = time.process_time()

    started = time.process_time()
    from askqa_builder.evaluate.bootstrap import estimate
    from askqa_builder.evaluate.decision import classify
    from askqa_builder.evaluate.metrics import bleu1_counts, rouge2, score_answer
    from askqa_builder.evaluate.questions import clarifying_coverage
    from askqa_builder.evaluate.scores import corpus_bleu1, decision_metrics, mean
    from askqa_builder.evaluate.slices import estimate_slices

    lap("import")
    said = [classify(item.first) for item in items]
    lap("decisions")
    answers = [score_answer(item.final, item.references) for item in items]
    lap("answers")
    compared = [
        item if decision == "ask" and item.clarifying_question else None
        for item, decision in zip(items, said, strict=True)
    ]
    covered = [
        item and clarifying_coverage(item.first, item.readings, item.intended) for item in compared
    ]
    lap("coverage")
    bleu = [item and bleu1_counts(item.first, [item.clarifying_question]) for item in compared]
    lap("BLEU-1")
    rouge = [item and rouge2(item.first, [item.clarifying_question]) for item in compared]
    lap("ROUGE-2")

    metrics = {
        "exact_match": mean([score.exact_match for score in answers]),
        "f1": mean([score.f1 for score in answers]),
        "number_aware_f1": mean([score.number_aware_f1 for score in answers]),
        **decision_metrics(["ask" if len(i.readings) > 1 else "answer" for i in items], said),
        "post_clarification_f1": mean(
            [s.f1 if d == "ask" else None for s, d in zip(answers, said, strict=True)]
        ),
        "names_all": mean([c and float(c.names_all) for c in covered]),
        "separates": mean([c and float(c.separates) for c in covered]),
        "bleu1": corpus_bleu1(bleu),
        "rouge2": mean(rouge),
    }
    passages = [item.passage for item in items]
    total = estimate(metrics, passages, resamples=options.resamples)
    lap("intervals")
    dimensions = {name: [item.facets[name] for item in items] for name in items[0].facets}
    sliced = estimate_slices(metrics, passages, dimensions, resamples=options.resamples)
    lap("slices")

    for name, result in total.items():
        print(f"{name:22} {result.value:.4f}  [{result.low:.4f}, {result.high:.4f}]")
    slices = sum(len(values) for values in sliced.values())
    print(
        f"{options.items:,} items, {total['f1'].passages:,} passages, {len(metrics)} metrics, "
        f"{slices} slices, {options.resamples:,} resamples"
    )
    for name, seconds in spent.items():
        print(f"{name:12} {seconds:6.2f} s")
    print(f"{'total':12} {sum(spent.values()):6.2f} s")
    what = f"{options.items:,} predictions scored, with intervals and slices"
    tell(what, sum(spent.values()), "s")


if __name__ == "__main__":
    main()
