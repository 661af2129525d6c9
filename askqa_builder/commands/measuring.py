"""evaluate, compare: what a model does with a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from askqa_builder.commands import (
    EngineOption,
    GpusOption,
    JsonOption,
    QuietOption,
    WorkersOption,
)

DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="A release folder, or a Hub id NAME/SET[@REVISION].")
]


def evaluate(
    data: DataArgument,
    model: Annotated[
        str,
        typer.Option(
            help="always-answer, always-ask, most-frequent-answer, random, oracle-text[-never or "
            "-always], hf:PATH_OR_ID, openai:MODEL[@URL], cascade:ASR+MODEL[@URL], "
            "predictions:FILE.json, or FILE.py:NAME."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="RESULTS", help="A folder for the results.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    rounds: Annotated[int, typer.Option(min=0, help="Clarifications that are answered.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many dialogues of the split.")
    ] = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            help="Also with the user's sound changed, compared item by item: rate=1.2, pitch=+3, "
            "noise=10, reverb=0.6, telephone, or all. May be repeated."
        ),
    ] = None,
    probe_audio: Annotated[
        bool,
        typer.Option("--probe-audio", help="Also with the sound silenced, and with another's."),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Dialogues at a time.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of a response.")] = 128,
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="Share of failed items that ends the run.")
    ] = 0.5,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; for hf: models.")] = "auto",
    budget_usd: Annotated[
        float | None,
        typer.Option(
            help="Stop before endpoints cost more, all together; a speech endpoint for replies has "
            "as much of its own."
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Of endpoints whose spec names none; default: OpenAI's.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[@URL]",
            help="Let a language model answer clarifying questions, instead of rules.",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[@URL]", help="Let a language model judge as well; scored apart."
        ),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[@URL]", help="Compare clarifying questions by sentence embeddings, too."
        ),
    ] = None,
    user_voices: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE:MODEL",
            help="Where the model is that spoke as the user, if its name in the data does not say "
            "it: coqui:/models/vctk.",
        ),
    ] = None,
    references: Annotated[
        Path | None, typer.Option(help="Folder of the clips that the user's voices imitate.")
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of sound beside a benchmark's file.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap.")] = 1000,
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    gpus: GpusOption = 0,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let a model respond, answer its clarifying questions in speech, and score it.

    DATA may also be a benchmark of others: spoken-squad:FILE, sd-qa:DIR or squad:FILE. A run that
    was killed goes on where it was. Results: scores.json, predictions.jsonl and report.html.
    With --workers or a cluster's --engine, the responses to DATA are made there in shards; what
    else is asked for (other sound, judges) follows in this process.
    """
    from contextlib import ExitStack

    from askqa_builder.console import item_progress, shard_progress
    from askqa_builder.engines import open_engine
    from askqa_builder.errors import SettingsError
    from askqa_builder.evaluate import evaluation, variants
    from askqa_builder.evaluate.benchmarks import is_benchmark, open_benchmark
    from askqa_builder.evaluate.benchmarks.running import evaluate_benchmark
    from askqa_builder.evaluate.items import check_data
    from askqa_builder.evaluate.replies import Replies, VoicesHere
    from askqa_builder.evaluate.responders.opening import (
        ModelSettings,
        open_responder,
        splits_of,
    )
    from askqa_builder.evaluate.spread import PredictStage, spread
    from askqa_builder.llm.prices import Budget
    from askqa_builder.release.fetch import release_folder

    settings = ModelSettings(
        max_new_tokens=max_new_tokens,
        device=evaluation.device_of(device),
        base_url=base_url,
        budget=Budget(budget_usd),
        cache=out / "cache" / "replies.sqlite",
    )
    voices = VoicesHere(
        spec=user_voices or "",
        references=str(references) if references else None,
        budget_usd=budget_usd,
    )
    where = open_engine(engine, workers, gpus)
    is_spread = engine != "local" or (workers or 1) > 1
    if is_spread and (user or is_benchmark(data)):
        raise SettingsError("--engine and --workers are for data sets, and a user by rules")
    with ExitStack() as stack:
        if is_benchmark(data):
            without_use = {
                "--split": split != "test",
                "--rounds": rounds != 1,
                "--perturb": perturb,
                "--probe-audio": probe_audio,
                "--user": user,
                "--embeddings": embeddings,
                "--user-voices": user_voices,
                "--references": references,
            }
            for option in [option for option, given in without_use.items() if given]:
                raise SettingsError(f"{option} is for data sets with a user, not for {data!r}")
            benchmark = open_benchmark(data, audio=audio)
            responder = stack.enter_context(open_responder(model, None, settings=settings))
            helpers = evaluation.open_helpers(stack, settings, judge=judge)
            progress = stack.enter_context(item_progress("responding", quiet or json))
            content = evaluate_benchmark(
                benchmark,
                responder,
                out,
                limit=limit,
                batch_size=batch_size,
                max_failures=max_failures,
                judge=helpers.judge,
                resamples=resamples,
                progress=progress,
            )
        else:
            if audio is not None:
                raise SettingsError(f"--audio is for spoken-squad:FILE, not for {data!r}")
            chosen = variants.perturbations(perturb or ())
            release = release_folder(data, splits=splits_of(model, split))
            check_data(release, split)
            if is_spread:
                if rounds:
                    Replies(out / "cache", voices).check(release, split)
                stage = PredictStage(
                    str(release.resolve()) if Path(data).is_dir() else data,
                    evaluation.data_digest(release, split, limit),
                    model,
                    split,
                    rounds,
                    limit,
                    batch_size,
                    max_new_tokens,
                    settings.device,
                    voices,
                )
                with shard_progress("responding", quiet or json) as spread_progress:
                    spread(stage, out, where, spread_progress)
            progress = stack.enter_context(item_progress("responding", quiet or json))
            responder = stack.enter_context(
                open_responder(model, release, split=split, settings=settings)
            )
            content = evaluation.evaluate(
                release,
                responder,
                out,
                split=split,
                rounds=rounds,
                limit=limit,
                batch_size=batch_size,
                variants=[*chosen, *(variants.PROBES if probe_audio else ())],
                helpers=evaluation.open_helpers(
                    stack, settings, user=user, judge=judge, embeddings=embeddings
                ),
                voices=voices,
                max_failures=max_failures,
                resamples=resamples,
                progress=progress,
            )
    if json:
        typer.echo((out / evaluation.SCORES).read_text())
    elif not quiet:
        scores = content["scores"]
        for name, label in _labels(scores).items():
            estimate = scores[name]
            if estimate["value"] is not None:
                interval = _interval(estimate["low"], estimate["high"])
                typer.echo(f"{label:42}{100 * estimate['value']:6.1f} %  {interval}".rstrip())
        for name, variant in content.get("variants", {}).items():
            change = variant["scores"]["goal_completion"]
            if change["difference"] is not None:
                interval = _interval(change["low"], change["high"], signed=True)
                label = f"goal completion, {name}"
                typer.echo(f"{label:42}{100 * change['difference']:+6.1f}    {interval}".rstrip())
        typer.echo(f"report: {out / 'report.html'}")


