"""Finds dialogues that say nearly the same: MinHash signatures, looked up by bands.

datasketch makes the signatures (Broder, 1997: the share of equal places estimates the Jaccard
similarity of two sets). Signatures and bands lie in a SQLite table, not in memory: 100,000
dialogues take some 120 MB on the disk and nothing else.
"""

from __future__ import annotations

import hashlib
import sqlite3
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from askqa_builder.checks import normalized
from askqa_builder.schema import Dialogue

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from datasketch import MinHash

SIMILAR_HERE, SIMILAR = 0.7, 0.9
"""From this share of common word pairs on, one of two dialogues is refused: about one passage,
and about two. Different passages are asked of different things in much the same words."""
VERSION = 1
"""Raise it whenever another dialogue would be refused."""
_BANDS, _ROWS = 24, 5
"""Two dialogues of similarity s share a band with probability 1 − (1 − s⁵)²⁴: 0.99 at 0.7,
0.06 at 0.3."""


class NearDuplicates:
    """Remembers accepted dialogues in two tables of an open database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.execute(
            "CREATE TABLE signatures (number INTEGER PRIMARY KEY, id, passage, signature)"
        )
        self._db.execute("CREATE TABLE bands (band INTEGER, number INTEGER)")
        self._db.execute("CREATE INDEX by_band ON bands (band)")

    def check(self, dialogue: Dialogue) -> tuple[str, str] | None:
        """Remember a dialogue; or return why it is refused, as a check does."""
        import numpy as np

        signature = _signature(dialogue)
        bands = [_band(i, signature[i * _ROWS : (i + 1) * _ROWS]) for i in range(_BANDS)]
        marks = ", ".join("?" * len(bands))
        near = self._db.execute(
            "SELECT id, passage, signature FROM signatures WHERE number IN "
            f"(SELECT number FROM bands WHERE band IN ({marks})) ORDER BY number",
            bands,
        )
        rows = near.fetchall()
        stored = np.frombuffer(b"".join(row[2] for row in rows), np.uint32)
        same = (stored.reshape(len(rows), len(signature)) == signature).mean(axis=1)
        for (other, passage, _), similarity in zip(rows, same, strict=True):
            if similarity >= (SIMILAR_HERE if passage == dialogue.passage_id else SIMILAR):
                return "near_duplicate", f"{similarity:.0%} the same as {other!r}"
        number = self._db.execute(
            "INSERT INTO signatures (id, passage, signature) VALUES (?, ?, ?)",
            (dialogue.id, dialogue.passage_id, signature.tobytes()),
        ).lastrowid
        self._db.executemany("INSERT INTO bands VALUES (?, ?)", [(b, number) for b in bands])
        return None


def _signature(dialogue: Dialogue) -> npt.NDArray[np.uint32]:
    """MinHash of the pairs of neighbouring words, from the last question on, and in the evidence.

    Not in earlier turns: the same question after other small talk is the same. In the evidence,
    because "When was he born?" is no duplicate where another passage is asked for another person.
    """
    import numpy as np

    last = max(index for index, turn in enumerate(dialogue.turns) if turn.act == "question")
    texts = [turn.text for turn in dialogue.turns[last:]]
    texts += [reading.evidence or "" for reading in dialogue.readings]
    words = [word for text in texts for word in ("", *normalized(text).split())]
    minhash = _empty().copy()
    minhash.update_batch([f"{a} {b}".encode() for a, b in pairwise(words)])
    return np.asarray(minhash.hashvalues, np.uint32)  # they are below 2³²


@cache
def _empty() -> MinHash:
    """The signature of nothing: drawing its permutations takes longer than all that follows."""
    from datasketch import MinHash

    return MinHash(num_perm=_BANDS * _ROWS, seed=1)


def _band(number: int, rows: npt.NDArray[np.uint32]) -> int:
    """Hash of a band, as SQLite's signed 64-bit integer."""
    content = number.to_bytes(1, "big") + rows.tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
