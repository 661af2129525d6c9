"""Every record that crosses a stage: closed, frozen, checked when it is made.

    Passage ─▶ (writer) ─▶ Dialogue ─▶ (synthesis) ─▶ SpokenDialogue + Clip
                  └▶ Reject        each record that is not used, with stage and reason

A model raises pydantic's ValidationError when the structure is wrong; whether a well-formed
dialogue is also a *good* one is the business of `checks.py`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.json_schema import models_json_schema

Role = Literal["user", "assistant"]
Act = Literal["question", "clarifying_question", "clarification", "answer"]
AmbiguityKind = Literal["referent", "attribute", "time", "place", "event", "other"]
Split = Literal["train", "validation", "test"]
Sex = Literal["female", "male", "unknown"]
SpeakerRole = Literal["narrator", "user", "assistant"]

AMBIGUITY_KINDS: tuple[AmbiguityKind, ...] = (
    "referent",
    "attribute",
    "time",
    "place",
    "event",
    "other",
)
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_SPEAKS: dict[Act, Role] = {
    "question": "user",
    "clarifying_question": "assistant",
    "clarification": "user",
    "answer": "assistant",
}
_FOLLOWS: dict[Act, tuple[Act, ...]] = {
    "question": ("answer", "clarifying_question"),
    "clarifying_question": ("clarification",),
    "clarification": ("answer", "clarifying_question"),
    "answer": ("question",),
}


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(Record):
    """One reference answer to a question."""

    text: str = Field(min_length=1)
    start: int | None = Field(default=None, ge=0)
    """Offset in the passage, in characters; null where the annotators marked no exact span."""


class Question(Record):
    """A human (or synthetic) question about one passage, with its reference answers."""

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)
    answers: tuple[Answer, ...] = Field(min_length=1)


class Turn(Record):
    """One utterance of a conversation, as it is written."""

    role: Role
    act: Act
    text: str = Field(min_length=1)

    @model_validator(mode="after")
    def _role_fits_act(self) -> Self:
        if _SPEAKS[self.act] != self.role:
            raise ValueError(
                f"act {self.act!r} belongs to {_SPEAKS[self.act]!r}, not {self.role!r}"
            )
        return self


class Reading(Record):
    """One interpretation of what the user asked: a full question, its answers, the evidence."""

    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    """Reference answers, the best one first."""
    evidence: str | None = None
    """A span of the passage; null where the annotators marked none."""
    evidence_start: int | None = Field(default=None, ge=0)
    """Offset of the evidence in the passage, in characters."""

    @model_validator(mode="after")
    def _evidence_is_whole(self) -> Self:
        if (self.evidence is None) != (self.evidence_start is None):
            raise ValueError("evidence and evidence_start go together: give both or neither")
        if self.evidence == "":
            raise ValueError("evidence is empty; use null where there is none")
        if not all(answer.strip() for answer in self.answers):
            raise ValueError("an answer is empty")
        return self


class Draft(Record):
    """What a writer proposes about one passage; `generate` checks it and makes the Dialogue."""

    key: str = Field(min_length=1)
    """Tells the drafts of one passage apart; stable from run to run."""
    turns: tuple[Turn, ...] = Field(min_length=2)
    ambiguous: bool
    ambiguity_kind: AmbiguityKind | None = None
    readings: tuple[Reading, ...] = Field(min_length=1)
    intended: int = Field(default=0, ge=0)
    """Index in `readings` of the one that the user meant."""
    question_ids: tuple[str, ...] = ()
    """The source's questions that the draft is made from."""
    details: dict[str, JsonValue] = {}
    """What only this writer knows: pattern, model, prompt hashes, cost …"""

    @model_validator(mode="after")
    def _structure(self) -> Self:
        _check_structure(
            self.turns, self.ambiguous, self.ambiguity_kind, self.readings, self.intended
        )
        return self


