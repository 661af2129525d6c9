"""The offline writer of ambiguous dialogues, from pairs of human questions.

"When was the motto adopted?" and "When was the state flower adopted?" differ only in what they
ask about. Leave that open, and the question is ambiguous; ask which, and either human question,
with its gold answer and evidence, is the reading that was meant.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from askqa_builder.schema import AmbiguityKind, Draft, Passage, Question, Reject, Turn
from askqa_builder.writers.grammar import Parse, parse
from askqa_builder.writers.merging import Merge, merge
from askqa_builder.writers.phrasing import clarification, clarifying_question
from askqa_builder.writers.questions import plain_draft
from askqa_builder.writers.utterances import (
    capitalised,
    is_question,
    reading_of,
    said,
    tidy_answer,
    tidy_question,
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A usable human question."""

    question: Question
    text: str
    answer: str
    parse: Parse | None


@dataclass(frozen=True, slots=True)
class _Group:
    """Questions that one ambiguous question could mean."""

    asked: str
    kind: AmbiguityKind
    style: str
    pattern: str
    members: tuple[tuple[str, _Asked], ...]
    """Each reading's distinguishing phrase and human question."""


class ContrastWriter:
    """Makes ambiguous dialogues from pairs of questions, and unambiguous ones to go with them.

    For every k ambiguous dialogues on a passage it writes k·(1−s)/s unambiguous ones, rounded at
    random so that the share s is right in expectation, as far as the passage has questions.
    """

    name = "contrast"
    version = "1"

    def __init__(
        self,
        seed: int = 0,
        ambiguous_share: float = 0.5,
        *,
        per_passage: int = 4,
        history_share: float = 0.4,
    ) -> None:
        self._seed = seed
        self._share = ambiguous_share
        self._per_passage = per_passage
        self._history_share = history_share

    def write(self, passage: Passage) -> Iterator[Draft | Reject]:
        """Draft the dialogues of one passage."""
        if len(passage.questions) < 2:
            return
        rng = random.Random(f"{self._seed}:{passage.id}")
        asked = _usable(passage.questions)
        groups = _groups(asked, passage.text)
        picks = self._picks(groups, rng)
        for group, intended in picks:
            yield self._ambiguous(group, intended, asked, rng)
        for item in self._plain(picks, asked, rng):
            history = self._history(asked, [item], rng)
            yield plain_draft(item.question, item.text, item.answer, history)

    def _picks(self, groups: Sequence[_Group], rng: random.Random) -> list[tuple[_Group, int]]:
        """Which groups become dialogues, and with which reading: each group once, then again."""
        if self._share <= 0:
            return []
        shuffled = list(groups)
        rng.shuffle(shuffled)
        orders = [rng.sample(range(len(g.members)), len(g.members)) for g in shuffled]
        picks = [
            (group, order[turn])
            for turn in range(2)
            for group, order in zip(shuffled, orders, strict=True)
        ]
        return picks[: self._per_passage]

    def _plain(
        self, picks: Sequence[tuple[_Group, int]], asked: Sequence[_Asked], rng: random.Random
    ) -> list[_Asked]:
        """The questions to answer at once: those of the picks first, as minimal pairs."""
        if self._share <= 0:
            wanted = float(self._per_passage)
        else:
            wanted = len(picks) * (1 - self._share) / self._share
        count = int(wanted) + (rng.random() < wanted % 1)
        paired = [member for group, _ in picks for _, member in group.members]
        others = rng.sample(asked, len(asked))
        ordered = {item.question.id: item for item in (*paired, *others)}
        pool = list(ordered.values())
        head = pool[: len({item.question.id for item in paired})]
        rng.shuffle(head)
        return (head + pool[len(head) :])[:count]

    def _ambiguous(
        self, group: _Group, intended: int, asked: Sequence[_Asked], rng: random.Random
    ) -> Draft:
        members = list(group.members)
        if rng.random() < 0.5:
            members.reverse()
            intended = len(members) - 1 - intended
        phrases = [phrase for phrase, _ in members]
        meant = members[intended][1]
        history: tuple[Turn, ...] = ()
        if group.pattern != "pronoun":
            history = self._history(asked, [item for _, item in members], rng)
        turns = (
            *history,
            Turn(role="user", act="question", text=group.asked),
            Turn(
                role="assistant",
                act="clarifying_question",
                text=clarifying_question(phrases, group.style, rng),
            ),
            Turn(
                role="user",
                act="clarification",
                text=clarification(phrases[intended], group.style, rng),
            ),
            Turn(role="assistant", act="answer", text=said(meant.answer)),
        )
        ids = tuple(item.question.id for _, item in members)
        return Draft(
            key="+".join((meant.question.id, *(i for i in sorted(ids) if i != meant.question.id))),
            turns=turns,
            ambiguous=True,
            ambiguity_kind=group.kind,
            readings=tuple(reading_of(item.question, item.text) for _, item in members),
            intended=intended,
            question_ids=ids,
            details={"pattern": group.pattern},
        )

    def _history(
        self, asked: Sequence[_Asked], about: Sequence[_Asked], rng: random.Random
    ) -> tuple[Turn, ...]:
        return ()


def _usable(questions: Sequence[Question]) -> list[_Asked]:
    found: dict[str, _Asked] = {}
    for question in questions:
        text = tidy_question(question.text)
        answer = tidy_answer(question.answers[0].text)
        if text and answer and is_question(text) and len(text.split()) <= 25:
            found.setdefault(text.casefold(), _Asked(question, text, answer, parse(text)))
    return list(found.values())


def _groups(asked: Sequence[_Asked], passage: str) -> list[_Group]:
    """Merge every pair; pairs that merge to the same question are one group of readings."""
    merged: dict[str, tuple[Merge, dict[str, tuple[str, _Asked]]]] = {}
    for one, other in itertools.combinations(asked, 2):
        if one.parse is None or other.parse is None:
            continue
        found = merge(one.parse, other.parse, passage)
        if found is None:
            continue
        _, members = merged.setdefault(found.asked.casefold(), (found, {}))
        for phrase, item in zip(found.phrases, (one, other), strict=True):
            members.setdefault(phrase.casefold(), (phrase, item))
    known = {item.text.casefold() for item in asked}
    groups: list[_Group] = []
    for found, members in merged.values():
        text = capitalised(found.asked) + "?"
        if text.casefold() in known:
            continue
        kept: dict[str, tuple[str, _Asked]] = {}
        for phrase, item in members.values():
            kept.setdefault(item.answer.casefold(), (phrase, item))
        if 2 <= len(kept) <= 4:
            groups.append(
                _Group(text, found.kind, found.style, found.pattern, tuple(kept.values()))
            )
    return groups
