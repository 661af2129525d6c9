"""Writers: a passage in, proposed dialogues out.

    contrast    ambiguous dialogues from pairs of human questions (offline)
    questions   every human question as a plain spoken dialogue (offline)
    import      the human-written conversations that came with the passage
    llm         whatever a language model finds to ask (`generate_llm` runs it: it needs a network)

A writer only proposes: `generate` gives its drafts an id, and `checks` accept or refuse them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from askqa_builder.errors import SettingsError
from askqa_builder.schema import Draft, Passage, Reject
from askqa_builder.writers.contrast import ContrastWriter
from askqa_builder.writers.imported import ImportWriter
from askqa_builder.writers.questions import QuestionsWriter


class Writer(Protocol):
    """Whatever turns passages into drafts."""

    name: str
    version: str
    """Raise it whenever the same passage gives other drafts."""

    def write(self, passage: Passage) -> Iterator[Draft | Reject]:
        """Propose dialogues about one passage, the same ones each time."""
        ...


WRITERS: dict[str, Callable[[int, float], Writer]] = {
    "contrast": lambda seed, share: ContrastWriter(seed=seed, ambiguous_share=share),
    "questions": lambda seed, share: QuestionsWriter(),
    "import": lambda seed, share: ImportWriter(),
}
"""The writers that need no network, made from a seed and the share of ambiguous dialogues."""


def open_writer(name: str, seed: int = 0, ambiguous_share: float = 0.5) -> Writer:
    """Make an offline writer by name; raises SettingsError for an unknown one."""
    if name not in WRITERS:
        raise SettingsError(f"--writer {name!r} is unknown; expected one of {sorted(WRITERS)}")
    return WRITERS[name](seed, ambiguous_share)
