"""evaluate, compare: what a model does with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from askqa_builder.commands import JsonOption, QuietOption

DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="A release folder, or a Hub id NAME/SET[@REVISION].")
]


def evaluate(
    data: DataArgument,
    model: Annotated[
        str,
        typer.Option(
            help="always-answer, always-ask, most-frequent-answer, random, oracle-text, "
            "hf:PATH_OR_ID, openai:MODEL[@URL], cascade:ASR+MODEL[@URL], or FILE.py:NAME."
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
            "noise=10, reverb=0.6, telephone. May be repeated."
        ),
    ] = None,
    probe_audio: Annotated[
        bool,
        typer.Option("--probe-audio", help="Also with the sound silenced, and with another's."),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Dialogues at a time.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of a response.")] = 128,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; for hf: models.")] = "auto",
    budget_usd: Annotated[
        float | None, typer.Option(help="Stop before an endpoint costs more.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Of endpoints whose spec names none; default: OpenAI's.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL[@URL]", help="Let a language model judge as well; scored apart."
        ),
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of sound beside a benchmark's file.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap.")] = 1000,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let a model respond, answer its clarifying questions in speech, and score it.

    DATA may also be a benchmark of others: spoken-squad:FILE, sd-qa:DIR or squad:FILE. A run that
    was killed goes on where it was. Results: scores.json, predictions.jsonl and report.html.
    """
    from askqa_builder.console import item_progress
    from askqa_builder.evaluate import evaluation, variants
    from askqa_builder.evaluate.benchmarks import is_benchmark, open_benchmark
    from askqa_builder.evaluate.benchmarks.running import evaluate_benchmark
    from askqa_builder.evaluate.responders.opening import ModelSettings, open_responder
    from askqa_builder.release.fetch import release_folder

    settings = ModelSettings(
        max_new_tokens=max_new_tokens,
        device=evaluation.device_of(device),
        base_url=base_url,
        budget_usd=budget_usd,
        cache=out / "cache" / "replies.sqlite",
    )
    with item_progress("responding", quiet or json) as progress:
        if is_benchmark(data):
            benchmark = open_benchmark(data, audio=audio)
            with open_responder(model, None, settings=settings) as responder:
                content = evaluate_benchmark(
                    benchmark,
                    responder,
                    out,
                    limit=limit,
                    batch_size=batch_size,
                    resamples=resamples,
                    progress=progress,
                )
        else:
            release = release_folder(data, splits=sorted({"train", split}))
            chosen = [variants.perturbed(spec) for spec in perturb or ()]
            if probe_audio:
                chosen += variants.PROBES
            with open_responder(model, release, split=split, settings=settings) as responder:
                content = evaluation.evaluate(
                    release,
                    responder,
                    out,
                    split=split,
                    rounds=rounds,
                    limit=limit,
                    batch_size=batch_size,
                    variants=chosen,
                    judge=evaluation.judge_of(judge, settings) if judge else None,
                    resamples=resamples,
                    progress=progress,
                )
    if json:
        typer.echo((out / evaluation.SCORES).read_text())
    elif not quiet:
        from askqa_builder.evaluate.report import HEADLINES

        scores = content["scores"]
        for name in [name for name in HEADLINES if name in scores] or scores:
            estimate = scores[name]
            if estimate["value"] is not None:
                interval = _interval(estimate["low"], estimate["high"])
                typer.echo(f"{name.replace('_', ' '):28}{estimate['value']:.3f}  {interval}")
        typer.echo(f"report: {out / 'report.html'}")


def compare(
    one: Annotated[Path, typer.Argument(help="Results of a model.")],
    two: Annotated[Path, typer.Argument(help="Results of another on the same data.")],
    data: Annotated[str, typer.Option(help="What they are results on, as for evaluate.")],
    json: JsonOption = False,
) -> None:
    """Tell whether two results differ: second minus first, with paired bootstrap intervals."""
    import json as encoder

    from askqa_builder.evaluate import evaluation
    from askqa_builder.release.fetch import release_folder

    split = evaluation.split_of_results(one)
    result = evaluation.compare(one, two, release_folder(data, splits=[split]))
    if json:
        typer.echo(encoder.dumps(result, indent=1))
        return
    typer.echo(f"{result['b']} minus {result['a']}")
    for name, change in result["scores"].items():
        if change["difference"] is not None:
            interval = _interval(change["low"], change["high"])
            mark = "differs" if change["clear"] else ""
            title = name.replace("_", " ")
            typer.echo(f"{title:28}{change['difference']:+.3f}  {interval}  {mark}".rstrip())


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"({low:.3f} to {high:.3f})"
