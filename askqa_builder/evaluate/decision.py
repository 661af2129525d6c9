"""Did the model ask or answer? Rules over the text of one English response.

    "Do you mean the motto or the flower?"                       ask
    "I'm not sure which you mean — the motto or the flower."     ask
    "Who won? The Broncos did. Anything else?"                   answer
    ""  "Вы имеете в виду девиз?"  "..."                         none

The last thing that the model does decides: a request for clarification that is followed by an
answer is an answer; small talk ("Anything else?") and remarks about the conversation ("Let me
know!", "The passage mentions both.") decide nothing. How often this is right is measured on the
labelled responses beside this file, and stated in every report and in docs/evaluation.md.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Decision = Literal["ask", "answer", "none"]

_Kind = Literal["ask", "question", "statement", "aside", "closer", "item"]

# Gaps in patterns are bounded, so that 10,000 words without a full stop stay linear.
_GAP = r"[^.?!]{0,80}?"
_WH = r"(?:which|who|whom|whose|what|where|when|how|why|whether|if)"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_REQUEST = _any(
    r"\b(?:do|did) you (?:mean|refer|want|wish|need|have in mind|prefer|intend)\b",
    r"\bare (?:you|we) (?:\w+ly )?(?:(?!being)\w+ing|interested|curious|after)\b",
    r"\bwould you (?:like|prefer|be interested)\b",
    r"^want to know\b",
    r"^(?:which|what|whose) \w+(?:,? please\.?)?$",  # "which song", without a question mark
    r"^(?:sorry,? )?(?:who|which|what|whose)$",
    r"\b(?:could|can|would|will) you (?:please |kindly |perhaps |also )*"
    r"(?:clarify|specify|confirm|rephrase|repeat|explain|elaborate|tell me|let me know|indicate"
    r"|be (?:a (?:bit|little) )?more|narrow|give me|provide|say)\b",
    r"\bplease (?:clarify|specify|confirm|indicate|tell|let me know wh|say|state|rephrase|repeat"
    r"|choose|provide|give|be (?:a (?:bit|little) )?more)\b",
    rf"\b(?:which|what|who|whom|whose|where|when|how|why)\b{_GAP} (?:do|did|are|were|would) you\b",
    # Indirect: what is unsure is something about *you*, or about what *I* should do.
    rf"\b(?:let me know|tell me|say|know|understand|wonder(?:ing)?|ask|sure|certain|unsure|clear"
    rf"|unclear|depends on|depending on) (?:to me )?{_WH}\b{_GAP}\b(?:you|your|you're|is meant)\b",
    rf"\b(?:need to know|clear to me|unclear to me|may i ask|let me know|tell me) {_WH}\b",
    r"\byour question (?:is|seems|could|can|may|might)\b",
    r"\byou (?:could|may|might) (?:also )?be (?:asking|referring|talking|thinking)\b",
    r"\bneed (?:you to|(?:a (?:bit|little) |some )?(?:more|further|additional)) "
    r"(?:be|clarify|specify|information|detail|context|clarification)",
)
# Only as a question: "You're asking about the daughter?"
_CHECK = _any(
    r"\byou(?:'re| are)? (?:mean|asking|referring|talking|want to know|have in mind)\b",
    r"\byou(?:'re| are) \w+ing about\b",
)
_CLOSER = _any(
    r"^(?:and )?(?:(?:is|was) there |can i (?:help|assist) (?:you )?with "
    r"|(?:do you )?(?:need|want) )?(?:anything|something) else\b",
    r"^(?:what|how) else (?:can|could|may|would|do)\b",
    r"^(?:can|could|may|shall|should) i (?:help|assist|go on|continue|tell|explain|elaborate)\b",
    r"^(?:does|did|do) (?:that|this|it) (?:help|answer|make sense|clarify|sound)\b",
    r"^(?:is|was) (?:that|this) (?:what|ok|okay|clear|helpful|correct|right)\b",
    r"^(?:right|ok|okay|correct|got it|clear|see|make sense|understood)\?",
    r"^(?:do you have )?any (?:other |more |further )?questions\b",
    r"^(?:would you like|do you want|want)\b.*\b(?:more|else|also|too|as well|another|further)\b",
    r"^would you also like\b",
    r"^would you like me to (?:go|explain|elaborate|continue|expand)\b",
    r"^(?:just )?let me know if (?:that|this|there|anything)\b",
    r"^(?:just )?let me know if you(?:'d| would)? (?:have|need|want|like)\b",
    r"^if you have (?:any )?(?:other |more |further )?questions\b",
    r"^feel free\b",
    r"^(?:i )?hope (?:that|this|it)\b",
)
# Remarks about the conversation: after a request they do not answer it.
_ASIDE = _any(
    r"^(?:i|we)(?:'d|'ll|'m| would| will| can| could| want| need| am| may)\b",
    r"^(?:please|thanks|thank you|let me know|once (?:you|i|we)|that way|then i)\b",
    r"^(?:sorry|just|otherwise)\b",
    r"^(?:the |this )?(?:passage|text|story|recording|article|context)\b",
    r"^there (?:are|were|is|was|seems?)\b",
    r"^(?:you can (?:either|say|tell)|for (?:example|instance))\b",
    r"^(?:both|either|all of them|they) (?:are|were|is|appear)\b",
)
_TAG = re.compile(
    r",\s*(?:right|correct|no|yes|ok|okay|eh"
    r"|(?:is|was|are|were|do|does|did|has|have|had|can|could|will|would)(?:n't)?"
    r" (?:it|he|she|they|we|there|that))\?$"
)
_GUESS = _any(
    r"^(?:maybe|perhaps|probably|possibly|i (?:think|guess|believe|suppose))\b",
    r"\bi (?:think|guess|believe|suppose)\?$",
)

# In a question without a request: "The teacher asked: which of you has read the book?"
_REPORTED = re.compile(r"\b(?:asked|said|wondered|shouted|cried|replied)\b")

_ROLE = re.compile(r"^(?:assistant|a|answer|response|clarifying question)\s*:\s*", re.IGNORECASE)
_SPECIAL_TOKEN = re.compile(r"<[^<>\s]{1,30}>")
_MARKUP = re.compile(r"[*#`_]+")
_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_ABBREVIATION = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|vs|etc|[A-Z])\.")
_SENTENCE_END = re.compile(r"(?<=[.?!…])\s+")
_DOUBLE_QUOTED = re.compile(r'"[^"]{0,300}"')
_SINGLE_QUOTED = re.compile(r"(?<!\w)'[^']{0,300}'(?!\w)")
_QUOTATION = re.compile(r'"[^"]*"')
_ABOUT_MEANING = re.compile(r"\b(?:mean|referring|asking about|clarify|specify)\b")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_CURLY = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'"})

_ENGLISH = frozenset(
    "the of is are was were a an and to it he she they you i in on at that this which what who "
    "do did not his her my by with for from or".split()
)
# Words that are frequent in these languages and seldom stand in an English text or a name.
_FOREIGN = frozenset(
    (
        "je ne pas vous nous il est sont que qui quel quelle dans une des du cette dire où "  # fr
        "ich nicht sie ist und das ein eine im wurde sehr welche welchen damit auf mit "  # de
        "qué los las una usted está estoy fue por te seguro "  # es
        "che sono della questo quale "  # it
        "você não qual dos uma quer foi "  # pt
        "het een welke bedoelt u niet"  # nl
    ).split()
)


def classify(response: str) -> Decision:
    """Whether a response asks for clarification or answers.

    "none" where it does neither: nothing, no words, another script or another language.
    """
    text = _unwrapped(response)
    is_quotation = _QUOTATION.fullmatch(text) is not None
    text = _without_quotes(text[1:-1] if is_quotation else text)
    if not _is_english(text):
        return "none"
    if is_quotation and not _ABOUT_MEANING.search(text.lower()):
        return "answer"  # what somebody in the story said
    kinds = [kind for kind in map(_kind, _sentences(text)) if kind != "closer"]
    if not kinds:  # small talk only
        is_question = text.rstrip().endswith("?") or _REQUEST.search(text.lower())
        return "ask" if is_question else "answer"
    return _decide(kinds)


class Labelled(NamedTuple):
    """A response with what it does, by hand."""

    text: str
    label: Decision


def held_out_responses() -> list[Labelled]:
    """Labelled responses that no rule was tuned on: decision_labelled.jsonl, half "held_out"."""
    lines = Path(__file__).with_name("decision_labelled.jsonl").read_text(encoding="utf-8")
    rows = map(json.loads, lines.splitlines())
    return [Labelled(row["text"], row["label"]) for row in rows if row["half"] == "held_out"]


def _decide(kinds: Sequence[_Kind]) -> Decision:
    weighed = [kind for kind in kinds if kind in ("ask", "question", "statement")]
    if not weighed:
        return "answer"
    if weighed[-1] == "question":
        # After a statement it is rhetoric ("Isn't that remarkable?"), alone it asks ("Which one?").
        return "answer" if "statement" in weighed and "ask" not in weighed else "ask"
    return "ask" if weighed[-1] == "ask" else "answer"


def _kind(sentence: str) -> _Kind:
    if _ITEM.match(sentence):
        return "item"
    words = sentence.strip().lower()
    is_question = words.endswith("?")
    if _CLOSER.search(words):
        return "closer"
    if is_question and _CHECK.search(words):
        return "ask"
    request = _REQUEST.search(words)
    if request is not None:
        # "I'm not sure what you mean, but the tower was completed in 1889."
        _, but, rest = words[request.start() :].partition(", but ")
        answered = but and not _ASIDE.search(rest) and not _REQUEST.search(rest)
        return "statement" if answered else "ask"
    if is_question:
        if any(p.search(words) for p in (_TAG, _GUESS, _REPORTED)):
            return "statement"
        is_choice = " or " in words or words.startswith(("which", "whose", "or "))
        return "ask" if is_choice else "question"
    return "aside" if _ASIDE.search(words) else "statement"


def _sentences(text: str) -> list[str]:
    return [
        sentence
        for line in text.splitlines()
        for sentence in ([line] if _ITEM.match(line) else _SENTENCE_END.split(line.strip()))
        if _WORD.search(sentence) or any(c.isdigit() for c in sentence)
    ]


def _unwrapped(response: str) -> str:
    """Without special tokens, the speaker's name in front, and markup."""
    text = unicodedata.normalize("NFKC", _SPECIAL_TOKEN.sub(" ", response)).translate(_CURLY)
    lines = _ROLE.sub("", text.strip()).splitlines()
    return "\n".join(
        _ABBREVIATION.sub(r"\1", line if _ITEM.match(line) else _MARKUP.sub("", line))
        for line in lines
    ).strip()


def _without_quotes(text: str) -> str:
    """What somebody in the story asked is no question of the model's."""
    return _SINGLE_QUOTED.sub(" quote ", _DOUBLE_QUOTED.sub(" quote ", text))


def _is_english(text: str) -> bool:
    """Whether a text has words or digits, in Latin script, and is not plainly another language."""
    if "¿" in text or "¡" in text:
        return False
    letters = [char for char in text if char.isalpha()]
    if not letters:
        return any(char.isdigit() for char in text)
    foreign = sum(
        not char.isascii() and not unicodedata.name(char, "").startswith("LATIN")
        for char in letters
    )
    if 2 * foreign > len(letters) and len(letters) > 1:  # a lone π is an answer
        return False
    words = [word.lower() for word in _WORD.findall(text)]
    strange = sum(word in _FOREIGN for word in words)
    native = sum(word in _ENGLISH for word in words)
    return not (len(words) >= 4 and strange >= 2 and strange > native)
