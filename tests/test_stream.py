"""Conversations are read from where they are wanted, and no further."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_release import dialogue, write_release

from askqa_builder.release.stream import stream, stream_columns, stream_split


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of a split, with row groups of three rows and of one."""
    rows = [dialogue(f"d{number:02}") for number in range(24)]
    folder = write_release(
        tmp_path_factory.mktemp("stream") / "release", {"train": rows[:4], "test": rows[4:]}
    )
    (path,) = (folder / "dialogues").glob("test-*")
    table = pq.read_table(path)
    path.unlink()
    for number, (first, last, size) in enumerate([(0, 13, 3), (13, 20, 1)]):
        pq.write_table(
            table.slice(first, last - first),
            path.with_name(f"test-{number:05}-of-00002.parquet"),
            row_group_size=size,
        )
    return folder


@pytest.mark.parametrize("split", ["train", "test", "validation"])
def test_a_split_is_read_from_any_row_on(release: Path, split: str) -> None:
    every = [row for name, row in stream(release) if name == split]
    assert len(every) == {"train": 4, "test": 20, "validation": 0}[split]
    for first in range(len(every) + 2):
        assert list(stream_split(release, split, first)) == every[first:], first
    ids = [row["id"] for _, row in stream_columns(release, ["id"], split)]
    assert ids == [row["id"] for row in every]


def test_what_is_before_is_not_read(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, **options: object) -> object:
        for batch in plain(self, **options):
            read.append(len(batch))
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    assert len(list(stream_split(release, "test", 17))) == 3
    assert sum(read) == 3
