"""Benchmarks of others: their questions as items, scored by their protocol, beside what others got.

squad:FILE             SQuAD v1.1 JSON: passage and question as text
spoken-squad:FILE      Spoken-SQuAD JSON: the passage as its transcript, or as sound
sd-qa:FOLDER           SD-QA: the question as sound, by people with many accents
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.items import Item

if TYPE_CHECKING:
    from askqa_builder.evaluate.benchmarks.overlap import Timeline

SPAN_PROMPT = (
    "Answer the user's question about the passage with the fewest words of the passage that "
    "answer it, and say nothing else."
)
OPEN_PROMPT = "Answer the user's question with as few words as possible, and say nothing else."


class Published(BaseModel):
    """What others got, and how: never to be compared without reading `protocol`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    em: float | None = None
    """Per cent, as all figures here."""
    f1: float | None = None
    aos: float | None = None
    protocol: str
    source: str


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, found and ready to be read."""

    name: str
    data: str
    """What is evaluated, in words for the report."""
    protocol: str
    """What the model is given, and how it is scored."""
    prompt: str
    digest: str
    """Hash of the content of all files, so that nobody compares different data."""
    items: Callable[[], Iterator[Item]]
    skipped: dict[str, int] = field(default_factory=dict)
    """Questions that cannot be scored, by reason; complete when all items have been read."""
    times: Callable[[str], Timeline | None] = lambda passage_id: None
    """When each word of a passage is spoken, where that is known."""
    published: tuple[Published, ...] = ()


def is_benchmark(data: str) -> bool:
    """Whether DATA names a benchmark, not a release."""
    return data.partition(":")[0] in _READERS


def open_benchmark(spec: str, *, audio: Path | None = None) -> Benchmark:
    """Find the benchmark that `spec` names; `audio` is Spoken-SQuAD's folder of sound.

    Raises SourceError or EvaluationError where its files are missing or are something else.
    """
    name, _, path = spec.partition(":")
    if name not in _READERS or not path:
        raise EvaluationError(
            f"benchmark {spec!r} is not known; expected {', '.join(f'{n}:PATH' for n in _READERS)}"
        )
    if audio is not None and name != "spoken-squad":
        raise EvaluationError(f"{name} takes no folder of sound; only spoken-squad:FILE does")
    return _READERS[name](Path(path), audio)


def published(name: str) -> tuple[Published, ...]:
    """The published figures that we know of."""
    table = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    return tuple(Published.model_validate(entry) for entry in table.get(name, ()))


def _squad(path: Path, audio: Path | None) -> Benchmark:
    from askqa_builder.evaluate.benchmarks.squad import squad

    return squad(path)


def _spoken_squad(path: Path, audio: Path | None) -> Benchmark:
    from askqa_builder.evaluate.benchmarks.squad import spoken_squad

    return spoken_squad(path, audio)


def _sd_qa(path: Path, audio: Path | None) -> Benchmark:
    from askqa_builder.evaluate.benchmarks.sd_qa import sd_qa

    return sd_qa(path)


_READERS: dict[str, Callable[[Path, Path | None], Benchmark]] = {
    "squad": _squad,
    "spoken-squad": _spoken_squad,
    "sd-qa": _sd_qa,
}
