"""examples, train, ablate: what is learnt from a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from askqa_builder.commands import JsonOption, QuietOption
from askqa_builder.commands.measuring import DataArgument

if TYPE_CHECKING:
    from askqa_builder.learn.settings import TrainSettings

TasksOption = Annotated[
    str,
    typer.Option(
        help="main, listening, reasoning, response; NAME=WEIGHT gives so many examples for each "
        "of the main task."
    ),
]
FractionOption = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the training passages; larger ones hold it.")
]
BaseOption = Annotated[
    str, typer.Option(help="A folder, a Hub id ID[@REVISION], or tiny[:SIZE]: a new model.")
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, help="Optimiser steps; default: what --epochs come to.")
]
EpochsOption = Annotated[float, typer.Option(help="Passes over the data.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Examples at a time on each device.")]
AccumulateOption = Annotated[int, typer.Option(min=1, help="Batches that make a step.")]
RateOption = Annotated[
    float | None, typer.Option(help="Default: 2e-3 from scratch, 1e-4 with --lora, else 1e-5.")
]
LoraOption = Annotated[
    int | None, typer.Option(min=1, metavar="RANK", help="Train an adapter instead of all weights.")
]
CheckpointingOption = Annotated[
    bool, typer.Option("--gradient-checkpointing", help="Less memory, a third more time.")
]
PrecisionOption = Annotated[str, typer.Option(help="auto, bf16 or fp32.")]
EveryOption = Annotated[
    int | None, typer.Option(min=1, help="Steps between validations; default: a tenth of all.")
]
PatienceOption = Annotated[
    int | None, typer.Option(min=1, help="Stop after so many validations without a better one.")
]
KeepOption = Annotated[str, typer.Option(help="The weights to keep: best or last.")]
ValidationOption = Annotated[int, typer.Option(min=1, help="Validation dialogues, at most.")]
LoadersOption = Annotated[
    int | None, typer.Option("--workers", min=0, help="Processes that make batches ready.")
]
_ALL = "main,listening,reasoning,response"


def examples(
    data: DataArgument,
    tasks: TasksOption = _ALL,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    fraction: FractionOption = 1.0,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    head: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write them there, with their sound, for other trainers."),
    ] = None,
) -> None:
    """Show what a model would learn from, a JSON line for each example."""
    import json

    from askqa_builder.learn.dialogues import Dialogues
    from askqa_builder.learn.examples import Examples
    from askqa_builder.learn.inspecting import shown, write_examples
    from askqa_builder.learn.tasks import mixture_of
    from askqa_builder.release.fetch import release_folder

    mixture = mixture_of(tasks)
    dialogues = Dialogues(release_folder(data, splits=[split]), split, fraction=fraction)
    made = Examples(dialogues, mixture, seed=seed)
    count = min(head or len(made), len(made))
    if out is not None:
        write_examples(made, count, out)
        typer.echo(f"{count} examples: {out / 'examples.jsonl'}")
        return
    for index in range(count):
        typer.echo(json.dumps(shown(made, index), ensure_ascii=False))


def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="MODEL", help="The model folder.")],
    base: BaseOption = "tiny",
    tasks: TasksOption = _ALL,
    fraction: FractionOption = 1.0,
    seed: Annotated[int, typer.Option(help="Of examples, order and new weights.")] = 0,
    epochs: EpochsOption = 3.0,
    steps: StepsOption = None,
    batch_size: BatchOption = 8,
    accumulate: AccumulateOption = 1,
    learning_rate: RateOption = None,
    lora: LoraOption = None,
    gradient_checkpointing: CheckpointingOption = False,
    precision: PrecisionOption = "auto",
    evaluate_every: EveryOption = None,
    patience: PatienceOption = None,
    keep: KeepOption = "best",
    validation: ValidationOption = 200,
    main_curve: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A run on the main task alone, to be compared with."),
    ] = None,
    score: Annotated[
        bool, typer.Option("--score/--no-score", help="Evaluate on the test split at the end.")
    ] = True,
    score_limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many dialogues of the test split.")
    ] = None,
    workers: LoadersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model that hears on several tasks from the same conversations.

    A run that was killed goes on from its last checkpoint; one that is done is only shown. On
    several devices: torchrun --nproc_per_node N -m askqa_builder train …
    """
    from askqa_builder.audio_models import need_extra
    from askqa_builder.learn.tasks import mixture_of

    need_extra("askqa-build train")
    mixture = mixture_of(tasks)  # before what takes seconds to import
    from askqa_builder.evaluate.items import check_data
    from askqa_builder.learn.ablate import SHOWN
    from askqa_builder.learn.card import CARD
    from askqa_builder.learn.hf import processes, quiet_libraries
    from askqa_builder.learn.scoring import score_model
    from askqa_builder.learn.train import train as run
    from askqa_builder.learn.watch import curve
    from askqa_builder.release.fetch import release_folder

    settings = _settings(
        base=base,
        tasks=mixture,
        fraction=fraction,
        seed=seed,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        lora=lora,
        gradient_checkpointing=gradient_checkpointing,
        precision=precision,
        evaluate_every=evaluate_every,
        patience=patience,
        keep=keep,
        validation=validation,
    )
    quiet_libraries()
    release = release_folder(data, splits=["test", "train", "validation"])
    if score:
        check_data(release, "test")  # before the training, not after it
    alone = curve(main_curve, settings.watched) if main_curve else None
    trained = run(
        release,
        out,
        settings,
        main_curve=alone,
        workers=workers,
        say=_silent if quiet or json else _say,
    )
    if not processes().is_main_process:
        return
    scored = score_model(release, out, limit=score_limit)["scores"] if score else {}
    if json:
        typer.echo(trained.model_dump_json(indent=1))
    elif not quiet:
        for task, loss in trained.validation.items():
            typer.echo(f"validation loss, {task:12}{loss:8.4f}")
        for name in SHOWN:
            if scored.get(name, {}).get("value") is not None:
                typer.echo(f"{SHOWN[name]:42}{100 * scored[name]['value']:6.1f} %")
        typer.echo(f"model card: {out / CARD}")


