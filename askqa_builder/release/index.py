"""A small index beside the data: a row's id, split and content hashes, without its sound.

    index/<split>-00000.parquet   of this release
    index/history.parquet         every passage of this and all earlier releases, and its split

With it, two releases are compared without downloading audio, and a passage that was ever tested
on is known for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from askqa_builder.clips import ClipShard
from askqa_builder.schema import SPLITS, Dialogue, SpokenDialogue
from askqa_builder.splits import passage_hash
from askqa_builder.store import digest

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "index"
HISTORY = f"{FOLDER}/history.parquet"
COLUMNS = ("id", "group", "passage", "text", "audio", "voices")
"""Of an index file: the id, the split group, and hashes of passage, text, sound and speakers."""


def index_schema() -> pa.Schema:
    """Arrow schema of an index file: strings all."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in COLUMNS])


def index_row(spoken: SpokenDialogue, clips: ClipShard) -> dict[str, Any]:
    """The index row of one spoken dialogue."""
    dialogue = spoken.dialogue
    sound = hashlib.sha256()
    for clip in (*spoken.narration, *(turn.clip for turn in spoken.turns)):
        sound.update(clips.sha256(clip.key) + clip.model_dump_json(exclude={"key"}).encode())
    speakers: list[JsonValue] = [
        [speaker.engine, speaker.model, speaker.id]
        for speaker in (spoken.narrator, spoken.user, spoken.assistant)
    ]
    return {
        "id": dialogue.id,
        "group": dialogue.group,
        "passage": passage_hash(dialogue.passage),
        "text": _text_hash(dialogue),
        "audio": sound.hexdigest()[:32],
        "voices": digest(speakers),
    }


def _text_hash(dialogue: Dialogue) -> str:
    """Hash of all that is published of the text; the split is compared by itself."""
    return digest(dialogue.model_dump(mode="json", exclude={"split"}))


def read_index(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(split, index row) of every row of a release folder, in its order."""
    import pyarrow.parquet as pq

    for split in SPLITS:
        for path in sorted((folder / FOLDER).glob(f"{split}-*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(4096):
                for row in batch.to_pylist():
                    yield split, row


def read_history(folder: Path | None) -> dict[str, tuple[str, str]]:
    """Passage hash → (split, first version that had it); empty where there is no history."""
    import pyarrow.parquet as pq

    if folder is None or not (folder / HISTORY).is_file():
        return {}
    rows = pq.read_table(folder / HISTORY).to_pylist()
    return {row["passage"]: (row["split"], row["version"]) for row in rows}


def write_history(path: Path, history: Mapping[str, tuple[str, str]]) -> None:
    """Write the history, in the order of the hashes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from askqa_builder.store import atomic_file

    rows = [
        {"passage": passage, "split": split, "version": version}
        for passage, (split, version) in sorted(history.items())
    ]
    schema = pa.schema([(name, pa.string()) for name in ("passage", "split", "version")])
    with atomic_file(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
