"""Checks on a whole dialogue: each gives None, or says what is wrong.

A check's name is the reason that rejects are counted by. Checks look at form and at the gold
annotations; whether an ambiguous question is *truly* ambiguous is for `verify.py` and for people.

People wrote the dialogues that writer `import` passes on, and people talk more freely than the
checks can follow: they ask "Who do you mean by he?", count what the evidence only lists, or name
one reading's answer to tell it from another. `MACHINE_ONLY` are the checks that would refuse such
dialogues; they hold for what programs write. Measured on the 532 dialogues (158 ambiguous) of
Abg-CoQA's validation file: they would refuse 47, the other checks refuse 2, in which the same
question is asked twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b

from askqa_builder.schema import Dialogue, Reading, Turn
from askqa_builder.segment import CHARS_PER_S, MAX_CLIP_S
from askqa_builder.writers.grammar import word_classes

VERSION = 2
"""Raise it whenever a dialogue would be judged otherwise: builds are then checked anew."""

_MOST_CHARS_PER_MARK = 12
"""A figure or sign is read as a word or two ("7" as "seven", "%" as "percent"): a safe bound, so
that only turns near the limit are turned into their spoken form."""

_PUNCTUATION = re.compile(r"[^\w\s]|_")
_MARK = re.compile(r"[^\w\s]|[\d_]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_MARKUP = re.compile(
    r"</?[a-zA-Z][^>]*>|&[a-z]+;|&#\d+;|https?://|www\.\w"  # HTML, links
    r"|\*\*|__|^#+ |`|\[\d+\]|\[\[|\]\]|\{\{|\}\}|\|\||\\[a-z]+\{"  # Markdown, wikis, LaTeX
)
_ASKING = re.compile(
    r"\?|\b(what|which|who|whom|whose|when|where|why|how|or)\b"
    r"|^(is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)\b"
    r"|^(name|list|tell|give|describe|explain|say|show)\b",
    re.IGNORECASE,
)
_CONTRACTED = re.compile(r"['’](s|m|re|ve|ll|d)$")
_YES = re.compile(r"^(yes|yeah|yep|right|correct|exactly|sure)\b", re.IGNORECASE)
_NO = re.compile(r"^(no|nope|not)\b", re.IGNORECASE)
_BARE = re.compile(r"^(yes|yeah|yep|right|correct|exactly|sure|no|nope)\W*$", re.IGNORECASE)
_UNTELLING = frozenset(
    "a an the this that these those it its he she they him her his their them there one ones is "
    "are was were be been being do does did has have had can could will would may might should "
    "must and or but nor not no yes if as of in on at by for from to with into about than then so "
    "too what which who whom whose when where why how i you we me my your our us mean meant asking "
    "ask want know s t".split()
)
_UNKNOWN = frozenset({"unknown", "yes", "no", "none"})


# -- normal forms ---------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def normalized(text: str) -> str:
    """Lower case, no punctuation, no articles, single blanks: SQuAD v1.1's normal form.

    Source: `normalize_answer` of the official evaluation script (Rajpurkar et al., 2016), with
    Unicode punctuation counted as punctuation too.
    """
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub("", text.lower())).split())


def _telling(text: str) -> set[str]:
    """Base forms of the words that carry meaning."""
    words = (_CONTRACTED.sub("", word) for word in _WORD.findall(text.lower()))
    return {_base(word) for word in words if word not in _UNTELLING}


def _base(word: str) -> str:
    """The verb's or noun's base form: "died" and "die", "began" and "begin" are one word."""
    classes = word_classes(word)
    return (classes.get("VERB") or classes.get("NOUN") or (word,))[0]


def _marks(dialogue: Dialogue) -> list[set[str]]:
    """For each reading, the stems that its question shares with no other reading's."""
    stems = [_telling(reading.question) for reading in dialogue.readings]
    return [
        own - set().union(*(other for j, other in enumerate(stems) if j != i))
        for i, own in enumerate(stems)
    ]


def _asked(dialogue: Dialogue) -> int:
    """Index of the question that the last answer answers."""
    return max(i for i, turn in enumerate(dialogue.turns) if turn.act == "question")


def _exchange(dialogue: Dialogue) -> tuple[str, str]:
    """The last clarifying question and the reply to it."""
    return dialogue.turns[-3].text, dialogue.turns[-2].text


def _overlap(one: str, other: str) -> float:
    """F1 of two answers' words, as SQuAD counts it."""
    left, right = normalized(one).split(), normalized(other).split()
    common = sum(min(left.count(word), right.count(word)) for word in set(left))
    return 2 * common / (len(left) + len(right)) if common else 0.0


