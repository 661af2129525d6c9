"""Chat JSON lines for fine-tuning: `messages` with <audio> tags, `audios` with as many paths.

Read by ms-swift (swift/dataset/preprocessor/core.py: keys `messages`, `audios`) and by
LLaMA-Factory (data/converter.py: sharegpt with `role` and `content`; data/mm_plugin.py counts the
tags against the paths).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.rows import Row

INSTRUCTION = (
    "Listen to the passage and to the question about it. If the question can be understood in "
    "several ways, ask which one is meant; else answer it in a few words."
)
_TAG = re.compile(r"<(?=(audio|image|video)>)")


def ms_swift(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """One line a dialogue; the paths are absolute, since ms-swift resolves them against nothing."""
    for split, row in rows:
        messages, audios = _chat(row, folder)
        paths = [folder.absolute(path) for path in audios]
        folder.line(f"{split}.jsonl", {"messages": messages, "audios": paths})
    return "swift sft --model Qwen/Qwen2-Audio-7B-Instruct --dataset train.jsonl …"


def llama_factory(rows: Iterator[tuple[str, Row]], folder: ExportFolder) -> str:
    """The same with `dataset_info.json`; the paths are relative to it, the default `media_dir`."""
    splits: set[str] = set()
    for split, row in rows:
        messages, audios = _chat(row, folder)
        folder.line(f"{split}.jsonl", {"messages": messages, "audios": audios})
        splits.add(split)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
    tags |= {"assistant_tag": "assistant", "system_tag": "system"}
    info = {
        f"askqa_{split}": {
            "file_name": f"{split}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "audios": "audios"},
            "tags": tags,
        }
        for split in sorted(splits)
    }
    json.dump(info, folder.file("dataset_info.json"), indent=1)
    return (
        "llamafactory-cli train … dataset_dir=THIS_FOLDER dataset=askqa_train template=qwen2_audio"
    )


def _chat(row: Row, folder: ExportFolder) -> tuple[list[dict[str, Any]], list[str]]:
    """Messages and the paths of their sound: the user speaks, the assistant's turns are text.

    The passage is heard at the head of the first question.
    """
    audios = [folder.clip(row, None, clip["audio"]["bytes"]).path for clip in row["narration"]]
    messages = [{"role": "system", "content": INSTRUCTION}]
    waiting = len(audios)
    for turn in row["turns"]:
        if turn["role"] == "user":
            audios.append(folder.clip(row, turn["index"], turn["audio"]["bytes"]).path)
            messages.append({"role": "user", "content": "<audio>" * (waiting + 1)})
            waiting = 0
        else:
            # a tag in somebody's text would count as a sound
            text = _TAG.sub("< ", turn["text"])
            messages.append({"role": "assistant", "content": text})
    return messages, audios
