"""Manifests for speech people: one entry a clip, the narration of a passage once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.rows import Row


def nemo(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """NeMo: JSON lines with `audio_filepath`, `duration` (s) and `text`.

    Paths are relative to the manifest (nemo/collections/common/parts/preprocessing/manifest.py);
    what else a line holds is kept away from the names that NeMo gives a meaning (`context`,
    `question`, `answer`, `task`, …).
    """
    for split, row in rows:
        for clip, path, about in _new_clips(row, folder):
            entry = {"audio_filepath": path, "duration": clip["duration"], "text": clip["text"]}
            about |= {"lang": row["language"], "spoken_text": clip["spoken_text"]}
            folder.line(f"{split}_manifest.json", entry | about)
    return "model.train_ds.manifest_filepath=train_manifest.json"


def lhotse(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """lhotse: a RecordingSet and a SupervisionSet a split, with word alignments.

    See lhotse/audio/recording.py and lhotse/supervision.py. Paths are absolute; after moving the
    folder use `with_path_prefix`.
    """
    import soundfile

    for split, row in rows:
        for clip, path, about in _new_clips(row, folder):
            info = soundfile.info(io.BytesIO(clip["audio"]["bytes"]))
            name = path.removeprefix("audio/").removesuffix(".flac")
            source = {"type": "file", "channels": [0], "source": folder.absolute(path)}
            recording = {
                "id": name,
                "sources": [source],
                "sampling_rate": info.samplerate,
                "num_samples": info.frames,
                "duration": info.frames / info.samplerate,
                "channel_ids": [0],
            }
            folder.line(f"{split}_recordings.jsonl", recording)
            supervision = {
                "id": name,
                "recording_id": name,
                "start": 0.0,
                "duration": info.frames / info.samplerate,
                "channel": 0,
                "text": clip["text"],
                "language": row["language"],
                "speaker": about.pop("speaker"),
                "gender": about.pop("sex"),
                "custom": about | {"spoken_text": clip["spoken_text"]},
            }
            if clip["words"]:
                supervision["alignment"] = {"word": [_aligned(word) for word in clip["words"]]}
            folder.line(f"{split}_supervisions.jsonl", supervision)
    return (
        "lhotse.CutSet.from_manifests(RecordingSet.from_file('train_recordings.jsonl'), "
        "SupervisionSet.from_file('train_supervisions.jsonl'))"
    )


def _new_clips(row: Row, folder: ExportFolder) -> Iterator[tuple[Row, str, dict[str, Any]]]:
    """The clips of a dialogue that no dialogue before had: clip, path, who says it and where."""
    for index, clip in enumerate(row["narration"]):
        stored = folder.clip(row, None, clip["audio"]["bytes"])
        if stored.is_new:
            about = {"passage_id": row["passage_id"], "index": index, "act": "narration"}
            yield clip, stored.path, _voice(row, "narrator") | about
    for turn in row["turns"]:
        stored = folder.clip(row, turn["index"], turn["audio"]["bytes"])
        if stored.is_new:
            about = {"dialogue_id": row["id"], "index": turn["index"], "act": turn["act"]}
            yield turn, stored.path, _voice(row, turn["role"]) | about


def _voice(row: Row, role: str) -> dict[str, Any]:
    voice = row["voices"][role]
    return {"speaker": voice["speaker"], "sex": voice["sex"], "role": role}


def _aligned(word: Row) -> list[Any]:
    """lhotse's AlignmentItem: symbol, start, duration, score."""
    return [word["text"], round(word["start"], 4), round(word["end"] - word["start"], 4), None]
