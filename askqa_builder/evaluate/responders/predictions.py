"""Responses made elsewhere: a JSON object of item id → text, as SQuAD's official scorer reads.

They are scored as they are: whoever asks back has said nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.sources.common import read_json


@dataclass(frozen=True)
class Predictions:
    """Looks responses up."""

    name: str
    texts: Mapping[str, str]

    @property
    def settings(self) -> dict[str, JsonValue]:
        """What else shapes the responses: the file's content."""
        pairs = repr(sorted(self.texts.items()))
        return {"sha256": hashlib.sha256(pairs.encode()).hexdigest()[:16]}

    def respond(self, conversation: Conversation) -> str:
        """Raises EvaluationError where there is none: the item is then a failure."""
        # a question that a benchmark asks twice under one id has one prediction
        text = self.texts.get(conversation.id, self.texts.get(conversation.id.rpartition("#")[0]))
        if text is None:
            raise EvaluationError("no prediction for this item")
        return text

    def check_ids(self, ids: Iterable[str]) -> None:
        """Raises EvaluationError if some predictions are for items of something else."""
        known = set(ids)
        unknown = sorted(key for key in self.texts if key not in known)
        if unknown:
            raise EvaluationError(
                f"{self.name}: {len(unknown)} of {len(self.texts)} predictions are for items that "
                f"are not in this data, such as {unknown[0]!r}"
            )


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions. Raises SourceError or EvaluationError if it is something else."""
    texts = read_json(path)
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise EvaluationError(f"{path}: expected a JSON object of item id to response")
    return Predictions(f"predictions:{path.name}", texts)
