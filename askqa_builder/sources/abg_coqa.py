"""Abg-CoQA: conversations about stories in which people found a question ambiguous.

    {"data": [{"id": …, "story": …, "history_turns": [{"question", "answer"}],
               "target_turn": {"question", "answer", "span_start", "span_end"},
               "ambiguity": "ambiguous" | "non_ambiguous",
               "clarification_turn": {"question", "answers": [{"clr_ans", "org_ans", …}]},
               "clarification_turn_2": …}]}

Format and data: Guo et al., AKBC 2021, https://github.com/MeiqiGuo/AKBC2021-Abg-CoQA; annotations
MIT, stories of Wikipedia and Project Gutenberg.

Each answer to a clarifying question is one conversation, and so is each item that is not
ambiguous; both annotators' clarifying questions are used. `org_ans`, `org_ans_2` and `org_ans_3`
are references of one reading, best first; the best that is not too long is spoken. Where most of
them are "Unknown" (the story does not tell), the reading is kept, with that as its only
reference; but its own conversation is rejected: its answer cannot be scored against the story.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue, ValidationError

from askqa_builder.errors import SourceError
from askqa_builder.schema import AmbiguityKind, Draft, Passage, Reading, Reject, Turn
from askqa_builder.sources.abg_wording import (
    full_question,
    is_unknown,
    kind_of_ambiguity,
    sentence,
    tidy,
    tidy_answer,
    what_is_meant,
)
from askqa_builder.sources.common import (
    MAX_PASSAGE_CHARS,
    SourceItem,
    digest,
    kind_of,
    one_line,
    read_json,
    readable,
    reject,
    slug,
)
from askqa_builder.sources.squad import find_once

LICENSE = "cc-by-sa-4.0"
UNKNOWN = "unknown"
_WORD = re.compile(r"\w")
_REFERENCES = ("org_ans", "org_ans_2", "org_ans_3")


def read_abg_coqa(path: str) -> Iterator[SourceItem]:
    """Yield each story once, with every conversation about it as a draft.

    Rejects: `malformed_item`, `passage_empty`, `passage_too_long`, `duplicate_item`,
    `malformed_turn`, `unanswerable_reading`, `one_reading`, `readings_share_an_answer`.

    Raises:
        SourceError: the file cannot be read, or is not in Abg-CoQA's form.
    """
    document = read_json(Path(path))
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list) or not any(_is_item(item) for item in data):
        found = data if isinstance(document, dict) else document
        raise SourceError(
            f"{one_line(path)}: is not an Abg-CoQA file: expected an object with a list 'data' of "
            f"items with 'story' and 'target_turn', found {kind_of(found)}"
            f"{' of others' if isinstance(data, list) else ''}; give coqa_abg_*.json"
        )
    return _stories(data)


@dataclass
class _Story:
    text: str
    shift: int
    """Characters cut off at the beginning; the file's offsets count them."""
    domain: str
    drafts: list[Draft] = field(default_factory=list)


def _stories(data: list[object]) -> Iterator[SourceItem]:
    stories: dict[str, _Story] = {}
    seen: set[str] = set()
    for number, item in enumerate(data):
        where = f"abg-coqa-item-{number}"
        if not isinstance(item, dict) or not _is_item(item):
            yield reject(where, "malformed_item", "no 'story' with a 'target_turn'", item)
            continue
        full = readable(item["story"])
        text = full.strip()
        if not text:
            yield reject(where, "passage_empty", "", item)
            continue
        if len(text) > MAX_PASSAGE_CHARS:
            yield reject(where, "passage_too_long", f"{len(text):,} characters", item)
            continue
        given = item.get("id")
        key = slug(given if isinstance(given, str) else digest(repr(item)), 60)
        if key in seen:
            yield reject(f"abg-coqa-{key}", "duplicate_item", "an earlier item has this id", item)
            continue
        seen.add(key)
        domain = one_line(item["source"]) if isinstance(item.get("source"), str) else ""
        shift = len(full) - len(full.lstrip())
        story = stories.setdefault(text, _Story(text, shift, domain or "general"))
        for draft in _conversations(item, story, key):
            if isinstance(draft, Draft):
                story.drafts.append(draft)
            else:
                yield draft
    for story in stories.values():
        id = f"abg-coqa-{digest(story.text)}"
        yield Passage(
            id=id,
            group=id,
            text=story.text,
            source="abg-coqa",
            license=LICENSE,
            domain=story.domain,
            drafts=tuple(story.drafts),
        )


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("story"), str)
        and isinstance(item.get("target_turn"), dict)
    )


