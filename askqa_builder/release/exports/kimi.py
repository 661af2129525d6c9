"""Kimi-Audio-Evalkit: JSON lines with `index, audio_path, question, answer, subset`.

See almeval/datasets/base.py: the paths must exist as they stand; an Audio-QA set leaves `question`
empty and gives the judge the spoken question as `audio_content`; subsets are scored apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import askqa_builder.audio as pcm
from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.listen import mix_down
from askqa_builder.release.rows import Row


def kimi_audio(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """One question a dialogue: the whole conversation before its last answer, as one sound.

    The dialogues in which the user had to be asked back are a subset of their own.
    """
    import numpy as np

    indexes: Counter[str] = Counter()
    for split, row in rows:
        mix = mix_down(row, turns=-1)
        samples = np.frombuffer(mix.sound.raw_data, dtype="<i2").astype(np.float32) / np.float32(
            32768
        )
        flac = pcm.encode_flac(samples, mix.sound.frame_rate)
        meant = row["readings"][row["intended"]]
        stored = folder.clip(row, len(row["turns"]) - 1, flac)
        item = {
            "index": indexes[split],
            "audio_path": folder.absolute(stored.path),
            "question": "",
            "audio_content": meant["question"],
            "answer": meant["answers"][0],
            "subset": "ambiguous" if row["ambiguous"] else "unambiguous",
        }
        about = {"dialogue_id": row["id"], "answers": meant["answers"]}
        folder.line(f"askqa_{split}.jsonl", item | {"meta": about})
        indexes[split] += 1
    return (
        "Add a class with DATASET_NAME = 'askqa_test', INTERACTIVE = 'Audio-QA' beside SDQA in "
        "almeval/datasets/ds_refqa.py and name askqa_test.jsonl in config.yaml."
    )
