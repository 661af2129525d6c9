"""A release folder in small, with tones for speech, for tests of what reads a release."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from askqa_builder.audio import SAMPLE_RATE_HZ, encode_flac
from askqa_builder.release.rows import FEATURES, arrow_schema

PASSAGE = "The mill opened in 1887. The bakery opened in 1901."
HOSTILE = '=1+1 </script><img src=x onerror=alert(1)> <audio> "quoted", {{ 7*7 }} ☃\n| row |'


def tone(seconds: float, hz: float, level: float) -> bytes:
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return encode_flac((level * np.sin(2 * math.pi * hz * times)).astype(np.float32))


def clip(text: str, seconds: float, hz: float, level: float, name: str) -> dict[str, Any]:
    words = text.split()
    step = seconds / len(words)
    return {
        "text": text,
        "spoken_text": text.lower(),
        "duration": seconds,
        "audio": {"bytes": tone(seconds, hz, level), "path": f"{name}.flac"},
        "words": [
            {"text": word, "start": index * step, "end": (index + 1) * step}
            for index, word in enumerate(words)
        ],
    }


def dialogue(
    dialogue_id: str, *, passage: str = "p1", ambiguous: bool = False, title: str = "Mills"
) -> dict[str, Any]:
    """A row of the config `dialogues`; the clips of one passage's narration are always the same."""
    spoken = [("user", "question", "When did it open?", 0.30)]
    if ambiguous:
        spoken += [
            ("assistant", "clarifying_question", "Which one, the mill or the bakery?", 0.10),
            ("user", "clarification", "The bakery, please.", 0.30),
        ]
    spoken += [("assistant", "answer", "1901." if ambiguous else "1887.", 0.05)]
    meant = [("When did the mill open?", "1887"), ("When did the bakery open?", "1901")]
    voice = {"sex": "female", "accent": "en-gb", "rate": 1.0, "pitch": 0.0, "engine": "tone"}
    return {
        "id": dialogue_id,
        "passage_id": passage,
        "title": title,
        "domain": "general",
        "language": "en",
        "passage": PASSAGE,
        "narration": [
            clip("The mill opened in 1887.", 1.0, 200, 0.2, f"{passage}-0"),
            clip("The bakery opened in 1901.", 1.25, 220, 0.2, f"{passage}-1"),
        ],
        "turns": [
            {
                "index": index,
                "role": role,
                "act": act,
                "speaker": f"{role}-voice",
                # another length for each dialogue, so that no two clips are the same
                **clip(text, 0.5 + len(dialogue_id) / 100, 300 + 50 * index, level, dialogue_id),
            }
            for index, (role, act, text, level) in enumerate(spoken)
        ],
        "ambiguous": ambiguous,
        "ambiguity_kind": "referent" if ambiguous else None,
        "readings": [
            {
                "question": question,
                "answers": [answer],
                "evidence": answer,
                "evidence_start": PASSAGE.index(answer),
            }
            for question, answer in (meant if ambiguous else meant[:1])
        ],
        "intended": int(ambiguous),
        "voices": {
            role: {"speaker": f"{role}-voice", "model": "", "version": "1", "settings": "{}"}
            | voice
            for role in ("narrator", "user", "assistant")
        },
        "provenance": {
            "source": "test",
            "group": "g1",
            "license": "cc0-1.0",
            "writer": "hand",
            "writer_version": "1",
            "question_ids": [],
            "details": "{}",
        },
    }


def write_release(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> Path:
    """The config `dialogues` of a release, and its manifest."""
    (folder / "dialogues").mkdir(parents=True)
    for split, rows in splits.items():
        table = pa.Table.from_pylist(rows, schema=arrow_schema("dialogues"))
        pq.write_table(table, folder / "dialogues" / f"{split}-00000.parquet", row_group_size=2)
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*.parquet"))
    }
    manifest = {
        "version": "1.2.3",
        "name": "tiny",
        "license": "cc0-1.0",
        "made_with": "askqa_builder test",
        "rows": {"dialogues": {split: len(rows) for split, rows in splits.items()}},
        "hours": dict.fromkeys(splits, 0.0),
        "hours_spoken": 0.0,
        "stages": {},
        "features": FEATURES,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