# -- every dialogue -------------------------------------------------------------------------------


def not_speakable(d: Dialogue) -> str | None:
    """A turn holds what no engine can read aloud."""
    from askqa_builder.spoken import unspeakable

    return _first(d.turns, lambda turn: unspeakable(turn.text))


def markup(d: Dialogue) -> str | None:
    """A turn holds HTML, Markdown, a link or a footnote mark."""
    return _first(d.turns, lambda turn: _said(_MARKUP.search(turn.text)))


def turn_too_long(d: Dialogue) -> str | None:
    """A turn would take more than `segment.MAX_CLIP_S`, read at `segment.CHARS_PER_S`."""
    return _first(d.turns, lambda turn: _too_long(turn.text))


def not_a_question(d: Dialogue) -> str | None:
    """A turn that should ask has neither a question mark nor an interrogative word."""
    asking = [turn for turn in d.turns if turn.act in ("question", "clarifying_question")]
    return _first(asking, lambda turn: None if _ASKING.search(turn.text) else "does not ask")


def duplicate_turns(d: Dialogue) -> str | None:
    """The same question is asked twice, or a turn repeats the one before it."""
    asked: set[str] = set()
    before = ""
    for index, turn in enumerate(d.turns):
        text = normalized(turn.text)
        again = text == before and not _BARE.match(turn.text)
        if again or (turn.act == "question" and text in asked):
            return f"turn {index} says {turn.text!r} again"
        if turn.act == "question":
            asked.add(text)
        before = text
    return None


def answer_not_in_evidence(d: Dialogue) -> str | None:
    """A reading has evidence, but no answer shares half of its telling words with it."""
    for index, reading in enumerate(d.readings):
        if reading.evidence is None:
            continue
        evidence = _telling(reading.evidence)
        if not any(_supported(answer, evidence) for answer in reading.answers):
            return f"reading {index}: {reading.answers[0]!r} is not in {reading.evidence!r}"
    return None


def final_answer_not_intended(d: Dialogue) -> str | None:
    """The last turn does not give the intended reading's answer, or fits another one better."""
    final = d.turns[-1].text
    scores = [_fit(final, reading) for reading in d.readings]
    if scores[d.intended] < 0.5:
        return f"{final!r} is not {d.readings[d.intended].answers[0]!r}"
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] > scores[d.intended]:
        return f"{final!r} fits reading {best}, {d.readings[best].answers[0]!r}, better"
    return None


# -- ambiguous dialogues --------------------------------------------------------------------------


def readings_share_an_answer(d: Dialogue) -> str | None:
    """Two readings have the same answer, so that asking back gains nothing."""
    human = d.provenance.writer == "import"
    seen: dict[str, int] = {}
    for index, reading in enumerate(d.readings):
        # people's alternative references often repeat each other ("Unknown"): the best one counts
        for answer in reading.answers[:1] if human else reading.answers:
            first = seen.setdefault(normalized(answer), index)
            if first != index:
                return f"readings {first} and {index} both have {answer!r}"
    return None


def question_names_the_reading(d: Dialogue) -> str | None:
    """The question that should be ambiguous has most words of one reading's own."""
    if not d.ambiguous:
        return None
    asked = d.turns[_asked(d)].text
    words = _telling(asked)
    named = [i for i, own in enumerate(_marks(d)) if 2 * len(own & words) > len(own)]
    return f"{asked!r} names reading {named[0]}" if len(named) == 1 else None


def clarifying_question_omits_a_reading(d: Dialogue) -> str | None:
    """A choice ("X or Y?") leaves a reading out, or a guess ("Do you mean X?") names none.

    A reading is named by a word that distinguishes its question from the other readings'. With
    two readings, a guess at one of them tells the user of the other by its "No".
    """
    if not d.ambiguous:
        return None
    clarifying, reply = _exchange(d)
    words = _telling(clarifying)
    marks = _marks(d)
    missing = [index for index, own in enumerate(marks) if own and not own & words]
    if not missing:
        return None
    guess = bool(_YES.match(reply) or _NO.match(reply))
    if guess and len(d.readings) == 2 and len(missing) == 1:
        return None
    return f"{clarifying!r} does not name {d.readings[missing[0]].question!r}"


