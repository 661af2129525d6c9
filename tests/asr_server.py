"""A transcription endpoint on the loopback that hears from a table, behind OpenAI's wire protocol.

    ears = Ears.of(build)
    with OpenAIServer(ears) as server:
        ... askqa("synthesize", build, "--asr", f"openai:ears@{server.base_url}") ...

Sounds are known by the sha256 of their bytes; what is in no table is a fault of the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from openai_server import Act, Call, send

from askqa_builder.schema import Clip


def transcript(text: str) -> Act:
    """What a transcription endpoint answers (`response_format` json)."""
    return send(json.dumps({"text": text}).encode(), "application/json")


@dataclass
class Ears:
    """A script for `OpenAIServer`: hears every clip rightly, but for what `mishears` says."""

    texts: dict[str, str]
    """By the sha256 of the sound's bytes."""
    mishears: Callable[[str], str | Act] = lambda text: text
    """From the text of a clip to what is heard instead, or to another act."""
    heard: list[str] = field(default_factory=list)
    """Texts of the clips, in the order in which they were asked for."""

    @classmethod
    def of(cls, build: Path) -> Ears:
        """Ears for the clips of a build's speech."""
        texts: dict[str, str] = {}
        for path in sorted((build / "speech").glob("*.parquet")):
            for row in pq.read_table(path).to_pylist():
                text = Clip.model_validate_json(row["clip"]).text
                texts[hashlib.sha256(row["flac"]).hexdigest()] = text
        return cls(texts)

    def __call__(self, call: Call) -> Act:
        assert call.path == "/audio/transcriptions"
        assert call.body["response_format"] == "json"
        name, sound = call.files["file"]
        assert name.endswith(".flac")
        text = self.texts[hashlib.sha256(sound).hexdigest()]
        self.heard.append(text)
        act = self.mishears(text)
        return act if isinstance(act, Act) else transcript(act)
