"""Benchmarks of others: every question is asked, and scored as the benchmark says."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from openai_server import Call, OpenAIServer, say
from pipeline import askqa, one_line_here

from askqa_builder.errors import AskqaError, EvaluationError
from askqa_builder.evaluate.benchmarks import is_benchmark, open_benchmark, published
from askqa_builder.evaluate.benchmarks.overlap import Timeline
from askqa_builder.evaluate.benchmarks.running import evaluate_benchmark
from askqa_builder.evaluate.responders import Conversation
from askqa_builder.evaluate.responders.opening import ModelSettings, open_responder
from askqa_builder.schema import Word

LEVELS = {"clean": "22.73", "wer44": "44.22", "wer54": "54.82"}


class Parrot:
    """Says what it is told to for each item."""

    name = "parrot"

    def __init__(self, said: dict[str, str]) -> None:
        self.said = said
        self.heard: list[Conversation] = []

    def respond(self, conversation: Conversation) -> str:
        self.heard.append(conversation)
        return self.said.get(conversation.id, "")


# --- SQuAD and Spoken-SQuAD as text


@pytest.mark.parametrize("level", LEVELS)
def test_spoken_squad_scores_as_the_official_scorer(
    shared_data: Path, tmp_path: Path, level: str
) -> None:
    official = json.loads(
        (shared_data / "scoring" / f"squad-v1.1-official-{level}.json").read_text()
    )
    file = shared_data / "spoken-squad" / f"spoken-squad-test-8-articles-{level}.json"
    benchmark = open_benchmark(f"spoken-squad:{file}")
    assert LEVELS[level] in benchmark.data
    parrot = Parrot(official["predictions"])
    content = evaluate_benchmark(benchmark, parrot, tmp_path / "out", resamples=20)
    assert content["items"] == 1553  # none is dropped, whatever its offset
    for name in ("exact_match", "f1"):
        value = 100 * content["scores"][name]["value"]
        assert value == pytest.approx(official[f"official_{name}"], abs=1e-6)
    assert "aos" not in content["scores"]
    shown = {p["system"]: p for p in content["published"]}
    assert shown["Lee et al., 2018"]["f1"] == 58.71
    assert "WER 22.73" in shown["Lee et al., 2018"]["protocol"]


def squad_file(path: Path, contexts: list[str], qas: list[dict[str, Any]]) -> Path:
    paragraphs = [{"context": context, "qas": []} for context in contexts]
    paragraphs[-1]["qas"] = qas
    path.write_text(json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}))
    return path


def qa(name: str, question: str, *answers: str, start: int = 0) -> dict[str, Any]:
    given = [{"text": answer, "answer_start": start} for answer in answers]
    return {"id": name, "question": question, "answers": given}


def test_squad_is_given_as_text(tmp_path: Path) -> None:
    file = squad_file(
        tmp_path / "s.json", ["The mill opened in 1887."], [qa("q", "When?", "1887", "in 1887")]
    )
    (item,) = open_benchmark(f"squad:{file}").items()
    talk = item.conversation
    assert [u.text for u in (*talk.narration, *talk.turns)] == ["The mill opened in 1887.", "When?"]
    assert all(u.sound is None for u in (*talk.narration, *talk.turns))
    assert item.answers == ("1887", "in 1887")
    assert "fewest words" in talk.prompt


def test_repeated_and_unanswerable_questions_are_counted(tmp_path: Path) -> None:
    questions = [qa("q", "When?", "1887"), qa("q", "When?", "1888"), qa("z", "Why?")]
    benchmark = open_benchmark(f"squad:{squad_file(tmp_path / 's.json', ['x'], questions)}")
    assert [item.id for item in benchmark.items()] == ["q", "q#2"]
    assert benchmark.skipped == {"no answer": 1}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("squad:nowhere.json", "nowhere.json"),
        ("squad:", "benchmark 'squad:' is not known"),
        ("trivia:x", "benchmark 'trivia:x' is not known"),
        ("squad:{list}", "is not a SQuAD file"),
        ("squad:{empty}", "has no question with an answer"),
        ("sd-qa:{folder}", "no dialect below it has a metadata.csv"),
    ],
)
def test_files_that_are_no_benchmark(tmp_path: Path, spec: str, words: str) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "empty.json").write_text('{"data": []}')
    names = {"list": tmp_path / "list.json", "empty": tmp_path / "empty.json", "folder": tmp_path}
    with pytest.raises(AskqaError, match=words):
        open_benchmark(spec.format(**names))


def test_releases_are_no_benchmarks() -> None:
    assert is_benchmark("spoken-squad:x.json")
    assert not is_benchmark("releases/v1")
    assert not is_benchmark("someone/askqa@v1.0.0")


# --- Spoken-SQuAD as sound


def wav(path: Path, seconds: float, level: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(16_000 * seconds), level, np.float32), 16_000)


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """Two paragraphs; the one with a question is the second, and is spoken in two sentences."""
    context = "the mill opened in nineteen ten the mill burned down"
    questions = [qa("q", "What happened to the mill?", "burned down", start=999)]
    file = squad_file(tmp_path / "spoken.json", ["no question here", context], questions)
    wav(tmp_path / "audio" / "0_1_0.wav", 2.0, 0.1)
    wav(tmp_path / "audio" / "0_1_1.wav", 1.5, 0.2)
    wav(tmp_path / "audio" / "0_1_10.wav", 0.5, 0.3)
    return file


def test_sentences_are_heard_in_their_order(spoken: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio")
    (item,) = benchmark.items()
    sounds = [utterance.sound for utterance in item.conversation.narration]
    assert [round(float(s.samples[0]), 2) for s in sounds if s] == [0.1, 0.2, 0.3]
    assert [u.text for u in item.conversation.narration][1:] == ["", ""]
    assert item.conversation.turns[0].sound is None
    assert "passage as sound" in benchmark.protocol


def test_passage_without_sound_is_said_before_the_run(spoken: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "audio").iterdir():
        path.rename(path.with_name(path.name.replace("0_1_", "0_0_")))
    with pytest.raises(EvaluationError, match=r"1 of 1 passages have no sound, such as 0_1_0\.wav"):
        open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio")


@pytest.mark.parametrize(
    ("said", "overlap"),
    [("burned down", 1.0), ("mill burned", 0.5 / 1.3), ("the fire", 0.0), ("", 0.0)],
)
def test_overlap_is_measured_where_word_times_are_known(
    spoken: Path, tmp_path: Path, said: str, overlap: float
) -> None:
    words = ["0_1_0 1 0.0 0.5 The", "0_1_0 1 0.5 0.5 mill", "0_1_0 1 1.0 0.9 opened"]
    # the second sentence begins after 2 s
    words += ["0_1_1 1 0.0 0.2 the", "0_1_1 1 0.2 0.3 mill", "0_1_1 1 0.5 0.5 burned"]
    words += ["0_1_1 1 1.0 0.5 down."]
    (tmp_path / "audio" / "words.ctm").write_text(";; a comment\n" + "\n".join(words) + "\n")
    benchmark = open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio")
    timeline = benchmark.times("0_1")
    assert timeline is not None
    assert timeline.find("the mill burned") == [(2.2, 3.0)]
    content = evaluate_benchmark(
        benchmark, Parrot({"q": said}), tmp_path / "out", resamples=10, max_failures=1
    )
    assert content["scores"]["aos"]["value"] == pytest.approx(overlap)


def test_broken_word_times_are_named(spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "audio" / "words.ctm").write_text("0_1_0 1 zero 0.5 The\n")
    with pytest.raises(EvaluationError, match=r"words\.ctm:1: .* is no line of CTM"):
        open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio")


def test_answer_that_is_said_twice_counts_where_it_fits_best() -> None:
    said = ["cat", "dog", "cat"]
    times = Timeline.of([Word(text=w, start=i, end=i + 1) for i, w in enumerate(said)])
    assert times.overlap("dog cat", ["cat"]) == 0.5
    assert times.overlap("cat", ["bird"]) is None


def test_endpoint_hears_the_passage(spoken: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio")

    def script(call: Call) -> Any:
        parts = call.body["messages"][0]["content"]
        sounds = [part for part in parts if part["type"] == "input_audio"]
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        assert "burned" not in text  # the transcript is not given away
        assert "What happened to the mill?" in text
        return say("it burned down" if len(sounds) == 3 else "?")

    with OpenAIServer(script) as server:
        settings = ModelSettings(cache=tmp_path / "replies.sqlite")
        spec = f"openai:m@{server.base_url}"
        with open_responder(spec, None, settings=settings) as model:
            content = evaluate_benchmark(benchmark, model, tmp_path / "out", resamples=10)
    assert content["scores"]["f1"]["value"] == pytest.approx(0.8)


# --- SD-QA

ARTICLE = "Euclid était là. He was born in Alexandria, in 300 BC. He did not like beans."


def tydi(number: int, minimal: str | None, yes_no: str = "NONE") -> dict[str, Any]:
    def span(text: str | None) -> dict[str, int]:
        if text is None:
            return {"plaintext_start_byte": -1, "plaintext_end_byte": -1}
        start = ARTICLE.encode().index(text.encode())
        return {"plaintext_start_byte": start, "plaintext_end_byte": start + len(text.encode())}

    sentences = ["Euclid était là.", "He was born in Alexandria, in 300 BC."]
    return {
        "example_id": number,
        "question_text": "where was you clid born",
        "document_plaintext": ARTICLE,
        "passage_answer_candidates": [span(sentence) for sentence in sentences],
        "annotations": [
            {
                "minimal_answer": span(minimal),
                "passage_answer": {"candidate_index": 1},
                "yes_no_answer": yes_no,
            }
        ],
    }


def sd_qa_folder(root: Path, *, triples: bool = False) -> Path:
    folder = root / "test" / "eng"
    for region, user in (("gbr", "S1"), ("ind_n", "S2")):
        place = folder / region
        for number in (-7, 8, 9):
            wav(place / "wav_eng" / f"{number}.wav", 0.5)
        with (place / "metadata.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["", "example_id", "user_id", "region", "gender"])
            writer.writerows([i, n, user, region, "female"] for i, n in enumerate((-7, 8, 9, 10)))
        examples = [tydi(-7, "Alexandria"), tydi(8, None), tydi(9, None, "YES")]
        examples.append(tydi(10, "300 BC"))  # never recorded
        if triples:
            rows = [
                {"example_id": e["example_id"], "question": "q", "answers": ["Alexandria"]}
                for e in examples
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (place / f"english.test.{region}-en-XX.triples.jsonl").write_text(text)
        else:
            text = "".join(json.dumps(example) + "\n" for example in examples)
            packed = gzip.compress(text.encode())
            (place / f"english.test.{region}-en-XX-ASR.txt.jsonl.gz").write_bytes(packed)
    (folder / "english.test.txt").write_text(
        "ID\tin XOR dev\tsentence\n-7\tFalse\tWhere was Euclid born?\n9\tFalse\tWas he born?\n"
    )
    return folder


def test_sd_qa_is_heard_and_has_its_gold_passage(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"sd-qa:{sd_qa_folder(tmp_path)}")
    items = list(benchmark.items())
    assert [item.id for item in items] == ["gbr/-7", "gbr/9", "ind_n/-7", "ind_n/9"]
    first, yes = items[:2]
    assert first.answers == ("Alexandria",)
    assert yes.answers == ("yes",)
    assert [u.text for u in first.conversation.narration] == [
        "He was born in Alexandria, in 300 BC."  # bytes, not characters: "é" takes two
    ]
    (question,) = first.conversation.turns
    assert question.text == "Where was Euclid born?"
    assert question.sound is not None
    assert len(question.sound.samples) == 8000
    assert (first.user.id, first.user.accent, first.user.sex) == ("S1", "gbr", "female")
    assert {item.passage_id for item in items} == {"-7", "9"}
    assert benchmark.skipped == {"no short answer": 2, "no sound": 2}


def test_sd_qa_is_scored_by_dialect(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"sd-qa:{sd_qa_folder(tmp_path)}")
    said = {"gbr/-7": "Alexandria", "gbr/9": "yes", "ind_n/-7": "alexandria", "ind_n/9": "no"}
    content = evaluate_benchmark(benchmark, Parrot(said), tmp_path / "out", resamples=10)
    by_accent = content["slices"]["accent"]
    assert {name: s["exact_match"]["value"] for name, s in by_accent.items()} == {
        "gbr": 1.0,
        "ind_n": 0.5,
    }
    assert content["skipped"] == {"no short answer": 2, "no sound": 2}


def test_triples_are_closed_book(tmp_path: Path) -> None:
    benchmark = open_benchmark(f"sd-qa:{sd_qa_folder(tmp_path, triples=True)}")
    assert "closed book" in benchmark.protocol
    item = next(benchmark.items())
    assert item.conversation.narration == ()
    assert "passage" not in item.conversation.prompt


def test_broken_line_of_sd_qa_is_named(tmp_path: Path) -> None:
    folder = sd_qa_folder(tmp_path, triples=True)
    path = next(folder.glob("gbr/*.triples.jsonl"))
    path.write_text('{"example_id": 1}\n')
    with pytest.raises(EvaluationError, match=r"\.triples\.jsonl:1: is not in SD-QA's form"):
        list(open_benchmark(f"sd-qa:{folder}").items())


# --- running


def test_other_content_of_the_same_length_is_other_data(spoken: Path, tmp_path: Path) -> None:
    def digest() -> str:
        return open_benchmark(f"spoken-squad:{spoken}", audio=tmp_path / "audio").digest

    seen = {digest()}
    wav(tmp_path / "audio" / "0_1_1.wav", 1.5, 0.7)  # as a noisy copy is
    seen.add(digest())
    (tmp_path / "audio" / "words.ctm").write_text("0_1_0 1 0.0 0.5 The\n")
    seen.add(digest())
    assert len(seen) == 3


def test_other_sound_questions_or_people_of_sd_qa_are_other_data(tmp_path: Path) -> None:
    folder = sd_qa_folder(tmp_path)
    seen = {open_benchmark(f"sd-qa:{folder}").digest}
    wav(folder / "gbr" / "wav_eng" / "8.wav", 0.5, 0.7)
    seen.add(open_benchmark(f"sd-qa:{folder}").digest)
    for name in ("english.test.txt", "gbr/metadata.csv"):
        path = folder / name
        path.write_text(path.read_text().replace("Euclid", "Archer").replace("S1", "S9"))
        seen.add(open_benchmark(f"sd-qa:{folder}").digest)
    assert len(seen) == 4


def test_finished_run_is_not_repeated(spoken: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark(f"spoken-squad:{spoken}")
    parrot = Parrot({"q": "burned down"})
    first = evaluate_benchmark(benchmark, parrot, tmp_path / "out", resamples=10)
    again = evaluate_benchmark(benchmark, parrot, tmp_path / "out", resamples=10)
    assert first == again == json.loads((tmp_path / "out" / "scores.json").read_text())
    assert len(parrot.heard) == 1
    other = replace(benchmark, digest="other")
    with pytest.raises(EvaluationError, match="choose another --out folder"):
        evaluate_benchmark(other, parrot, tmp_path / "out")


def test_question_back_counts_as_what_it_is(spoken: Path, tmp_path: Path) -> None:
    parrot = Parrot({"q": "Do you mean the mill?"})
    benchmark = open_benchmark(f"spoken-squad:{spoken}")
    content = evaluate_benchmark(benchmark, parrot, tmp_path / "out", resamples=10)
    assert len(parrot.heard) == 1  # nobody answers it
    assert content["scores"]["exact_match"]["value"] == 0


def test_failure_is_zero_even_where_the_reference_is_an_article(tmp_path: Path) -> None:
    file = squad_file(tmp_path / "s.json", ["The mill."], [qa("q", "Which?", "The")])
    content = evaluate_benchmark(
        open_benchmark(f"squad:{file}"), Parrot({}), tmp_path / "out", resamples=10, max_failures=1
    )
    assert content["scores"]["exact_match"]["value"] == 0
    assert content["scores"]["failures"]["value"] == 1


def test_predictions_made_elsewhere_are_scored_as_the_official_scorer_does(
    shared_data: Path, tmp_path: Path
) -> None:
    official = json.loads((shared_data / "scoring" / "squad-v1.1-official-wer54.json").read_text())
    file = shared_data / "spoken-squad" / "spoken-squad-test-8-articles-wer54.json"
    path = tmp_path / "said.json"
    path.write_text(json.dumps(official["predictions"]))
    arguments = ["evaluate", f"spoken-squad:{file}", "--model", f"predictions:{path}", "--quiet"]
    askqa(*arguments, "--resamples", "20", "--out", tmp_path / "out")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert 100 * scores["f1"]["value"] == pytest.approx(official["official_f1"], abs=1e-6)
    path.write_text(json.dumps(official["predictions"] | {"elsewhere": "x"}))
    line = one_line_here(*arguments, "--out", tmp_path / "other")
    assert "1 of 1519 predictions are for items that are not in this data, such as" in line
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "option", ["--perturb=noise=10", "--probe-audio", "--user=m", "--split=train", "--rounds=0"]
)
def test_option_without_use_is_refused(spoken: Path, tmp_path: Path, option: str) -> None:
    line = one_line_here(
        "evaluate",
        f"spoken-squad:{spoken}",
        "--model",
        "always-ask",
        "--out",
        tmp_path / "x",
        option,
    )
    assert "is for data sets with a user" in line


def test_another_script_is_no_failure_here(tmp_path: Path) -> None:
    file = squad_file(tmp_path / "s.json", ["Αθήνα."], [qa("q", "Πού;", "Αθήνα")])
    content = evaluate_benchmark(
        open_benchmark(f"squad:{file}"), Parrot({"q": "Αθήνα"}), tmp_path / "out", resamples=10
    )
    assert content["scores"]["exact_match"]["value"] == 1
    assert content["scores"]["failures"]["value"] == 0


def test_report_is_inert_and_shows_protocols(spoken: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark(f"spoken-squad:{spoken}")
    hostile = "</article><script>alert(1)</script>"
    evaluate_benchmark(benchmark, Parrot({"q": hostile}), tmp_path / "out", resamples=10)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "<script>" not in report
    assert "&lt;script&gt;alert(1)" in report
    assert "Lee et al., 2018" in report
    assert "test set of 5,351 questions, WER 22.73 %" in report
    assert "What happened to the mill?" in report


def test_baselines_of_a_release_say_that_there_is_none() -> None:
    with (
        pytest.raises(EvaluationError, match="a benchmark of others has none"),
        open_responder("most-frequent-answer", None),
    ):
        pass


def test_published_figures_have_protocol_and_source() -> None:
    figures = [*published("squad"), *published("spoken-squad")]
    assert figures
    assert published("sd-qa") == ()
    for figure in figures:
        assert figure.protocol
        assert figure.source.startswith("https://")
        assert figure.em or figure.f1 or figure.aos
        assert "judge" not in figure.protocol
