"""A small index beside the data: a row's id, split and content hashes, without its sound.

    index/<split>-00000.parquet   of this release
    index/history.parquet         every passage of this and all earlier releases, and its split

With it, two releases are compared without downloading audio, and a passage that was ever tested
on is known for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from askqa_builder.clips import ClipShard
from askqa_builder.errors import ReleaseError
from askqa_builder.files import FileDigest, digest, sha256_of
from askqa_builder.schema import SPLITS, Dialogue, SpokenDialogue
from askqa_builder.splits import passage_hash

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "index"
HISTORY = f"{FOLDER}/history.parquet"
COLUMNS = ("id", "group", "passage", "text", "audio", "voices")
"""Of an index file: the id, the split group, and hashes of passage, text, sound and speakers."""
_HISTORY_COLUMNS = ("passage", "split", "version")
_REMEDY = "make the release again (askqa-build release), or fetch it again"


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


def check_index(folder: Path, files: Mapping[str, FileDigest]) -> None:
    """Raise ReleaseError unless the index of a release is as its manifest (`files`) says."""
    for name, expected in files.items():
        path = folder / name
        if name.startswith(f"{FOLDER}/") and not (path.is_file() and sha256_of(path) == expected):
            what = "is damaged" if path.is_file() else "is missing"
            raise ReleaseError(f"{path}: {what}; {_REMEDY}")


def read_index(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(split, index row) of every row of a release folder, in its order.

    Raises ReleaseError for a file that cannot be read.
    """
    for split in SPLITS:
        for path in sorted((folder / FOLDER).glob(f"{split}-*.parquet")):
            for row in _rows(path, COLUMNS):
                yield split, row


def read_history(folder: Path | None) -> dict[str, tuple[str, str]]:
    """Passage hash → (split, first version that had it); empty where there is no history.

    Raises ReleaseError for a file that cannot be read.
    """
    if folder is None or not (folder / HISTORY).is_file():
        return {}
    rows = _rows(folder / HISTORY, _HISTORY_COLUMNS)
    return {row["passage"]: (row["split"], row["version"]) for row in rows}


def _rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if not set(columns) <= set(file.schema_arrow.names):
                raise ReleaseError(f"{path}: not an index of this kind; {_REMEDY}")
            for batch in file.iter_batches(4096, columns=list(columns)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ReleaseError(f"{path}: cannot be read; {_REMEDY}") from error


def write_history(path: Path, history: Mapping[str, tuple[str, str]]) -> None:
    """Write the history, in the order of the hashes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from askqa_builder.files import atomic_file

    rows = [
        {"passage": passage, "split": split, "version": version}
        for passage, (split, version) in sorted(history.items())
    ]
    schema = pa.schema([(name, pa.string()) for name in _HISTORY_COLUMNS])
    with atomic_file(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
