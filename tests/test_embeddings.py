"""Similarity of clarifying questions by an embeddings endpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from openai_server import Act, Call, OpenAIServer, send
from tiny_release import dialogue, write_release

from askqa_builder.errors import EndpointError
from askqa_builder.evaluate.embeddings import Embedder, question_similarity
from askqa_builder.evaluate.items import read_items
from askqa_builder.evaluate.responders.room import Room
from askqa_builder.evaluate.run import Prediction
from askqa_builder.evaluate.scoring import Asked
from askqa_builder.llm.endpoint import Limits

OWN = "Which one, the mill or the bakery?"
ANGLES = {OWN: 0.0, "Mill or bakery?": 60.0, "What?": 90.0}


@pytest.fixture
def asked(tmp_path: Path) -> list[Asked]:
    rows = [dialogue(f"d{i}", passage=f"p{i}", ambiguous=i < 3) for i in range(4)]
    release = write_release(tmp_path / "release", {"test": rows})
    return [Asked.of(item) for item in read_items(release, "test")]


def said(asked: list[Asked], questions: list[str]) -> list[Prediction]:
    return [
        Prediction(id=a.id, decision="ask", exchanges=((q, "Yes.", "yes"),), final="1901")
        for a, q in zip(asked, questions, strict=True)
    ]


def embed(call: Call) -> Act:
    """A point on the circle, twice as far out as it should be."""
    assert call.path == "/embeddings"
    angle = math.radians(ANGLES[call.body["input"]])
    vector = [2 * math.cos(angle), 2 * math.sin(angle)]
    reply = {"data": [{"embedding": vector}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return send(json.dumps(reply).encode(), "application/json")


def test_similarity_is_the_mean_cosine_where_asking_was_right(
    asked: list[Asked], tmp_path: Path
) -> None:
    predictions = said(asked, [OWN, "Mill or bakery?", "What?", "What?"])
    with OpenAIServer(embed) as server:
        for _ in range(2):
            with Room(tmp_path / "replies.sqlite") as room:
                embedder = Embedder(room, "e", base_url=server.base_url)
                content = question_similarity(embedder, asked, predictions, resamples=10)
    similarity = content["scores"]["question_similarity"]
    assert similarity["value"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert similarity["items"] == content["pairs"] == 3
    assert (content["model"], content["without"], content["problem"]) == ("e", 0, None)
    assert server.paid == len(server.calls) == 3, "each text once, in two runs"


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": []}', b'{"data": [{"embedding": [0, 0]}]}', b'{"data": [{}]}']
)
def test_pair_without_an_embedding_is_counted_and_in_no_mean(
    asked: list[Asked], tmp_path: Path, body: bytes
) -> None:
    def script(call: Call) -> Act:
        return send(body, "application/json") if call.body["input"] == "What?" else embed(call)

    predictions = said(asked, [OWN, "What?", "Mill or bakery?", OWN])
    with OpenAIServer(script) as server, Room(tmp_path / "replies.sqlite") as room:
        embedder = Embedder(room, "e", base_url=server.base_url)
        content = question_similarity(embedder, asked, predictions, resamples=10)
    assert content["scores"]["question_similarity"]["value"] == pytest.approx(0.75)
    assert (content["pairs"], content["without"]) == (3, 1)
    assert "/embeddings: " in content["problem"]


def test_endpoint_that_is_down_is_an_error(asked: list[Asked], tmp_path: Path) -> None:
    limits = Limits(backoff_base_s=0.001, breaker_failures=4, breaker_patience_s=0.0)
    with Room(tmp_path / "replies.sqlite", limits=limits) as room:
        embedder = Embedder(room, "e", base_url="http://127.0.0.1:9/v1")
        with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9"):
            question_similarity(embedder, asked, said(asked, [OWN] * 4), resamples=10)
