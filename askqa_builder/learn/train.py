"""`askqa-build train`: a release and a base → a model folder that plain transformers loads.

MODEL/
  config.json, *.safetensors, processor   the weights that were kept; with --lora, merged
  adapter/                                with --lora: the adapter alone
  README.md                               the model card
  run.json                                what it is the result of: data and settings
  log.jsonl, loss.png, samples.jsonl      how it went
  checkpoints/                            while it runs: where a killed run goes on
  base/                                   a new model as it began
  trained.json                            written last
"""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from askqa_builder.audio_models import context_of
from askqa_builder.engines.local import default_workers
from askqa_builder.errors import AskqaError, ModelError, TrainingError
from askqa_builder.files import digest, write_text
from askqa_builder.learn.arguments import arguments_of, in_bf16, loaders, threads
from askqa_builder.learn.base import is_new, open_base, size_of, with_adapter
from askqa_builder.learn.batching import Swapped
from askqa_builder.learn.collate import Collator
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Examples
from askqa_builder.learn.hf import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    processes,
    set_seed,
)
from askqa_builder.learn.saving import alone, saving
from askqa_builder.learn.settings import Trained, TrainRun, TrainSettings
from askqa_builder.learn.tasks import MAIN, TASKS
from askqa_builder.learn.trainer import AskqaTrainer, last_checkpoint, memory_error
from askqa_builder.learn.watch import LOG, SWAPPED, Entry, Journal, Watch, losses_of, read_log
from askqa_builder.release.folder import read_manifest

RUN, DONE = "run.json", "trained.json"
CHECKPOINTS, ADAPTER, BASE = "checkpoints", "adapter", "base"
VALIDATION_SEED = 0
"""Validation examples are the same for every seed, so that losses can be compared."""
_SAMPLES = 4


def train(
    release: Path,
    out: Path,
    settings: TrainSettings,
    *,
    main_curve: Mapping[int, float] | None = None,
    workers: int | None = None,
    say: Callable[[Entry], None] = lambda entry: None,
) -> Trained:
    """Train, or go on where a killed run was; a run that is done is only read.

    `main_curve` is the main task's validation loss by step of a run on it alone, to compare with.
    `workers` processes make batches ready (None: as many as pay); on a CPU, torch computes with
    the cores that they leave. `say` gets each entry of the
    log. Raises TrainingError where the run cannot start or go on, ModelError for the base, and
    StorageError when the disk is full: the last checkpoint stays.
    """
    run = TrainRun(
        data=data_name(release),
        digest=data_digest(release),
        settings=settings,
        devices=processes().num_processes,
        precision="bf16" if in_bf16(settings) else "fp32",
    )
    if (done := _finished(out, run)) is not None:
        return done
    if is_new(settings.base):
        size_of(settings.base)  # before anything is written
    if workers is None:
        workers = loaders()
    with (
        alone(out, out / CHECKPOINTS),
        warnings.catch_warnings(),
        threads(default_workers() - workers),
        _one_line(lambda: 0, settings),
    ):
        # peft and accelerate call transformers by names that it is about to give up
        warnings.simplefilter("ignore", FutureWarning)
        return _train(release, out, run, main_curve=main_curve, workers=workers, say=say)


