"""The offline writer of ambiguous dialogues, from pairs of human questions.

"When was the motto adopted?" and "When was the state flower adopted?" differ only in what they
ask about. Leave that open, and the question is ambiguous; ask which, and either human question,
with its gold answer and evidence, is the reading that was meant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from askqa_builder.schema import Draft, Passage, Reject, Turn
from askqa_builder.writers.grammar import content_words
from askqa_builder.writers.grouping import MAX_READINGS, Asked, Group, groups, usable
from askqa_builder.writers.lexicon import PREPOSITIONS
from askqa_builder.writers.phrasing import clarification, clarifying_question, place_in_row
from askqa_builder.writers.quality import answers_differ
from askqa_builder.writers.questions import plain_draft
from askqa_builder.writers.utterances import reading_of, said

MAX_EARLIER_EXCHANGES = 3
"""Earlier question–answer exchanges at most, and …"""
MAX_EARLIER_WORDS = 15
"""… words in a question of theirs."""


class ContrastWriter:
    """Makes ambiguous dialogues from pairs of questions, and unambiguous ones to go with them.

    For every k ambiguous dialogues on a passage it writes k·(1−s)/s unambiguous ones, rounded at
    random so that the share s is right in expectation, as far as the passage has questions. A
    passage without such pairs gives nothing, except with s = 0: then up to `per_passage`
    unambiguous dialogues.
    """

    name = "contrast"
    version = "2"

    def __init__(
        self,
        seed: int = 0,
        ambiguous_share: float = 0.5,
        *,
        per_passage: int = 4,
        history_share: float = 0.4,
    ) -> None:
        """Set the seed, the share of ambiguous dialogues (0 to 1), and what one passage gives.

        `per_passage` bounds the ambiguous dialogues on one passage; `history_share` is the share
        of dialogues that begin with earlier turns, among those where some fit.
        """
        self._seed = seed
        self._share = ambiguous_share
        self._per_passage = per_passage
        self._history_share = history_share

    def write(self, passage: Passage) -> Iterator[Draft | Reject]:
        """Draft the dialogues of one passage, the same ones each time."""
        found = groups(passage) if self._share > 0 else []
        if not found and self._share > 0:
            return
        asked = usable(passage)
        rng = random.Random(f"{self._seed}:{passage.id}")
        picks = self._picks(found, rng)
        for group, intended in picks:
            yield self._ambiguous(group, intended, asked, passage, rng)
        for item in self._plain(picks, asked, rng):
            history = self._history(asked, [item], item.text, rng)
            yield plain_draft(item.question, item.text, _spoken(item, passage), history)

    def _picks(self, found: Sequence[Group], rng: random.Random) -> list[tuple[Group, int]]:
        """Which groups become dialogues, and with which reading: each group once, then again with
        another, until all readings have been meant."""
        shuffled = rng.sample(found, len(found))
        orders = [rng.sample(range(len(g.members)), len(g.members)) for g in shuffled]
        picks = [
            (group, order[turn])
            for turn in range(MAX_READINGS)
            for group, order in zip(shuffled, orders, strict=True)
            if turn < len(order)
        ]
        return picks[: self._per_passage]

    def _plain(
        self, picks: Sequence[tuple[Group, int]], asked: Sequence[Asked], rng: random.Random
    ) -> list[Asked]:
        """The questions to answer at once: first those of the picks, the minimal pairs."""
        wanted = float(self._per_passage)
        if self._share > 0:
            wanted = len(picks) * (1 - self._share) / self._share
        count = int(wanted) + (rng.random() < wanted % 1)
        paired = {m.item.question.id: m.item for group, _ in picks for m in group.members}
        others = [item for item in asked if item.question.id not in paired]
        pool = rng.sample(list(paired.values()), len(paired)) + rng.sample(others, len(others))
        return pool[:count]

    def _ambiguous(
        self,
        group: Group,
        intended: int,
        asked: Sequence[Asked],
        passage: Passage,
        rng: random.Random,
    ) -> Draft:
        order = rng.sample(range(len(group.members)), len(group.members))
        order.sort(key=lambda i: place_in_row(group.members[i].phrase))
        members = [group.members[i] for i in order]
        intended = order.index(intended)
        meant = members[intended]
        items = [member.item for member in members]
        # After a turn about something else, "it" would mean that: such questions come first.
        history: tuple[Turn, ...] = ()
        if not group.pattern.startswith("pronoun"):
            history = self._history(asked, items, group.asked, rng)
        phrases = [member.phrase for member in members]
        shorter = [member.shorter for member in members]
        asking = clarifying_question(phrases, shorter, group.style, rng)
        reply = clarification(asking, meant.phrase, meant.shorter, group.style, rng)
        turns = (
            *history,
            Turn(role="user", act="question", text=group.asked),
            Turn(role="assistant", act="clarifying_question", text=asking),
            Turn(role="user", act="clarification", text=reply),
            Turn(role="assistant", act="answer", text=said(_spoken(meant.item, passage))),
        )
        ids = [item.question.id for item in items]
        pattern = group.pattern.partition(",")[0]
        return Draft(
            key=f"{pattern}-{meant.item.question.id}-{'+'.join(sorted(ids))}",
            turns=turns,
            ambiguous=True,
            ambiguity_kind=group.kind,
            readings=tuple(reading_of(item.question, item.text) for item in items),
            intended=intended,
            question_ids=tuple(ids),
            details={"pattern": group.pattern, "earlier_exchanges": len(history) // 2},
        )

    def _history(
        self, asked: Sequence[Asked], about: Sequence[Asked], question: str, rng: random.Random
    ) -> tuple[Turn, ...]:
        """Earlier exchanges about the same passage that neither answer nor bias what comes."""
        if rng.random() >= self._history_share:
            return ()
        words = [item.words for item in about]
        shared = set.intersection(*words)
        telling = set[str]().union(*words) - shared if len(about) > 1 else set[str]()
        answers = [content_words(item.answer) for item in about]
        topic = content_words(question)
        fit = []
        for item in asked:
            if item.tokens[0].lower in PREPOSITIONS or len(item.text.split()) > MAX_EARLIER_WORDS:
                continue  # written style: "On May 6, in Rome, who said …?"
            said_here = item.words | content_words(item.answer)
            if item in about or said_here & telling:
                continue
            if len(item.words & topic) > len(topic) / 2:
                continue  # almost the same question: what follows would hang on it
            if any(answer <= said_here for answer in answers):
                continue
            fit.append(item)
        chosen: list[Asked] = []
        for item in rng.sample(fit, min(len(fit), rng.randint(1, MAX_EARLIER_EXCHANGES))):
            if all(answers_differ(item.answer, other.answer) for other in chosen):
                chosen.append(item)
        return tuple(
            turn
            for item in chosen
            for turn in (
                Turn(role="user", act="question", text=item.text),
                Turn(role="assistant", act="answer", text=said(item.answer)),
            )
        )


def _spoken(item: Asked, passage: Passage) -> str:
    """The answer with the article that stands before it in the passage: "third" as "a third"."""
    start = item.question.answers[0].start
    if start is None or not item.answer[0].isalpha():
        return item.answer
    before = re.search(r"\b(a|an|the) $", passage.text[max(0, start - 5) : start], re.IGNORECASE)
    after = passage.text[start + len(item.question.answers[0].text) :]
    whole = re.match(r"[.,;:)]|$| (and|or|in|of|on|at|by|to|for|from|is|was|were|are|as)\b", after)
    return f"{before[1].lower()} {item.answer}" if before and whole else item.answer
