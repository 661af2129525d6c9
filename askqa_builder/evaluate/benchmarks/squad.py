"""SQuAD v1.1 and Spoken-SQuAD: every question is kept, whatever its offsets say.

Spoken-SQuAD (Li et al., 2018, arXiv 1804.00320) is a spoken passage and a written question. Its
noisy files have their texts and offsets from SQuAD, so nearly all offsets are wrong; the benchmark
scores text, and so do we. Sound lies in files TOPIC_PARAGRAPH_SENTENCE.wav that count articles,
paragraphs and sentences from 0, which is why paragraphs without questions must not be dropped.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from askqa_builder.audio import decode
from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.benchmarks import SPAN_PROMPT, Benchmark, published
from askqa_builder.evaluate.benchmarks.overlap import Timeline, read_ctm
from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.files import digest, sha256_of
from askqa_builder.schema import Reading, Speaker, Word
from askqa_builder.sources.common import one_line, read_json

WORD_TIMES = "words.ctm"
"""In the folder of sound: when each word is spoken, recordings named as the sound files."""

NOISE = {"44": "44.22", "54": "54.82"}
"""Word error rates of the noisy test sets, by what stands in their names."""
_CLEAN_WER = "22.73"
_SENTENCE = re.compile(r"(\d+)_(\d+)_(\d+)\.(?:wav|flac)", re.IGNORECASE)
_NOBODY = Speaker(id="written", engine="none")

Place = tuple[int, int]
"""Article and paragraph, from 0."""


@dataclass(frozen=True)
class _Question:
    id: str
    place: Place
    context: str
    text: str
    answers: tuple[str, ...]


def squad(path: Path) -> Benchmark:
    """SQuAD's questions with passage and question as text."""
    skipped: Counter[str] = Counter()
    questions = _questions(path, skipped)
    return Benchmark(
        name="squad",
        data=path.name,
        protocol="passage and question as text; free response, SQuAD v1.1 EM and F1",
        prompt=SPAN_PROMPT,
        digest=_digest(path, {}),
        items=lambda: (_item(question, "squad") for question in questions),
        skipped=skipped,
        published=published("squad"),
    )


def spoken_squad(path: Path, audio: Path | None) -> Benchmark:
    """Spoken-SQuAD's questions, with the transcripts or with the sound of the passages.

    Raises EvaluationError if a passage has no sound in `audio`.
    """
    skipped: Counter[str] = Counter()
    questions = _questions(path, skipped)
    heard = "the passage as its transcript"
    sounds: Mapping[Place, list[Path]] = {}
    timelines: dict[str, Timeline] = {}
    if audio is not None:
        heard = "the passage as sound"
        sounds = _sounds(audio, {question.place for question in questions})
        timelines = _timelines(audio, sounds)
    rate = next((NOISE[n] for n in NOISE if f"wer{n}" in path.name.lower()), _CLEAN_WER)
    return Benchmark(
        name="spoken-squad",
        data=f"{path.name} ({len(questions)} questions, transcripts of WER {rate} %)",
        protocol=f"{heard}, the question as text; free response, SQuAD v1.1 EM and F1",
        prompt=SPAN_PROMPT,
        digest=_digest(path, sounds),
        items=lambda: (
            _item(question, "spoken-squad", sounds.get(question.place)) for question in questions
        ),
        skipped=skipped,
        times=timelines.get,
        published=published("spoken-squad"),
    )


def _questions(path: Path, skipped: Counter[str]) -> list[_Question]:
    """Every question with an answer, in the order of the file; others are counted in `skipped`.

    A question asked twice under one id is two items, as in the official scorer.
    """
    document: Any = read_json(path)
    questions: list[_Question] = []
    seen: Counter[str] = Counter()
    try:
        for topic, article in enumerate(document["data"]):
            for number, paragraph in enumerate(article["paragraphs"]):
                for qa in paragraph["qas"]:
                    answers = [answer["text"] for answer in qa["answers"]]
                    usable = tuple(dict.fromkeys(a for a in answers if a.strip()))
                    if not usable or not qa["question"].strip():
                        skipped["no answer" if not usable else "no question"] += 1
                        continue
                    name = str(qa["id"])
                    seen[name] += 1
                    questions.append(
                        _Question(
                            id=name if seen[name] == 1 else f"{name}#{seen[name]}",
                            place=(topic, number),
                            context=paragraph["context"],
                            text=one_line(qa["question"]),
                            answers=usable,
                        )
                    )
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{path}: is not a SQuAD file ({type(error).__name__}: {error}); expected data, "
            "paragraphs, qas, answers"
        ) from error
    if not questions:
        raise EvaluationError(f"{path}: has no question with an answer")
    return questions


def _item(question: _Question, source: str, sounds: list[Path] | None = None) -> Item:
    narration = [Utterance("narrator", question.context)]
    if sounds is not None:
        # what each sentence says is not known: the transcript stands with the first
        texts = [question.context, *[""] * (len(sounds) - 1)]
        narration = [
            Utterance("narrator", text, _sound(path))
            for text, path in zip(texts, sounds, strict=True)
        ]
    return Item(
        id=question.id,
        passage_id=passage_id(question.place),
        conversation=Conversation(
            id=question.id,
            prompt=SPAN_PROMPT,
            narration=tuple(narration),
            turns=(Utterance("user", question.text),),
        ),
        readings=(Reading(question=question.text, answers=question.answers),),
        intended=0,
        ambiguous=False,
        kind=None,
        question=None,
        user=_NOBODY,
        source=source,
    )


def passage_id(place: Place) -> str:
    """Article and paragraph, as the sound files have them."""
    return f"{place[0]}_{place[1]}"


@lru_cache(maxsize=64)
def _sound(path: Path) -> Sound:
    return Sound(*decode(path.read_bytes()))


def _sounds(folder: Path, places: set[Place]) -> Mapping[Place, list[Path]]:
    """The sentences of each passage, in order."""
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder of sound")
    found: dict[Place, dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        if match := _SENTENCE.fullmatch(path.name):
            topic, paragraph, sentence = map(int, match.groups())
            found[topic, paragraph][sentence] = path
    missing = sorted(places - found.keys())
    if missing:
        raise EvaluationError(
            f"{folder}: {len(missing)} of {len(places)} passages have no sound, such as "
            f"{passage_id(missing[0])}_0.wav; files are named TOPIC_PARAGRAPH_SENTENCE.wav"
        )
    return {place: [found[place][n] for n in sorted(found[place])] for place in places}


def _timelines(folder: Path, sounds: Mapping[Place, list[Path]]) -> dict[str, Timeline]:
    """When the words of each passage are spoken, if the folder has a file of times."""
    import soundfile

    if not (folder / WORD_TIMES).is_file():
        return {}
    words = read_ctm(folder / WORD_TIMES)
    timelines = {}
    for place, paths in sounds.items():
        spoken: list[Word] = []
        begin = 0.0
        for path in paths:
            spoken += [
                Word(text=word.text, start=word.start + begin, end=word.end + begin)
                for word in words.get(path.stem, ())
            ]
            begin += soundfile.info(path).duration
        timelines[passage_id(place)] = Timeline.of(spoken)
    return timelines


def _digest(path: Path, sounds: Mapping[Place, list[Path]]) -> str:
    files = [p for place in sorted(sounds) for p in sounds[place]]
    times = {p.parent / WORD_TIMES for p in files}
    files += sorted(p for p in times if p.is_file())
    facts: list[JsonValue] = [[p.name, sha256_of(p).sha256] for p in files]
    return digest(sha256_of(path).sha256, *facts)