def _train(
    release: Path,
    out: Path,
    run: TrainRun,
    *,
    main_curve: Mapping[int, float] | None,
    workers: int,
    say: Callable[[Entry], None],
) -> Trained:
    settings = run.settings
    main_process = processes().is_main_process
    if main_process:
        if (out / RUN).is_file() and _begun(out) != run:
            shutil.rmtree(out / BASE, ignore_errors=True)  # of other settings, that led nowhere
        write_text(out / RUN, run.model_dump_json(indent=1))
    began = time.perf_counter()
    set_seed(settings.seed)
    examples, validation = _data(release, settings)
    processor, model = _base(out, settings, examples)
    set_seed(settings.seed)  # building the base has drawn numbers, loading it has not
    if settings.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise ModelError(
                f"{type(model).__name__} cannot compute its activations again; leave "
                "--gradient-checkpointing out"
            )
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.lora:
        model = with_adapter(model, settings.lora)
    parameters = sum(p.numel() for p in model.parameters())
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    steps = _steps(settings, len(examples))
    watch = Watch(settings.watched, main_curve)
    journal = Journal(out, say)
    speaker = Speaker(processor, validation[settings.watched], settings.base)

    def validated(trainer: AskqaTrainer, metrics: Mapping[str, float]) -> None:
        step, losses = trainer.state.global_step, losses_of(metrics)
        warned = watch.validated(step, losses, share_done=step / steps)
        if settings.patience and watch.best_is_old(settings.patience):
            trainer.control.should_training_stop = True
        if main_process:
            entry: Entry = {"step": step, "validation": losses}
            journal.note(entry | ({"warnings": warned} if warned else {}))
            journal.sampled(speaker.say(trainer.model, step))

    settings_of_collator: dict[str, Any] = {
        "longest": context_of(model),
        "ends": _ends(model),
    }
    trainer = AskqaTrainer(
        settings=settings,
        collator=Collator(
            settings.base,
            processor,
            transcripts="listening" in settings.tasks,
            **settings_of_collator,
        ),
        validation_collator=Collator(settings.base, processor, **settings_of_collator),
        validated=validated,
        model=model,
        args=arguments_of(settings, out / CHECKPOINTS, steps=steps, workers=workers),
        train_dataset=examples,
        eval_dataset=validation,
        callbacks=[journal, _AtTheEnd()],
    )
    trainer.remove_callback(PrinterCallback)  # the journal tells what there is to tell
    checkpoint = last_checkpoint(out / CHECKPOINTS)
    reached = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    for entry in read_log(out / LOG):
        if "validation" in entry and entry["step"] <= reached:
            watch.validated(entry["step"], entry["validation"], share_done=entry["step"] / steps)
    over = reached >= steps or (settings.patience and watch.best_is_old(settings.patience))
    with _one_line(lambda: trainer.state.global_step, settings):
        if checkpoint and over:  # killed after the last step: nothing is left to learn
            trainer.take_up(checkpoint)
        else:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.accelerator.wait_for_everyone()  # before the checkpoints go
    state = trainer.state
    best = state.best_global_step if settings.keep == "best" else None
    _save(trainer, processor, out, settings)
    log = read_log(out / LOG)
    kept = [e for e in log if "validation" in e and e["step"] == (best or state.global_step)]
    losses = [e["loss"] for e in log if "loss" in e][-5:]
    trained = Trained(
        steps=state.global_step,
        best_step=best,
        stopped_early=state.global_step < steps,
        parameters=parameters,
        trained_parameters=learnt,
        train_loss=sum(losses) / len(losses) if losses else None,
        validation=kept[-1]["validation"] if kept else {},
        warnings=tuple(watch.warnings),
        seconds=round(time.perf_counter() - began, 1),
    )
    if main_process:
        from askqa_builder.learn.card import write_card
        from askqa_builder.learn.plots import draw_losses

        draw_losses(out, log, main_curve)
        write_card(out, run, trained)
        write_text(out / DONE, trained.model_dump_json(indent=1))
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    processes().wait_for_everyone()  # what is written now is there for all
    return trained


def data_name(release: Path) -> str:
    """Name and version of a release. Raises TrainingError if it is none."""
    manifest = _manifest(release)
    return f"{manifest.name} {manifest.version}"


def data_digest(release: Path) -> str:
    """Hash of the files that hold a release's training and validation dialogues."""
    return digest(
        *sorted(
            [name, file.sha256]
            for name, file in _manifest(release).files.items()
            if name.startswith(("dialogues/train-", "dialogues/validation-"))
        )
    )


def _manifest(release: Path) -> Any:
    try:
        return read_manifest(release)
    except AskqaError as error:
        raise TrainingError(str(error)) from error


def _finished(out: Path, run: TrainRun) -> Trained | None:
    """How the run ended if it did.

    Raises TrainingError if the folder is of another run that came as far as a checkpoint.
    """
    done = (out / DONE).is_file()
    before = _begun(out) if (out / RUN).is_file() else None
    if before is not None and (done or last_checkpoint(out / CHECKPOINTS)):
        if (before.data, before.digest) != (run.data, run.digest):
            raise TrainingError(
                f"{out}: was begun on {before.data}, which is not this {run.data}; choose another "
                "--out"
            )
        old, new = before.settings.model_dump(), run.settings.model_dump()
        changed = next((name for name in new if new[name] != old[name]), None)
        if changed is not None:
            raise TrainingError(
                f"{out}: was begun with {changed} {old[changed]!r}, not {new[changed]!r}; choose "
                "another --out, or the same settings to go on"
            )
        if not done and (before.devices, before.precision) != (run.devices, run.precision):
            raise TrainingError(
                f"{out}: was begun on {before.devices} device(s) in {before.precision}, not on "
                f"{run.devices} in {run.precision}; go on as it was begun, or choose another --out"
            )
    if not done:
        return None
    if processes().is_main_process:  # a kill may have come before they went
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return Trained.model_validate_json((out / DONE).read_bytes())


