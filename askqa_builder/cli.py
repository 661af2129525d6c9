"""The command line: parse, call, print. Everything else lives in the rooms."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from askqa_builder.errors import AskqaError

app = typer.Typer(
    name="askqa-build",
    help="Make, release, and learn from spoken conversations in which the assistant asks back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

BuildArgument = Annotated[Path, typer.Argument(metavar="BUILD", help="The build folder.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", "-j", help="Processes; as many as cores by default.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command(epilog="Example: `askqa-build generate --source squad:train.json --out build`")
def generate(
    out: Annotated[Path, typer.Option("--out", metavar="BUILD", help="The build folder.")],
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="sample, squad:FILE, abg-coqa:FILE, text:DIR, world:N or dialogues:FILE; "
            "may be repeated. Without it: what the build used last."
        ),
    ] = None,
    writer: Annotated[
        str | None,
        typer.Option(
            help="contrast (merges questions that differ in one phrase), questions (every "
            "question, unambiguous) or import (human dialogues). Default: import where the "
            "source has dialogues, else contrast."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Stop at this many dialogues; all by default.")
    ] = None,
    ambiguous_share: Annotated[
        float | None, typer.Option(help="Share of ambiguous dialogues, 0 to 1; default 0.5.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Default 0.")] = None,
    shard_size: Annotated[int | None, typer.Option(help="Passages per shard; default 50.")] = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write dialogues about passages, and check them."""
    from askqa_builder import generate as stage
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import print_counts, shard_progress
    from askqa_builder.engine import check_workers, default_workers
    from askqa_builder.store import Build

    workers = default_workers() if workers is None else workers
    check_workers(workers)
    build = Build(out)
    settings = load_settings(out)
    section = overlaid(
        settings.generate,
        sources=source,
        writer=writer,
        count=count,
        ambiguous_share=ambiguous_share,
        seed=seed,
        shard_size=shard_size,
    )
    with build.locked():
        save_settings(out, settings.model_copy(update={"generate": section}))
        passages = stage.ingest(build, section, lambda count: None)
        with shard_progress("writing", quiet or json) as progress:
            manifest = stage.generate(build, section, workers=workers, progress=progress)
    if json:
        typer.echo(manifest.model_dump_json(indent=1))
    elif not quiet:
        rejected = passages.counts.get("rejected", 0)
        typer.echo(f"{passages.counts['passages']:,} passages, {rejected:,} unusable records")
        print_counts("dialogues", manifest.counts)
        typer.echo(f"next: askqa-build synthesize {out}")


@app.command(epilog="Example: `askqa-build synthesize build --workers 2`")
def synthesize(
    build: BuildArgument,
    voices: Annotated[
        str | None, typer.Option(help="Engine of all three roles: espeak (default).")
    ] = None,
    narrator: Annotated[str | None, typer.Option(help="Engine of the narrator.")] = None,
    user: Annotated[str | None, typer.Option(help="Engine of the user.")] = None,
    assistant: Annotated[str | None, typer.Option(help="Engine of the assistant.")] = None,
    seed: Annotated[int | None, typer.Option(help="Casting seed; default 0.")] = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Speak the dialogues: a narrator, a user and an assistant."""
    from askqa_builder import synthesize as stage
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import print_counts, shard_progress
    from askqa_builder.engine import check_workers, default_workers
    from askqa_builder.store import Build

    workers = default_workers() if workers is None else workers
    check_workers(workers)
    folder = Build(build)
    settings = load_settings(build)
    section = overlaid(
        settings.synthesize,
        narrator=narrator or voices,
        user=user or voices,
        assistant=assistant or voices,
        seed=seed,
    )
    folder.complete("dialogues")
    with folder.locked():
        save_settings(build, settings.model_copy(update={"synthesize": section}))
        with shard_progress("speaking", quiet or json) as progress:
            manifest = stage.synthesize(folder, section, workers=workers, progress=progress)
    if json:
        typer.echo(manifest.model_dump_json(indent=1))
    elif not quiet:
        print_counts("spoken dialogues", manifest.counts)
        hours = manifest.counts.get("milliseconds", 0) / 3_600_000
        typer.echo(f"{hours:.2f} hours of speech in {manifest.counts.get('clips', 0):,} clips")
        typer.echo(f"next: askqa-build release {build} --version 1.0.0")


@app.command(epilog="Example: `askqa-build release build --version 1.0.0`")
def release(
    build: BuildArgument,
    version: Annotated[str, typer.Option(help="MAJOR.MINOR.PATCH of the data set.")],
    workers: WorkersOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Package the speech as a data set that plain `load_dataset` opens."""
    from askqa_builder.config import load_settings
    from askqa_builder.console import shard_progress
    from askqa_builder.engine import check_workers, default_workers
    from askqa_builder.release import folder as stage
    from askqa_builder.store import Build

    workers = default_workers() if workers is None else workers
    check_workers(workers)
    folder = Build(build)
    folder.complete("speech")
    section = load_settings(build).release
    with folder.locked(), shard_progress("packaging", quiet or json) as progress:
        manifest = stage.release(folder, section, version, workers=workers, progress=progress)
    if json:
        typer.echo(manifest.model_dump_json(indent=1))
    elif not quiet:
        for config, splits in manifest.rows.items():
            rows = ", ".join(f"{split} {count:,}" for split, count in splits.items())
            typer.echo(f"{config:10} {rows}")
        typer.echo(f"{sum(manifest.hours.values()):.2f} hours, version {manifest.version}")
        typer.echo(f'load it: datasets.load_dataset("{build / "release"}")')


@app.command(epilog="Example: `askqa-build check dialogues.jsonl`, or `askqa-build check build`")
def check(
    path: Annotated[
        Path, typer.Argument(metavar="FILE|BUILD", help="JSON lines of dialogues, or a build.")
    ],
    json: JsonOption = False,
) -> None:
    """Run the checks on anyone's dialogues; exit code 1 if one fails."""
    from askqa_builder import checking
    from askqa_builder.console import print_counts

    report = checking.check_path(path)
    if json:
        typer.echo(report.model_dump_json(indent=1))
    else:
        for reject in report.rejects:
            typer.echo(f"{reject.id}: {reject.reason}: {reject.detail}")
        print_counts("dialogues", report.counts)
    if report.rejects:
        raise typer.Exit(1)


@app.command(epilog="Example: `askqa-build demo --out demo`")
def demo(
    out: Annotated[Path, typer.Option(metavar="BUILD", help="The build folder.")] = Path("demo"),
    workers: WorkersOption = None,
) -> None:
    """Run the whole pipeline on the bundled passages, offline, in about a minute."""
    generate(out=out, source=["sample"], shard_size=10, workers=workers)
    synthesize(out, workers=workers)
    release(out, version="1.0.0", workers=workers)


def main() -> None:
    """Entry point: an error for people is one line and exit code 1; a bug keeps its traceback."""
    try:
        app()
    except AskqaError as error:
        print(f"askqa-build: {error}", file=sys.stderr)
        raise SystemExit(1) from None
