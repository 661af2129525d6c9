"""SQuAD v1.1 and v2.0 JSON, and what is written in its form: Spoken-SQuAD, our own sample.

    {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [
        {"id": …, "question": …, "answers": [{"text": …, "answer_start": …}]}]}]}]}

Format: Rajpurkar et al., 2016 and 2018, https://rajpurkar.github.io/SQuAD-explorer/. A top-level
"license" is ours: where a file has one, it is the licence of its passages.

Offsets are mended, questions are never dropped for them: Spoken-SQuAD's noisy files inherited
theirs from SQuAD's text, so nearly all are wrong. Where the answer does not stand at
`answer_start`, it gets the offset of its only occurrence as whole words, or else none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from askqa_builder.errors import SourceError
from askqa_builder.schema import Answer, Passage, Question, Reject
from askqa_builder.sources.common import (
    MAX_PASSAGE_CHARS,
    SourceItem,
    digest,
    kind_of,
    one_line,
    read_json,
    readable,
    reject,
    safe_id,
    slug,
)

LICENSE = "cc-by-sa-4.0"


def read_squad(path: str, *, source: str = "squad") -> Iterator[SourceItem]:
    """Yield a SQuAD file's paragraphs as passages, in the order of the file.

    Ids follow from the article's title and the paragraph's text, so they stay when a file grows.
    Every paragraph and every question is either yielded (a question within its passage) or
    rejected: `malformed_article`, `malformed_passage`, `passage_empty`, `passage_too_long`,
    `duplicate_passage`, `malformed_question`, `duplicate_question`, `unanswerable` (v2.0) and
    `no_answer`; `malformed_answer` tells of one answer among usable ones.

    Raises:
        SourceError: the file cannot be read, or is not in SQuAD's form.
    """
    document = read_json(Path(path))
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(data, list):
        raise SourceError(
            f"{one_line(path)}: is not a SQuAD file: expected an object with a list 'data', found "
            f"{kind_of(document if not isinstance(document, dict) else data)}; "
            "give a SQuAD v1.1 or v2.0 JSON file"
        )
    if not any(isinstance(article, dict) and "paragraphs" in article for article in data):
        raise SourceError(
            f"{one_line(path)}: is not a SQuAD file: none of the {len(data)} articles in 'data' "
            "has 'paragraphs'; give a SQuAD v1.1 or v2.0 JSON file"
        )
    stated = document.get("license")
    license = one_line(stated) if isinstance(stated, str) else ""
    return _Reader(source, license or LICENSE).articles(data)


class _Reader:
    """One pass over a file; remembers which passages and questions it has seen."""

    def __init__(self, source: str, license: str) -> None:
        self._source = source
        self._license = license
        self._passages: set[str] = set()
        self._questions: set[str] = set()

    def articles(self, data: list[object]) -> Iterator[SourceItem]:
        for number, article in enumerate(data):
            where = f"{self._source}-article-{number}"
            paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
            if not isinstance(article, dict) or not isinstance(paragraphs, list):
                yield reject(where, "malformed_article", "no list of 'paragraphs'", article)
                continue
            raw_title = article.get("title")
            title = display_title(raw_title) if isinstance(raw_title, str) else ""
            # Untitled articles keep together by their own text, whatever stands around them.
            name = title or f"untitled {digest(repr(paragraphs[:1]))}"
            for index, paragraph in enumerate(paragraphs):
                yield from self._paragraph(paragraph, title, slug(name), f"{where}-{index}")

    def _paragraph(
        self, paragraph: object, title: str, name: str, where: str
    ) -> Iterator[SourceItem]:
        context = paragraph.get("context") if isinstance(paragraph, dict) else None
        if not isinstance(paragraph, dict) or not isinstance(context, str):
            yield reject(where, "malformed_passage", "no text 'context'", paragraph)
            return
        qas = paragraph.get("qas", [])
        if not isinstance(qas, list):
            detail = f"'qas' is {kind_of(qas)}, not a list"
            yield reject(where, "malformed_passage", detail, paragraph)
            return
        full = readable(context)
        text = full.strip()
        if not text:
            yield reject(where, "passage_empty", "", paragraph)
            return
        if len(text) > MAX_PASSAGE_CHARS:
            detail = f"{len(text):,} characters, more than {MAX_PASSAGE_CHARS:,}"
            yield reject(where, "passage_too_long", detail, paragraph)
            return
        group = f"{self._source}-{name}"
        passage_id = f"{group}-{digest(text)}"
        if passage_id in self._passages:
            yield reject(passage_id, "duplicate_passage", f"again at {where}", paragraph)
            return
        self._passages.add(passage_id)
        questions: list[Question] = []
        shift = len(full) - len(full.lstrip())
        for number, qa in enumerate(qas):
            for item in self._question(qa, text, shift, f"{passage_id}-q{number}"):
                if isinstance(item, Question):
                    questions.append(item)
                else:
                    yield item
        yield Passage(
            id=passage_id,
            group=group,
            title=title,
            text=text,
            source=self._source,
            license=self._license,
            questions=tuple(questions),
        )

    def _question(
        self, qa: object, text: str, shift: int, where: str
    ) -> Iterator[Question | Reject]:
        asked = qa.get("question") if isinstance(qa, dict) else None
        if not isinstance(qa, dict) or not isinstance(asked, str) or not one_line(asked):
            yield reject(where, "malformed_question", "no text 'question'", qa)
            return
        given = qa.get("id")
        named = isinstance(given, str | int) and str(given).strip()
        id = safe_id(str(given).strip()) if named else f"{where}-{digest(asked)}"
        if qa.get("is_impossible") is True:
            yield reject(id, "unanswerable", "SQuAD v2.0: the passage does not answer it", qa)
            return
        if id in self._questions:
            yield reject(id, "duplicate_question", "an earlier question has this id", qa)
            return
        raw_answers = qa.get("answers")
        answers: dict[str, Answer] = {}
        for number, raw in enumerate(raw_answers if isinstance(raw_answers, list) else []):
            answer = _answer(raw, text, shift)
            if answer is None:
                yield reject(f"{id}-answer-{number}", "malformed_answer", "no text", raw)
            else:
                answers.setdefault(answer.text, answer)  # annotators often agree
        if not answers:
            yield reject(id, "no_answer", "no usable entry in 'answers'", qa)
            return
        self._questions.add(id)
        yield Question(id=id, text=one_line(asked), answers=tuple(answers.values()))


def display_title(title: str) -> str:
    """Turn a Wikipedia title of a file into what people read: 'Saint_Barth%C3%A9lemy'."""
    return one_line(unquote(title, errors="replace").replace("_", " "))


def find_once(span: str, text: str) -> int | None:
    """Return the offset of the only occurrence of `span` in `text` as whole words, or None."""
    if span not in text:
        return None
    found = re.finditer(rf"(?<!\w){re.escape(span)}(?!\w)", text)
    first, second = next(found, None), next(found, None)
    return first.start() if first and not second else None


def _answer(raw: object, text: str, shift: int) -> Answer | None:
    """Make an answer with an exact offset or none; `shift` leading characters were cut off."""
    given = raw.get("text") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(given, str):
        return None
    full = readable(given)
    span = full.strip()
    if not span:
        return None
    start = raw.get("answer_start")
    if isinstance(start, int) and not isinstance(start, bool):
        start += len(full) - len(full.lstrip()) - shift
        if start >= 0 and text.startswith(span, start):
            return Answer(text=span, start=start)
    return Answer(text=span, start=find_once(span, text))
