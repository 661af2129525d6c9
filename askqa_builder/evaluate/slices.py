"""Where it breaks: the same scores by ambiguity kind, speaker, accent, rate, pitch and source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from askqa_builder.evaluate.bootstrap import LEVEL, RESAMPLES, Estimate, Metric, estimate

if TYPE_CHECKING:
    from askqa_builder.evaluate.bootstrap import Integers

RATE_EDGES = (0.95, 1.05)
"""Bins of the user's speaking rate, relative to the engine's default."""
PITCH_EDGES = (-0.5, 0.5)
"""Bins of the user's pitch shift, in semitones."""

UNAMBIGUOUS = "unambiguous"
"""The kind of a question that has one reading."""


def facets(
    *,
    kind: str | None,
    speaker: str,
    accent: str,
    rate: float,
    pitch: float,
    source: str,
) -> dict[str, str]:
    """The slice that one item belongs to, by dimension; the voice is the user's."""
    return {
        "kind": kind or UNAMBIGUOUS,
        "speaker": speaker,
        "accent": accent,
        "rate": bin_label(rate, RATE_EDGES),
        "pitch": bin_label(pitch, PITCH_EDGES),
        "source": source,
    }


def bin_label(value: float, edges: Sequence[float]) -> str:
    """The bin of a number: "under 0.95", "0.95 to 1.05", "1.05 and over". Edges ascend."""
    index = bisect_right(edges, value)
    if index == 0:
        return f"under {edges[0]:g}"
    if index == len(edges):
        return f"{edges[-1]:g} and over"
    return f"{edges[index - 1]:g} to {edges[index]:g}"


def rows_by_value(values: Sequence[str]) -> Iterator[tuple[str, Integers]]:
    """Each distinct value, in order, with the positions that hold it."""
    import numpy as np

    names, codes, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    for name, rows in zip(names, np.split(order, np.cumsum(counts)[:-1]), strict=True):
        yield str(name), rows


def estimate_slices(
    metrics: Mapping[str, Metric],
    passages: Sequence[str],
    dimensions: Mapping[str, Sequence[str]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Estimates by dimension, value and metric; `dimensions` names each item's value in each.

    A slice's figures are those of a table that holds nothing but the slice.
    """
    import numpy as np

    # Numbers in the order of the names: they sort alike, and much faster.
    numbered = np.unique(np.asarray(passages), return_inverse=True)[1]
    return {
        dimension: {
            value: estimate(
                metrics, numbered, rows=rows, resamples=resamples, seed=seed, level=level
            )
            for value, rows in (rows_by_value(values) if len(values) else ())
        }
        for dimension, values in dimensions.items()
    }
