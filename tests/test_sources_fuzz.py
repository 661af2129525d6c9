"""Whatever a file holds, a source gives passages and rejects, or one SourceError."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from askqa_builder.errors import SourceError
from askqa_builder.schema import Passage, Reject
from askqa_builder.sources import open_source
from askqa_builder.sources.common import SourceItem

TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["", " ", "A b.", "yes", "Unknown", "\ud800", "../../x", "🙂", "ambiguous", "non_ambiguous"]
)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.integers(10**30, 10**31)
    | st.floats()
    | TEXT
)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


def shaped(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with these fields, some of them missing or of any other kind."""
    return st.fixed_dictionaries({}, optional={k: v | JSON for k, v in fields.items()})


def many(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(item | LEAF, max_size=3)


ANSWER = shaped(text=TEXT, answer_start=st.integers(-3, 9))
QA = shaped(id=TEXT, question=TEXT, answers=many(ANSWER), is_impossible=st.booleans())
PARAGRAPH = shaped(context=TEXT, qas=many(QA))
SQUAD = shaped(data=many(shaped(title=TEXT, paragraphs=many(PARAGRAPH))), license=TEXT)

TURN = shaped(question=TEXT, answer=TEXT, rationale=TEXT, span_start=st.integers(-3, 9))
REPLY = shaped(clr_ans=TEXT, org_ans=TEXT, org_ans_2=TEXT, org_ans_3=TEXT)
CLARIFICATION = shaped(question=TEXT, answers=many(REPLY))
ABG = shaped(
    data=many(
        shaped(
            id=TEXT,
            story=TEXT,
            source=TEXT,
            history_turns=many(TURN),
            target_turn=TURN,
            ambiguity=st.sampled_from(["ambiguous", "non_ambiguous"]),
            clarification_turn=CLARIFICATION,
            clarification_turn_2=CLARIFICATION,
        )
    )
)

RELAXED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def give(scheme: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.json")
        path.write_bytes(content)
        try:
            items: Iterator[SourceItem] = open_source(f"{scheme}:{path}")
        except SourceError as error:
            if "\n" in str(error):
                raise AssertionError("more than one line") from error
            return
        for item in items:
            assert isinstance(item, Passage | Reject)
            item.model_dump_json().encode("utf-8")  # can be stored
            if isinstance(item, Passage):
                assert item.id.isascii()
                assert not set("/\\:") & set(item.id + item.group)


@RELAXED
@given(SQUAD | JSON)
def test_squad_takes_any_json(value: Any) -> None:
    give("squad", json.dumps(value).encode("utf-8"))


@RELAXED
@given(ABG | JSON)
def test_abg_coqa_takes_any_json(value: Any) -> None:
    give("abg-coqa", json.dumps(value).encode("utf-8"))


@RELAXED
@given(st.sampled_from(["squad", "abg-coqa", "dialogues"]), st.binary(max_size=60))
def test_sources_take_any_bytes(scheme: str, content: bytes) -> None:
    give(scheme, content)


@RELAXED
@given(st.lists(JSON, max_size=4))
def test_dialogues_take_any_lines(values: list[Any]) -> None:
    give("dialogues", "\n".join(json.dumps(value) for value in values).encode("utf-8"))
