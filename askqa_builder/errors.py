"""Every error that a person is meant to read.

    AskqaError                 one line: where, what, remedy; the command exits with 1
    ├── SettingsError          a command-line option or a line of askqa.toml
    ├── SourceError            an input file or folder that cannot be read at all
    ├── BuildError             the build folder: locked, damaged, incomplete, of another build
    │   └── StorageError       the disk: full, read-only, not allowed
    ├── MissingExtraError      an optional package that is not installed
    ├── VoiceError             a speech engine or a speaker
    │   └── RefusedTextError   one text that an engine cannot say: its record becomes a reject
    ├── RecogniserError        a speech recogniser
    │   └── RefusedClipError   one clip that it will not take: its record becomes a reject
    ├── EndpointError          an HTTP endpoint (language model, speech, Hub)
    │   ├── RequestError       one request of many: the run goes on without it
    │   └── BudgetError        the money or the attempts that were allowed are spent
    ├── ReleaseError           a release that may not be made or published as asked
    ├── ModelError             a local model that cannot be loaded, or cannot take its input
    ├── EvaluationError        an evaluation that cannot be run or compared
    └── TrainingError          a training run that cannot start or go on

A record that cannot be used is no error: it becomes a `schema.Reject` and the run goes on.
Anything else that is raised is a bug, and keeps its traceback.
"""

from __future__ import annotations

import traceback
from pathlib import Path


class AskqaError(Exception):
    """Root of the tree: `str(error)` is one line for people."""


def printable(text: str) -> str:
    """Text of others for a terminal: what would move the cursor, change colours or turn the
    direction of writing is shown as its escape."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def told(error: Exception, *, longest: int = 500) -> str:
    """An exception of others' code in one line: its kind, its words, where it was raised."""
    words = f"{type(error).__name__}: {' '.join(str(error).split())[:longest]}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or isinstance(error, AskqaError | SyntaxError):  # these say where by themselves
        return words
    return f"{words} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


class SettingsError(AskqaError):
    """A command-line option or a line of askqa.toml is not usable."""


class SourceError(AskqaError):
    """An input file or folder cannot be read at all."""


class BuildError(AskqaError):
    """The build folder is locked, damaged, incomplete, or belongs to another build."""


class StorageError(BuildError):
    """The disk is full, read-only, or refuses access."""


class MissingExtraError(AskqaError):
    """An optional package is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed; "
            f"run: pip install 'askqa-builder[{extra}]'"
        )
        self._given = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Travels from a worker process as it was made."""
        return type(self), self._given


class VoiceError(AskqaError):
    """A speech engine cannot start, or a speaker does not exist."""


class RefusedTextError(VoiceError):
    """An engine cannot say one text: that record is rejected, and the run goes on."""


class RecogniserError(AskqaError):
    """A speech recogniser cannot start."""


class RefusedClipError(RecogniserError):
    """A recogniser will not take one clip: that record is rejected, and the run goes on."""


class EndpointError(AskqaError):
    """An HTTP endpoint is unreachable, refuses, or answers nonsense for good."""


class RequestError(EndpointError):
    """One request failed for good, after all its tries; others may well succeed."""

    def __init__(self, words: str, *, status: int | None = None) -> None:
        super().__init__(words)
        self.status = status
        """The HTTP status; None where none came."""


class BudgetError(EndpointError):
    """The money, the calls or the candidates that were allowed are spent."""


class ReleaseError(AskqaError):
    """A release may not be made or published as asked."""


class ModelError(AskqaError):
    """A model on this machine cannot be loaded, or cannot take what it is given."""


class EvaluationError(AskqaError):
    """An evaluation cannot be run, or two results cannot be compared."""


class TrainingError(AskqaError):
    """A training run cannot start or go on."""
