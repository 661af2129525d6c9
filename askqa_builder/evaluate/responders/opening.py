"""What `--model` names → the model, ready to respond.

always-answer, always-ask, most-frequent-answer, random     need nothing, or little
oracle-text, oracle-text-never, oracle-text-always
hf:PATH_OR_ID[@REVISION]                  a model on this machine
openai:MODEL[@BASE_URL]                   an endpoint that is sent the sound
cascade:TRANSCRIBER[@URL]+MODEL[@URL]     transcription, then a model that reads
predictions:FILE.json                     responses made elsewhere, by the item's id
FILE.py:NAME                              a class or an object of one's own
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from askqa_builder.errors import AskqaError, EvaluationError, told
from askqa_builder.evaluate.responders import Conversation, Responder
from askqa_builder.evaluate.responders.baselines import (
    ALWAYS_ANSWER,
    ALWAYS_ASK,
    OracleText,
    Random,
    most_frequent_answer,
)
from askqa_builder.evaluate.responders.predictions import read_predictions
from askqa_builder.files import sha256_of
from askqa_builder.release.stream import stream_columns
from askqa_builder.schema import Reading

if TYPE_CHECKING:
    from askqa_builder.evaluate.responders.room import Room
    from askqa_builder.llm.endpoint import Limits
    from askqa_builder.llm.prices import Budget

KNOWN = (
    "always-answer, always-ask, most-frequent-answer, random, oracle-text, oracle-text-never, "
    "oracle-text-always, hf:PATH_OR_ID, openai:MODEL[@BASE_URL], "
    "cascade:TRANSCRIBER+MODEL[@BASE_URL], predictions:FILE.json, FILE.py:NAME"
)


@dataclass(frozen=True)
class ModelSettings:
    """How a model is asked; what it has no use for is ignored."""

    max_new_tokens: int = 128
    device: Literal["auto", "cpu", "cuda"] = "auto"
    params: Mapping[str, JsonValue] = field(default_factory=lambda: {"temperature": 0})
    """Go into an endpoint's requests as they are. Some models refuse a temperature: give {}."""
    base_url: str | None = None
    """Of endpoints whose spec names none; None: OPENAI_BASE_URL, else OpenAI's own."""
    limits: Limits | None = None
    budget: Budget | None = None
    """Of all that is asked in a run, whoever asks."""
    prices: Path | None = None
    """A table of one's own, laid over the one that is shipped."""
    cache: Path = Path("replies.sqlite")
    """Paid replies of endpoints."""
    seed: int = 0


@contextmanager
def open_responder(
    spec: str,
    release: Path | None,
    *,
    split: str = "test",
    settings: ModelSettings | None = None,
) -> Iterator[Responder]:
    """Open the model that `spec` names and close it at the end.

    Baselines learn from the training split of `release`; oracles know its `split`; neither
    can do without one (None: a benchmark of others). Raises EvaluationError for a spec that
    names nothing, and what the model's own opening raises.
    """
    responder = _opened(spec, release, split, settings or ModelSettings())
    try:
        yield responder
    finally:
        close = getattr(responder, "close", None)
        if close is not None:
            close()


def splits_of(spec: str, split: str) -> list[str]:
    """The splits of a release that `--model` needs to respond to `split`."""
    return sorted({split, "train"} if spec in _LEARNERS else {split})


def _opened(spec: str, release: Path | None, split: str, settings: ModelSettings) -> Responder:
    baseline = _BASELINES.get(spec)
    if baseline is not None:
        return baseline(release, split, settings)
    kind, _, rest = spec.partition(":")
    if kind in _MODELS and rest:
        return _MODELS[kind](rest, settings)
    path, _, name = spec.rpartition(":")
    if path.endswith(".py") and name:
        return load_own(Path(path), name)
    raise EvaluationError(f"model {spec!r} is not known; expected one of {KNOWN}")


def _local(rest: str, settings: ModelSettings) -> Responder:
    from askqa_builder.evaluate.responders.local import LocalModel

    model, revision = rest, None
    if "@" in rest and not Path(rest).exists():
        model, _, revision = rest.rpartition("@")
    return LocalModel(
        model,
        revision=revision,
        max_new_tokens=settings.max_new_tokens,
        device=settings.device,
    )


def _endpoint(rest: str, settings: ModelSettings) -> Responder:
    from askqa_builder.evaluate.responders.endpoint import EndpointModel

    model, base_url = addressed(rest)
    with _room(settings) as room:
        return EndpointModel(
            room,
            model,
            base_url=base_url or settings.base_url,
            max_new_tokens=settings.max_new_tokens,
            params=settings.params,
        )


