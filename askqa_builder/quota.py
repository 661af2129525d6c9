"""Which dialogues to ask a model for, so that exactly the wanted ones come out.

A *stratum* is a kind of ambiguity, or "unambiguous". Each has a quota, and a fixed order of
candidates: its share of all (passage, sample) pairs, drawn by a hash of the passage's id. What is
asked for is always a prefix of each order, as long as it takes to fill the quota. So replies decide
only where the prefixes end: a larger count goes on where a smaller one stopped, and a passage that
was changed, or added, changes no other passage's candidates.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from askqa_builder.schema import AMBIGUITY_KINDS, AmbiguityKind

Stratum = AmbiguityKind | None
"""None: unambiguous."""

STRATA: tuple[Stratum, ...] = (*AMBIGUITY_KINDS, None)
_GOLDEN = (5**0.5 - 1) / 2

PATIENCE = 8
"""A kind that fewer than one of so many tries brings gives the rest of its quota to the others."""


class Candidate(NamedTuple):
    """A dialogue to try."""

    stratum: Stratum
    passage: int
    """Place in the passages' order."""
    sample: int
    """Tells the dialogues of one kind about one passage apart."""


class Order:
    """The candidates of each stratum, one after the other, without end.

    Passage by passage, each is given a stratum; then they all are again, and so on. A passage's
    strata follow one another in steps of the golden ratio from where its hash begins, which
    spreads any number of them over the shares as evenly as can be (a Kronecker sequence).
    """

    def __init__(self, ids: Sequence[str], ambiguous_share: float, seed: int) -> None:
        """`ids` of the passages, in the order in which they are to be used."""
        step = ambiguous_share / len(AMBIGUITY_KINDS)
        self._ends = [step * i for i in range(1, len(AMBIGUITY_KINDS))] + [ambiguous_share]
        self._points = [_point(f"{seed}:{id}") for id in ids]

    def candidates(self, stratum: Stratum) -> Iterator[Candidate]:
        """Yield a stratum's candidates; its share must not be zero."""
        for visit in count():
            for place, point in enumerate(self._points):
                if self._stratum(point, visit) == stratum:
                    sample = sum(self._stratum(point, v) == stratum for v in range(visit))
                    yield Candidate(stratum, place, sample)

    def _stratum(self, point: float, visit: int) -> Stratum:
        return STRATA[bisect(self._ends, (point + visit * _GOLDEN) % 1.0)]


class Quotas:
    """How many of each stratum are wanted, were tried, and were accepted."""

    def __init__(self, wanted: int, ambiguous_share: float, seed: int) -> None:
        """Share out `wanted`: a larger number gives no stratum less."""
        ambiguous = round(wanted * ambiguous_share)
        order = random.Random(f"{seed}:kinds").sample(AMBIGUITY_KINDS, len(AMBIGUITY_KINDS))
        each, rest = divmod(ambiguous, len(order))
        self.wanted: dict[Stratum, int] = dict.fromkeys(AMBIGUITY_KINDS, each)
        for kind in order[:rest]:
            self.wanted[kind] += 1
        self.wanted[None] = wanted - ambiguous
        self.tried: dict[Stratum, int] = dict.fromkeys(STRATA, 0)
        self.accepted: dict[Stratum, int] = dict.fromkeys(STRATA, 0)
        self._given_up: set[Stratum] = set()

    @property
    def total_accepted(self) -> int:
        return sum(self.accepted.values())

    @property
    def missing(self) -> int:
        return sum(self.wanted.values()) - self.total_accepted

    def add(self, stratum: Stratum, *, accepted: bool) -> None:
        """Count what became of a candidate."""
        self.tried[stratum] += 1
        self.accepted[stratum] += accepted

    def next_round(
        self, orders: Mapping[Stratum, Iterator[Candidate]], most: int
    ) -> list[Candidate]:
        """Take what is missing from the orders; at most `most`, in the same proportions."""
        left = [self.wanted[stratum] - self.accepted[stratum] for stratum in STRATA]
        turns = [
            ((number + 0.5) / missing, place)
            for place, missing in enumerate(left)
            for number in range(missing)
        ]
        return [next(orders[STRATA[place]]) for _, place in sorted(turns)[:most]]

    def give_up(self) -> None:
        """Share out what is left of the kinds that hardly ever come: to those that do.

        The share of ambiguous dialogues stays; so nothing is passed on where no kind comes.
        """
        for kind in AMBIGUITY_KINDS:
            tried, accepted = self.tried[kind], self.accepted[kind]
            if tried >= PATIENCE and accepted * PATIENCE < tried:
                self._given_up.add(kind)
        heirs = [kind for kind in AMBIGUITY_KINDS if kind not in self._given_up]
        if not heirs:
            return
        for kind in AMBIGUITY_KINDS:
            while kind in self._given_up and self.wanted[kind] > self.accepted[kind]:
                self.wanted[kind] -= 1
                self.wanted[min(heirs, key=lambda heir: self.wanted[heir])] += 1


def _point(text: str) -> float:
    """Hash to a number in [0, 1)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56
