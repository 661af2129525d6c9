"""What a run tells transformers' Trainer, and how many processes and threads it gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods
from pathlib import Path

import torch

from askqa_builder.engines.local import default_workers
from askqa_builder.learn.hf import TrainingArguments
from askqa_builder.learn.settings import TrainSettings


def loaders() -> int:
    """Processes that make batches ready, if nobody says: one keeps up with a CPU's steps.

    None beside a CPU where they are not forked: each takes seconds to start, at every validation.
    """
    spare = default_workers() - 1
    if torch.cuda.is_available():
        return min(8, max(1, spare))
    return min(1, spare) if get_all_start_methods()[0] == "fork" else 0


@contextmanager
def threads(most: int) -> Iterator[None]:
    """Let torch compute with so many threads at most: two on one core hold each other up."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, most)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def arguments_of(
    settings: TrainSettings, checkpoints: Path, *, steps: int, workers: int
) -> TrainingArguments:
    """The trainer's arguments; `workers` processes make batches ready."""
    every = settings.evaluate_every or max(1, steps // 10)
    on_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        max_steps=steps,
        learning_rate=settings.rate,
        warmup_steps=round(settings.warmup * steps),
        lr_scheduler_type="cosine",
        weight_decay=settings.weight_decay,
        bf16=in_bf16(settings),
        use_cpu=not on_gpu,
        logging_steps=max(1, min(every, steps // 100)),
        logging_nan_inf_filter=False,  # it would hide what compute_loss looks for
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=settings.keep == "best",
        metric_for_best_model=f"eval_{settings.watched}_loss",
        greater_is_better=False,
        seed=settings.seed,
        data_seed=settings.seed,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=False,
        # examples without sound leave the listening half without gradients
        ddp_find_unused_parameters=settings.lora is None,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
    )


def in_bf16(settings: TrainSettings) -> bool:
    """Whether to compute in bfloat16."""
    if settings.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return settings.precision == "bf16"
