"""Paid replies, by request hash, in one SQLite file: durable before they are used.

One thread writes; callers wait for the commit that holds their reply. Commits are synced to the
disk and shared by up to 64 replies, so that safety costs little (measured with
`benchmarks/llm_throughput.py`). The file may be used by several processes at once (WAL mode),
but not over NFS. It never holds a key, nor the requests themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from askqa_builder.errors import BuildError, StorageError

BATCH_SIZE = 64
"""Replies that share a commit, at most."""
LINGER_S = 0.004
"""How long a reply waits for others to share its commit."""
BUSY_S = 60.0
"""How long to wait for another process's commit."""
_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key BLOB PRIMARY KEY,           -- sha256 of all that shapes the reply
    content BLOB NOT NULL,          -- the body, as it came
    content_type TEXT NOT NULL,
    model TEXT NOT NULL,
    cost_usd REAL,                  -- at the price of the day it was paid; null: unknown
    via TEXT NOT NULL,              -- call | batch
    paid_at REAL NOT NULL           -- seconds since the epoch
);
CREATE TABLE IF NOT EXISTS memos (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    token TEXT PRIMARY KEY,         -- ours; also in the provider's metadata
    endpoint TEXT NOT NULL,
    batch_id TEXT,                  -- the provider's; null until it has told us
    model TEXT NOT NULL,
    keys TEXT NOT NULL,             -- JSON: hex key to what its request may cost
    worst_usd REAL NOT NULL,        -- what was set aside for it
    done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS uncertain (
    id TEXT PRIMARY KEY,            -- random, or that of a batch's line
    usd REAL NOT NULL               -- the most it may have cost
);
"""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply as it is kept."""

    content: bytes
    content_type: str
    model: str
    cost_usd: float | None
    """What it cost when it was paid; None where price or usage was unknown."""
    via: Literal["call", "batch"] = "call"
    paid_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""


_COLUMNS = "content, content_type, model, cost_usd, via, paid_at"

_Write = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class _Job:
    write: _Write
    future: asyncio.Future[Any]


class ReplyCache:
    """The file `path`, created where it is missing. Close it (or use `with`).

    Raises BuildError where the file is damaged or of another format, StorageError where the
    disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path.parent}: cannot make the folder: {error.strerror}") from None
        self._read_lock = threading.Lock()
        with self._translating():
            self._reader = self._connect()
            try:
                _prepare(self._reader, self.path)
            except BaseException:
                self._reader.close()
                raise
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="llm-cache", daemon=True)
        self._writer.start()

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is waiting and end the writer."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
            self._writer.join()
            self._reader.close()

    def get(self, key: bytes) -> StoredReply | None:
        """Return the reply to the request with this hash, or None. Takes about 20 µs."""
        with self._read_lock, self._translating():
            row = self._reader.execute(
                f"SELECT {_COLUMNS} FROM replies WHERE key = ?", (key,)
            ).fetchone()
        return StoredReply(*row) if row is not None else None

    async def put(
        self, key: bytes, reply: StoredReply, *, uncertain_usd: float = 0.0
    ) -> StoredReply:
        """Store a reply; return, after the commit, the one that the file now holds.

        That is another process's where it was first: what has been used stays. `uncertain_usd`:
        the most it may have cost, where that is not known.
        """

        def write(connection: sqlite3.Connection) -> StoredReply:
            values = [getattr(reply, name) for name in _COLUMNS.split(", ")]
            marks = ", ".join("?" * (len(values) + 1))
            added = connection.execute(
                f"INSERT INTO replies (key, {_COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                (key, *values),
            ).rowcount
            if uncertain_usd:
                _add_uncertain(connection, uncertain_usd)
            if added:
                return reply
            first = f"SELECT {_COLUMNS} FROM replies WHERE key = ?"
            return StoredReply(*connection.execute(first, (key,)).fetchone())

        stored = await self.write(write)
        assert isinstance(stored, StoredReply)
        return stored

    def spent_usd(self) -> float:
        """Return what all replies in the file cost (those of unknown price count as nothing)."""
        (total,) = self.read("SELECT COALESCE(SUM(cost_usd), 0) FROM replies")[0]
        return float(total)

    def uncertain_usd(self) -> float:
        """Return the most that may have been billed beside that, in all runs: for replies that
        came without a count of tokens, and for requests whose reply never came whole."""
        (total,) = self.read("SELECT COALESCE(SUM(usd), 0) FROM uncertain")[0]
        return float(total)

    def billed(self) -> dict[str, float]:
        """Both, as a `Budget` takes them."""
        return {"spent_usd": self.spent_usd(), "uncertain_usd": self.uncertain_usd()}

    def doubt(self, usd: float, name: str | None = None) -> asyncio.Future[Any]:
        """Note what may have been billed. Awaited, tells when it is on the disk whether it is new:
        what has the same `name` is counted once."""
        return self._post(lambda db: _add_uncertain(db, usd, name))

    def memo(self, name: str) -> str | None:
        """Return a small fact learnt about an endpoint."""
        rows = self.read("SELECT value FROM memos WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    async def remember(self, name: str, value: str) -> None:
        await self.write(
            lambda db: db.execute("INSERT OR REPLACE INTO memos VALUES (?, ?)", (name, value))
        )

    def read(self, sql: str, *values: object) -> list[Any]:
        """Return all rows of a query (for the other modules of this room)."""
        with self._read_lock, self._translating():
            return self._reader.execute(sql, values).fetchall()

    async def write(self, write: _Write) -> Any:
        """Run `write(connection)` in the writer's next transaction; return its value after it.

        A `write` that raises undoes and fails its whole transaction, so it must not.
        """
        return await self._post(write)

    def _post(self, write: _Write) -> asyncio.Future[Any]:
        assert not self._closed, "the cache is closed"
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._inbox.put(_Job(write, future))
        return future

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        while (jobs := self._next_jobs()) is not None:
            values: list[Any] = []
            failure: BaseException | None = None
            try:
                with self._translating():
                    connection = connection or self._connect()
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        values = [job.write(connection) for job in jobs]
                        connection.execute("COMMIT")
                    except BaseException:
                        connection.rollback()
                        raise
            except BaseException as error:  # handed to every caller of this transaction
                failure = error
            _hand_over(jobs, values, failure)
        if connection is not None:
            connection.close()

    def _next_jobs(self) -> list[_Job] | None:
        """Wait for work; None when the cache closes and nothing is left to write."""
        first = self._inbox.get()
        if first is None:
            return None
        jobs = [first]
        until = time.monotonic() + LINGER_S
        while len(jobs) < BATCH_SIZE:
            try:
                job = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                self._inbox.put(None)  # for the next round: commit these first
                break
            jobs.append(job)
        return jobs

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        # FULL: a commit is on the disk when it returns, also if the machine loses power.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _translating(self) -> _Translating:
        return _Translating(self.path)


def copy_of(path: Path, copy: Path) -> None:
    """Copy the file as it is at this moment, whoever has it open; `copy` is a new file."""
    with (
        _Translating(path),
        contextlib.closing(sqlite3.connect(path, timeout=BUSY_S)) as one,
        contextlib.closing(sqlite3.connect(copy)) as other,
    ):
        _prepare(one, path)  # else a file that a killed command had just begun is a copy of nothing
        one.backup(other)


def merge(other: Path, path: Path, *, called: str) -> None:
    """Put what another file holds into `path`, or `other` there where nothing is.

    Of two replies to one request the other's stays. `called`: its name in errors, which are those
    of `ReplyCache`; an empty file is a damaged one.
    """
    with _Translating(called), contextlib.closing(sqlite3.connect(other)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BuildError(_damaged(called, "it holds nothing"))
        _prepare(database, called)
    if not path.is_file():
        other.replace(path)
        return
    with (
        _Translating(path),
        contextlib.closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as database,
    ):
        _prepare(database, path)
        database.execute("ATTACH ? AS other", (str(other),))
        database.executescript(
            """
            BEGIN IMMEDIATE;
            INSERT OR REPLACE INTO replies SELECT * FROM other.replies;
            INSERT OR REPLACE INTO memos SELECT * FROM other.memos;
            INSERT OR IGNORE INTO uncertain SELECT * FROM other.uncertain;
            INSERT INTO batches SELECT * FROM other.batches WHERE true
                ON CONFLICT (token) DO UPDATE SET
                    batch_id = coalesce(batch_id, excluded.batch_id),
                    done = max(done, excluded.done);
            COMMIT;
            """
        )


class _Translating:
    """Turns SQLite's errors into ours: what happened to the file, and what to do about it."""

    def __init__(self, path: Path | str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, sqlite3.DatabaseError) or isinstance(
            error, sqlite3.ProgrammingError | sqlite3.IntegrityError
        ):
            return
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise BuildError(_damaged(self._path, str(error))) from error
        if code == sqlite3.SQLITE_BUSY:
            raise BuildError(
                f"{self._path}: another process has held the request cache for {BUSY_S:.0f} s; "
                f"end it, then run again"
            ) from error
        if code in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_PERM,
        ):
            raise StorageError(
                f"{self._path}: cannot use the request cache ({error}); make room or give write "
                f"access, then run again: nothing that was stored is lost"
            ) from error


