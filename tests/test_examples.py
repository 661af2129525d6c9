"""Examples for training: what is asked, what is heard, what is to be said."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_release import dialogue, write_release

from askqa_builder.audio import decode
from askqa_builder.errors import TrainingError
from askqa_builder.evaluate.items import PROMPT, read_items
from askqa_builder.evaluate.responders import Sound
from askqa_builder.evaluate.responders.messages import messages_of
from askqa_builder.learn.dialogues import Dialogues, in_fraction
from askqa_builder.learn.examples import Example, Examples
from askqa_builder.learn.tasks import TASKS, mixture_of
from askqa_builder.release.stream import stream

ALL = "main,listening=3,reasoning=3,response=3"
PASSAGES = 12
FORMS = {
    "main": {"respond", "after_clarification"},
    "listening": {
        "transcribe_question",
        "transcribe_narration",
        "which_was_narrated",
        "question_about_narration",
    },
    "reasoning": {"is_it_ambiguous", "which_readings", "does_it_follow"},
    "response": {"from_text", "given_the_reading"},
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = []
    for number in range(PASSAGES):
        for ambiguous in (False, True):
            row = dialogue(f"d{number}-{ambiguous}", passage=f"p{number}", ambiguous=ambiguous)
            year = str(1800 + number)
            rows.append(_with_year(row, year))
    return write_release(
        tmp_path_factory.mktemp("release") / "tiny", {"train": rows, "validation": rows[:2]}
    )


def _with_year(row: dict[str, Any], year: str) -> dict[str, Any]:
    """The same dialogue about a passage of its own."""
    row["passage"] = row["passage"].replace("1887", year)
    for part in (*row["narration"], *row["turns"]):
        part["text"] = part["text"].replace("1887", year)
    for reading in row["readings"]:
        reading["answers"] = [a.replace("1887", year) for a in reading["answers"]]
        reading["evidence"] = reading["evidence"].replace("1887", year)
    return row


@pytest.fixture(scope="module")
def examples(release: Path) -> list[Example]:
    return list(Examples(Dialogues(release, "train"), mixture_of(ALL), seed=3))


def chat(example: Example) -> list[tuple[str, list[Any]]]:
    return [
        (m["role"], [p["text"] if p["type"] == "text" else "♪" for p in m["content"]])
        for m in example.messages
    ]


def test_every_task_gives_every_form(examples: list[Example]) -> None:
    found = defaultdict(set)
    for example in examples:
        found[example.task].add(example.form)
    assert found == FORMS
    assert set(TASKS) == set(FORMS)


def test_main_task_is_what_the_evaluator_gives_a_model(
    release: Path, examples: list[Example]
) -> None:
    items = {item.id: item for item in read_items(release, "train")}
    first = [e for e in examples if e.form == "respond"]
    assert len(first) == len(items)
    for example in first:
        given = messages_of(items[example.dialogue_id].conversation)
        assert [m["role"] for m in example.messages[:-1]] == [m.role for m in given]
        for message, expected in zip(example.messages[:-1], given, strict=True):
            for part, other in zip(message["content"], expected.parts, strict=True):
                if isinstance(other, Sound):
                    np.testing.assert_array_equal(part["audio"], other.samples)
                    assert part["audio"].dtype == np.float32
                else:
                    assert part == {"type": "text", "text": other}


def test_ambiguous_dialogue_is_asked_about_and_then_answered(examples: list[Example]) -> None:
    asks, answers = [e for e in examples if e.task == "main" and e.dialogue_id == "d1-True"]
    opening = [f"{PROMPT}\n\nThe passage:\n", "♪", "♪", "\n\nThe conversation:\n", "♪"]
    asked = ("assistant", ["Which one, the mill or the bakery?"])
    assert chat(asks) == [("user", opening), asked]
    assert chat(answers) == [("user", opening), asked, ("user", ["♪"]), ("assistant", ["1901."])]
    assert answers.target == "1901."
    assert answers.transcripts[2:] == ("when did it open?", "the bakery, please.")


def test_every_sound_comes_with_what_is_said_in_it(release: Path, examples: list[Example]) -> None:
    said = defaultdict(set)
    for _, row in stream(release):
        for clip in (*row["narration"], *row["turns"]):
            samples, _ = decode(clip["audio"]["bytes"])
            said[samples.tobytes()].add(clip["spoken_text"])
    for example in examples:
        assert len(example.sounds) == len(example.transcripts)
        for part, transcript in zip(example.sounds, example.transcripts, strict=True):
            assert transcript in said[part["audio"].tobytes()]


def test_choices_have_the_right_answer(examples: list[Example]) -> None:
    verdicts: Counter[str] = Counter()
    for example in examples:
        written = chat(example)[0][1][-1] if example.form != "which_readings" else ""
        told = " ".join(example.transcripts).lower()
        year = str(1800 + int(example.passage_id[1:]))
        if example.form == "which_was_narrated":
            lines = dict(line.split(": ", 1) for line in written.splitlines() if ": " in line)
            right, wrong = lines[example.target], lines["AB".replace(example.target, "")]
            true = {f"The mill opened in {year}.", "The bakery opened in 1901."}
            assert right in true
            assert wrong not in true
        elif example.form == "does_it_follow":
            answer = written.rsplit(": ", 1)[1]
            right = year if "mill" in written else "1901"
            assert (answer == right) == (example.target == "yes"), told
        elif example.form == "is_it_ambiguous":
            assert example.target == ("yes" if example.dialogue_id.endswith("True") else "no")
        else:
            continue
        verdicts[example.form, example.target] += 1
    assert min(verdicts.values()) > 0.25 * max(verdicts.values()), verdicts
    assert len(verdicts) == 6


def test_another_wording_of_the_answer_makes_no_false_statement(tmp_path: Path) -> None:
    row = dialogue("d", ambiguous=False)
    row["passage"] = "The mill opened in 1887."
    row["readings"][0]["answers"] = ["eighteen eighty-seven", "1887"]
    other = dialogue("e", passage="q", ambiguous=False)
    other["passage"] = "The dog barked in Rome."
    other["readings"][0]["answers"] = ["Rome"]
    release = write_release(tmp_path / "release", {"train": [row, other]})
    examples = Examples(Dialogues(release, "train"), mixture_of("main,listening=20"))
    shown = [str(chat(e)) for e in examples if e.form == "which_was_narrated"]
    assert any("The mill opened in Rome." in text for text in shown)
    assert not any("opened in eighteen eighty-seven" in text for text in shown)


def test_readings_are_told_from_foreign_questions(tmp_path: Path) -> None:
    rows = [dialogue("a", passage="p1", ambiguous=True), dialogue("b", passage="p2")]
    rows[1]["readings"][0]["question"] = "Who sings?"
    release = write_release(tmp_path / "r", {"train": rows})
    (example,) = [
        e
        for e in Examples(Dialogues(release, "train"), {"reasoning": 4.0})
        if e.form == "which_readings" and e.dialogue_id == "a"
    ][:1]
    lines = [line for line in chat(example)[0][1][0].splitlines() if line[1:2] == ":"]
    allowed = [line[0] for line in lines if "open" in line]
    assert len(lines) == 3
    assert example.target == ", ".join(allowed)


def test_weights_count_examples_for_each_of_the_main_task(release: Path) -> None:
    mixture = mixture_of("main,listening=2,response=0.5")
    counts = Counter(e.task for e in Examples(Dialogues(release, "train"), mixture))
    assert counts["main"] == 3 * PASSAGES
    assert counts["listening"] == 2 * counts["main"]
    assert 0.2 * counts["main"] < counts["response"] < 0.8 * counts["main"]


def test_same_seed_same_examples_whatever_else_is_there(release: Path) -> None:
    dialogues = Dialogues(release, "train")
    one, two = (Examples(dialogues, mixture_of(ALL), seed=1) for _ in range(2))
    other = Examples(dialogues, mixture_of(ALL), seed=2)
    assert [chat(e) for e in one] == [chat(e) for e in two]
    assert [chat(e) for e in one] != [chat(e) for e in other]
    n = len(one)
    assert [chat(one[i]) for i in range(n, 2 * n)] != [chat(e) for e in one], "a new draw"
    assert chat(one[n + 5]) == chat(two[n + 5])


def test_a_process_that_is_not_forked_draws_the_same(release: Path) -> None:
    """Where processes are spawned, a loader's gets the examples pickled."""
    here = Examples(Dialogues(release, "train"), mixture_of(ALL), seed=3)
    assert here[len(here)]  # something is kept, and is not sent
    there = pickle.loads(pickle.dumps(here))
    assert len(there) == len(here)
    for index in range(2 * len(here)):
        assert repr(there.place(index)) == repr(here.place(index))
    assert there[0].sounds[0]["audio"].tobytes() == here[0].sounds[0]["audio"].tobytes()


