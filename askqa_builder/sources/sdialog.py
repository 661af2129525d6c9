"""Reads SDialog's dialogue files (`sdialog.Dialog`, one JSON document a dialogue).

    sdialog:FILE      one dialogue
    sdialog:DIR       every *.json in the folder and below it

Files that `askqa-build export --to sdialog` wrote come back as the dialogues that they were. Of
anybody's dialogues those can be used that say what they talk about (`context`, or its `passage`)
and in which two speakers take turns, the first one asking: the last answer then is the reference
answer to the last question. A dialogue in which somebody was asked back needs its readings, which
SDialog has no field for, so it must carry ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue, ValidationError

from askqa_builder.errors import SourceError
from askqa_builder.files import first_problem
from askqa_builder.schema import Draft, Passage, Reading, Turn
from askqa_builder.sources.common import (
    SourceItem,
    digest,
    one_line,
    open_file,
    read_json,
    readable,
    reject,
    safe_id,
)

Document = dict[str, JsonValue]
_MEANT = ("ambiguous", "ambiguity_kind", "readings", "intended")


class _Unusable(Exception):  # noqa: N818  (a verdict on one dialogue, not an error of the program)
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_sdialog(argument: str) -> Iterator[SourceItem]:
    """Yield the passages with their dialogues as drafts, and a reject for every other dialogue.

    The dialogues about one passage come together, so the texts of a folder are held in memory.
    Raises SourceError if there is no file, or one cannot be read at all.
    """
    path = Path(argument)
    files = sorted(path.rglob("*.json")) if path.is_dir() else [open_file(path)]
    if not files:
        raise SourceError(f"{path}: no *.json in this folder; give a folder of SDialog dialogues")
    return _read(files)


def _read(files: list[Path]) -> Iterator[SourceItem]:
    passages: dict[str, Passage] = {}
    for file in files:
        document = read_json(file)
        try:
            passage = _passage(document)
            known = passages.setdefault(passage.id, passage)
            if known is not passage:
                passages[passage.id] = _joined(known, passage)
        except _Unusable as unusable:
            yield reject(str(file), unusable.reason, str(unusable), document)
        except ValidationError as error:
            yield reject(str(file), "invalid", first_problem(error), document)
    yield from passages.values()


def _passage(document: object) -> Passage:
    """A dialogue as its passage with one draft; raises _Unusable or ValidationError."""
    if not isinstance(document, dict) or not isinstance(document.get("turns"), list):
        raise _Unusable("not_a_dialogue", "expected an object with a list of turns")
    annotations = document.get("annotations")
    ours = annotations.get("askqa") if isinstance(annotations, dict) else None
    return _our_own(document, ours) if isinstance(ours, dict) else _foreign(document)


def _our_own(document: Document, ours: Document) -> Passage:
    provenance, acts = ours.get("provenance"), ours.get("acts")
    turns = document["turns"]
    if (
        not isinstance(provenance, dict)
        or not isinstance(acts, list)
        or not isinstance(turns, list)
    ):
        raise _Unusable("damaged_annotations", "annotations.askqa lacks provenance or acts")
    if len(acts) != len(turns):
        raise _Unusable("damaged_annotations", f"{len(acts)} acts for {len(turns)} turns")
    passage_id = str(ours.get("passage_id"))
    draft = Draft.model_validate(
        {
            "key": str(document.get("id")).removeprefix(f"{passage_id}-"),
            "turns": [
                {"role": role, "act": act, "text": text}
                for (role, text), act in zip(_utterances(turns), acts, strict=True)
            ],
            "question_ids": provenance.get("question_ids") or (),
            "details": provenance.get("details") or {},
        }
        | {name: ours[name] for name in _MEANT if name in ours}
    )
    return Passage.model_validate(
        {
            "id": passage_id,
            "group": provenance.get("group"),
            "text": ours.get("passage"),
            "source": provenance.get("source"),
            "license": provenance.get("license"),
            "drafts": (draft,),
        }
        | {name: ours[name] for name in ("title", "domain", "language", "split") if name in ours}
    )


def _foreign(document: Document) -> Passage:
    text = _context(document.get("context"))
    turns = document["turns"]
    assert isinstance(turns, list)
    spoken = _utterances(turns)
    speakers = list(dict.fromkeys(speaker for speaker, _ in spoken))
    if len(speakers) != 2 or len(spoken) % 2:
        raise _Unusable(
            "no_question_and_answer", f"{len(spoken)} turns of {len(speakers)} speakers"
        )
    if any(speaker != speakers[place % 2] for place, (speaker, _) in enumerate(spoken)):
        raise _Unusable("turns_do_not_alternate", "one speaker has two turns in a row")
    texts = [one_line(text) for _, text in spoken]
    if any(answer.endswith("?") for answer in texts[1::2]):
        raise _Unusable("no_readings", "somebody is asked back; annotations.askqa must say more")
    drafted = tuple(
        Turn(role="assistant", act="answer", text=said)
        if place % 2
        else Turn(role="user", act="question", text=said)
        for place, said in enumerate(texts)
    )
    dialogue_id = document.get("id")
    named = digest("\n".join(texts)) if dialogue_id is None else safe_id(str(dialogue_id))
    draft = Draft(
        key=named,
        turns=drafted,
        ambiguous=False,
        readings=(Reading(question=texts[-2], answers=(texts[-1],)),),
    )
    passage_id = f"sdialog-{digest(text)}"
    return Passage(id=passage_id, group=passage_id, text=text, source="sdialog", drafts=(draft,))


def _context(context: JsonValue) -> str:
    if isinstance(context, dict):
        context = context.get("passage") or context.get("text")
    if not isinstance(context, str) or not context.strip():
        raise _Unusable("no_passage", "the context holds no text that the dialogue is about")
    return readable(context)


def _utterances(turns: list[JsonValue]) -> list[tuple[str, str]]:
    """(speaker, text) of every turn."""
    spoken = []
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
            raise _Unusable("not_a_dialogue", "a turn has no text")
        spoken.append((str(turn.get("speaker")), str(turn["text"])))
    return spoken


def _joined(known: Passage, passage: Passage) -> Passage:
    """The same passage with one draft more; raises _Unusable where the two differ."""
    if known.model_copy(update={"drafts": ()}) != passage.model_copy(update={"drafts": ()}):
        raise _Unusable("passage_differs", f"another file gives {known.id!r} another passage")
    if any(draft.key == passage.drafts[0].key for draft in known.drafts):
        raise _Unusable("duplicate_id", f"{passage.drafts[0].key!r} occurs twice")
    return known.model_copy(update={"drafts": (*known.drafts, *passage.drafts)})
