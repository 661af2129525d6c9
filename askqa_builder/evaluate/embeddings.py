"""How near a clarifying question is in meaning to the data's own, by sentence embeddings.

Optional, by an OpenAI-compatible `/embeddings` endpoint (OpenAI's; vLLM, Text Embeddings Inference,
llama.cpp or Ollama on one's own machine, which know how their model pools and normalises).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.bootstrap import RESAMPLES, estimate
from askqa_builder.evaluate.responders.room import Room
from askqa_builder.evaluate.run import Prediction
from askqa_builder.evaluate.scores import mean
from askqa_builder.evaluate.scoring import Asked
from askqa_builder.llm.requests import json_request


class Embedder:
    """An embedding model behind an endpoint. Every text is paid once."""

    def __init__(self, room: Room, model: str, *, base_url: str | None = None) -> None:
        self._room = room
        self._endpoint = room.endpoint(base_url)
        self._model = model
        self.facts = {"model": model, "endpoint": self._endpoint.base_url}

    def embed(self, texts: Sequence[str]) -> list[list[float] | Exception]:
        """The vector of each text, or why there is none.

        Raises EndpointError where the endpoint is of no use at all.
        """
        return [*self._room.each(self._vector, texts)]

    async def _vector(self, text: str) -> list[float]:
        request = json_request(
            "/embeddings",
            {"model": self._model, "input": text, "encoding_format": "float"},
            kind="json",
        )
        reply = await self._endpoint.fetch(request)
        try:
            vector = [float(value) for value in reply.data["data"][0]["embedding"]]
        except (KeyError, IndexError, TypeError, ValueError):
            raise EvaluationError(
                f"{self._endpoint.base_url}/embeddings: a reply without an embedding"
            ) from None
        if not any(vector):
            raise EvaluationError(f"{self._endpoint.base_url}/embeddings: an embedding of zeros")
        return vector


def question_similarity(
    embedder: Embedder,
    asked: Sequence[Asked],
    predictions: Sequence[Prediction],
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """What scores.json holds under "embeddings": the mean cosine, where the model asked and should.

    The question of an item that failed counts as 0. A pair whose embedding could not be had is
    counted, and in no mean.
    """
    questions = {
        a.id: (p.asked, a.reference_question)
        for a, p in zip(asked, predictions, strict=True)
        if a.reference_question and p.decision == "ask"
    }
    pairs = {name: pair for name, pair in questions.items() if pair[0]}
    texts = list(dict.fromkeys(text for pair in pairs.values() for text in pair))
    vectors = dict(zip(texts, embedder.embed(texts), strict=True))
    cosines = {name: _cosine(vectors[one], vectors[two]) for name, (one, two) in pairs.items()}
    failures = dict.fromkeys(questions.keys() - pairs.keys(), 0.0)
    scores = estimate(
        {"question_similarity": mean([(cosines | failures).get(a.id) for a in asked])},
        [a.passage_id for a in asked],
        resamples=resamples,
    )
    failed = [error for error in vectors.values() if isinstance(error, Exception)]
    return {
        **embedder.facts,
        "pairs": len(pairs),
        "without": sum(cosine is None for cosine in cosines.values()),
        "problem": str(failed[0])[:300] if failed else None,
        "scores": {name: asdict(value) for name, value in scores.items()},
    }


def _cosine(one: list[float] | Exception, two: list[float] | Exception) -> float | None:
    import numpy as np

    if isinstance(one, Exception) or isinstance(two, Exception) or len(one) != len(two):
        return None
    a, b = np.asarray(one), np.asarray(two)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
