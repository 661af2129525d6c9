"""Stage 3a: speech → parquet parts, a pure map like every stage.

A part is a run of consecutive speech shards of some 400 MB, and gives one file per config and
split. Parts are cut greedily from the front, so what is appended to a build leaves the earlier
parts, and the files that were published of them, as they are.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from askqa_builder.clips import ClipShard
from askqa_builder.files import atomic_file, digest, read_records
from askqa_builder.release.index import FOLDER as INDEX
from askqa_builder.release.index import index_row, index_schema
from askqa_builder.release.rows import CONFIGS, ROWS, Row, arrow_schema
from askqa_builder.schema import SPLITS, Split, SpokenDialogue
from askqa_builder.store import Build, ShardOutput

VERSION = 1  # raise it when the same speech would give other files
PART_BYTES = 400 * 2**20
ROWS_PER_GROUP = 50
GROUP_BYTES = 12 * 2**20
"""A row group is closed at 50 rows or so many bytes: a reader that streams needs one whole."""


@dataclass(frozen=True)
class ReleaseStage:
    """Turns speech shards into the published parquet files."""

    cuts: tuple[int, ...]
    """Where parts begin, as shards of speech, and how many of these there are: found once, not by
    every worker from all receipts."""
    name: str = "parts"

    @classmethod
    def of(cls, build: Build) -> ReleaseStage:
        return cls(part_cuts(build))

    def _speech(self, part: int) -> range:
        return range(self.cuts[part], self.cuts[part + 1])

    def settings(self) -> dict[str, JsonValue]:
        return {"version": VERSION}

    def shards(self, build: Build) -> int:
        return len(self.cuts) - 1

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        speech = self._speech(shard)
        files = [build.inputs("speech", index, (".jsonl", ".parquet")) for index in speech]
        return {name: sha256 for shard_files in files for name, sha256 in shard_files.items()}

    def fingerprint(self, build: Build, shard: int) -> str:
        import pyarrow as pa

        return digest(VERSION, pa.__version__)

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        speech = self._speech(shard)
        present = {split: _dialogues_in(build, speech, split) for split in SPLITS}
        with ExitStack() as stack:
            tables = {
                (config, split): stack.enter_context(
                    _TableWriter(output.path(f".{config}.{split}.parquet"), config)
                )
                for config in (*CONFIGS, INDEX)
                for split in SPLITS
                if present[split]
            }
            for index in speech:
                clips = ClipShard(build.shard_path("speech", index, ".parquet"))
                for spoken in read_records(build.shard_path("speech", index), SpokenDialogue):
                    split = spoken.dialogue.split
                    for config in CONFIGS:
                        for row in ROWS[config](spoken, clips):
                            tables[config, split].add(row)
                            counts[f"rows:{config}:{split}"] += 1
                    tables[INDEX, split].add(index_row(spoken, clips))
                    counts[f"license:{spoken.dialogue.provenance.license}"] += 1
                    counts[f"milliseconds:{split}"] += sum(
                        round(clip.duration_s * 1000)
                        for clip in (*spoken.narration, *(turn.clip for turn in spoken.turns))
                    )


def part_cuts(build: Build) -> tuple[int, ...]:
    """The first speech shard of each part, cut when a part would pass `PART_BYTES`; and the end."""
    total = build.complete("speech").shards
    cuts = [0]
    size = 0
    for shard in range(total):
        receipt = build.receipt("speech", shard)
        shard_bytes = sum(f.bytes for f in receipt.files.values()) if receipt else 0
        if shard > cuts[-1] and size + shard_bytes > PART_BYTES:
            cuts.append(shard)
            size = 0
        size += shard_bytes
    return (*cuts, total)


def _dialogues_in(build: Build, speech: range, split: Split) -> int:
    return sum(
        receipt.counts.get(f"split:{split}", 0)
        for shard in speech
        if (receipt := build.receipt("speech", shard)) is not None
    )


class _TableWriter:
    """Appends rows to an atomically written parquet file, a bounded row group at a time."""

    def __init__(self, path: Any, config: str) -> None:
        self._path = path
        self._schema = index_schema() if config == INDEX else arrow_schema(config)
        self._rows: list[Row] = []
        self._bytes = 0
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> _TableWriter:
        import pyarrow.parquet as pq

        file = self._stack.enter_context(atomic_file(self._path))
        # audio is compressed already; pages with statistics of FLAC bytes help nobody
        audio = [c for c in _columns(self._schema) if c.endswith("audio.bytes")]
        text = [c for c in _columns(self._schema) if not c.endswith("audio.bytes")]
        self._writer = pq.ParquetWriter(
            file,
            self._schema,
            compression={**dict.fromkeys(audio, "none"), **dict.fromkeys(text, "zstd")},
            use_dictionary=text,
            write_statistics=text,
        )
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        # a writer that is left open would complain later, about a file that is gone
        with self._stack:
            if error is None:
                self._flush()
            self._writer.close()
            if error is not None:
                raise error

    def add(self, row: Row) -> None:
        self._rows.append(row)
        self._bytes += _audio_bytes(row)
        if len(self._rows) >= ROWS_PER_GROUP or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._bytes = [], 0


def _columns(schema: Any) -> list[str]:
    """Dotted paths of the leaf columns, as parquet names them."""
    import pyarrow as pa

    def leaves(name: str, kind: Any) -> list[str]:
        if pa.types.is_struct(kind):
            return [leaf for field in kind for leaf in leaves(f"{name}.{field.name}", field.type)]
        if pa.types.is_list(kind):
            return leaves(f"{name}.list.element", kind.value_type)
        return [name]

    return [leaf for field in schema for leaf in leaves(field.name, field.type)]


def _audio_bytes(row: Row) -> int:
    clips = [row, *row.get("narration", ()), *row.get("turns", ())]
    sounds = (clip.get("audio") for clip in clips)
    return sum(len(sound["bytes"]) for sound in sounds if isinstance(sound, dict))