def ablate(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder for all the runs.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of every run.")],
    base: BaseOption = "tiny",
    tasks: TasksOption = _ALL,
    fractions: Annotated[str, typer.Option(help="Shares of the training passages.")] = "0.1,1.0",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each kind.")] = 3,
    only: Annotated[
        str,
        typer.Option(help="Only these: main, all, without-TASK, main-and-TASK, with commas."),
    ] = "",
    batch_size: BatchOption = 8,
    accumulate: AccumulateOption = 1,
    learning_rate: RateOption = None,
    lora: LoraOption = None,
    gradient_checkpointing: CheckpointingOption = False,
    precision: PrecisionOption = "auto",
    evaluate_every: EveryOption = None,
    patience: PatienceOption = None,
    keep: KeepOption = "best",
    validation: ValidationOption = 200,
    score_limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many dialogues of the test split.")
    ] = None,
    workers: LoadersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare main alone, all tasks, each task left out and each alone with main.

    Every run takes equally many steps; what is done is not done again. Results: ablation.md,
    ablation.json and ablation.png.
    """
    from askqa_builder.audio_models import need_extra
    from askqa_builder.learn.tasks import mixture_of

    need_extra("askqa-build ablate")
    mixture, shares = mixture_of(tasks), _fractions(fractions)
    from askqa_builder.learn.ablate import RESULT, TABLE
    from askqa_builder.learn.ablate import ablate as run
    from askqa_builder.learn.hf import processes, quiet_libraries
    from askqa_builder.release.fetch import release_folder

    settings = _settings(
        base=base,
        tasks=mixture,
        steps=steps,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        lora=lora,
        gradient_checkpointing=gradient_checkpointing,
        precision=precision,
        evaluate_every=evaluate_every,
        patience=patience,
        keep=keep,
        validation=validation,
    )
    quiet_libraries()

    def say(name: str, entry: dict[str, Any]) -> None:
        if "validation" in entry:
            typer.echo(name, err=True, nl=False)
            typer.echo("  ", err=True, nl=False)
            _say(entry)

    run(
        release_folder(data, splits=["test", "train", "validation"]),
        out,
        settings,
        fractions=shares,
        seeds=seeds,
        only=[name.strip() for name in only.split(",") if name.strip()],
        limit=score_limit,
        workers=workers,
        say=(lambda name, entry: None) if quiet or json else say,
    )
    if not processes().is_main_process:
        return
    if json:
        typer.echo((out / RESULT).read_text())
    elif not quiet:
        typer.echo((out / TABLE).read_text())


def _fractions(text: str) -> list[float]:
    """Parse `0.1,1.0`. Raises TrainingError for what is no share of a whole."""
    from askqa_builder.errors import TrainingError

    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0 < share <= 1 for share in found):
        raise TrainingError(
            f"--fractions {text!r}: expected numbers above 0, up to 1, such as 0.1,1.0"
        )
    return found


def _settings(**fields: Any) -> TrainSettings:
    """Settings of a run. Raises TrainingError for a value that is none."""
    from pydantic import ValidationError

    from askqa_builder.errors import TrainingError
    from askqa_builder.files import first_problem
    from askqa_builder.learn.settings import TrainSettings

    try:
        return TrainSettings(**fields)
    except ValidationError as error:
        where, _, words = first_problem(error).partition(": ")
        raise TrainingError(f"--{where.replace('_', '-')}: {words}") from error


def _silent(entry: dict[str, Any]) -> None:
    """No progress."""


def _say(entry: dict[str, Any]) -> None:
    """A line of progress on stderr."""
    figures = entry.get("validation") or {"loss": entry["loss"]}
    words = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
    kind = "validation" if "validation" in entry else "training"
    typer.echo(f"step {entry['step']:>7,}  {kind:10}  {words}", err=True)
    for warning in entry.get("warnings", ()):
        typer.echo(f"warning: {warning}", err=True)
