"""Ambiguity proved by execution: what solvers answer decides, and is kept as evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asking import asking, write
from openai_server import Act, Call, OpenAIServer, fail, say
from scripted_models import good_model, good_reply, material, prompt_of, schema_of, story

from askqa_builder.schema import AmbiguityKind, Reading
from askqa_builder.verify import AGREEMENT_F1, Verifier, reading_of
from askqa_builder.writers.llm import Written
from askqa_builder.writers.llm_calls import Trail, UnusableError

TEXT = story(0)

Solve = Callable[[list[str], bool, int], list[str]]
"""From the right answers, whether it was clarified, and which solver it is, to what is said."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[AmbiguityKind | None, Written]:
    folder = tmp_path_factory.mktemp("written")
    kinds: tuple[AmbiguityKind | None, ...] = ("time", None)
    with OpenAIServer(good_model) as server:
        return {kind: write(server, folder, TEXT, kind) for kind in kinds}


def solver(solve: Solve) -> Callable[[Call], Act]:
    """A model that solves like that; solvers are told apart by the order in which they come."""
    seen: Counter[str] = Counter()

    def script(call: Call) -> Act:
        prompt = prompt_of(call)
        number, clarified = seen[prompt], "has said what was meant" in prompt
        seen[prompt] += 1
        return say({"answers": solve(good_reply(call)["answers"], clarified, number)})

    return script


def verify(
    written: Written, folder: Path, script: Callable[[Call], Act], solvers: int = 3
) -> tuple[dict[str, Any], list[Call]]:
    with OpenAIServer(script) as server:
        evidence = asking(
            server,
            folder,
            lambda asker: Verifier(asker, solvers).verify(
                written.dialogue, written.clarifications, Trail()
            ),
        )
        return dict(evidence), server.calls


def refused(written: Written, folder: Path, script: Callable[[Call], Act]) -> UnusableError:
    with pytest.raises(UnusableError) as raised:
        verify(written, folder, script)
    return raised.value


def test_an_ambiguous_dialogue_holds_when_solvers_name_both(written: Any, tmp_path: Path) -> None:
    evidence, calls = verify(written["time"], tmp_path, good_model)
    readings = written["time"].dialogue.readings
    assert evidence["question"] == [[r.answers[0] for r in readings]] * 3
    assert evidence["clarified"] == [[[r.answers[0]]] * 3 for r in readings]
    assert (evidence["model"], evidence["agreement_f1"]) == ("m", AGREEMENT_F1)
    assert len(calls) == 9, "3 solvers × (the question and two readings)"


def test_it_holds_too_when_solvers_diverge(written: Any, tmp_path: Path) -> None:
    def solve(right: list[str], clarified: bool, number: int) -> list[str]:
        return right if clarified else [right[number % 2]]

    verify(written["time"], tmp_path, solver(solve))


def test_a_question_that_all_understand_alike_is_not_ambiguous(
    written: Any, tmp_path: Path
) -> None:
    error = refused(written["time"], tmp_path, solver(lambda right, *_: right[:1]))
    assert error.reason == "solvers_find_it_clear"
    assert isinstance(error.raw, dict)
    first = written["time"].dialogue.readings[0].answers[0]
    assert error.raw["question"] == [[first]] * 3
    assert first in error.detail


def test_wild_answers_are_no_second_reading(written: Any, tmp_path: Path) -> None:
    def solve(right: list[str], clarified: bool, number: int) -> list[str]:
        return [right[0], "a purple elephant"]

    assert refused(written["time"], tmp_path, solver(solve)).reason == "solvers_find_it_clear"


def test_a_clarification_that_brings_another_readings_answer_fails(
    written: Any, tmp_path: Path
) -> None:
    readings = written["time"].dialogue.readings

    def solve(right: list[str], clarified: bool, number: int) -> list[str]:
        return [readings[0].answers[0]] if clarified else right

    error = refused(written["time"], tmp_path, solver(solve))
    assert error.reason == "clarification_fails"
    assert isinstance(error.raw, dict)
    assert len(error.raw["clarified"]) == 2, "every reading is played, and kept as evidence"


def test_a_clarification_that_leaves_both_open_fails(written: Any, tmp_path: Path) -> None:
    both = [reading.answers[0] for reading in written["time"].dialogue.readings]
    error = refused(written["time"], tmp_path, solver(lambda *_: both))
    assert error.reason == "clarification_fails"


@pytest.mark.parametrize(("wrong", "passes"), [(1, True), (2, False)])
def test_most_solvers_must_agree(written: Any, tmp_path: Path, wrong: int, passes: bool) -> None:
    def solve(right: list[str], clarified: bool, number: int) -> list[str]:
        return ["no idea"] if clarified and number < wrong else right

    if passes:
        verify(written["time"], tmp_path, solver(solve))
    else:
        assert refused(written["time"], tmp_path, solver(solve)).reason == "clarification_fails"


def test_a_clear_question_must_bring_its_one_answer(written: Any, tmp_path: Path) -> None:
    evidence, calls = verify(written[None], tmp_path / "a", good_model)
    assert "clarified" not in evidence
    assert len(calls) == 3
    for number, answers in enumerate((["nonsense"], [], ["blue", "nonsense"])):
        error = refused(written[None], tmp_path / str(number), solver(lambda *_, a=answers: a))
        assert error.reason == "solvers_disagree"


def test_a_solver_whose_reply_is_not_usable_abstains(written: Any, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def script(call: Call) -> Act:
        prompt = prompt_of(call)
        seen[prompt] += 1
        if seen[prompt] == 1:  # the first solver of each question
            return say('{"answers": ["a', finish_reason="length")
        return good_model(call)

    evidence, _ = verify(written["time"], tmp_path, script)
    assert sorted(map(len, evidence["question"])) == [0, 2, 2]


def test_a_request_that_fails_is_no_verdict(written: Any, tmp_path: Path) -> None:
    error = refused(written["time"], tmp_path, lambda call: fail(500))
    assert error.reason == "request_failed"


def test_solvers_are_asked_about_the_talk_and_told_no_answer(written: Any, tmp_path: Path) -> None:
    dialogue = written["time"].dialogue
    _, calls = verify(written["time"], tmp_path, good_model)
    assert {schema_of(call) for call in calls} == {"Solution"}
    asked = [material(prompt_of(call), "talk").splitlines() for call in calls]
    question = next(i for i, t in enumerate(dialogue.turns) if t.act == "clarifying_question") - 1
    for talk in asked:
        assert talk[: question + 1] == [
            f"{turn.role.capitalize()}: {turn.text}" for turn in dialogue.turns[: question + 1]
        ]
    said = {talk[-1] for talk in asked if len(talk) > question + 1}
    assert said == {f"User: {text}" for text in written["time"].clarifications}
    for talk in asked:
        assert not any(r.answers[0] in line for r in dialogue.readings for line in talk[question:])


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        ("near the mill", 0),
        ("The mill.", 0),
        ("She lives near the mill", 0),
        ("the old chapel", 1),
        ("near", None),  # fits both
        ("near the sea in a hut of stone", None),
        ("", None),
    ],
)
def test_an_answer_is_the_readings_that_it_fits_best(answer: str, reading: int | None) -> None:
    readings = [
        Reading(question="q", answers=("near the mill",)),
        Reading(question="q", answers=("near the chapel", "the old chapel")),
    ]
    assert reading_of(answer, readings) == reading