def _conversations(item: dict[str, object], story: _Story, key: str) -> Iterator[Draft | Reject]:
    """Yield the conversations of one item, or why one cannot be used."""
    id = f"abg-coqa-{key}"
    history = item.get("history_turns")
    asked = [_pair(turn) for turn in history] if isinstance(history, list) else [None]
    target = _pair(item["target_turn"])
    if target is None or None in asked:
        yield reject(id, "malformed_turn", "a turn without text 'question' and 'answer'", item)
        return
    before = [pair for pair in asked if pair is not None]
    if item.get("ambiguity") == "non_ambiguous":
        yield _direct(item, story, key, before, target)
        return
    annotated = [
        _annotation(item.get(name)) for name in ("clarification_turn", "clarification_turn_2")
    ]
    if item.get("ambiguity") != "ambiguous" or not any(annotated):
        detail = "neither 'non_ambiguous' nor 'ambiguous' with a clarifying question"
        yield reject(id, "malformed_item", detail, item)
        return
    for number, (own, other) in enumerate((annotated, annotated[::-1]), start=1):
        if own is None:
            continue
        for place, answer in enumerate(own.answers):
            name = f"{key}-c{number}-{place + 1}"
            yield _ask_back(item["target_turn"], story, name, before, target, own, answer, other)


@dataclass(frozen=True)
class _Clarified:
    """One reply to a clarifying question, and the references under that reading."""

    asked: str
    reply: str
    references: tuple[str, ...]
    """Empty where the entry is malformed."""

    @property
    def unanswerable(self) -> bool:
        return self.references == (UNKNOWN,)

    @property
    def spoken(self) -> str:
        """The best reference that is not too long to listen to."""
        return next((ref for ref in self.references if len(ref) <= 300), self.references[0])

    def shares(self, other: _Clarified) -> bool:
        return self.references[0].casefold() == other.references[0].casefold()

    def overlaps(self, other: _Clarified) -> bool:
        """Say whether a reference of the one contains a reference of the other."""
        ours, theirs = ([_bare(ref) for ref in one.references] for one in (self, other))
        return any(a in b or b in a for a in ours for b in theirs)


@dataclass(frozen=True)
class _Annotation:
    """What one annotator did: a clarifying question, and the readings under its replies."""

    asked: str
    answers: tuple[_Clarified, ...]


def _bare(reference: str) -> str:
    return " ".join(re.findall(r"\w+", reference.casefold()))


def _annotation(turn: object) -> _Annotation | None:
    asked = turn.get("question") if isinstance(turn, dict) else None
    raw = turn.get("answers") if isinstance(turn, dict) else None
    if not isinstance(asked, str) or not tidy(asked) or not isinstance(raw, list) or not raw:
        return None
    return _Annotation(asked, tuple(_clarified(asked, entry) for entry in raw))


def _clarified(asked: str, entry: object) -> _Clarified:
    fields = entry if isinstance(entry, dict) else {}
    reply = fields.get("clr_ans")
    given = [fields.get(name) for name in _REFERENCES]
    texts = [tidy_answer(text) for text in given if isinstance(text, str)]
    known: dict[str, str] = {}
    for text in texts:
        if text and not is_unknown(text):
            known.setdefault(text.casefold(), text)
    unknown = sum(is_unknown(text) for text in texts)
    if unknown > len(texts) - unknown or (unknown and not known):
        references: tuple[str, ...] = (UNKNOWN,)
    else:
        references = tuple(known.values())
    if not isinstance(reply, str) or not tidy(reply):
        return _Clarified(asked, "", ())
    return _Clarified(asked, reply, references)


def _ask_back(
    turn: object,
    story: _Story,
    key: str,
    before: list[tuple[str, str]],
    target: tuple[str, str],
    own: _Annotation,
    meant: _Clarified,
    other: _Annotation | None,
) -> Draft | Reject:
    id = f"abg-coqa-{key}"
    raw = {
        "target": list(target),
        "clarifying": own.asked,
        "reply": meant.reply,
        "references": list(meant.references),
    }
    if not meant.references:
        return reject(id, "malformed_turn", "no text 'clr_ans' with an 'org_ans'", raw)
    if meant.unanswerable:
        return reject(id, "unanswerable_reading", "most references are 'Unknown'", raw)
    readings = [answer for answer in own.answers if answer.references]
    joined = len(readings) == 1
    if joined:  # the other annotator's readings, where they are others
        others = other.answers if other else ()
        readings += [one for one in others if one.references and not one.overlaps(meant)]
    if len(readings) < 2:
        return reject(id, "one_reading", "no second reading with another answer", raw)
    if all(one.shares(meant) for one in readings):
        return reject(id, "readings_share_an_answer", f"all have {meant.references[0]!r}", raw)
    said = [
        *_spoken(before),
        ("user", "question", target[0]),
        ("assistant", "clarifying_question", own.asked),
        ("user", "clarification", meant.reply),
        ("assistant", "answer", meant.spoken),
    ]
    names = [what_is_meant(one.asked, one.reply) for one in readings]
    return _draft(
        id,
        key,
        said,
        ambiguous=True,
        ambiguity_kind=kind_of_ambiguity(names),
        readings=[_reading(target[0], one, story, turn) for one in readings],
        intended=next(place for place, one in enumerate(readings) if one is meant),
        details={"annotators": "joined"} if joined else {},
    )


