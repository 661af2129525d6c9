"""The speakers of the embedded engine, chosen by measurement.

`espeak_voices.toml` is written by `benchmarks/choose_espeak_voices.py`, which says how. Only ever
append to it: an id keeps its meaning, and the order decides which split a voice belongs to. What a
new voice changes, `casting.py` says.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from askqa_builder.schema import Voice


@cache
def load_bank() -> tuple[Voice, ...]:
    """Read the speakers, in the order of the file."""
    text = files("askqa_builder.voices").joinpath("espeak_voices.toml").read_text("utf-8")
    return tuple(
        Voice(id=id, engine="espeak", **entry) for id, entry in tomllib.loads(text).items()
    )