def test_fractions_are_nested_and_by_passage(release: Path) -> None:
    ids = [{d.passage_id for d in Dialogues(release, "train", fraction=f)} for f in (0.3, 0.6, 1)]
    assert ids[0] < ids[1] < ids[2]
    assert len(ids[2]) == PASSAGES
    for dialogues in (Dialogues(release, "train", fraction=0.3),):
        assert Counter(d.passage_id for d in dialogues) == dict.fromkeys(ids[0], 2)
        assert {e.passage_id for e in Examples(dialogues, mixture_of(ALL))} == ids[0]
    share = sum(in_fraction(str(i), 0.1) for i in range(10_000)) / 10_000
    assert 0.09 < share < 0.11


def test_small_fraction_borrows_wrong_choices_from_itself_alone(release: Path) -> None:
    dialogues = Dialogues(release, "train", fraction=0.3)
    own = {str(1800 + int(d.passage_id[1:])) for d in dialogues}
    foreign = {str(1800 + n) for n in range(PASSAGES)} - own
    texts = "\n".join(Examples(dialogues, mixture_of(ALL)).texts())
    assert any(year in texts for year in own)
    assert not any(year in texts for year in foreign)


def test_length_goes_by_sound_and_text(release: Path) -> None:
    examples = Examples(Dialogues(release, "train"), mixture_of(ALL))
    places = [examples.place(i) for i in range(len(examples))]
    longest = max(places, key=lambda place: place.length)
    assert len(longest.draft.clips) >= 3
    assert min(places, key=lambda place: place.length).draft.form == "transcribe_question"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("main,hearing", "task 'hearing' unknown; expected some of ['main', "),
        ("main,main", "named twice"),
        ("main=0", "above 0"),
        ("main=many", "above 0"),
        ("main=2,listening", "counted by the main task"),
        (" , ", "no task"),
    ],
)
def test_mixture_that_means_nothing(spec: str, words: str) -> None:
    with pytest.raises(TrainingError, match=words.replace("[", r"\[")):
        mixture_of(spec)


def test_data_that_cannot_be_learnt_from(release: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no split 'test'; expected one of \['train', "):
        Dialogues(release, "test")
    with pytest.raises(TrainingError, match="fraction 1e-06 of split 'train' holds no passage"):
        Dialogues(release, "train", fraction=1e-6)
    older = tmp_path / "older"
    (older / "dialogues").mkdir(parents=True)
    (path,) = (release / "dialogues").glob("train-*")
    pq.write_table(pq.read_table(path).drop(["intended"]), older / "dialogues" / path.name)
    with pytest.raises(TrainingError, match="no column 'intended'; is it a release of askqa_bui"):
        Dialogues(older, "train")
