"""The speakers of the embedded engine, chosen by measurement.

`espeak_voices.toml` is written by `benchmarks/choose_espeak_voices.py`, which says how. An id keeps
its meaning for ever; a voice that is added changes which voices are cast (see `casting.py`), and
nothing else.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from askqa_builder.schema import Voice


@cache
def load_bank() -> tuple[Voice, ...]:
    """Read the speakers, sorted by id."""
    text = files("askqa_builder.voices").joinpath("espeak_voices.toml").read_text("utf-8")
    return tuple(
        Voice(id=id, engine="espeak", **entry) for id, entry in sorted(tomllib.loads(text).items())
    )