def compare(
    one: Annotated[Path, typer.Argument(metavar="A", help="Results of a model.")],
    two: Annotated[Path, typer.Argument(metavar="B", help="Results of another on the same data.")],
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap.")] = 1000,
    json: JsonOption = False,
) -> None:
    """Tell whether two results differ: B minus A, with paired bootstrap intervals.

    Results under another condition lie in RESULTS/variants.
    """
    import json as encoder

    from askqa_builder.evaluate import compare as comparing

    result = comparing.compare(one, two, resamples=resamples)
    if json:
        typer.echo(encoder.dumps(result, indent=1))
        return
    typer.echo(f"{result['data']}: {result['items']} items on {result['passages']} passages")
    typer.echo(f"A: {result['a']}\nB: {result['b']}\nB minus A, in points:")
    for name, label in _labels(result["scores"]).items():
        change = result["scores"][name]
        if change["difference"] is not None:
            interval = _interval(change["low"], change["high"], signed=True)
            mark = "differs" if change["clear"] else ""
            typer.echo(
                f"{label:42}{100 * change['difference']:+6.1f}  {interval:20}{mark}".rstrip()
            )


def _labels(scores: Mapping[str, object]) -> dict[str, str]:
    """What each score is called, in the report's order."""
    from askqa_builder.evaluate.report import BENCHMARK, GROUPS

    known = {
        name: label for group in (*GROUPS.values(), BENCHMARK) for name, label in group.items()
    }
    return {name: label for name, label in known.items() if name in scores}


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return (
        "" if low is None or high is None else f"({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"
    )
