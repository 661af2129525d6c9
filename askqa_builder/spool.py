"""Dialogues and rejects on their way to their shards, in a file that lives as long as the run.

A run over a hundred thousand candidates holds none of them in memory. Losing the file loses
nothing: it is made again from the paid replies in the cache.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from askqa_builder.errors import StorageError
from askqa_builder.files import storage_errors
from askqa_builder.schema import Dialogue, Reject

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE items (
    number INTEGER PRIMARY KEY,     -- of the candidate, in the order in which it was chosen
    shard INTEGER NOT NULL,
    line INTEGER NOT NULL,          -- of its passage in the shard
    id TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX by_place ON items (shard, accepted, line, id);
"""


class Spool:
    """The file `path`, removed at the end.

    Raises StorageError, within the `with`, whoever writes to the database when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Spool:
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
        try:
            self.database = sqlite3.connect(self._path, isolation_level=None)
            self.database.executescript(_SCHEMA)
            # One transaction that never ends: nobody else reads the file, nothing must survive.
            self.database.execute("BEGIN")
        except sqlite3.OperationalError as error:
            raise self._refused(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.database.close()
        with suppress(OSError):  # if the disk refuses that as well, the next command sweeps it
            self._path.unlink(missing_ok=True)
        if isinstance(error, sqlite3.OperationalError):
            raise self._refused(error) from error

    def _refused(self, error: sqlite3.OperationalError) -> StorageError:
        """A full disk, above all."""
        return StorageError(f"{self._path}: {error}; make room and run again")

    def put(self, number: int, shard: int, line: int, item: Dialogue | Reject) -> None:
        """Keep what became of a candidate; what was kept under this number before is replaced."""
        row = (
            number,
            shard,
            line,
            item.id,
            isinstance(item, Dialogue),
            item.model_dump_json(exclude_defaults=True),
        )
        self.database.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)", row)

    def get(self, number: int) -> tuple[int, int, Dialogue | None] | None:
        """Return shard, line and dialogue (None: a reject) of a candidate; None: never tried."""
        row = self.database.execute(
            "SELECT shard, line, accepted, json FROM items WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            return None
        shard, line, accepted, text = row
        return shard, line, Dialogue.model_validate_json(text) if accepted else None

    def dialogues(self, shard: int) -> Iterator[Dialogue]:
        """Yield a shard's dialogues in the order of its passages."""
        for text in self._shard(shard, accepted=True):
            yield Dialogue.model_validate_json(text)

    def rejects(self, shard: int) -> Iterator[Reject]:
        for text in self._shard(shard, accepted=False):
            yield Reject.model_validate_json(text)

    def _shard(self, shard: int, *, accepted: bool) -> Iterator[str]:
        rows = self.database.execute(
            "SELECT json FROM items WHERE shard = ? AND accepted = ? ORDER BY line, id",
            (shard, accepted),
        )
        for (text,) in rows:
            yield text
