"""transformers' `Trainer`, with our order of examples and errors that say where."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from askqa_builder.audio_models import is_out_of_memory
from askqa_builder.errors import StorageError, TrainingError
from askqa_builder.learn.base import is_new
from askqa_builder.learn.batching import Grouped
from askqa_builder.learn.collate import IDS, Collator
from askqa_builder.learn.hf import PREFIX_CHECKPOINT_DIR, Trainer, TrainerState
from askqa_builder.learn.saving import saving
from askqa_builder.learn.settings import TrainSettings

_STATE = "trainer_state.json"
"""Written last of a checkpoint's files."""


class AskqaTrainer(Trainer):
    """Trains on Examples; evaluates without transcripts, so that losses are those of responses."""

    def __init__(
        self,
        *,
        settings: TrainSettings,
        collator: Collator,
        validation_collator: Collator,
        validated: Callable[[AskqaTrainer, Mapping[str, float]], None],
        **arguments: Any,
    ) -> None:
        """`validated` is called after each validation, before its checkpoint is written."""
        super().__init__(data_collator=collator, **arguments)
        self._settings, self._validated = settings, validated
        self._validation_collator = validation_collator
        self._transcription: list[torch.Tensor] = []
        # Many audio models take any keyword and leave out the number of items that the loss is to
        # be divided by: each batch's loss is its own mean, and the trainer divides by the batches.
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        examples: Any = self.train_dataset
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return Grouped(examples, batch * self.args.world_size, seed=self._settings.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As the trainer's, with the validation's collator."""
        collator, self.data_collator = self.data_collator, self._validation_collator
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = collator

    def compute_loss(self, model: Any, inputs: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """As the trainer's. Raises TrainingError where it is no number, or memory is short."""
        inputs = dict(inputs)
        ids = inputs.pop(IDS, [])
        what = "step" if model.training else "validation after step"
        step = self.state.global_step + (1 if model.training else 0)
        wanted = kwargs.pop("return_outputs", False)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        heard = getattr(outputs, "transcription_loss", None)
        if model.training and heard is not None:
            self._transcription.append(heard.detach())
        if not torch.isfinite(loss):
            raise TrainingError(
                f"{what} {step}: the loss is {loss.item()} on examples {', '.join(ids[:3])}"
                f"{' …' if len(ids) > 3 else ''}; lower --learning-rate (it is "
                f"{self._settings.rate:g}), or take the last checkpoint with another --seed"
            )
        return (loss, outputs) if wanted else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As the trainer's; with the transcription's part of the loss, where there is one."""
        if "loss" in logs and self._transcription:
            logs["transcription_loss"] = float(torch.stack(self._transcription).mean())
            self._transcription.clear()
        super().log(logs, *args, **kwargs)

    def _evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        metrics: dict[str, float] = super()._evaluate(*args, **kwargs)
        self._validated(self, metrics)
        return metrics

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """As the trainer's, with the weights' names in files made those in memory.

        The trainer's own loads by the names in the files, and where these are older ones, as
        Qwen2-Audio's are, it loads nothing and goes on.
        """
        if self._is_sharded_or_adapter:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            _load_weights(model or self.model, resume_from_checkpoint)

    def take_up(self, checkpoint: Path) -> None:
        """Be where a run was when it ended: its state, and the weights that are kept."""
        self.state = TrainerState.load_from_json(str(checkpoint / _STATE))
        kept = checkpoint
        if self._settings.keep == "best" and self.state.best_global_step:
            kept = checkpoint.with_name(f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}")
        self._load_from_checkpoint(str(kept))

    def _load_best_model(self) -> None:
        """As the trainer's, with the names of `_load_from_checkpoint`."""
        best = self.state.best_model_checkpoint
        if self._is_sharded_or_adapter or best is None:
            super()._load_best_model()
        else:
            _load_weights(self.model, best)

    @property
    def _is_sharded_or_adapter(self) -> bool:
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        return bool(sharded or self._settings.lora)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As the trainer's. Raises StorageError, and removes what was written, on a full disk."""
        folder = (
            Path(str(self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        )
        try:
            with saving(folder):
                super()._save_checkpoint(model, trial)
        except StorageError as error:
            shutil.rmtree(folder, ignore_errors=True)
            last = last_checkpoint(folder.parent)
            raise StorageError(
                f"{folder}: the disk does not take the checkpoint; free some space and run the "
                f"command again: it goes on from "
                f"{'step ' + last.name.rpartition('-')[2] if last else 'the beginning'}"
            ) from error


def _load_weights(model: Any, folder: str) -> None:
    """Give a model the weights of a checkpoint. Raises TrainingError if some are not there."""
    loaded, report = type(model).from_pretrained(
        folder, dtype=model.dtype, use_safetensors=True, output_loading_info=True
    )
    if report["missing_keys"]:
        raise TrainingError(
            f"{folder}: the checkpoint lacks {len(report['missing_keys'])} weights; remove it and "
            "run the command again"
        )
    model.load_state_dict(loaded.state_dict())


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; None if there is none."""
    found = [
        (int(path.parent.name.rpartition("-")[2]), path.parent)
        for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{_STATE}")
        if path.read_bytes().rstrip().endswith(b"}")
    ]
    return max(found)[1] if found else None


def memory_error(error: BaseException, step: int, settings: TrainSettings) -> TrainingError | None:
    """What to do where memory is short; None for another error."""
    if "DataLoader worker" in str(error):
        return TrainingError(
            f"step {step + 1}: a process that makes batches was ended, most often because memory "
            "is short: lower --workers or --batch-size"
        )
    if not is_out_of_memory(error):
        return None
    remedies = []
    if settings.batch_size > 1:
        half = settings.batch_size // 2
        more = -(-settings.batch_size * settings.accumulate // half)
        remedies.append(f"--batch-size {half} --accumulate {more}")
    if not is_new(settings.base):  # which takes neither
        if not settings.gradient_checkpointing:
            remedies.append("--gradient-checkpointing")
        if settings.lora is None:
            remedies.append("--lora 16")
    return TrainingError(
        f"out of memory at step {step + 1} with --batch-size {settings.batch_size}: try "
        f"{', '.join(remedies) or 'a smaller base, or more devices'}"
    )