class Passage(Record):
    """A text to talk about, with the questions that people have asked about it."""

    id: str = Field(min_length=1)
    group: str = Field(min_length=1)
    """Passages of one group (an article, a story) always share a split."""
    title: str = ""
    text: str = Field(min_length=1)
    source: str = Field(min_length=1)
    """Where it came from: squad, abg-coqa, text, world, sample …"""
    license: str = "unknown"
    """SPDX-like name: cc-by-sa-4.0, cc0-1.0, apache-2.0, unknown …"""
    domain: str = "general"
    language: str = "en"
    split: Split | None = None
    """Set only where the source fixes it; else it follows from the group."""
    questions: tuple[Question, ...] = ()
    drafts: tuple[Draft, ...] = ()
    """Human-written conversations that came with the passage: they need no writer."""

    @model_validator(mode="after")
    def _offsets_are_exact(self) -> Self:
        for question in self.questions:
            for answer in question.answers:
                _check_span(self.text, answer.text, answer.start, f"question {question.id!r}")
        for draft in self.drafts:
            _check_evidence(self.text, draft.readings)
        _check_unique([q.id for q in self.questions], "question id")
        _check_unique([d.key for d in self.drafts], "draft key")
        return self


class Provenance(Record):
    """Who made a dialogue from what."""

    source: str
    license: str
    writer: str
    writer_version: str
    question_ids: tuple[str, ...] = ()
    details: dict[str, JsonValue] = {}


class Dialogue(Record):
    """A written conversation about one passage; complete in itself."""

    id: str = Field(min_length=1)
    passage_id: str = Field(min_length=1)
    group: str = Field(min_length=1)
    title: str = ""
    domain: str = "general"
    language: str = "en"
    split: Split
    passage: str = Field(min_length=1)
    turns: tuple[Turn, ...] = Field(min_length=2)
    ambiguous: bool
    ambiguity_kind: AmbiguityKind | None = None
    readings: tuple[Reading, ...] = Field(min_length=1)
    intended: int = Field(default=0, ge=0)
    provenance: Provenance

    @model_validator(mode="after")
    def _structure(self) -> Self:
        _check_structure(
            self.turns, self.ambiguous, self.ambiguity_kind, self.readings, self.intended
        )
        _check_evidence(self.passage, self.readings)
        return self


class Reject(Record):
    """A record that is not used, with the reason: nothing vanishes."""

    id: str
    stage: str
    reason: str
    """A short name that can be counted, such as `readings_share_an_answer`."""
    detail: str = ""
    """What exactly was wrong, for people."""
    raw: JsonValue = None
    """The content that was refused."""


class Correction(Record):
    """What a person changed about one dialogue; a line of `corrections.jsonl` in the build."""

    id: str
    """The dialogue's."""
    turns: tuple[Turn, ...] | None = None
    """The whole conversation as it should be; null leaves it as it is."""
    readings: tuple[Reading, ...] | None = None
    reject: str | None = None
    """Why the dialogue should not be used; null keeps it."""


class Voice(Record):
    """A speaker that an engine offers."""

    id: str
    """Stable, unique within the engine."""
    engine: str
    name: str
    """What the engine calls it."""
    language: str = "en"
    accent: str = "unknown"
    sex: Sex = "unknown"
    description: str = ""
    rate_range: tuple[float, float] = (1.0, 1.0)
    """Speaking rates that sound natural, relative to the engine's default."""
    pitch_range: tuple[float, float] = (0.0, 0.0)
    """Pitch shifts that sound natural, in semitones relative to the voice's own."""


class Speaker(Record):
    """A voice as it is cast in one conversation."""

    id: str
    engine: str
    model: str = ""
    """Model of the engine where it has several; empty otherwise."""
    version: str = ""
    """Engine (and library) version that made the clips."""
    accent: str = "unknown"
    sex: Sex = "unknown"
    rate: float = Field(default=1.0, gt=0)
    """Speaking rate relative to the engine's default."""
    pitch: float = 0.0
    """Pitch shift in semitones."""
    settings: dict[str, JsonValue] = {}
    """Whatever else shaped the sound (style instructions, reference clip …)."""


class Word(Record):
    """A written word and when it is spoken, in seconds from the start of its clip."""

    text: str
    start: float = Field(ge=0)
    end: float = Field(ge=0)


