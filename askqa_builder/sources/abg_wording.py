"""From what Abg-CoQA's annotators typed to sentences: tidied turns, full questions, kinds.

The rules are few and plain, made for English as crowd workers type it: where none fits, the words
stay as they are, and a question is completed by "I mean …".
"""

from __future__ import annotations

import re
from itertools import pairwise

from askqa_builder.schema import AmbiguityKind
from askqa_builder.sources.common import one_line

_LEAD = re.compile(
    r"^(?:(?:yes|yeah|no|nope)\b[.,;:!]?\s*)?"
    r"(?:(?:i\s+(?:mean|meant)|(?:i\s+am|i'm)\s+(?:referring\s+to|talking\s+about|asking(?:\s+about)?)"
    r"|i\s+want(?:ed)?\s+to\s+know(?:\s+about)?)\b[,:]?\s*)?",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"^(?:sorry,?\s+)?(?:do\s+you\s+(?:mean|want\s+to\s+know)|did\s+you\s+mean"
    r"|are\s+you\s+(?:asking(?:\s+about)?|referring\s+to|talking\s+about))\b[,:]?\s*",
    re.IGNORECASE,
)
_ASKS_WHOM = re.compile(r"^(?:who|what|which|whom)\b", re.IGNORECASE)
_AUXILIARY = (
    "did do does is are was were has have had can could will would should may might must".split()
)
_WH = "what which who whom whose when where why how".split()
_IMPERATIVE = re.compile(r"^(?:name|tell|list|describe|give|explain)\b", re.IGNORECASE)
_ADVERBIAL = re.compile(
    r"^(?:in|on|at|by|before|after|during|besides|according|relative|with|without|from|since|until"
    r"|when|while|as|for|to|among|between|outside|inside|near)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"\b(he|she|him|his|her)\b", re.IGNORECASE)
_THEY = re.compile(r"\b(?:were|are|did|do|had|have|would|will|can|could)\s+(they)\b", re.IGNORECASE)
_IT = re.compile(r"(?:\b(?:is|was|did|does|has)|'s)\s+(it)\b", re.IGNORECASE)
_UNKNOWN = re.compile(r"^unkn?own$", re.IGNORECASE)
_YEAR = re.compile(r"^(?:1\d|20)\d\d$")
_ABBREVIATED = re.compile(r"\b(?:[A-Z]|etc|Mrs?|Ms|Dr|St|Jr|Sr|Inc|Co|Ltd)\.$")
_TIME = re.compile(
    r"\b(?:before|after|at first|now|later|original(?:ly)?|initially|1\d{3}|20\d\d)\b|. when\b"
)
_EVENT = re.compile(r"\b(?:happened|events?|aftermath|war|cheer|howl|burst)\b", re.IGNORECASE)
_STOP = frozenset("a an the of in on at to from for by and or his her its their he she it".split())


def is_unknown(answer: str) -> bool:
    """Say whether an annotator found that the story does not tell."""
    return bool(_UNKNOWN.match(answer.strip(' .!"')))


def tidy(text: str) -> str:
    """Repair spacing and stray punctuation at the ends: ', Isabel,' → 'Isabel'."""
    text = one_line(text)
    text = re.sub(r"\s+([,.;:?!])", r"\1", text)
    text = re.sub(r"(?<=[a-z])- (?!and\b|or\b|to\b)(?=[a-z])", "-", text)
    text = re.sub(r"\bi\b(?!\.)", "I", text)
    return text.strip(" ,;:-–—")


def tidy_answer(text: str) -> str:
    """Tidy a reference answer; its full stop is no part of it."""
    text = tidy(text)
    return text if _ABBREVIATED.search(text) else text.removesuffix(".")


def sentence(text: str, end: str = ".") -> str:
    """Tidy an utterance for speaking: a capital first, `end` last where no mark stands."""
    text = tidy(text)
    if end == "?" and (text.endswith(".") or not text.endswith(("?", "!"))):
        text = text.rstrip(".") + ("." if _IMPERATIVE.match(text) else "?")
    elif not re.search(r"[.?!…][\"'”’)]*$", text):
        text += end
    return _capital(text)


def full_question(asked: str, clarifying: str, reply: str, answers: tuple[str, ...]) -> str:
    """Put the target question and its clarification into one question that stands alone.

    "No, I mean what did they cut after that?" is a question itself; "Do you mean Williams?" "Yes"
    makes of "Did he go?" "Did Williams go?"; "in 1849" is added at the end; whatever is left
    becomes "How big was it? I mean …".
    """
    meant = what_is_meant(clarifying, reply)
    question = sentence(asked, "?")
    if not meant:
        return question
    first = meant.split()[0].lower().removesuffix("'s")
    if _IMPERATIVE.match(meant) or (first in _WH and _is_direct(meant)):
        return sentence(meant, "?")
    if first in _WH and len(meant.split()) > 2 and (first != "when" or _starts_with_wh(asked)):
        return f"Can you tell me {meant[0].lower()}{meant[1:].rstrip('.?')}?"
    if first in _AUXILIARY:
        clause = sentence(meant, "?")
        plain = clause[0].lower() + clause[1:]
        return f"{question} I mean, {plain}" if _starts_with_wh(asked) else clause
    if _YEAR.match(meant):
        meant = f"in {meant}"
    if _ADVERBIAL.match(meant):
        return f"{question[:-1]} {_uncapital(meant).rstrip('.?')}{question[-1]}"
    return _with_name(question, meant, answers) or f"{question} I mean {_uncapital(meant)}."


def what_is_meant(clarifying: str, reply: str) -> str:
    """Return what the reply says, or what the question guessed where the reply is a bare yes."""
    said = _LEAD.sub("", tidy(reply)).strip(" .,")
    if said:
        first = said.split()[0].lower()
        return said[0].lower() + said[1:] if first in clarifying.split() else said
    guess = _GUESS.sub("", tidy(clarifying))
    return "" if guess == tidy(clarifying) and _ASKS_WHOM.match(guess) else guess.strip(" ?.")


def kind_of_ambiguity(meant: list[str]) -> AmbiguityKind:
    """Classify by what the readings mean (`what_is_meant` of each); 'other' where no rule fits."""

    def every(pattern: str) -> bool:
        return all(re.match(pattern, one) for one in meant)

    if any(_TIME.search(one) for one in meant):
        return "time"
    if any(re.match(r"(?:[Ii]n|[Aa]t) ", m) for m in meant) and every(r"(?:[Ii]n|[Aa]t) |[A-Z]"):
        return "place"
    if any(_EVENT.search(one) for one in meant):
        return "event"
    if every(r"(?:[Tt]he|[Aa]n?|[Oo]ther) \w|[A-Z][\w.']+(?: [A-Z]|,| and |$)"):
        return "referent"
    return "attribute" if all(_starts_with_wh(one) for one in meant) else "other"


def _is_direct(clause: str) -> bool:
    """Tell 'why did he go' from 'why he went', which only an indirect question can hold."""
    words = [word for word in clause.rstrip("?.").split() if word != "else"]
    if len(words) < 3:
        return False
    wh, second = words[0].lower(), words[1].lower()
    if "'s" in words[0] or second in _AUXILIARY or {"did", "do", "does"} & set(words[2:7]):
        return True
    if wh in ("who", "which", "whose"):
        return words[1].islower() and second not in ("he", "she", "it", "they", "the", "a")
    if wh == "how" and second in ("many", "much"):
        return not re.search(r"\bthere (is|are|was|were)$", clause.rstrip("?."))
    if wh == "what":
        inverted = any(a in ("has", "have", "had") and b.istitle() for a, b in pairwise(words[2:]))
        return inverted or words[2] in _AUXILIARY
    return False


def _with_name(question: str, meant: str, answers: tuple[str, ...]) -> str | None:
    """Replace the pronoun of the question by the name that was given for it, if that is safe."""
    words = set(meant.lower().split()) - _STOP
    if not re.match(r"(?:the|an?|his|her) |[A-Z]", meant) or re.search(r"\d|\bor\b", meant):
        return None
    # What is also the answer is a guess at the answer, not at whom the question is about.
    if all(words & set(answer.lower().split()) for answer in answers) and _starts_with_wh(question):
        return None
    name = (
        meant if meant[0].isupper() and not meant.startswith(("The ", "A ")) else _uncapital(meant)
    )
    persons = list(_PERSON.finditer(question))
    found = persons[0] if len(persons) == 1 else None
    if not persons:
        match = _THEY.search(question) or _IT.search(question)
        if match is None or re.search(r"\b(?:them|their|its)\b", question):
            return None
        return question[: match.start(1)] + name + question[match.end(1) :]
    if found is None:
        return None
    after = question[found.end() :]
    possessive = found[1].lower() == "his" or (
        found[1].lower() == "her" and re.match(r" \w", after)
    )
    if possessive and len(name.split()) > 4:
        return None
    return question[: found.start()] + (f"{name}'s" if possessive else name) + after


def _starts_with_wh(text: str) -> bool:
    words = text.split()
    return bool(words) and words[0].lower().strip("?.,").removesuffix("'s") in _WH


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _uncapital(text: str) -> str:
    """Lower the first letter of what is no name."""
    first = text.split(maxsplit=1)[0] if text else ""
    common = first.lower() in _STOP or bool(_ADVERBIAL.match(text)) or first in ("Younger", "Older")
    return text[:1].lower() + text[1:] if common else text
