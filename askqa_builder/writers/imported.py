"""The writer that passes on the human-written conversations that came with a passage."""

from __future__ import annotations

from collections.abc import Iterator

from askqa_builder.schema import Draft, Passage, Reject


class ImportWriter:
    """Yields `passage.drafts` as they are."""

    name = "import"
    version = "1"

    def write(self, passage: Passage) -> Iterator[Draft | Reject]:
        yield from passage.drafts
