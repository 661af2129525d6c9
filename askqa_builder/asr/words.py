"""How many words were misheard, by the usual measure and whatever the recogniser's spelling."""

from __future__ import annotations

import re
import unicodedata

from askqa_builder import spoken
from askqa_builder.evaluate.numbers import digits

_WORD = re.compile(r"\d+(?:\.\d+)*(?:st|nd|rd|th|s)?|[^\W_]+(?:'[^\W_]+)*")
_INITIALS = re.compile(r"\b(?:[^\W\d_] ){1,}[^\W\d_]\b")


def word_errors(written: str, spoken_text: str, heard: str) -> tuple[int, int]:
    """Errors (substitutions, deletions, insertions) in `heard`, and the words of the reference.

    A recogniser may write "$5" or "five dollars": `heard` is compared with the text as it was
    written and, read aloud, with what was spoken; the better comparison counts, as it does with
    several references. The rate of many clips is the sum of errors over the sum of words
    (micro-average).
    """
    import jiwer

    counts: list[tuple[int, int]] = []
    read_aloud = " ".join(unit.spoken for unit in spoken.units(heard) if unit.spoken)
    for reference, hypothesis in ((spoken_text, read_aloud), (written, heard)):
        said = words(reference)
        if not said:
            counts.append((len(words(hypothesis)), 0))
            continue
        found = jiwer.process_words(" ".join(said), " ".join(words(hypothesis)))
        counts.append((found.substitutions + found.deletions + found.insertions, len(said)))
    return min(counts, key=lambda pair: pair[0] / max(pair[1], 1))


def words(text: str) -> list[str]:
    """The words of a text in lower case, without accents and punctuation, numbers in digits.

    Letters that are spelt out count as one word, as most recognisers write them ("w w w": "www").
    """
    plain = unicodedata.normalize("NFKD", text.replace("’", "'"))
    plain = "".join(char for char in plain if not unicodedata.combining(char)).casefold()
    found = " ".join(_WORD.findall(digits(plain)))
    return _INITIALS.sub(lambda run: run.group().replace(" ", ""), found).split()