def reply_fits_two_readings(d: Dialogue) -> str | None:
    """The user's reply does not single out the intended reading."""
    if not d.ambiguous:
        return None
    clarifying, reply = _exchange(d)
    if _BARE.match(reply):
        words = _telling(clarifying)
        offered = [i for i, own in enumerate(_marks(d)) if own & words] or _meant(d, clarifying)
        refused = bool(_NO.match(reply))
        chosen = [i for i in range(len(d.readings)) if (i in offered) != refused]
    else:
        chosen = _meant(d, reply)
    if chosen == [d.intended]:
        return None
    return f"{reply!r} fits readings {chosen}, meant is {d.intended}"


def _meant(d: Dialogue, text: str) -> list[int]:
    """The readings that a text names: by the whole question, else by most of their own words."""
    said = f" {normalized(text)} "
    whole = [i for i, r in enumerate(d.readings) if f" {normalized(r.question)} " in said]
    if len(whole) == 1:
        return whole
    words, marks = _telling(text), _marks(d)
    hits = [len(own & words) for own in marks]
    if max(hits):
        return [i for i, hit in enumerate(hits) if hit == max(hits)]
    # a reading whose question has no word of its own is meant by the absence of the others'
    return [i for i, own in enumerate(marks) if not own]


def answer_leaks(d: Dialogue) -> str | None:
    """An answer of a reading is said before the last turn of an ambiguous dialogue."""
    if not d.ambiguous:
        return None
    for index, turn in enumerate(d.turns[:-1]):
        said = f" {normalized(turn.text)} "
        for number, reading in enumerate(d.readings):
            answer = normalized(reading.answers[0])
            if answer in _UNKNOWN or not _telling(answer):
                continue
            if f" {answer} " in said:
                return f"turn {index} gives away reading {number}'s {reading.answers[0]!r}"
    return None


Check = Callable[[Dialogue], str | None]

CHECKS: tuple[Check, ...] = (
    markup,
    not_speakable,
    turn_too_long,
    not_a_question,
    duplicate_turns,
    readings_share_an_answer,
    answer_not_in_evidence,
    final_answer_not_intended,
    question_names_the_reading,
    clarifying_question_omits_a_reading,
    reply_fits_two_readings,
    answer_leaks,
)

MACHINE_ONLY: frozenset[Check] = frozenset(
    {
        answer_not_in_evidence,
        question_names_the_reading,
        clarifying_question_omits_a_reading,
        reply_fits_two_readings,
        answer_leaks,
    }
)


def check(d: Dialogue) -> tuple[str, str] | None:
    """The first check that a dialogue fails, as (reason, detail); None where it passes all."""
    human = d.provenance.writer == "import"
    for one in CHECKS:
        if human and one in MACHINE_ONLY:
            continue
        detail = one(d)
        if detail is not None:
            return one.__name__, detail
    return None


class Duplicates:
    """Remembers dialogues; finds one that says the same about the same passage.

    All dialogues on a passage are made from one passage record, in one shard: a fresh instance
    for each passage, or for each shard, finds every duplicate of a build.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, str] = {}

    def check(self, d: Dialogue) -> tuple[str, str] | None:
        """`("duplicate_dialogue", detail)` where the same turns were seen before."""
        content = "\x1f".join([d.passage_id, *(normalized(turn.text) for turn in d.turns)])
        key = blake2b(content.encode(), digest_size=16).digest()
        first = self._seen.setdefault(key, d.id)
        return None if first == d.id else ("duplicate_dialogue", f"says the same as {first!r}")


# -- helpers --------------------------------------------------------------------------------------


def _first(turns: Iterable[Turn], fault: Callable[[Turn], str | None]) -> str | None:
    for turn in turns:
        detail = fault(turn)
        if detail is not None:
            return f"{turn.text[:80]!r}: {detail}"
    return None


def _said(match: re.Match[str] | None) -> str | None:
    return None if match is None else f"has {match[0]!r}"


def _too_long(text: str) -> str | None:
    most = MAX_CLIP_S * CHARS_PER_S - len(text)
    if most >= 0 and _MOST_CHARS_PER_MARK * len(_MARK.findall(text)) <= most:
        return None
    from askqa_builder.spoken import spoken_form

    seconds = len(spoken_form(text)) / CHARS_PER_S
    return f"about {seconds:.0f} s, more than {MAX_CLIP_S:.0f}" if seconds > MAX_CLIP_S else None


def _supported(answer: str, evidence: set[str]) -> bool:
    words = _telling(answer)
    return normalized(answer) in _UNKNOWN or 2 * len(words & evidence) >= len(words)


def _fit(final: str, reading: Reading) -> float:
    """How well an answer fits a reading: 1 where it contains a reference whole, else F1."""
    padded = f" {normalized(final)} "
    return max(
        1.0 if f" {normalized(answer)} " in padded else _overlap(final, answer)
        for answer in reading.answers
    )
