"""SD-QA: questions spoken by people with 24 accents of five languages (Faisal et al., 2021).

Its layout (https://github.com/ffaisal93/SD-QA, README and SD_QA_jsonl_format.md):

    test/eng/english.test.txt              id, tab, …, tab, the question as it was to be read
    test/eng/gbr/metadata.csv              example_id, user_id, region, gender, …
    test/eng/gbr/wav_eng/ID.wav            the question, spoken
    test/eng/gbr/*.jsonl or *.jsonl.gz     TyDi QA's form: article, annotations, byte offsets
    test/eng/gbr/*.triples.jsonl           or only questions and answers

The model hears the question. With TyDi QA's files it also reads the passage that the annotators
chose, and the references are their minimal answers, yes and no (TyDi QA's "gold passage" task:
Clark et al., 2020); questions without such an answer are left out. With triples alone there is no
passage (closed book), and minimal answers cannot be told from whole passages: all are references.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from askqa_builder.audio import decode
from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.benchmarks import OPEN_PROMPT, SPAN_PROMPT, Benchmark, published
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.files import digest, sha256_of
from askqa_builder.schema import Reading, Sex, Speaker
from askqa_builder.sources.common import one_line, read_text

_SEXES: dict[str, Sex] = {"female": "female", "male": "male"}


@dataclass(frozen=True)
class _Dialect:
    """The questions of people from one region."""

    folder: Path
    annotations: Path
    speakers: Mapping[str, Speaker]
    """By example id."""
    questions: Mapping[str, str]
    """As they were to be read, by example id."""

    @property
    def has_passages(self) -> bool:
        return not self.annotations.name.endswith(".triples.jsonl")


@dataclass(frozen=True)
class _Example:
    id: str
    question: str
    """As a recogniser heard it."""
    answers: tuple[str, ...]
    passage: str | None


def sd_qa(folder: Path) -> Benchmark:
    """The questions of all dialects below `folder`, such as SD-QA/test/eng.

    Raises EvaluationError if there is none, or if some have passages and others do not.
    """
    dialects = [_dialect(path.parent) for path in sorted(folder.rglob("metadata.csv"))]
    if not dialects:
        raise EvaluationError(
            f"{folder}: no dialect below it has a metadata.csv; give a folder of SD-QA, such as "
            "SD-QA/test/eng"
        )
    if len({dialect.has_passages for dialect in dialects}) > 1:
        raise EvaluationError(
            f"{folder}: some dialects have TyDi QA files and others only triples; evaluate them "
            "apart"
        )
    open_book = dialects[0].has_passages
    skipped: Counter[str] = Counter()
    names = ", ".join(dialect.folder.name for dialect in dialects)
    return Benchmark(
        name="sd-qa",
        data=f"{folder.name}: {names}",
        protocol="the question as sound, "
        + ("the gold passage as text; " if open_book else "closed book; ")
        + "free response, SQuAD v1.1 EM and F1"
        + (" with minimal answers" if open_book else ""),
        prompt=SPAN_PROMPT if open_book else OPEN_PROMPT,
        digest=digest(*(_facts(folder, path) for d in dialects for path in _files(d))),
        items=lambda: _items(dialects, skipped),
        skipped=skipped,
        published=published("sd-qa"),
    )


def _files(dialect: _Dialect) -> list[Path]:
    """All that is read of a dialect."""
    return [
        dialect.annotations,
        dialect.folder / "metadata.csv",
        *sorted(dialect.folder.parent.glob("*.txt")),
        *sorted(dialect.folder.glob("wav_*/*.wav")),
    ]


def _facts(folder: Path, path: Path) -> list[JsonValue]:
    return [os.path.relpath(path, folder), sha256_of(path).sha256]


def _items(dialects: list[_Dialect], skipped: Counter[str]) -> Iterator[Item]:
    skipped.clear()
    for dialect in dialects:
        for example in _examples(dialect):
            if not example.answers:
                skipped["no short answer"] += 1
                continue
            sound = next(dialect.folder.glob(f"wav_*/{example.id}.wav"), None)
            if sound is None:
                skipped["no sound"] += 1
                continue
            yield _item(dialect, example, sound)


def _item(dialect: _Dialect, example: _Example, path: Path) -> Item:
    question = dialect.questions.get(example.id, example.question)
    region = dialect.folder.name
    name = f"{region}/{example.id}"
    unknown = Speaker(id="unknown", engine="human", accent=region)
    return Item(
        id=name,
        # the same question is asked in every dialect: intervals must know that
        passage_id=example.id,
        conversation=Conversation(
            id=name,
            prompt=SPAN_PROMPT if example.passage else OPEN_PROMPT,
            narration=(Utterance("narrator", example.passage),) if example.passage else (),
            turns=(Utterance("user", question, Sound(*decode(path.read_bytes()))),),
        ),
        readings=(Reading(question=question, answers=example.answers),),
        intended=0,
        ambiguous=False,
        kind=None,
        question=None,
        user=dialect.speakers.get(example.id, unknown),
        source="sd-qa",
    )


def _dialect(folder: Path) -> _Dialect:
    files = sorted(path for path in folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.gz")))
    # several recognisers' files differ in the transcript of the question alone: one is enough
    tydi = [path for path in files if not path.name.endswith(".triples.jsonl")]
    if not files:
        raise EvaluationError(f"{folder}: no *.jsonl or *.jsonl.gz with the answers")
    return _Dialect(folder, (tydi or files)[0], _speakers(folder), _questions(folder.parent))


def _speakers(folder: Path) -> dict[str, Speaker]:
    path = folder / "metadata.csv"
    try:
        return {
            row["example_id"]: Speaker(
                id=row["user_id"],
                engine="human",
                accent=row["region"],
                sex=_SEXES.get(row["gender"], "unknown"),
            )
            for row in csv.DictReader(read_text(path).splitlines())
        }
    except KeyError as error:
        raise EvaluationError(f"{path}: no column {error.args[0]!r}") from error


def _questions(folder: Path) -> dict[str, str]:
    """The questions as they were to be read; without them, what was recognised stands in."""
    questions = {}
    for path in sorted(folder.glob("*.txt")):
        for line in read_text(path).splitlines()[1:]:
            name, _, rest = line.partition("\t")
            questions[name] = one_line(rest.rpartition("\t")[2])
    return questions


def _examples(dialect: _Dialect) -> Iterator[_Example]:
    """One at a time: articles are long."""
    path = dialect.annotations
    read = _tydi if dialect.has_passages else _triple
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 (the message needs it)
                yield read(json.loads(line))
    except (KeyError, TypeError, IndexError, ValueError, OSError) as error:
        raise EvaluationError(
            f"{path}:{number}: is not in SD-QA's form ({type(error).__name__}: {error})"
        ) from error


def _triple(example: Any) -> _Example:
    answers = tuple(answer for answer in example["answers"] if answer.strip())
    return _Example(str(example["example_id"]), example["question"], answers, None)


def _tydi(example: Any) -> _Example:
    article = example["document_plaintext"].encode()
    candidates = example["passage_answer_candidates"]
    answers: dict[str, None] = {}
    passage: str | None = None
    for annotation in example["annotations"]:
        minimal = _slice(article, annotation["minimal_answer"])
        if annotation["yes_no_answer"] in ("YES", "NO"):
            minimal = annotation["yes_no_answer"].lower()
        if minimal:
            answers[minimal] = None
            index = annotation["passage_answer"]["candidate_index"]
            passage = passage or (_slice(article, candidates[index]) if index >= 0 else None)
    return _Example(
        str(example["example_id"]),
        example["question_text"],
        tuple(answers) if passage else (),
        passage,
    )


def _slice(article: bytes, span: Any) -> str:
    """Offsets count bytes of UTF-8; -1 means that there is nothing."""
    start, end = span["plaintext_start_byte"], span["plaintext_end_byte"]
    return article[start:end].decode(errors="replace").strip() if start >= 0 <= end else ""
