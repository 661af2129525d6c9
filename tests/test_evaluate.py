"""Evaluation: known models get the scores that the data imply; nothing is run twice."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pipeline import askqa, here, one_line_here

from askqa_builder.errors import BuildError, EvaluationError
from askqa_builder.evaluate import evaluation
from askqa_builder.evaluate.compare import compare
from askqa_builder.evaluate.items import Item, read_items
from askqa_builder.evaluate.replies import Replies
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.evaluate.responders.baselines import (
    ALWAYS_ANSWER,
    ALWAYS_ASK,
    OracleText,
    most_frequent_answer,
)
from askqa_builder.evaluate.run import (
    PARTIAL,
    PREDICTIONS,
    Manners,
    Prediction,
    RunSettings,
    predict,
)
from askqa_builder.evaluate.variants import ALL, PROBES, SILENCED, SWAPPED, perturbations
from askqa_builder.files import read_records
from askqa_builder.lock import lock

ASK = "Which one do you mean?"
evaluate = partial(evaluation.evaluate, worst=0)
"""Without the sound in the report, which takes a second."""
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("evaluate") / "build"
    askqa("generate", "--source", "world:30,facts=3", "--out", build)
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


def test_replies_are_spoken_beside_the_model(release: Path, tmp_path: Path) -> None:
    """The model has its thread to itself, and never waits for what can be done beside it."""
    threads: dict[str, set[str]] = {"model": set(), "voice": set(), "reader": set()}
    spoken: list[str] = []

    class Waiting(Recorder):
        def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
            threads["model"].add(threading.current_thread().name)
            if len(self.batches) == 1:  # the second batch: the first one's replies come meanwhile
                for _ in range(500):
                    if len(spoken) == 2:
                        break
                    time.sleep(0.01)
                assert len(spoken) == 2
            return super().respond_many(conversations)

    def speak(item: Item, text: str) -> tuple[np.ndarray, int]:
        threads["voice"].add(threading.current_thread().name)
        spoken.append(text)
        return np.zeros(160, np.float32), 16_000

    def items() -> Iterator[Item]:
        for item in items_of(release, "test"):
            threads["reader"].add(threading.current_thread().name)
            yield item

    settings = RunSettings(data="x", digest="0", split="test", model="m", rounds=1, settings={})
    model = Waiting()
    predictions = predict(model, items(), tmp_path, settings, Manners(speak=speak), batch_size=2)
    assert [p.id for p in predictions] == [item.id for item in items_of(release, "test")]
    assert all(p.exchanges and p.final == "Wibble." for p in predictions)
    names = {role: name.split("_")[0] for role, (name,) in threads.items()}
    assert names == {"model": "MainThread", "voice": "voice", "reader": "reader"}


def test_a_crash_on_one_item_is_on_record_and_in_the_denominator(
    release: Path, tmp_path: Path
) -> None:
    items = items_of(release, "test")
    model = Recorder(fail_on=items[1].id)
    content = evaluate(release, model, tmp_path, split="test", resamples=10)
    assert value(content, "failures") == pytest.approx(1 / len(items))
    lines = (tmp_path / PREDICTIONS).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [item.id for item in items]
    failure = json.loads(lines[1])["failure"]
    assert failure.startswith("RuntimeError: CUDA error")
    assert re.search(r"\(test_evaluate\.py, line \d+\)$", failure), "says where it was raised"
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
    # once it is mended, what had failed is tried again
    mended = Recorder(name="broken")
    content = evaluate(release, mended, tmp_path, split="train", resamples=10)
    assert value(content, "failures") == 0.0
    # few items are no excuse, and a share of one's own is
    with pytest.raises(EvaluationError, match="2 of 2 items failed"):
        evaluate(release, Broken(), tmp_path / "few", split="train", limit=2)
    content = evaluate(
        release, Broken(), tmp_path / "few", split="train", limit=2, max_failures=1, resamples=10
    )
    assert value(content, "failures") == 1.0


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        ("", "the model said nothing"),
        ("no no " * 5000, "the model loops: 'no no"),
        ("a" * 9000, "the model loops"),
        (" ".join(f"w{i}" for i in range(10_000)), "the response has 10,000 words"),
        (" ".join(f"{'w' * 30}{i}" for i in range(700)), "the response has 23,"),
        ("Вы имеете в виду девиз или цветок?", "neither asks nor answers"),
        ("\ud800 \x00", "neither asks nor answers"),
        (None, "TypeError: the model responded with NoneType"),
    ],
)
def test_response_that_is_none_is_a_recorded_failure(
    release: Path, tmp_path: Path, response: str, failure: str
) -> None:
    items = items_of(release, "test")
    strange = items[0].id

    class Strange(OracleText):
        name = "strange"

        def respond(self, conversation: Conversation) -> str:
            return response if conversation.id == strange else super().respond(conversation)

    model = Strange({item.id: item.readings for item in items})
    content = evaluate(release, model, tmp_path, split="test", resamples=10)
    others = 1 - 1 / len(items)
    for name in ("goal_completion", "trajectory_em", "decision_accuracy"):
        assert value(content, name) == pytest.approx(others)
        assert content["scores"][name]["items"] == len(items)
    first = json.loads((tmp_path / PREDICTIONS).read_text().splitlines()[0])
    assert first["failure"].startswith(failure)
    assert first["scores"] == {"exact_match": 0, "f1": 0, "number_aware_f1": 0, "goal": 0}
    kept = first.get("final", "")
    assert len(kept) <= 20_000
    assert kept[:20] == (response or "")[:20].replace("\ud800", "?")


@pytest.mark.parametrize("second", ["no no " * 5000, None])
def test_failure_after_a_clarification_stays_in_every_denominator(
    release: Path, tmp_path: Path, second: str | None
) -> None:
    every = items_of(release, "train")
    items = [item for item in every if item.ambiguous]
    failing = {item.id: len(item.conversation.turns) for item in items[: len(items) // 2]}

    class Tires(OracleText):
        """Asks as the oracle does, and then cannot go on."""

        name = "tires"

        def respond(self, conversation: Conversation) -> str:
            if len(conversation.turns) > failing.get(conversation.id, 99):
                if second is None:
                    raise RuntimeError("out of memory")
                return second
            return super().respond(conversation)

    model = Tires({item.id: item.readings for item in every})
    content = evaluate(release, model, tmp_path, split="train", resamples=10)
    share = 1 - len(failing) / len(items)
    for name in ("post_clarification_em", "question_names_all", "question_separates"):
        assert value(content, name) == pytest.approx(share), name
        assert content["scores"][name]["items"] == len(items), name
    assert content["scores"]["question_rouge2"]["items"] == len(items)
    assert value(content, "question_rouge2") < share + 1e-9
    for prediction in read_records(tmp_path / PREDICTIONS, Prediction):
        if prediction.id in failing:
            assert prediction.failure
            assert prediction.crashed == (second is None)
            ((question, reply, _),) = prediction.exchanges
            assert question
            assert reply
            assert prediction.decision == "ask"


def test_model_that_changes_its_sound_changes_nobody_elses(release: Path) -> None:
    sounds = [item.conversation.narration[0].sound for item in items_of(release, "train")]
    assert len({id(sound) for sound in sounds}) < len(sounds), "some share theirs"
    with pytest.raises(ValueError, match="read-only"):
        sounds[0].samples *= 0.5  # type: ignore[union-attr]


def test_batch_of_the_wrong_length_is_an_error_in_one_line(release: Path, tmp_path: Path) -> None:
    class Short(Recorder):
        def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
            return ["x"]

    with pytest.raises(EvaluationError, match="respond_many gave 1 responses to 8 conv"):
        evaluate(release, Short(), tmp_path / "new", split="train")
    assert not (tmp_path / "new").exists(), "nothing was done, so nothing is left"


def test_a_killed_run_goes_on_and_asks_nothing_twice(release: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    evaluate(release, Recorder(), whole, split="test", batch_size=2, resamples=10)

    class Killed(Recorder):
        def respond_many(self, conversations: Sequence[Conversation]) -> list[str | Exception]:
            if len(self.batches) == 5:  # two batches of two rounds, one of one
                raise KeyboardInterrupt
            return super().respond_many(conversations)

    with pytest.raises(KeyboardInterrupt):
        evaluate(release, Killed(), cut, split="test", batch_size=2, resamples=10)
    with (cut / PARTIAL).open("a") as file:
        file.write('{"id": "half a li')
    damaged, *rest = (cut / PARTIAL).read_text().splitlines(keepends=True)
    (cut / PARTIAL).write_text("".join([damaged.replace('"id"', '"iD"'), *rest]))
    model = Recorder()
    with lock(cut), pytest.raises(BuildError, match="another command"):
        evaluate(release, model, cut, split="test", batch_size=2, resamples=10)
    evaluate(release, model, cut, split="test", batch_size=2, resamples=10)
    first, *more = (item.id for item in items_of(release, "test")[:4])
    heard = {conversation.id for conversation in model.heard}
    assert not heard & set(more)
    assert first in heard, "its line was damaged"
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
        assert content["variants"][name]["scores"]["goal_completion"]["difference"] == 0.0


def test_two_runs_are_compared_on_the_same_data_only(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = items_of(release, "test")
    oracle = OracleText({item.id: item.readings for item in items})
    evaluate(release, ALWAYS_ASK, tmp_path / "a", split="test", resamples=10)
    evaluate(release, oracle, tmp_path / "b", split="test", resamples=10)
    evaluate(release, ALWAYS_ASK, tmp_path / "c", split="validation", resamples=10)
    evaluate(release, oracle, tmp_path / "d", split="test", limit=3, resamples=10)
    result = compare(tmp_path / "a", tmp_path / "b", resamples=200)
    assert result["scores"]["goal_completion"]["difference"] == 1.0
    assert result["scores"]["goal_completion"]["clear"]
    assert (result["items"], result["a"], result["b"]) == (len(items), "always-ask", "oracle-text")
    with pytest.raises(EvaluationError, match=r"test, .* of askqa 1\.0\.0 validation: only"):
        compare(tmp_path / "a", tmp_path / "c")
    with pytest.raises(EvaluationError, match="of other dialogues of it: only results"):
        compare(tmp_path / "a", tmp_path / "d")
    with pytest.raises(EvaluationError, match="no finished results"):
        compare(tmp_path / "a", tmp_path)
    shutil.copytree(tmp_path / "b", tmp_path / "a" / "variants" / "noise=10")
    (tmp_path / "a" / "variants" / "noise=10" / "items.jsonl").unlink()
    monkeypatch.chdir(tmp_path / "a" / "variants")
    assert compare(Path("noise=10"), tmp_path / "a")["b"] == "always-ask"
    for content, words in (("{", "not readable"), (None, "missing; run askqa-build evaluate")):
        (Path("noise=10") / "run.json").unlink()
        if content:
            (Path("noise=10") / "run.json").write_text(content)
        with pytest.raises(EvaluationError, match=words):
            compare(tmp_path / "a", Path("noise=10"))
    lines = (tmp_path / "b" / PREDICTIONS).read_text().splitlines()
    (tmp_path / "b" / PREDICTIONS).write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(EvaluationError, match=r"is for other items than items\.jsonl"):
        compare(tmp_path / "a", tmp_path / "b")


def test_perturbed_run_stores_what_was_requested_and_measured(
    release: Path, tmp_path: Path
) -> None:
    items = items_of(release, "test")
    heard: dict[str, list[float]] = {}

    class Listener(OracleText):
        def respond(self, conversation: Conversation) -> str:
            sound = conversation.turns[-1].sound
            assert sound is not None
            heard.setdefault(conversation.id, []).append(len(sound.samples))
            return super().respond(conversation)

    model = Listener({item.id: item.readings for item in items})
    chosen = perturbations(["rate=1.25", "noise=10", "rate=1.25"])
    run = partial(evaluate, release, model, tmp_path, split="test", resamples=10)
    content = run(variants=chosen)
    assert content["variants"].keys() == {"rate=1.25", "noise=10"}
    noise = content["variants"]["noise=10"]
    assert noise["measured"]["snr_db"]["mean"] == pytest.approx(10, abs=0.5)
    assert noise["scores"]["goal_completion"]["difference"] == 0.0
    stored = json.loads((tmp_path / "variants" / "noise=10" / "measured.json").read_text())
    assert stored["requested"] == "noise=10"
    assert stored["measured"].keys() == {item.id for item in items}
    for item in items:  # the replies are faster, too
        clean = heard[item.id][: len(heard[item.id]) // 3]
        fast = heard[item.id][len(clean) : 2 * len(clean)]
        assert np.array(fast) / np.array(clean) == pytest.approx(0.8, abs=0.02)
    # measures that were lost with a kill between two files are made again
    (tmp_path / "variants" / "noise=10" / "measured.json").unlink()
    assert run(variants=perturbations(["noise=10"]))["variants"]["noise=10"] == noise


def test_all_perturbations_are_the_standard_ones() -> None:
    assert [variant.name for variant in perturbations(["all"])] == list(ALL)


def test_report_can_be_heard_and_nothing_in_it_runs(release: Path, tmp_path: Path) -> None:
    hostile = '</dd><script>alert(1)</script><img src=x onerror="alert(1)"> <audio autoplay>'

    class Hostile(Recorder):
        def respond(self, conversation: Conversation) -> str:
            asked = any(turn.text == ASK for turn in conversation.turns)
            return hostile if asked else ASK

    evaluate(release, Hostile(), tmp_path, split="test", variants=PROBES, resamples=50, worst=2)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;alert(1)") == 2
    sounds = re.findall(r'preload="none" src="data:audio/(?:mpeg|wav);base64,(.+?)"', page)
    assert len(sounds) == page.count("<audio") == 2
    items = {item.id: item for item in items_of(release, "test")}
    ids = re.findall(r"<dt>id</dt><dd class=.soft.>(.+?)<", page)
    for encoded, item_id in zip(sounds, ids, strict=True):
        said = [*items[item_id].conversation.narration, *items[item_id].conversation.turns]
        given_s = sum(len(u.sound.samples) / 16_000 for u in said if u.sound)
        length_s = soundfile.info(io.BytesIO(base64.b64decode(encoded))).duration
        assert given_s + 0.5 < length_s < given_s + 15, "the passage, the talk, and a reply"
    for text in ("Does it listen?", "labelled responses", "Where it breaks", "by rules"):
        assert text in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "dev"], "no split 'dev'; expected one of ['test', 'train', 'validation']"),
        (["--model", "gpt"], "model 'gpt' is not known; expected one of"),
        (["--model", "nothing.py:Model"], "no such file"),
        (["--perturb", "speed=2"], "'speed=2'"),
        (["--audio", "."], "--audio is for spoken-squad:FILE"),
        (["--device", "tpu"], "expected one of"),
    ],
)
def test_bad_request_is_one_line_and_leaves_nothing(
    release: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    out = tmp_path / "out"
    model = [] if "--model" in arguments else ["--model", "always-ask"]
    assert words in one_line_here("evaluate", release, "--out", out, *model, *arguments)
    assert not out.exists()


def test_data_without_the_needed_columns_is_named(release: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    copy = tmp_path / "release"
    shutil.copytree(release, copy)
    for path in (copy / "dialogues").glob("test-*.parquet"):
        table = pq.read_table(path).drop_columns(["readings", "voices"])
        path.unlink()  # it may be a hard link
        pq.write_table(table, path)
    line = one_line_here("evaluate", copy, "--model", "oracle-text", "--out", tmp_path / "out")
    assert "dialogues have no column 'readings', 'voices'" in line
    line = one_line_here("evaluate", tmp_path, "--model", "random", "--out", tmp_path / "out")
    assert "is no release folder" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("engine", "data"), [("local", "{}"), ("slurm", "file://{}")])
def test_an_evaluation_in_shards_says_the_same(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, data: str
) -> None:
    import fake_slurm

    from askqa_builder import console

    shown: list[int] = []

    @contextmanager
    def bar(label: str, quiet: bool) -> Iterator[Callable[[object, int], None]]:
        yield lambda report, total: shown.append(total)

    monkeypatch.setattr(console, "shard_progress", bar)
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / "mirror"))
    common = ("--model", "oracle-text", "--split", "train", "--batch-size", 4, "--resamples", 10)
    here("evaluate", release, *common, "--out", tmp_path / "one")
    spread = ("--out", tmp_path / "many", "--engine", engine, "--workers", 2)
    here("evaluate", data.format(release), *common, *spread)
    assert len(shown) == shown[0] > 1, "progress is told by the shard"
    one, many = (
        [json.loads(line) | {"seconds": 0} for line in (f / PREDICTIONS).read_text().splitlines()]
        for f in (tmp_path / "one", tmp_path / "many")
    )
    assert one == many
    assert (tmp_path / "many" / "predicted" / "00001.jsonl").is_file(), "in more than one"
    scores = [(tmp_path / name / "scores.json").read_text() for name in ("one", "many")]
    assert scores[0] == scores[1]


def test_another_models_responses_are_not_scored_as_this_ones(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from askqa_builder.evaluate import evaluation

    class KilledError(Exception):
        pass

    def killed(*given: object, **options: object) -> None:
        raise KilledError

    common = ("--split", "train", "--batch-size", 4, "--resamples", 10, "--out", tmp_path / "out")
    many = ("--workers", 2)
    with monkeypatch.context() as patch:  # between its shards and its scores
        patch.setattr(evaluation, "predict", killed)
        with pytest.raises(KilledError):
            here("evaluate", release, *common, *many, "--model", "oracle-text")
    line = one_line_here("evaluate", release, *common, *many, "--model", "always-ask")
    assert "holds results of oracle-text" in line
    here("evaluate", release, *common, "--model", "oracle-text")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert scores["model"] == "oracle-text"
    assert scores["scores"]["goal_completion"]["value"] == 1


@pytest.mark.parametrize("many", [(), ("--workers", 2)])
def test_model_whose_file_has_changed_is_another_one(
    release: Path, tmp_path: Path, many: tuple[str | int, ...]
) -> None:
    path, out = tmp_path / "mine.py", tmp_path / "out"
    given = ("evaluate", release, "--model", f"{path}:Model", "--resamples", 10, *many)
    code = "class Model:\n    name = 'mine'\n    def respond(self, conversation): return {!r}\n"
    path.write_text(code.format("It is red."))
    here(*given, "--out", out)
    before = (out / "scores.json").read_bytes()
    here(*given, "--out", out)
    assert (out / "scores.json").read_bytes() == before
    path.write_text(code.format("It is blue."))
    line = one_line_here(*given, "--out", out)
    assert "holds results of mine" in line
    assert "from before its files were changed; choose another --out folder" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "openai:m"), "an endpoint is asked by one process"),
        (("--model", "random", "--user", "m"), "a user by rules"),
    ],
)
def test_what_cannot_be_spread_is_one_line(
    release: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    line = one_line_here("evaluate", release, "--out", tmp_path, "--workers", "2", *arguments)
    assert words in line
