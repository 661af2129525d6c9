"""Figures of a release, read back from its own files: no number of the card is typed by hand."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from askqa_builder.release.stream import stream_columns
from askqa_builder.schema import Record

_COLUMNS = (
    "passage_id",
    "language",
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
    "provenance.license",
    "provenance.writer",
    "provenance.source",
)
_WORD_MARKS = ".,;:!?\"'()[]“”‘’"
Durations = dict[float, int]
"""How often a duration occurs: seconds, to a tenth → count. It stays small in a set of any size."""


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
    """Ambiguous dialogues by kind, then split; the most frequent first."""
    acts: dict[str, dict[str, int]]
    """Turns by act, then split."""
    writers: dict[str, int]
    sources: dict[str, int]
    licences: dict[str, int]
    """Dialogues by the licence of their source."""
    languages: dict[str, int]
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
    turn_seconds: Durations
    narration_seconds: Durations
    """Of every passage's narration, once per passage."""
    shared: dict[str, int]
    """How many groups, and how many user voices, stand in more than one split."""
    words: int
    """Running words of all turns."""
    vocabulary: int
    """Distinct words of all turns, case and outer punctuation ignored."""
    misheard: dict[str, tuple[int, int]]
    """Errors and words of the clips that each recogniser heard, a passage's narration once: the
    word error rate of all (micro-average) is the one over the other."""


def quantile(durations: Mapping[float, int], share: float) -> float:
    """The duration that `share` of the clips do not exceed, in seconds; 0 where there is none."""
    seconds = sorted(durations)
    if not seconds:
        return 0.0
    reached = list(accumulate(durations[value] for value in seconds))
    return seconds[bisect_left(reached, share * reached[-1])]


def statistics(folder: Path) -> Statistics:
    """Count what a release folder holds; audio bytes are not read.

    What grows with the set are hashes of its passages and groups, and its distinct words.
    """
    by_split: dict[str, Counter[str]] = {
        name: Counter() for name in ("dialogues", "ambiguous", "passages", "groups")
    }
    kinds: dict[str, Counter[str]] = {}
    acts: dict[str, Counter[str]] = {}
    names = ("writers", "sources", "licences", "languages", "sexes", "accents", "engines")
    totals: dict[str, Counter[str]] = {name: Counter() for name in names}
    lengths: Counter[int] = Counter()
    speakers: dict[str, dict[str, set[str]]] = {}
    seen: dict[str, dict[str, set[int]]] = {"passages": {}, "groups": {}}
    turn_seconds: Counter[float] = Counter()
    narration_seconds: Counter[float] = Counter()
    words = 0
    vocabulary: set[str] = set()
    misheard: dict[str, tuple[int, int]] = {}
    for split, row in stream_columns(folder, list(_COLUMNS)):
        provenance = row["provenance"]
        by_split["dialogues"][split] += 1
        lengths[len(row["turns"])] += 1
        if row["ambiguous"]:
            by_split["ambiguous"][split] += 1
            kinds.setdefault(row["ambiguity_kind"], Counter())[split] += 1
        for name, key in (("passages", row["passage_id"]), ("groups", provenance["group"])):
            known = seen[name].setdefault(split, set())
            if hash(key) not in known:
                known.add(hash(key))
                by_split[name][split] += 1
                if name == "passages":
                    narrated = sum(part["duration"] for part in row["narration"])
                    narration_seconds[round(narrated, 1)] += 1
                    _add_misheard(misheard, row["narration"])
        totals["writers"][provenance["writer"]] += 1
        totals["sources"][provenance["source"]] += 1
        totals["licences"][provenance["license"]] += 1
        totals["languages"][row["language"]] += 1
        _add_misheard(misheard, row["turns"])
        for turn in row["turns"]:
            acts.setdefault(turn["act"], Counter())[split] += 1
            turn_seconds[round(turn["duration"], 1)] += 1
            found = [word.strip(_WORD_MARKS).casefold() for word in turn["text"].split()]
            words += sum(map(bool, found))
            vocabulary.update(found)
        for role, voice in row["voices"].items():
            speakers.setdefault(role, {}).setdefault(split, set()).add(voice["speaker"])
            totals["sexes"][voice["sex"]] += 1
            totals["accents"][voice["accent"]] += 1
            engine = " ".join(filter(None, (voice["engine"], voice["model"], voice["version"])))
            totals["engines"][engine] += 1
    vocabulary.discard("")
    return Statistics(
        **{name: dict(counter) for name, counter in by_split.items()},
        kinds={
            kind: dict(counter)
            for kind, counter in sorted(kinds.items(), key=lambda item: -item[1].total())
        },
        acts={act: dict(counter) for act, counter in sorted(acts.items())},
        **{name: dict(counter.most_common()) for name, counter in totals.items()},
        turns_per_dialogue=dict(sorted(lengths.items())),
        speakers={
            role: {split: len(ids) for split, ids in by.items()} for role, by in speakers.items()
        },
        turn_seconds=dict(sorted(turn_seconds.items())),
        narration_seconds=dict(sorted(narration_seconds.items())),
        shared={
            "groups": _in_several(seen["groups"].values()),
            "users": _in_several(speakers.get("user", {}).values()),
        },
        words=words,
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


def _in_several(sets: Iterable[set[Any]]) -> int:
    """How many members stand in more than one of the sets."""
    counted = Counter(member for members in sets for member in members)
    return sum(count > 1 for count in counted.values())
