"""SDialog dialogue files: one JSON document a dialogue, a folder a split.

The fields are those of `sdialog.Dialog` 0.5.3 (sdialog/__init__.py). What SDialog has no field
for (acts, readings, passage, split …) stands under `annotations.askqa`, so that
`askqa_builder.sources.sdialog` makes the same dialogue of the file again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.rows import Row
from askqa_builder.release.stream import file_name

FORMAT_VERSION = "0.5.3"


def sdialog(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """Write `<split>/<id>.json`; the sound stays behind, SDialog's dialogues are text."""
    for split, row in rows:
        (folder.part / split).mkdir(exist_ok=True)
        document = json.dumps(_dialog(split, row), ensure_ascii=False, indent=1)
        (folder.part / split / f"{file_name(row['id'])}.json").write_text(document, "utf-8")
    return "sdialog.Dialog.from_file('train')"


def _dialog(split: str, row: Row) -> Row:
    provenance = row["provenance"] | {"details": json.loads(row["provenance"]["details"])}
    kept = ("passage_id", "title", "domain", "language", "passage")
    meant = ("ambiguous", "ambiguity_kind", "readings", "intended")
    return {
        "version": FORMAT_VERSION,
        "timestamp": None,
        "model": {"writer": provenance["writer"], "version": provenance["writer_version"]},
        "seed": None,
        "id": row["id"],
        "complete": True,
        "context": row["passage"],
        "turns": [{"speaker": turn["role"], "text": turn["text"]} for turn in row["turns"]],
        "annotations": {
            "askqa": {
                "split": split,
                "acts": [turn["act"] for turn in row["turns"]],
                **{name: row[name] for name in (*kept, *meant)},
                "provenance": provenance,
            }
        },
    }
