"""Figures of a release, read back from its own files: no number of the card is typed by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from askqa_builder.release.stream import stream_columns
from askqa_builder.schema import Record

_COLUMNS = (
    "passage_id",
    "ambiguous",
    "ambiguity_kind",
    "narration.list.element.duration",
    "narration.list.element.measures",
    "turns.list.element.act",
    "turns.list.element.text",
    "turns.list.element.duration",
    "turns.list.element.measures",
    "voices",
    "provenance.group",
    "provenance.writer",
    "provenance.source",
)
_WORD_MARKS = ".,;:!?\"'()[]“”‘’"


class Statistics(Record):
    """What a release holds, for its card and its pictures."""

    dialogues: dict[str, int]
    """By split."""
    passages: dict[str, int]
    """Distinct passages by split."""
    groups: dict[str, int]
    """Distinct groups (articles, stories) by split."""
    ambiguous: dict[str, int]
    """By split."""
    kinds: dict[str, dict[str, int]]
    """Ambiguous dialogues by kind, then split."""
    acts: dict[str, dict[str, int]]
    """Turns by act, then split."""
    writers: dict[str, int]
    sources: dict[str, int]
    turns_per_dialogue: dict[int, int]
    """How many dialogues have so many turns."""
    speakers: dict[str, dict[str, int]]
    """Distinct speakers by role, then split."""
    sexes: dict[str, int]
    """Speaking parts by the sex of the voice."""
    accents: dict[str, int]
    """Speaking parts by accent."""
    engines: dict[str, int]
    """Speaking parts by engine, model and version."""
    turn_seconds: tuple[float, ...]
    """Duration of every turn, in seconds, sorted."""
    narration_seconds: tuple[float, ...]
    """Duration of every passage's narration, in seconds, once per passage, sorted."""
    words: int
    """Running words of all turns."""
    vocabulary: int
    """Distinct words of all turns, case and outer punctuation ignored."""
    misheard: dict[str, tuple[int, int]]
    """Errors and words of the clips that each recogniser heard, a passage's narration once: the
    word error rate of all (micro-average) is the one over the other."""


def statistics(folder: Path) -> Statistics:
    """Count what a release folder holds; audio bytes are not read."""
    by_split: dict[str, Counter[str]] = {
        name: Counter() for name in ("dialogues", "ambiguous", "passages", "groups")
    }
    kinds: dict[str, Counter[str]] = {}
    acts: dict[str, Counter[str]] = {}
    totals: dict[str, Counter[str]] = {
        name: Counter() for name in ("writers", "sources", "sexes", "accents", "engines")
    }
    lengths: Counter[int] = Counter()
    speakers: dict[str, dict[str, set[str]]] = {}
    seen: set[tuple[str, str, str]] = set()
    turn_seconds: list[float] = []
    narration_seconds: list[float] = []
    vocabulary: Counter[str] = Counter()
    misheard: dict[str, tuple[int, int]] = {}
    for split, row in stream_columns(folder, list(_COLUMNS)):
        by_split["dialogues"][split] += 1
        lengths[len(row["turns"])] += 1
        if row["ambiguous"]:
            by_split["ambiguous"][split] += 1
            kinds.setdefault(row["ambiguity_kind"], Counter())[split] += 1
        for name, key in (("passages", row["passage_id"]), ("groups", row["provenance"]["group"])):
            if (split, name, key) not in seen:
                seen.add((split, name, key))
                by_split[name][split] += 1
                if name == "passages":
                    narration_seconds.append(sum(part["duration"] for part in row["narration"]))
                    _add_misheard(misheard, row["narration"])
        totals["writers"][row["provenance"]["writer"]] += 1
        totals["sources"][row["provenance"]["source"]] += 1
        _add_misheard(misheard, row["turns"])
        for turn in row["turns"]:
            acts.setdefault(turn["act"], Counter())[split] += 1
            turn_seconds.append(turn["duration"])
            vocabulary.update(word.strip(_WORD_MARKS).casefold() for word in turn["text"].split())
        for role, voice in row["voices"].items():
            speakers.setdefault(role, {}).setdefault(split, set()).add(voice["speaker"])
            totals["sexes"][voice["sex"]] += 1
            totals["accents"][voice["accent"]] += 1
            engine = " ".join(filter(None, (voice["engine"], voice["model"], voice["version"])))
            totals["engines"][engine] += 1
    vocabulary.pop("", None)
    return Statistics(
        **{name: dict(counter) for name, counter in by_split.items()},
        kinds={kind: dict(counter) for kind, counter in sorted(kinds.items())},
        acts={act: dict(counter) for act, counter in sorted(acts.items())},
        **{name: dict(counter.most_common()) for name, counter in totals.items()},
        turns_per_dialogue=dict(sorted(lengths.items())),
        speakers={
            role: {split: len(ids) for split, ids in by.items()} for role, by in speakers.items()
        },
        turn_seconds=tuple(sorted(turn_seconds)),
        narration_seconds=tuple(sorted(narration_seconds)),
        words=vocabulary.total(),
        vocabulary=len(vocabulary),
        misheard=misheard,
    )


def _add_misheard(totals: dict[str, tuple[int, int]], clips: Sequence[Mapping[str, Any]]) -> None:
    for clip in clips:
        measures = json.loads(clip["measures"] or "{}")
        if "asr_words" in measures:
            errors, words = totals.get(measures["asr"], (0, 0))
            totals[measures["asr"]] = (
                errors + int(measures["asr_errors"]),
                words + int(measures["asr_words"]),
            )
