"""A tiny data set and voices for tests of models that respond."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_release import dialogue, write_release

from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Conversation, Sound
from askqa_builder.evaluate.run import RunSettings

ASKED = "Do you mean the mill or the bakery?"
SETTINGS = RunSettings(data="tiny", digest="0", split="test", model="m", rounds=1, settings={})


def three_items(folder: Path) -> Path:
    """A release of three dialogues in each of two splits."""
    return write_release(
        folder,
        {
            "train": [dialogue("t1"), dialogue("t22", ambiguous=True), dialogue("t333")],
            "test": [
                dialogue("a", ambiguous=True),
                dialogue("bb"),
                dialogue("ccc", ambiguous=True),
            ],
        },
    )


def spoken(text: str) -> tuple[np.ndarray, int]:
    """A sound that tells which text it stands for."""
    hz = 200 + int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2000
    times = np.arange(8000) / 16_000
    return (0.5 * np.sin(2 * math.pi * hz * times)).astype(np.float32), 16_000


def speak(item: Item, text: str) -> tuple[np.ndarray, int]:
    return spoken(text)


def with_turn(item: Item, sound: Sound) -> Conversation:
    """The item's conversation with another sound for its question."""
    *before, last = item.conversation.turns
    return replace(item.conversation, turns=(*before, replace(last, sound=sound)))


def seconds_of(seconds: float, rate: int = 16_000) -> Sound:
    return Sound(np.zeros(round(seconds * rate), np.float32), rate)
