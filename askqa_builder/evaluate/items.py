"""What is asked of a model: a release's dialogues, each up to the question to respond to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from askqa_builder.audio import decode
from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.release.index import read_index
from askqa_builder.release.rows import Row
from askqa_builder.release.stream import stream_split
from askqa_builder.schema import Reading, Speaker

PROMPT = (
    "Listen to the passage and to the conversation about it. Respond to the user's last question: "
    "give a short answer from the passage, or, if the question could mean more than one thing, "
    "ask a clarifying question."
)
"""The written instruction that every model gets."""


@dataclass(frozen=True)
class Item:
    """A dialogue as it is evaluated."""

    id: str
    passage_id: str
    conversation: Conversation
    """Ends with the user's question."""
    readings: tuple[Reading, ...]
    intended: int
    ambiguous: bool
    kind: str | None
    question: str | None
    """The data set's own clarifying question; None where nothing is ambiguous."""
    user: Speaker
    """The voice of the user, in which replies are spoken."""
    source: str

    @property
    def answers(self) -> tuple[str, ...]:
        """References of the reading that the user meant."""
        return self.readings[self.intended].answers


_COLUMNS = frozenset(
    "id passage_id narration turns readings intended ambiguous ambiguity_kind voices provenance"
    " passage".split()
)


def check_data(release: Path, split: str) -> None:
    """Raise EvaluationError if the release has no such split, or lacks columns."""
    import pyarrow.parquet as pq

    folder = release / "dialogues"
    of_split = sorted(folder.glob(f"{split}-*.parquet"))
    if not of_split:
        # a copy of a release elsewhere has the files of few splits, and the index of all
        found = {name for name, _ in read_index(release)}
        found |= {path.name.split("-")[0] for path in folder.glob("*.parquet")}
        if not found:
            raise EvaluationError(f"{release}: is no release folder: it has no dialogues/*.parquet")
        raise EvaluationError(f"{release}: no split {split!r}; expected one of {sorted(found)}")
    missing = sorted(_COLUMNS - set(pq.read_schema(of_split[0]).names))
    if missing:
        raise EvaluationError(
            f"{release}: dialogues have no column {', '.join(map(repr, missing))}; is it a release "
            "of askqa_builder?"
        )


def read_items(release: Path, split: str, first: int = 0) -> Iterator[Item]:
    """The items of a split from the `first` one on, in the order of the release, one in memory at
    a time.

    Raises EvaluationError if the release has no such split or lacks columns.
    """
    check_data(release, split)
    for row in stream_split(release, split, first):
        try:
            yield item_of(row)
        except KeyError as error:
            raise EvaluationError(
                f"{release}: dialogue {row['id']!r} has no {error.args[0]!r}; is it a release of "
                "an older version?"
            ) from error


def item_of(row: Row) -> Item:
    """The item that a row of config `dialogues` gives."""
    asked = max(i for i, turn in enumerate(row["turns"]) if turn["act"] == "question")
    clarifying = [turn["text"] for turn in row["turns"] if turn["act"] == "clarifying_question"]
    return Item(
        id=row["id"],
        passage_id=row["passage_id"],
        conversation=Conversation(
            id=row["id"],
            prompt=PROMPT,
            narration=tuple(Utterance("narrator", c["text"], _sound(c)) for c in row["narration"]),
            turns=tuple(
                Utterance(turn["role"], turn["text"], _sound(turn))
                for turn in row["turns"][: asked + 1]
            ),
        ),
        readings=tuple(Reading.model_validate(reading) for reading in row["readings"]),
        intended=row["intended"],
        ambiguous=row["ambiguous"],
        kind=row["ambiguity_kind"],
        question=clarifying[-1] if row["ambiguous"] else None,
        user=speaker_of(row["voices"]["user"]),
        source=row["provenance"]["source"],
    )


def _sound(clip: dict[str, Any]) -> Sound:
    return _decoded(clip["audio"]["bytes"])


@lru_cache(maxsize=16)
def _decoded(file: bytes) -> Sound:
    """Dialogues on one passage follow each other, and share its narration."""
    sound = Sound(*decode(file))
    sound.samples.flags.writeable = False  # a model that changes its own changes nobody else's
    return sound


def speaker_of(voice: dict[str, Any]) -> Speaker:
    """The speaker that a row's `voices` tell of."""
    return Speaker(
        id=voice["speaker"],
        engine=voice["engine"],
        model=voice["model"],
        version=voice["version"],
        accent=voice["accent"],
        sex=voice["sex"],
        rate=voice["rate"],
        pitch=voice["pitch"],
        settings=json.loads(voice["settings"]),
    )
