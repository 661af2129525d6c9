"""Evaluation: known models get the scores that the data imply; nothing is run twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pipeline import askqa

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.evaluation import Replies, compare, evaluate
from askqa_builder.evaluate.items import Item, read_items
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.evaluate.responders.baselines import (
    ALWAYS_ANSWER,
    ALWAYS_ASK,
    OracleText,
    most_frequent_answer,
)
from askqa_builder.evaluate.run import PARTIAL, PREDICTIONS
from askqa_builder.evaluate.variants import PROBES, SILENCED, SWAPPED

ASK = "Which one do you mean?"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("evaluate") / "build"
    askqa("generate", "--source", "world:40,facts=3", "--out", build)
    askqa("synthesize", build)
    askqa("release", build, "--version", "1.0.0")
    return build / "release"


def items_of(release: Path, split: str) -> list[Item]:
    return list(read_items(release, split))


def value(content: dict[str, dict[str, dict[str, float]]], name: str) -> float:
    return content["scores"][name]["value"]


@pytest.mark.parametrize("split", SPLITS)
def test_the_oracle_reaches_every_goal(release: Path, tmp_path: Path, split: str) -> None:
    items = items_of(release, split)
    oracle = OracleText({item.id: item.readings for item in items})
    content = evaluate(release, oracle, tmp_path, split=split, resamples=50)
    for name in ("goal_completion", "trajectory_em", "decision_macro_f1", "ask_f1"):
        assert value(content, name) == 1.0
    assert value(content, "question_names_all") == 1.0
    assert value(content, "failures") == 0.0


def test_constant_models_get_what_the_data_imply(release: Path, tmp_path: Path) -> None:
    items = items_of(release, "train")
    share = sum(item.ambiguous for item in items) / len(items)
    asks = evaluate(release, ALWAYS_ASK, tmp_path / "ask", split="train", resamples=50)
    assert value(asks, "decision_accuracy") == pytest.approx(share)
    assert value(asks, "ask_precision") == pytest.approx(share)
    assert value(asks, "ask_recall") == 1.0
    assert value(asks, "ask_f1") == pytest.approx(2 * share / (1 + share))
    assert value(asks, "goal_completion") == 0.0, "it asks again and never answers"
    answers = evaluate(release, ALWAYS_ANSWER, tmp_path / "answer", split="train", resamples=50)
    assert value(answers, "decision_accuracy") == pytest.approx(1 - share)
    assert value(answers, "ask_f1") == 0.0
    assert value(answers, "rounds") == 0.0


def test_the_most_frequent_answer_is_right_as_often_as_it_occurs(
    release: Path, tmp_path: Path
) -> None:
    items = items_of(release, "train")
    model = most_frequent_answer([item.answers[0] for item in items])
    content = evaluate(release, model, tmp_path, split="train", resamples=50)
    right = [
        any(model.text.strip(".").lower() == a.strip(".").lower() for a in item.answers)
        for item in items
    ]
    assert value(content, "trajectory_em") == pytest.approx(sum(right) / len(items))


@dataclass
class Recorder:
    """Asks once, naming nothing, and keeps what it was given."""

    heard: list[Conversation] = field(default_factory=list)
    name: str = "recorder"
    fail_on: str = ""
    batches: list[int] = field(default_factory=list)

    def respond(self, conversation: Conversation) -> str:
        self.heard.append(conversation)
        if conversation.id == self.fail_on:
            raise RuntimeError("CUDA error: <script>alert(1)</script>")
        asked = any(turn.text == ASK for turn in conversation.turns)
        return "Wibble." if asked else ASK

    def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
        self.batches.append(len(conversations))
        said: list[str | Exception] = []
        for conversation in conversations:
            try:
                said.append(self.respond(conversation))
            except RuntimeError as error:
                said.append(error)
        return said


def test_replies_are_spoken_in_the_user_s_own_voice(release: Path, tmp_path: Path) -> None:
    model = Recorder()
    evaluate(release, model, tmp_path, split="test", batch_size=4, resamples=10)
    items = {item.id: item for item in items_of(release, "test")}
    second = [c for c in model.heard if len(c.turns) > len(items[c.id].conversation.turns)]
    assert len(second) == len(items), "everybody was asked back"
    for conversation in second:
        reply = conversation.turns[-1]
        assert reply.speaker == "user"
        assert reply.sound is not None
        again, rate = Replies(tmp_path).speak(items[conversation.id], reply.text)
        assert reply.sound.sample_rate_hz == rate == 16_000
        np.testing.assert_array_equal(reply.sound.samples, again)
        assert np.abs(again).max() > 0.05
    assert max(model.batches) == 4


def test_a_crash_on_one_item_is_on_record_and_in_the_denominator(
    release: Path, tmp_path: Path
) -> None:
    items = items_of(release, "test")
    model = Recorder(fail_on=items[1].id)
    content = evaluate(release, model, tmp_path, split="test", resamples=10)
    assert value(content, "failures") == pytest.approx(1 / len(items))
    lines = (tmp_path / PREDICTIONS).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [item.id for item in items]
    assert json.loads(lines[1])["failure"].startswith("RuntimeError: CUDA error")
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page


def test_a_model_that_always_fails_ends_the_run(release: Path, tmp_path: Path) -> None:
    class Broken:
        name = "broken"

        def respond(self, conversation: Conversation) -> str:
            raise ValueError("no weights")

    with pytest.raises(EvaluationError, match=r"items failed, more than 50%.*no weights"):
        evaluate(release, Broken(), tmp_path, split="train")
    assert not (tmp_path / "scores.json").exists()


def test_a_killed_run_goes_on_and_asks_nothing_twice(release: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    evaluate(release, Recorder(), whole, split="test", batch_size=2, resamples=10)

    class Killed(Recorder):
        def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
            if len(self.batches) == 4:  # two batches of two rounds
                raise KeyboardInterrupt
            return super().respond_many(conversations)

    with pytest.raises(KeyboardInterrupt):
        evaluate(release, Killed(), cut, split="test", batch_size=2, resamples=10)
    with (cut / PARTIAL).open("a") as file:
        file.write('{"id": "half a li')
    model = Recorder()
    evaluate(release, model, cut, split="test", batch_size=2, resamples=10)
    first_four = {item.id for item in items_of(release, "test")[:4]}
    assert not first_four & {conversation.id for conversation in model.heard}
    timeless = [
        [json.loads(line) | {"seconds": 0} for line in (f / PREDICTIONS).read_text().splitlines()]
        for f in (whole, cut)
    ]
    assert timeless[0] == timeless[1]
    assert (whole / "scores.json").read_text() == (cut / "scores.json").read_text()


def test_results_of_something_else_are_not_overwritten(release: Path, tmp_path: Path) -> None:
    evaluate(release, ALWAYS_ASK, tmp_path, split="test", resamples=10)
    with pytest.raises(EvaluationError, match="holds results of always-ask"):
        evaluate(release, ALWAYS_ANSWER, tmp_path, split="test", resamples=10)


def test_an_unknown_split_names_those_that_exist(release: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"no split 'dev'; expected one of \['test', 'train'"):
        evaluate(release, ALWAYS_ASK, tmp_path, split="dev")


def test_probes_change_the_sound_and_nothing_else(release: Path) -> None:
    items = items_of(release, "train")
    for probe in PROBES:
        changed = list(probe.change(iter(items)))
        assert [item.id for item in changed] == [item.id for item in items]
        for before, after in zip(items, changed, strict=True):
            assert [t.text for t in after.conversation.turns] == [
                t.text for t in before.conversation.turns
            ]
            assert after.readings == before.readings
            sound = after.conversation.turns[-1].sound
            assert sound is not None
            if probe.name == SILENCED:
                assert not sound.samples.any()
            else:
                own = before.conversation.narration[0]
                assert after.conversation.narration[0].text != own.text


def test_a_model_that_does_not_listen_loses_nothing(release: Path, tmp_path: Path) -> None:
    items = items_of(release, "test")
    oracle = OracleText({item.id: item.readings for item in items})
    content = evaluate(release, oracle, tmp_path, split="test", variants=PROBES, resamples=50)
    for name in (SILENCED, SWAPPED):
        assert content["variants"][name]["goal_completion"]["difference"] == 0.0


def test_two_runs_are_compared_on_the_same_data_only(release: Path, tmp_path: Path) -> None:
    items = items_of(release, "test")
    oracle = OracleText({item.id: item.readings for item in items})
    evaluate(release, ALWAYS_ASK, tmp_path / "a", split="test", resamples=10)
    evaluate(release, oracle, tmp_path / "b", split="test", resamples=10)
    evaluate(release, oracle, tmp_path / "c", split="validation", resamples=10)
    result = compare(tmp_path / "a", tmp_path / "b", release, resamples=200)
    assert result["scores"]["goal_completion"]["difference"] == 1.0
    assert result["scores"]["goal_completion"]["clear"]
    with pytest.raises(EvaluationError, match="only results of the same data"):
        compare(tmp_path / "a", tmp_path / "c", release)
    with pytest.raises(EvaluationError, match="no finished results"):
        compare(tmp_path / "a", tmp_path, release)
