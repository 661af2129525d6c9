"""What a training run says about itself while it goes on: a log, samples, warnings.

MODEL/
  log.jsonl       a line for each logged step and each validation
  samples.jsonl   what the model says to a few validation examples
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from askqa_builder.errors import TrainingError
from askqa_builder.files import storage_errors, write_text
from askqa_builder.learn.hf import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

LOG, SAMPLES = "log.jsonl", "samples.jsonl"
SWAPPED = "swapped"
"""Name of the validation with the sound of other passages."""
_VALIDATION, _LOSS = "eval_", "_loss"

WORSE = 1.05
"""An auxiliary task hurts where the main loss is beyond this share of the main-alone curve's."""
OVERFIT = 1.1
"""A model overfits where the validation loss is beyond this share of its lowest, twice in a row."""
DEAF = 1.02
"""A model ignores the sound where that of others raises its loss by less than this."""

_LOG = logging.getLogger(__name__)
Entry = dict[str, Any]


class Watch:
    """Collects validation losses and says what is wrong with them."""

    def __init__(self, watched: str, main_curve: Mapping[int, float] | None = None) -> None:
        """`main_curve` is the main task's validation loss by step of a run on it alone."""
        self._watched, self._main_curve = watched, dict(main_curve or {})
        self.warnings: list[str] = []
        self._losses: list[float] = []

    def validated(self, step: int, losses: Mapping[str, float], *, share_done: float) -> list[str]:
        """Note the losses of a validation; returns the warnings that they give rise to.

        `share_done` is the share of the run's steps that are behind.
        """
        loss = losses[self._watched]
        self._losses.append(loss)
        found = []
        alone = _at(self._main_curve, step)
        if alone is not None and loss > WORSE * alone:
            found.append(
                f"step {step}: the other tasks make {self._watched} worse: validation loss "
                f"{loss:.3f}, alone {alone:.3f}; lower their weights"
            )
        if len(self._losses) > 2 and min(self._losses[-2:]) > OVERFIT * min(self._losses):
            found.append(
                f"step {step}: overfitting: validation loss {loss:.3f}, lowest "
                f"{min(self._losses):.3f}; train fewer steps, or give --patience"
            )
        swapped = losses.get(SWAPPED)
        # at first every model guesses: half of the run is time enough to begin to listen
        if swapped is not None and share_done >= 0.5 and swapped < DEAF * loss:
            found.append(
                f"step {step}: the sound is ignored: validation loss {loss:.3f}, with the sound "
                f"of other passages {swapped:.3f}; train longer, or add the task 'listening'"
            )
        self.warnings += found
        return found

    def best_is_old(self, patience: int) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        if not self._losses:
            return False
        best = self._losses.index(min(self._losses))
        return len(self._losses) - 1 - best >= patience


def curve(path: Path, task: str) -> dict[int, float]:
    """Validation loss by step, of a model folder or a log.

    Raises TrainingError if it holds none.
    """
    file = path / LOG if path.is_dir() else path
    if not file.is_file():
        raise TrainingError(f"{path}: no log of a run; expected a model folder, or its {LOG}")
    found = {
        entry["step"]: entry["validation"][task]
        for entry in read_log(file)
        if task in entry.get("validation", {})
    }
    if not found:
        raise TrainingError(f"{file}: holds no validation loss of task {task!r}")
    return found


def read_log(path: Path) -> list[Entry]:
    """The entries of a log; a last line that a kill cut short is left out."""
    entries = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries


class Journal(TrainerCallback):
    """Writes the log; where a run goes on, what came after its checkpoint is dropped."""

    def __init__(self, folder: Path, say: Callable[[Entry], None]) -> None:
        self._path, self._say = folder / LOG, say
        self._samples = folder / SAMPLES

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep what belongs to the steps that count."""
        for path in (self._path, self._samples):
            kept = [e for e in read_log(path) if e["step"] <= state.global_step]
            write_text(path, "".join(json.dumps(e) + "\n" for e in kept))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """A line for the losses of training steps; validations are noted as a whole."""
        if state.is_world_process_zero and logs and "loss" in logs:
            names = ("loss", "transcription_loss", "learning_rate", "grad_norm")
            self.note(
                {"step": state.global_step, "epoch": round(logs.get("epoch", 0.0), 4)}
                | {name: logs[name] for name in names if name in logs}
            )

    def note(self, entry: Entry) -> None:
        """Add an entry to the log, and tell whoever looks on."""
        self._append(self._path, [entry])
        self._say(entry)

    def sampled(self, entries: Sequence[Entry]) -> None:
        """Add what the model said."""
        self._append(self._samples, entries)

    @staticmethod
    def _append(path: Path, entries: Sequence[Entry]) -> None:
        with storage_errors(path), path.open("a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)


def losses_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """The trainer's `eval_NAME_loss` by name."""
    return {
        name.removeprefix(_VALIDATION).removesuffix(_LOSS): value
        for name, value in metrics.items()
        if name.startswith(_VALIDATION) and name.endswith(_LOSS)
    }


def _at(points: Mapping[int, float], step: int) -> float | None:
    """A curve at a step, on the line between its neighbours; None outside of it."""
    before = max((s for s in points if s <= step), default=None)
    after = min((s for s in points if s >= step), default=None)
    if before is None or after is None:
        return None
    if before == after:
        return points[before]
    share = (step - before) / (after - before)
    return points[before] + share * (points[after] - points[before])