def _cascade(rest: str, settings: ModelSettings) -> Responder:
    from askqa_builder.evaluate.responders.cascade import Cascade

    first, plus, second = rest.partition("+")
    if not (first and plus and second):
        raise EvaluationError(
            f"model 'cascade:{rest}' names no two models; it looks like "
            "cascade:TRANSCRIBER+MODEL[@BASE_URL]"
        )
    transcriber, transcriber_url = addressed(first)
    model, base_url = addressed(second)
    with _room(settings) as room:
        return Cascade(
            room,
            transcriber,
            model,
            transcriber_url=transcriber_url,
            base_url=base_url or settings.base_url,
            max_new_tokens=settings.max_new_tokens,
            params=settings.params,
        )


_BASELINES: dict[str, Callable[[Path | None, str, ModelSettings], Responder]] = {
    "always-answer": lambda release, split, settings: ALWAYS_ANSWER,
    "always-ask": lambda release, split, settings: ALWAYS_ASK,
    "most-frequent-answer": lambda release, split, settings: most_frequent_answer(
        training_answers(release)
    ),
    "random": lambda release, split, settings: Random(training_answers(release), settings.seed),
    "oracle-text": lambda release, split, settings: OracleText(readings_of(release, split)),
    "oracle-text-never": lambda release, split, settings: OracleText(
        readings_of(release, split), "never"
    ),
    "oracle-text-always": lambda release, split, settings: OracleText(
        readings_of(release, split), "always"
    ),
}

_LEARNERS = frozenset({"most-frequent-answer", "random"})
"""Those that look at the training split."""

_MODELS: dict[str, Callable[[str, ModelSettings], Responder]] = {
    "predictions": lambda rest, settings: read_predictions(Path(rest)),
    "hf": _local,
    "openai": _endpoint,
    "cascade": _cascade,
}


def training_answers(release: Path | None) -> Sequence[str]:
    """The first reference answer of each dialogue of the training split.

    Raises EvaluationError if there is none.
    """
    answers = [
        row["readings"][row["intended"]]["answers"][0]
        for _, row in stream_columns(_needed(release), ["readings", "intended"], "train")
    ]
    if not answers:
        raise EvaluationError(f"{release}: no split 'train', which this baseline learns from")
    return answers


def readings_of(release: Path | None, split: str) -> dict[str, list[Reading]]:
    """The readings of each dialogue of a split, by the dialogue's id."""
    return {
        row["id"]: [Reading.model_validate(reading) for reading in row["readings"]]
        for _, row in stream_columns(_needed(release), ["id", "readings"], split)
    }


def _needed(release: Path | None) -> Path:
    if release is None:
        raise EvaluationError("this baseline learns from a release; a benchmark of others has none")
    return release


def load_own(path: Path, name: str) -> Responder:
    """A model of one's own: `name` in the Python file `path`, an object or a class to call.

    Raises EvaluationError if there is no such thing, or if it cannot respond.
    """
    try:
        found = getattr(_module(path), name, None)
        model: Any = found() if isinstance(found, type) else found
    except AskqaError:
        raise
    except Exception as error:  # whatever is wrong in it is for its author to see in a line
        raise EvaluationError(f"{path}: {told(error)}") from error
    if found is None:
        raise EvaluationError(f"{path}: has no {name!r}")
    for needed in ("name", "respond"):
        if not hasattr(model, needed):
            raise EvaluationError(
                f"{path}: {name!r} has no {needed!r}; a model has a `name` and "
                "`respond(conversation) -> str`"
            )
    return _Own(model, path)


class _Own:
    """A model of one's own, which is another one when its file has changed."""

    def __init__(self, model: Any, path: Path) -> None:
        self._model = model
        self.name: str = model.name
        own: Mapping[str, JsonValue] = getattr(model, "settings", {})
        self.settings = {**own, "file_sha256": sha256_of(path).sha256}

    def respond(self, conversation: Conversation) -> str:
        said: str = self._model.respond(conversation)
        return said

    def __getattr__(self, name: str) -> Any:  # respond_many, close: where it has them
        return getattr(self._model, name)


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"askqa_own_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise EvaluationError(f"{path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    spec.loader.exec_module(module)
    return module


def addressed(name: str) -> tuple[str, str | None]:
    """MODEL[@BASE_URL] → the two; other @ belong to the name."""
    for scheme in ("@http://", "@https://"):
        model, found, rest = name.partition(scheme)
        if found:
            return model, scheme[1:] + rest
    return name, None


def open_room(settings: ModelSettings) -> Room:
    """A room for endpoints. Leave it by `with` or `close`."""
    from askqa_builder.evaluate.responders.room import Room

    return Room(
        settings.cache, limits=settings.limits, budget=settings.budget, prices=settings.prices
    )


@contextmanager
def _room(settings: ModelSettings) -> Iterator[Room]:
    """A room that stays open, unless the model cannot be made."""
    room = open_room(settings)
    try:
        yield room
    except BaseException:
        room.close()
        raise
