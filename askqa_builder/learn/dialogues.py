"""The conversations of a split as a trainer reads them: texts in memory, sound from disk.

Written fields are read once. Sound stays in a memory-mapped copy of the release's columns, which
`datasets` makes and keeps in its cache; a clip is decoded when an example that needs it is asked
for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from askqa_builder.audio import decode
from askqa_builder.errors import TrainingError
from askqa_builder.evaluate.responders import Conversation, Utterance
from askqa_builder.release.stream import shards
from askqa_builder.schema import Act, Reading, Role

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_CLIP = ("text", "spoken_text", "duration")
_COLUMNS = (
    "id",
    "passage_id",
    "ambiguous",
    "intended",
    *(f"readings.list.element.{name}" for name in ("question", "answers.list.element")),
    *(f"narration.list.element.{name}" for name in _CLIP),
    *(f"turns.list.element.{name}" for name in ("role", "act", *_CLIP)),
)
_KEPT_BYTES = 256 * 2**20
"""Decoded sound that is kept: on a CPU, decoding costs as much as a small model's step."""
_SOUND = tuple(f"{part}.list.element.audio.bytes" for part in ("narration", "turns"))


@dataclass(frozen=True)
class Clip:
    """Something said in a dialogue, whose sound has not been read yet."""

    part: Literal["narration", "turns"]
    index: int
    text: str
    said: str
    """What was read aloud: years, money, units … as words."""
    seconds: float


@dataclass(frozen=True)
class Heard(Utterance):
    """An utterance that knows its clip."""

    clip: Clip | None = None


@dataclass(frozen=True)
class Turn:
    """A turn of a dialogue."""

    role: Role
    act: Act
    clip: Clip


@dataclass(frozen=True)
class SpokenDialogue:
    """A dialogue as the tasks see it."""

    id: str
    passage_id: str
    narration: tuple[Clip, ...]
    turns: tuple[Turn, ...]
    readings: tuple[Reading, ...]
    intended: int
    ambiguous: bool

    @property
    def asked(self) -> int:
        """The turn with the question that is to be responded to."""
        return max(i for i, turn in enumerate(self.turns) if turn.act == "question")

    @property
    def passage(self) -> str:
        """The passage as it is written."""
        return " ".join(clip.text for clip in self.narration)

    def conversation(self, turns: int, prompt: str) -> Conversation:
        """The first `turns` turns, after the narration, as the evaluator lays them out."""
        return Conversation(
            id=self.id,
            prompt=prompt,
            narration=tuple(Heard("narrator", c.text, clip=c) for c in self.narration),
            turns=tuple(Heard(t.role, t.clip.text, clip=t.clip) for t in self.turns[:turns]),
        )


class Dialogues(Sequence[SpokenDialogue]):
    """The dialogues of a split whose passages belong to a fraction, in the order of the release."""

    def __init__(
        self, release: Path, split: str, *, fraction: float = 1.0, limit: int | None = None
    ) -> None:
        """`limit` keeps only the first so many.

        Raises TrainingError if the release has no such split, lacks columns, or if no passage is
        in the fraction.
        """
        self.release, self.split = release, split
        self._files = [path for name, path in shards(release) if name == split]
        if not self._files:
            found = sorted({name for name, _ in shards(release)})
            raise TrainingError(f"{release}: no split {split!r}; expected one of {found}")
        self._dialogues: list[SpokenDialogue] = []
        self._rows: list[int] = []
        for row, dialogue in enumerate(self._written()):
            if in_fraction(dialogue.passage_id, fraction) and (
                limit is None or len(self._dialogues) < limit
            ):
                self._dialogues.append(dialogue)
                self._rows.append(row)
        if not self._dialogues:
            raise TrainingError(
                f"{release}: fraction {fraction:g} of split {split!r} holds no passage; take a "
                "larger one"
            )
        self._table: Any = None
        self._kept: dict[tuple[str, Clip], npt.NDArray[np.float32]] = {}
        self._free = _KEPT_BYTES

    def __len__(self) -> int:
        return len(self._dialogues)

    def __getitem__(self, index: Any) -> Any:
        return self._dialogues[index]

    def sounds(self, index: int, clips: Sequence[Clip]) -> list[npt.NDArray[np.float32]]:
        """Clips of one dialogue, decoded: mono, 16 kHz, float32, each of shape (n,)."""
        dialogue = self._dialogues[index]
        # all dialogues on a passage have one narration
        keys = [
            (dialogue.passage_id if clip.part == "narration" else dialogue.id, clip)
            for clip in clips
        ]
        if any(key not in self._kept for key in keys):
            return self._read(index, keys)
        return [self._kept[key] for key in keys]

    def _read(self, index: int, keys: list[tuple[str, Clip]]) -> list[npt.NDArray[np.float32]]:
        """Decode clips of a dialogue, and keep them while there is room."""
        if self._table is None:
            self._table = _memory_mapped(self._files)
        row = self._table.fast_slice(self._rows[index], 1)
        found = []
        for key in keys:
            clip = key[1]
            samples = self._kept.get(key)
            if samples is None:
                audio = row[clip.part][0][clip.index]["audio"]["bytes"].as_py()
                samples, _ = decode(audio)  # the release format has one rate
                if samples.nbytes <= self._free:
                    samples.flags.writeable = False
                    self._kept[key] = samples
                    self._free -= samples.nbytes
            found.append(samples)
        return found

    def _written(self) -> Iterator[SpokenDialogue]:
        import pyarrow.parquet as pq

        for path in self._files:
            with pq.ParquetFile(path) as file:
                present = {
                    file.schema.column(i).path.replace(".array.", ".list.element.")
                    for i in range(len(file.schema))
                }
                missing = sorted({*_COLUMNS, *_SOUND} - present)
                if missing:
                    raise TrainingError(
                        f"{path}: no column {missing[0].replace('.list.element', '')!r}; is it a "
                        "release of askqa_builder, or of another version?"
                    )
                for batch in file.iter_batches(columns=list(_COLUMNS)):
                    yield from map(_dialogue, batch.to_pylist())


def in_fraction(passage_id: str, fraction: float) -> bool:
    """Whether a passage belongs to a fraction (0–1) of the data; larger ones hold the smaller."""
    place = int.from_bytes(hashlib.sha256(passage_id.encode()).digest()[:8]) / 2**64
    return place < fraction


def _dialogue(row: dict[str, Any]) -> SpokenDialogue:
    return SpokenDialogue(
        id=row["id"],
        passage_id=row["passage_id"],
        narration=tuple(_clip("narration", i, clip) for i, clip in enumerate(row["narration"])),
        turns=tuple(
            Turn(turn["role"], turn["act"], _clip("turns", i, turn))
            for i, turn in enumerate(row["turns"])
        ),
        readings=tuple(Reading.model_validate(reading) for reading in row["readings"]),
        intended=row["intended"],
        ambiguous=row["ambiguous"],
    )


def _clip(part: Literal["narration", "turns"], index: int, clip: dict[str, Any]) -> Clip:
    return Clip(part, index, clip["text"], clip["spoken_text"], clip["duration"])


def _memory_mapped(files: Sequence[Path]) -> Any:
    """Columns with sound of all files as one table that is read from disk as needed."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        rows = cast(Any, datasets.Dataset).from_parquet(
            [str(path) for path in files], columns=["narration", "turns"]
        )
    finally:
        if shown:
            datasets.enable_progress_bars()
    return rows.data
