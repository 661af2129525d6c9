"""generate, check, synthesize, release, demo: from passages to a data set on disk."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from askqa_builder.commands import (
    BuildArgument,
    EngineOption,
    GpusOption,
    JsonOption,
    QuietOption,
    WorkersOption,
    hearing,
    llm,
)
from askqa_builder.commands import voices as speech

_DEMO_TITLE, _DEMO_VERSION = "ASK-QA demo", "1.0.0"
_REJECTS_SHOWN = 20
"""Lines of `check`: a file of something else has one for each of its lines."""


def generate(
    out: llm.OutOption,
    source: llm.SourceOption = None,
    writer: Annotated[
        str | None,
        typer.Option(
            help="contrast (merges questions that differ in one phrase), questions (every "
            "question, unambiguous), import (human dialogues) or llm (a language model; any "
            "passages). Default: import where the source has dialogues, else contrast."
        ),
    ] = None,
    count: llm.CountOption = None,
    ambiguous_share: llm.ShareOption = None,
    seed: llm.SeedOption = None,
    shard_size: llm.ShardSizeOption = None,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    gpus: GpusOption = 0,
    model: llm.ModelOption = None,
    base_url: llm.BaseUrlOption = None,
    verify: llm.VerifyOption = None,
    verify_model: llm.VerifyModelOption = None,
    candidates: llm.CandidatesOption = None,
    budget_usd: llm.BudgetOption = None,
    prices: llm.PricesOption = None,
    requests_per_minute: llm.RequestsOption = None,
    tokens_per_minute: llm.TokensOption = None,
    concurrency: llm.ConcurrencyOption = None,
    timeout_s: llm.TimeoutOption = None,
    max_tokens: llm.MaxTokensOption = None,
    param: llm.ParamOption = None,
    prompts: llm.PromptsOption = None,
    batch: llm.BatchOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write dialogues about passages, and check them.

    With a language model: `--writer llm --source text:DIR --model NAME --count 1000`.
    """
    from askqa_builder import generate as stage
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import print_counts, shard_progress
    from askqa_builder.engines import open_engine
    from askqa_builder.errors import SettingsError
    from askqa_builder.remote import open_build

    runner = open_engine(engine, workers, gpus)
    build = open_build(out)
    settings = settings_before = load_settings(build)
    section = overlaid(
        settings.generate,
        sources=source,
        writer=writer,
        count=count,
        ambiguous_share=ambiguous_share,
        seed=seed,
        shard_size=shard_size,
    )
    model_section = llm.llm_section(
        settings.llm,
        param,
        model=model,
        base_url=base_url,
        verify=verify,
        verify_model=verify_model,
        candidates=candidates,
        budget_usd=budget_usd,
        prices=prices,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrency=concurrency,
        timeout_s=timeout_s,
        max_tokens=max_tokens,
        prompts=prompts,
        batch=batch,
    )
    settings = settings.model_copy(update={"generate": section, "llm": model_section})
    if section.writer == "llm" and engine != "local":
        raise SettingsError(
            f"--engine {engine}: a language model is asked by one process, --concurrency requests "
            "at a time; leave the option away"
        )
    stage.keeps_sources(build, settings_before.generate, section)
    with build.locked():
        passages = stage.ingest(build, section, lambda count: None)
        if not quiet and not json:
            unusable = passages.counts.get("rejected", 0)
            reasons = ", ".join(
                f"{name.removeprefix('rejected:').replace('_', ' ')} {count:,}"
                for name, count in passages.counts.items()
                if name.startswith("rejected:")
            )
            if count is None and section.count is not None:
                typer.echo(f"count {section.count:,}, as the last time; --count changes it")
            typer.echo(
                f"passages: {passages.counts['passages']:,}; records that cannot be used: "
                f"{unusable:,}" + (f" ({reasons})" if reasons else "")
            )
        stopped = None
        if section.writer == "llm":
            stopped = llm.generate_with_llm(build, settings, quiet=quiet, json=json)
        else:
            with shard_progress("writing", quiet or json) as progress:
                manifest = stage.generate(build, section, engine=runner, progress=progress)
            if json:
                typer.echo(manifest.model_dump_json(indent=1))
            elif not quiet:
                print_counts("dialogues", manifest.counts)
                llm.told_of_corrections(build, manifest)
        save_settings(build, settings)  # once it has worked: a refused option is not remembered
    if stopped is not None:
        raise stopped  # what was made until then is written, and the settings with it
    if not quiet and not json:
        typer.echo(f"next: askqa-build synthesize {shlex.quote(out)}")