def _direct(
    item: dict[str, object],
    story: _Story,
    key: str,
    before: list[tuple[str, str]],
    target: tuple[str, str],
) -> Draft | Reject:
    """Make the conversation of an item that is not ambiguous."""
    id = f"abg-coqa-{key}"
    if is_unknown(target[1]):
        return reject(id, "unanswerable_reading", "most references are 'Unknown'", item)
    evidence = _span(item["target_turn"], story)
    reading = Reading(
        question=sentence(target[0], "?"),
        answers=(tidy_answer(target[1]),),
        evidence=evidence[0] if evidence else None,
        evidence_start=evidence[1] if evidence else None,
    )
    said = [*_spoken(before), ("user", "question", target[0]), ("assistant", "answer", target[1])]
    return _draft(id, key, said, ambiguous=False, readings=[reading])


def _draft(
    id: str,
    key: str,
    said: list[tuple[str, str, str]],
    *,
    ambiguous: bool,
    readings: list[Reading],
    ambiguity_kind: AmbiguityKind | None = None,
    intended: int = 0,
    details: dict[str, JsonValue] | None = None,
) -> Draft | Reject:
    """Make a draft of tidied turns; what the annotators typed stays in `details`."""
    tidied = [
        {"role": role, "act": act, "text": sentence(text, "?" if act.endswith("question") else ".")}
        for role, act, text in said
    ]
    typed: list[JsonValue] = [readable(text) for _, _, text in said]
    try:
        return Draft(
            key=key,
            turns=tuple(Turn.model_validate(turn) for turn in tidied),
            ambiguous=ambiguous,
            ambiguity_kind=ambiguity_kind,
            readings=tuple(readings),
            intended=intended,
            question_ids=(key,),
            details={**(details or {}), "as_typed": typed},
        )
    except ValidationError as error:
        return reject(id, "malformed_turn", str(error.errors()[0]["msg"]), typed)


def _spoken(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    for question, answer in pairs:
        yield "user", "question", question
        yield "assistant", "answer", answer


def _pair(turn: object) -> tuple[str, str] | None:
    """Question and answer of a turn, or None where one is missing or holds no word."""
    if not isinstance(turn, dict):
        return None
    question, answer = turn.get("question"), turn.get("answer")
    if not isinstance(question, str) or not isinstance(answer, str):
        return None
    return (question, answer) if _WORD.search(question) and _WORD.search(answer) else None


def _reading(asked: str, clarified: _Clarified, story: _Story, turn: object) -> Reading:
    references = clarified.references
    evidence = None if clarified.unanswerable else _find(references, story, _span(turn, story))
    return Reading(
        question=full_question(asked, clarified.asked, clarified.reply, references),
        answers=references,
        evidence=evidence[0] if evidence else None,
        evidence_start=evidence[1] if evidence else None,
    )


def _span(turn: object, story: _Story) -> tuple[str, int] | None:
    """The rationale that the annotator marked, and its offset; None where the file is wrong."""
    if not isinstance(turn, dict) or not isinstance(turn.get("rationale"), str):
        return None
    rationale, start = readable(turn["rationale"]), turn.get("span_start")
    text = rationale.strip()
    if not text:
        return None
    if isinstance(start, int) and not isinstance(start, bool):
        start += len(rationale) - len(rationale.lstrip()) - story.shift
        if start >= 0 and story.text.startswith(text, start):
            return text, start
    found = find_once(text, story.text)
    return None if found is None else (text, found)


def _find(
    references: tuple[str, ...], story: _Story, rationale: tuple[str, int] | None
) -> tuple[str, int] | None:
    """Find what supports a reading: the rationale if it holds a reference, else the reference.

    In exact, then in any case; None where no reference stands exactly once in the story.
    """
    telling = [ref for ref in references if ref.casefold() not in ("yes", "no", UNKNOWN)]
    for flags in (0, re.IGNORECASE):
        for ref in telling:
            whole_word = re.compile(rf"(?<!\w){re.escape(ref)}(?!\w)", flags)
            if rationale and whole_word.search(rationale[0]):
                return rationale
            found = list(whole_word.finditer(story.text))
            if len(found) == 1:
                return found[0][0], found[0].start()
    return None
