"""Plain WAV files and one CSV a split, for everything else."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.rows import Row

COLUMNS = (
    *("file", "dialogue_id", "passage_id", "role", "index", "act", "speaker", "duration_s"),
    *("text", "spoken_text", "ambiguous", "ambiguity_kind"),
)


def wav(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """A row an utterance, the narration first; `file` is relative to the CSV (RFC 4180, UTF-8)."""
    for split, row in rows:
        opened = folder.file(f"{split}.csv")
        writer = csv.DictWriter(opened, COLUMNS, extrasaction="ignore")
        if opened.tell() == 0:
            writer.writeheader()
        for index, clip in enumerate([*row["narration"], *row["turns"]]):
            turn = clip.get("index")
            role = clip.get("role", "narrator")
            stored = folder.clip(row, turn, clip["audio"]["bytes"], form="wav")
            place = {"role": role, "index": index if turn is None else turn, "file": stored.path}
            writer.writerow(
                {"act": "narration", "speaker": row["voices"][role]["speaker"]}
                | {"dialogue_id": row["id"], "duration_s": round(clip["duration"], 4)}
                | row
                | clip
                | place
            )
    return "Every row of train.csv names its WAV file: 16 kHz, mono, 16 bit."
