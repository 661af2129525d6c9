"""When words are spoken (NIST's CTM files), and AOS: whether an answer is found at its place.

A CTM file says a word a line: recording, channel, start and duration in seconds, word
(https://web.archive.org/web/2018/http://www1.icsi.berkeley.edu/Speech/docs/sctk-1.2/infmts.htm#ctm_fmt_name_0).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.metrics import audio_overlap, normalize_answer
from askqa_builder.schema import Word
from askqa_builder.sources.common import read_text

Span = tuple[float, float]


@dataclass(frozen=True)
class Timeline:
    """The words of a passage as they are spoken, without articles and punctuation."""

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    """Start and end of each, in seconds from the passage's beginning."""

    @classmethod
    def of(cls, words: Sequence[Word]) -> Timeline:
        """Make one of written words; articles, which normalisation drops, take no part."""
        kept = [
            (piece, (word.start, word.end))
            for word in words
            for piece in normalize_answer(word.text).split()
        ]
        return cls(tuple(piece for piece, _ in kept), tuple(span for _, span in kept))

    def find(self, text: str) -> list[Span]:
        """Where a text is spoken, every time that it is."""
        sought = tuple(normalize_answer(text).split())
        n = len(sought)
        return [
            (self.spans[at][0], self.spans[at + n - 1][1])
            for at in range(len(self.words) - n + 1)
            if n and self.words[at : at + n] == sought
        ]

    def overlap(self, prediction: str, references: Sequence[str]) -> float | None:
        """AOS of a prediction; None where no reference is spoken in the passage.

        A prediction that is not a span of the passage scores 0. What is spoken several times
        counts where it overlaps best.
        """
        targets = [span for reference in references for span in self.find(reference)]
        if not targets:
            return None
        found = self.find(prediction)
        return max((audio_overlap(f, t) for f in found for t in targets), default=0.0)


def read_ctm(path: Path) -> Mapping[str, list[Word]]:
    """The words of each recording, by its name, in the order of time.

    Raises EvaluationError for a line that is not in CTM's form.
    """
    words: dict[str, list[Word]] = defaultdict(list)
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        try:
            recording, _, start, duration, word, *_ = fields
            begin, length = float(start), float(duration)
            words[recording].append(Word(text=word, start=begin, end=begin + length))
        except ValueError:
            raise EvaluationError(
                f"{path}:{number}: {line[:80]!r} is no line of CTM; expected recording, channel, "
                "start, duration, word"
            ) from None
    for spoken in words.values():
        spoken.sort(key=lambda word: word.start)
    return words