def _damaged(called: Path | str, why: str) -> str:
    return (
        f"{called}: the request cache is damaged ({why}); restore a copy, or move it away to start "
        "a new one (what it held will be paid again)"
    )


def _hand_over(jobs: list[_Job], values: list[Any], failure: BaseException | None) -> None:
    """Wake the callers, each loop once."""

    def resolve(indices: list[int]) -> None:
        for index in indices:
            future = jobs[index].future
            if future.done():  # the caller was cancelled; the reply is safe all the same
                continue
            if failure is None:
                future.set_result(values[index])
            else:
                future.set_exception(failure)

    by_loop: dict[asyncio.AbstractEventLoop, list[int]] = {}
    for index, job in enumerate(jobs):
        by_loop.setdefault(job.future.get_loop(), []).append(index)
    for loop, indices in by_loop.items():
        # A loop that is closed has nobody left who waits; it may close at this very moment.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, indices)


def _add_uncertain(connection: sqlite3.Connection, usd: float, name: str | None = None) -> bool:
    row = (name or secrets.token_hex(16), usd)
    added = connection.execute("INSERT OR IGNORE INTO uncertain VALUES (?, ?)", row).rowcount
    return added > 0


def _prepare(connection: sqlite3.Connection, called: Path | str) -> None:
    """Make the tables in a new file; refuse a file of another format."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if found == 0 and tables == 0:
        # Two processes may both get here: every statement can be repeated.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT"
        )
    elif found != _FORMAT:
        raise BuildError(
            f"{called}: format {found!r} is not "
            f"the request cache's ({_FORMAT}); move it away, or use the version that wrote it"
        )
    else:
        connection.executescript(_SCHEMA)  # files of earlier versions have fewer tables