def synthesize(
    build: BuildArgument,
    voices: Annotated[
        str | None,
        typer.Option(
            help="Engine of all three roles: espeak (default), coqui[:FOLDER|NAME] or openai:MODEL."
        ),
    ] = None,
    narrator: Annotated[str | None, typer.Option(help="Engine of the narrator.")] = None,
    user: Annotated[str | None, typer.Option(help="Engine of the user.")] = None,
    assistant: Annotated[str | None, typer.Option(help="Engine of the assistant.")] = None,
    seed: Annotated[int | None, typer.Option(help="Casting seed; default 0.")] = None,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    gpus: GpusOption = 0,
    perturb: hearing.PerturbOption = None,
    perturb_share: hearing.PerturbShareOption = None,
    perturb_roles: hearing.PerturbRolesOption = None,
    asr: hearing.AsrOption = None,
    max_wer: hearing.MaxWerOption = None,
    device: speech.DeviceOption = None,
    batch: speech.BatchOption = None,
    threads: speech.ThreadsOption = None,
    language: speech.LanguageOption = None,
    references: speech.ReferencesOption = None,
    base_url: speech.BaseUrlOption = None,
    voice: speech.VoiceOption = None,
    instructions: speech.InstructionsOption = None,
    response_format: speech.FormatOption = None,
    budget_usd: speech.BudgetOption = None,
    prices: speech.PricesOption = None,
    concurrency: speech.ConcurrencyOption = None,
    requests_per_minute: speech.RequestsOption = None,
    timeout_s: speech.TimeoutOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Speak the dialogues: a narrator, a user and an assistant."""
    from askqa_builder import synthesize as stage
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import print_counts, shard_progress
    from askqa_builder.engines import open_engine
    from askqa_builder.remote import open_build

    runner = open_engine(engine, workers, gpus)
    folder = open_build(build)
    settings = load_settings(folder)
    section = overlaid(
        settings.synthesize,
        narrator=narrator or voices,
        user=user or voices,
        assistant=assistant or voices,
        seed=seed,
        perturb=hearing.none_or_all(perturb),
        perturb_share=perturb_share,
        perturb_roles=hearing.names(perturb_roles),
        asr=asr,
        max_wer=max_wer,
    )
    section = speech.speech_section(
        section,
        device=device,
        batch=batch,
        threads=threads,
        language=language,
        references=references,
        voice=voice,
        base_url=base_url,
        instructions=instructions,
        response_format=response_format,
        budget_usd=budget_usd,
        prices=prices,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        timeout_s=timeout_s,
    )
    folder.complete("dialogues")
    with folder.locked():
        stage.start(folder, section)
        # before the work: whoever goes on with a run that was killed need not repeat the options
        save_settings(folder, settings.model_copy(update={"synthesize": section}))
        with shard_progress("speaking", quiet or json) as progress:
            manifest = stage.synthesize(folder, section, engine=runner, progress=progress)
    if json:
        typer.echo(manifest.model_dump_json(indent=1))
    elif not quiet:
        print_counts("spoken dialogues", manifest.counts)
        hours = manifest.counts.get("milliseconds", 0) / 3_600_000
        typer.echo(f"{hours:.2f} hours of speech in {manifest.counts.get('clips', 0):,} clips")
        hearing.print_word_errors(manifest.counts, section.asr)
        version = "1.0.0" if folder.manifest("parts") is None else "NEXT"
        typer.echo(f"next: askqa-build release {shlex.quote(build)} --version {version}")


def release(
    build: BuildArgument,
    version: Annotated[str, typer.Option(help="MAJOR.MINOR.PATCH of the data set.")],
    title: Annotated[str | None, typer.Option(help="Title on the card.")] = None,
    license: Annotated[
        str | None, typer.Option(help="Such as cc-by-sa-4.0; default: what the sources allow.")
    ] = None,
    repo: Annotated[
        str | None, typer.Option(metavar="NAME/SET", help="Hub id, for the card's examples.")
    ] = None,
    card: Annotated[
        str | None, typer.Option(help="A name in data_cards/, or a template file.")
    ] = None,
    previous: Annotated[
        str | None,
        typer.Option(
            help="The release that this one follows, as folder or NAME/SET[@REVISION]; "
            "default: the one in BUILD/release."
        ),
    ] = None,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    gpus: GpusOption = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Package the speech as a data set that plain `load_dataset` opens."""
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import shard_progress
    from askqa_builder.engines import open_engine
    from askqa_builder.objects import is_url
    from askqa_builder.release import folder as stage
    from askqa_builder.release.fetch import release_folder
    from askqa_builder.remote import open_build

    runner = open_engine(engine, workers, gpus)
    folder = open_build(build)
    folder.complete("speech")
    settings = load_settings(folder)
    section = overlaid(settings.release, title=title, license=license, repo=repo, card=card)
    with folder.locked(), shard_progress("packaging", quiet or json) as progress:
        manifest = stage.release(
            folder,
            section,
            version,
            previous=release_folder(previous) if previous else None,
            engine=runner,
            progress=progress,
        )
        save_settings(folder, settings.model_copy(update={"release": section}))
    if json:
        typer.echo(manifest.model_dump_json(indent=1))
    elif not quiet:
        for config, splits in manifest.rows.items():
            rows = ", ".join(f"{split} {count:,}" for split, count in splits.items())
            typer.echo(f"{config:10} {rows}")
        typer.echo(
            f"version {manifest.version}: {sum(manifest.hours.values()):.2f} hours of conversation "
            f"({manifest.hours_spoken:.2f} hours of audio, each narration counted once)"
        )
        where = f"{folder.location}/release"
        load = f'load it: datasets.load_dataset("{where}")'
        typer.echo(f"stored: {where}" if is_url(where) else load)


def check(
    path: Annotated[
        Path, typer.Argument(metavar="FILE|BUILD", help="JSON lines of dialogues, or a build.")
    ],
    json: JsonOption = False,
) -> None:
    """Run the checks on anyone's dialogues; exit code 1 if one fails."""
    from askqa_builder import checking
    from askqa_builder.console import print_counts
    from askqa_builder.errors import SourceError, printable

    report = checking.check_path(path)
    if not report.counts:
        raise SourceError(f"{path}: there is no dialogue in it")
    if json:
        typer.echo(report.model_dump_json(indent=1))
    else:
        for reject in report.rejects[:_REJECTS_SHOWN]:
            typer.echo(printable(f"{reject.id}: {reject.reason}: {reject.detail}"))
        if (more := len(report.rejects) - _REJECTS_SHOWN) > 0:
            typer.echo(f"… and {more:,} more; all of them: --json")
        print_counts("dialogues", report.counts)
    if report.rejects:
        raise typer.Exit(1)


def demo(
    out: Annotated[Path, typer.Option(metavar="BUILD", help="The build folder.")] = Path("demo"),
    workers: WorkersOption = None,
) -> None:
    """Run the whole pipeline on the bundled passages, offline, in about a minute."""
    from askqa_builder.config import load_settings
    from askqa_builder.release.folder import MANIFEST, check_place, read_manifest
    from askqa_builder.remote import open_build

    build, place = open_build(out), out / "release"
    check_place(build)  # now, not after a minute
    generate(out=str(out), source=["sample"], shard_size=10, workers=workers)
    synthesize(str(out), workers=workers)
    if (
        (place / MANIFEST).is_file()
        and load_settings(build).release.title == _DEMO_TITLE
        and read_manifest(place).version == _DEMO_VERSION
    ):
        shutil.rmtree(place)  # of an earlier demo, perhaps of an earlier askqa_builder
    release(str(out), version=_DEMO_VERSION, title=_DEMO_TITLE, workers=workers)
    typer.echo(f"listen to it: {(out / 'release' / 'listen.html').resolve()}")
