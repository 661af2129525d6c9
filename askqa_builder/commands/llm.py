"""Options of the language-model writer, and estimate: what it will cost before it is paid."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from askqa_builder.commands import JsonOption, QuietOption
from askqa_builder.errors import EndpointError, SettingsError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from askqa_builder.config import LlmSettings, Settings
    from askqa_builder.store import Build, Manifest

_PANEL = "With --writer llm (the key comes from OPENAI_API_KEY)"

OutOption = Annotated[
    str, typer.Option("--out", metavar="BUILD", help="The build folder, or its fsspec URL.")
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="sample, squad:FILE, abg-coqa:FILE, text:DIR, world:N, dialogues:FILE or "
        "sdialog:DIR; may be repeated. Without it: what the build used last."
    ),
]
CountOption = Annotated[
    int | None,
    typer.Option(
        help="Stop at this many dialogues; default: all that can be made. "
        "A language model needs it."
    ),
]
ShareOption = Annotated[
    float | None, typer.Option(help="Share of ambiguous dialogues, 0 to 1; default 0.5.")
]
SeedOption = Annotated[int | None, typer.Option(help="Default 0.")]
ShardSizeOption = Annotated[int | None, typer.Option(help="Passages per shard; default 50.")]

ModelOption = Annotated[
    str | None, typer.Option(help="The endpoint's name of the model.", rich_help_panel=_PANEL)
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; default: OpenAI's.",
        rich_help_panel=_PANEL,
    ),
]
VerifyOption = Annotated[
    int | None,
    typer.Option(
        help="Independent solvers for each question; 0: none. Default 2.", rich_help_panel=_PANEL
    ),
]
VerifyModelOption = Annotated[
    str | None,
    typer.Option(help="The model that solves; default: --model.", rich_help_panel=_PANEL),
]
CandidatesOption = Annotated[
    int | None,
    typer.Option(
        help="Try at most so many dialogues; default: 3 × --count.", rich_help_panel=_PANEL
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(help="Never spend more on this build.", rich_help_panel=_PANEL),
]
PricesOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Prices of your own (TOML).", rich_help_panel=_PANEL),
]
RequestsOption = Annotated[
    float | None, typer.Option(help="Rate limit of your account.", rich_help_panel=_PANEL)
]
TokensOption = Annotated[
    float | None, typer.Option(help="Rate limit of your account.", rich_help_panel=_PANEL)
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(help="Requests in flight at most; default 100.", rich_help_panel=_PANEL),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout-s", help="For one reply; default 180.", rich_help_panel=_PANEL),
]
MaxTokensOption = Annotated[
    int | None, typer.Option(help="Longest reply; default 4096.", rich_help_panel=_PANEL)
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Sent with every request, such as temperature=0.7; may be repeated.",
        rich_help_panel=_PANEL,
    ),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Prompts of your own; each replaces one.", rich_help_panel=_PANEL
    ),
]
BatchOption = Annotated[
    bool | None,
    typer.Option(
        "--batch/--no-batch",
        help="Use the provider's Batch API: half the price, hours of waiting.",
        rich_help_panel=_PANEL,
    ),
]


def llm_section(section: LlmSettings, param: list[str] | None, **options: object) -> LlmSettings:
    """Lay the options over the build's [llm] settings.

    Raises SettingsError naming the option that is wrong.
    """
    from askqa_builder.config import overlaid
    from askqa_builder.llm.client import checked_params

    params: dict[str, JsonValue] | None = None
    if param is not None:
        params = {}
        for given in param:
            name, equals, value = given.partition("=")
            if not name or not equals:
                raise SettingsError(f"--param {given!r}: write it as NAME=VALUE")
            try:
                params[name] = json_module.loads(value)
            except ValueError:
                params[name] = value  # a bare word is a string
        checked_params(params)
    return overlaid(section, params=params, **options)


def generate_with_llm(
    build: Build, settings: Settings, *, quiet: bool, json: bool
) -> EndpointError | None:
    """Run the stage and tell what came of it; return why it ended early, if it did."""
    from askqa_builder import generate_llm as stage
    from askqa_builder.console import llm_progress, print_counts

    with llm_progress(quiet or json) as progress:
        result = stage.generate(build, settings.generate, settings.llm, progress)
    counts = result.manifest.counts
    if json:
        typer.echo(result.manifest.model_dump_json(indent=1))
    elif not quiet:
        print_counts("dialogues", counts)
        kinds = ", ".join(
            f"{name.removeprefix('kind:')} {number:,}"
            for name, number in counts.items()
            if name.startswith("kind:")
        )
        typer.echo(f"ambiguous {counts.get('ambiguous', 0):,} ({kinds}), ", nl=False)
        typer.echo(f"unambiguous {counts.get('unambiguous', 0):,}")
        tokens = counts.get("input_tokens", 0), counts.get("output_tokens", 0)
        typer.echo(
            f"{counts.get('replies', 0):,} replies, {tokens[0]:,} tokens in, {tokens[1]:,} out, "
            + (
                f"${counts['microdollars'] / 1e6:,.4f}"
                if "microdollars" in counts
                else "price unknown"
            )
        )
        told_of_corrections(build, result.manifest)
    return result.stopped


def told_of_corrections(build: Build, manifest: Manifest) -> None:
    """Tell people of corrections that correct nothing."""
    from askqa_builder.generate import unmatched_corrections

    if unknown := unmatched_corrections(build, manifest):
        typer.echo(f"corrections.jsonl: no dialogue of this build is called {', '.join(unknown)}")


def estimate(
    out: OutOption,
    source: SourceOption = None,
    count: CountOption = None,
    ambiguous_share: ShareOption = None,
    seed: SeedOption = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    verify: VerifyOption = None,
    verify_model: VerifyModelOption = None,
    candidates: CandidatesOption = None,
    budget_usd: BudgetOption = None,
    prices: PricesOption = None,
    requests_per_minute: RequestsOption = None,
    tokens_per_minute: TokensOption = None,
    concurrency: ConcurrencyOption = None,
    timeout_s: TimeoutOption = None,
    max_tokens: MaxTokensOption = None,
    param: ParamOption = None,
    prompts: PromptsOption = None,
    batch: BatchOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tell what `generate --writer llm` will take: calls, tokens, dollars, time.

    Makes a preview of 20 dialogues, which the build then need not pay for again.
    """
    from askqa_builder import estimate as preview
    from askqa_builder import generate as stage
    from askqa_builder.config import load_settings, overlaid, save_settings
    from askqa_builder.console import llm_progress
    from askqa_builder.remote import open_build

    build = open_build(out)
    before = load_settings(build)
    settings = before.model_copy(
        update={
            "generate": overlaid(
                before.generate,
                sources=source,
                writer="llm",
                count=count,
                ambiguous_share=ambiguous_share,
                seed=seed,
            ),
            "llm": llm_section(
                before.llm,
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
            ),
        }
    )
    stage.keeps_sources(build, before.generate, settings.generate)
    with build.locked():
        stage.ingest(build, settings.generate, lambda count: None)
        with llm_progress(quiet or json) as progress:
            result = preview.estimate(build, settings.generate, settings.llm, progress)
        save_settings(build, settings)  # once it has worked
    typer.echo(result.model_dump_json(indent=1) if json else result.text())