def _begun(out: Path) -> TrainRun:
    """What a folder was begun for. Raises TrainingError if it is not of a training."""
    try:
        return TrainRun.model_validate_json((out / RUN).read_bytes())
    except ValidationError as error:
        raise TrainingError(f"{out / RUN}: is not of a training; choose another --out") from error


def _data(release: Path, settings: TrainSettings) -> tuple[Examples, dict[str, Any]]:
    """Training examples, and validation examples by task."""
    dialogues = Dialogues(release, "train", fraction=settings.fraction)
    examples = Examples(dialogues, settings.tasks, seed=settings.seed)
    held_out = Dialogues(release, "validation", limit=settings.validation)
    validation: dict[str, Any] = {
        task: Examples(held_out, {task: 1.0}, seed=VALIDATION_SEED) for task in settings.tasks
    }
    if MAIN in validation and len({dialogue.passage_id for dialogue in held_out}) > 1:
        validation[SWAPPED] = Swapped(validation[MAIN])
    return examples, validation


def _base(out: Path, settings: TrainSettings, examples: Examples) -> tuple[Any, Any]:
    """The base in the precision that it is trained in."""
    # a new model knows the words of all tasks, whichever it learns: runs stay comparable
    every = dict.fromkeys(TASKS, 4.0)
    texts = Examples(examples.dialogues, every, seed=0).texts() if is_new(settings.base) else ()
    frozen = torch.bfloat16 if settings.lora and in_bf16(settings) else torch.float32
    with processes().main_process_first():
        return open_base(settings.base, texts, out / BASE, seed=settings.seed, dtype=frozen)


def _ends(model: Any) -> list[int]:
    """Tokens at which the model stops when it generates."""
    end = model.generation_config.eos_token_id if model.can_generate() else None
    return [] if end is None else list(end) if isinstance(end, list) else [end]


def _steps(settings: TrainSettings, examples: int) -> int:
    """Optimiser steps of the run."""
    if settings.steps is not None:
        return settings.steps
    devices: int = processes().num_processes
    batches = math.ceil(examples / (settings.batch_size * devices))
    return max(1, math.ceil(settings.epochs * math.ceil(batches / settings.accumulate)))


class _AtTheEnd(TrainerCallback):
    """Validates and saves after the last step, too."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = control.should_evaluate = control.should_save = True


class Speaker:
    """Lets the model respond to a few validation examples."""

    def __init__(self, processor: Any, examples: Examples, name: str) -> None:
        self._processor = processor
        self._collator = Collator(name, processor)
        count = min(_SAMPLES, len(examples))
        self._examples = [examples[i * len(examples) // count] for i in range(count)]

    def say(self, model: Any, step: int) -> list[Entry]:
        """What was to be said, and what the model says, greedily."""
        was_training = model.training
        model.eval()
        entries = []
        for example in self._examples:
            inputs = self._processor.apply_chat_template(
                [self._collator.prompt(example)],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            ).to(model.device, model.dtype)
            with torch.inference_mode():
                tokens = model.generate(
                    **inputs,
                    max_new_tokens=40,
                    do_sample=False,
                    temperature=None,
                    top_p=None,
                    top_k=None,
                )
            new = tokens[0, inputs["input_ids"].shape[1] :]
            said = self._processor.tokenizer.decode(new, skip_special_tokens=True).strip()
            entries.append({"step": step, "id": example.id, "target": example.target, "said": said})
        model.train(was_training)
        return entries


@contextmanager
def _one_line(step: Callable[[], int], settings: TrainSettings) -> Iterator[None]:
    """Errors for people in one line, also those of the processes that make batches."""
    try:
        yield
    except AskqaError as error:
        lines = str(error).strip().splitlines()
        if len(lines) == 1:
            raise
        # a worker's error arrives with its traceback, the last line of which is the error
        raise TrainingError(lines[-1].partition(": ")[2]) from error
    except (RuntimeError, MemoryError) as error:
        memory = memory_error(error, step(), settings)
        if memory is None:
            raise
        raise memory from error


def _save(trainer: Trainer, processor: Any, out: Path, settings: TrainSettings) -> None:
    """The kept weights and the processor, as plain transformers loads them."""
    with saving(out):
        if settings.lora:
            trainer.save_model(str(out / ADAPTER))
            (out / ADAPTER / "training_args.bin").unlink(missing_ok=True)
            if trainer.is_world_process_zero():
                whole: Any = trainer.accelerator.unwrap_model(trainer.model)
                whole.merge_and_unload().save_pretrained(out)
        else:
            trainer.save_model(str(out))
        (out / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing needs
        if trainer.is_world_process_zero():
            processor.save_pretrained(out)
