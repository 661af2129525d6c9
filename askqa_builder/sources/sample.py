"""The bundled sample: short original passages written for this project, in SQuAD's form."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

from askqa_builder.sources.common import SourceItem
from askqa_builder.sources.squad import read_squad


def read_sample() -> Iterator[SourceItem]:
    """Yield the passages that come with the package; needs no file and no network."""
    with as_file(files("askqa_builder") / "data" / "sample.json") as path:
        return read_squad(str(path), source="sample")
