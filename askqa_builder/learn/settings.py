"""What a training run is asked to do, and what is written down of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from askqa_builder.learn.base import is_new
from askqa_builder.learn.tasks import MAIN
from askqa_builder.schema import Record


class TrainSettings(Record):
    """Everything that shapes the weights; the same settings on the same data give the same run, on
    the same kind and number of devices."""

    base: str
    """tiny[:SIZE], a folder, or ID[@REVISION] of the Hub."""
    tasks: dict[str, float] = Field(default_factory=lambda: {MAIN: 1.0})
    """Task → examples for each example of the main task."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the training passages."""
    seed: int = 0
    """Of the examples, their order, and new weights."""
    epochs: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    """Passes over the data; `steps` decides where it is given."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(default=8, ge=1)
    """Examples at a time on each device."""
    accumulate: int = Field(default=1, ge=1)
    """Batches that make an optimiser step."""
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """None: 2e-3 for a new model, 1e-4 for an adapter, 1e-5 for all weights of a pretrained one."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps in which the rate rises; then it falls to 0 as a half cosine."""
    weight_decay: float = Field(default=0.01, ge=0)
    lora: int | None = Field(default=None, ge=1)
    """Rank of an adapter; None trains all weights."""
    gradient_checkpointing: bool = False
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 on a GPU that has it, fp32 elsewhere."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two validations, each followed by a checkpoint; None: a tenth of the run."""
    patience: int | None = Field(default=None, ge=1)
    """Validations of the main task without a better one after which a run ends; None: never."""
    keep: Literal["best", "last"] = "best"
    """Which weights the model folder gets: those with the lowest validation loss of the main task
    (of the only task, where main is not learnt), or the last ones."""
    validation: int = Field(default=200, ge=1)
    """Dialogues of the validation split that are used, at most."""

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 2e-3 if is_new(self.base) else 1e-4 if self.lora else 1e-5

    @property
    def watched(self) -> str:
        """The task whose validation loss decides."""
        return MAIN if MAIN in self.tasks else next(iter(self.tasks))


class TrainRun(Record):
    """What a model folder is the result of; `run.json`."""

    data: str
    """Name and version of the data."""
    digest: str
    """Hash of the files of its dialogues."""
    settings: TrainSettings
    devices: int = 1
    precision: Literal["bf16", "fp32"] = "fp32"
    """As computed: what "auto" came to."""


class Trained(Record):
    """How a run ended; `trained.json`, written last: its presence means that it did."""

    steps: int
    best_step: int | None
    """None where the last weights were kept."""
    stopped_early: bool
    parameters: int
    trained_parameters: int
    train_loss: float | None
    """Mean of the last logged steps."""
    validation: dict[str, float]
    """Validation loss by task, of the weights that were kept; `swapped` is the main task's with
    the sound of other passages."""
    warnings: tuple[str, ...] = ()
    seconds: float
    """Of the last process that worked on it."""