class Clip(Record):
    """One utterance as sound; its bytes lie in the speech shard under `key`."""

    key: str
    """Hash of everything that shapes the sound: spoken text, speaker, settings, versions."""
    text: str
    spoken_text: str
    """What was read aloud: years, money, units … as words."""
    duration_s: float = Field(gt=0)
    words: tuple[Word, ...] = ()
    """Empty where the engine does not know them."""
    measures: dict[str, int | float | str] = {}
    """Measured on the clip: loudness, word error rate and the recogniser's name …"""


class SpokenTurn(Record):
    """A turn and its clip."""

    role: Role
    act: Act
    clip: Clip


class SpokenDialogue(Record):
    """A dialogue with its narration and turns spoken; audio lies beside it, by clip key."""

    dialogue: Dialogue
    narrator: Speaker
    user: Speaker
    assistant: Speaker
    narration: tuple[Clip, ...] = Field(min_length=1)
    """The passage in segments of at most 30 s."""
    turns: tuple[SpokenTurn, ...]

    @model_validator(mode="after")
    def _turns_are_those_of_the_dialogue(self) -> Self:
        written = [(t.role, t.act, t.text) for t in self.dialogue.turns]
        spoken = [(t.role, t.act, t.clip.text) for t in self.turns]
        if written != spoken:
            raise ValueError("spoken turns differ from the written ones")
        return self


PUBLIC_RECORDS: tuple[type[Record], ...] = (
    Passage,
    Dialogue,
    Reject,
    Correction,
    Voice,
    SpokenDialogue,
)
"""The records of the files in a build folder; `docs/schema.json` describes them."""


def json_schema() -> dict[str, JsonValue]:
    """JSON Schema (draft 2020-12) of the public records."""
    _, schema = models_json_schema(
        [(record, "validation") for record in PUBLIC_RECORDS],
        title="Records of an askqa_builder build folder",
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _check_structure(
    turns: tuple[Turn, ...],
    ambiguous: bool,
    kind: AmbiguityKind | None,
    readings: tuple[Reading, ...],
    intended: int,
) -> None:
    """Raise ValueError unless acts follow legally and the readings fit the last request."""
    if turns[0].act != "question":
        raise ValueError(f"the first turn must be a question, not {turns[0].act!r}")
    if turns[-1].act != "answer":
        raise ValueError(f"the last turn must be an answer, not {turns[-1].act!r}")
    for index, (before, after) in enumerate(pairwise(turns), start=1):
        if after.act not in _FOLLOWS[before.act]:
            raise ValueError(f"turn {index}: {after.act!r} cannot follow {before.act!r}")
    if not 0 <= intended < len(readings):
        raise ValueError(f"intended is {intended}, but there are {len(readings)} readings")
    asked = turns[-2].act == "clarification"
    if ambiguous:
        if not asked:
            raise ValueError(
                "an ambiguous dialogue ends clarifying_question, clarification, answer"
            )
        if kind is None:
            raise ValueError("an ambiguous dialogue needs an ambiguity_kind")
        if len(readings) < 2:
            raise ValueError("an ambiguous dialogue needs two readings or more")
        if len({_folded(reading.answers[0]) for reading in readings}) < 2:
            raise ValueError("all readings have the same answer: nothing is ambiguous")
    else:
        if asked:
            raise ValueError("an unambiguous dialogue ends question, answer")
        if kind is not None:
            raise ValueError("an unambiguous dialogue has no ambiguity_kind")
        if len(readings) != 1:
            raise ValueError("an unambiguous dialogue has exactly one reading")


def _check_evidence(passage: str, readings: tuple[Reading, ...]) -> None:
    for index, reading in enumerate(readings):
        if reading.evidence is not None:
            _check_span(passage, reading.evidence, reading.evidence_start, f"reading {index}")


def _check_span(passage: str, span: str, start: int | None, where: str) -> None:
    if start is not None and passage[start : start + len(span)] != span:
        found = passage[start : start + len(span)]
        raise ValueError(f"{where}: passage has {found!r} at offset {start}, not {span!r}")


def _check_unique(values: list[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} {value!r} occurs twice")
        seen.add(value)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
