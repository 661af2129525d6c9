"""Reads the conversations of a release folder one after the other, in flat memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askqa_builder.errors import ReleaseError
from askqa_builder.release.rows import DEFAULT_CONFIG, Row
from askqa_builder.schema import SPLITS

_ROWS_AT_ONCE = 8


def shards(release: Path, config: str = DEFAULT_CONFIG) -> Iterator[tuple[str, Path]]:
    """Every parquet file of a config with its split: train, validation, test, each in order.

    Raises ReleaseError if there is none.
    """
    found = [
        (split, path)
        for split in SPLITS
        for path in sorted((release / config).glob(f"{split}-*.parquet"))
    ]
    if not found:
        raise ReleaseError(f"{release}: no {config}/*.parquet; give a release folder")
    yield from found


def stream(release: Path, config: str = DEFAULT_CONFIG) -> Iterator[tuple[str, Row]]:
    """Every row of a config with its split; audio stays `{"bytes": FLAC, "path": name}`."""
    for split, path in shards(release, config):
        for row in _rows(path, 0):
            yield split, row


def stream_split(release: Path, split: str, first: int = 0) -> Iterator[Row]:
    """The conversations of a split, from the `first` one on; what is before it is not read."""
    import pyarrow.parquet as pq

    for name, path in shards(release):
        if name == split:
            count = pq.read_metadata(path).num_rows
            if first < count:
                yield from _rows(path, first)
            first = max(0, first - count)


def _rows(path: Path, first: int) -> Iterator[Row]:
    import pyarrow.parquet as pq

    # pre_buffer, pyarrow's default, would hold the whole file (400 MB) in memory
    with pq.ParquetFile(path, pre_buffer=False) as file:
        groups = range(file.num_row_groups)
        while groups and (count := file.metadata.row_group(groups[0]).num_rows) <= first:
            first, groups = first - count, groups[1:]
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=list(groups)):
            yield from batch.slice(first).to_pylist()
            first = max(0, first - len(batch))


def stream_columns(
    release: Path, columns: list[str], split: str | None = None
) -> Iterator[tuple[str, Row]]:
    """Some columns of every conversation, or of those of a split; the audio of others is not read
    from disk."""
    import pyarrow.parquet as pq

    for name, path in shards(release):
        if split not in (None, name):
            continue
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    yield name, row


def pick(release: Path, ids: list[str]) -> Iterator[tuple[str, Row]]:
    """The conversations with these ids, in the order of `ids`; each one reads one row group.

    Raises ReleaseError for an id that the release does not have.
    """
    places: dict[str, tuple[str, Path, int, int]] = {}
    wanted = set(ids)
    known = ""
    for split, path, group, found in _ids(release):
        for index, dialogue_id in enumerate(found):
            known = known or dialogue_id
            if dialogue_id in wanted:
                places[dialogue_id] = (split, path, group, index)
    for dialogue_id in ids:
        if dialogue_id not in places:
            raise ReleaseError(
                f"{release}: no dialogue has the id {dialogue_id!r}; ids look like {known!r}"
            )
        split, path, group, index = places[dialogue_id]
        yield split, _row(path, group, index)


def _ids(release: Path) -> Iterator[tuple[str, Path, int, list[str]]]:
    import pyarrow.parquet as pq

    for split, path in shards(release):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=["id"])
                yield split, path, group, table.column("id").to_pylist()


def _row(path: Path, group: int, index: int) -> Row:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        rows: list[dict[str, Any]] = file.read_row_group(group).slice(index, 1).to_pylist()
    return rows[0]


def file_name(label: str, *, longest: int = 80) -> str:
    """A name that every file system takes; labels that lose something keep apart by a hash."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", label).strip("-")[:longest]
    if name and name == label:
        return name
    return f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}".lstrip("-")
