"""voices: who can speak, to read and to hear; the options of the speech engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from askqa_builder.commands import JsonOption

if TYPE_CHECKING:
    from askqa_builder.config import SynthesizeSettings
    from askqa_builder.voices import Voices

_COQUI = "With --voices coqui"
_OPENAI = "With --voices openai (the key comes from OPENAI_API_KEY)"

DeviceOption = Annotated[
    str | None, typer.Option(help="cpu or cuda; default: what is there.", rich_help_panel=_COQUI)
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        help="Lines spoken together; default 1 on the CPU, 16 on a GPU.", rich_help_panel=_COQUI
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(help="Of each process, on the CPU; default 1.", rich_help_panel=_COQUI),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(help="Of models that speak several; default en.", rich_help_panel=_COQUI),
]
ReferencesOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Clips whose voices XTTS or YourTTS imitates.", rich_help_panel=_COQUI
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1; default: OpenAI's.",
        rich_help_panel=_OPENAI,
    ),
]
VoiceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A voice of the endpoint; repeat it. Default: OpenAI's own.", rich_help_panel=_OPENAI
    ),
]
InstructionsOption = Annotated[
    str | None, typer.Option(help="How to speak, in words.", rich_help_panel=_OPENAI)
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--response-format", help="wav (default), flac, pcm or mp3.", rich_help_panel=_OPENAI
    ),
]
BudgetOption = Annotated[
    float | None, typer.Option(help="Never spend more on this build.", rich_help_panel=_OPENAI)
]
PricesOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Prices of your own (TOML).", rich_help_panel=_OPENAI),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(help="Requests in flight at most; default 100.", rich_help_panel=_OPENAI),
]
RequestsOption = Annotated[
    float | None, typer.Option(help="Rate limit of your account.", rich_help_panel=_OPENAI)
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout-s", help="For one reply; default 180.", rich_help_panel=_OPENAI),
]


def speech_section(
    section: SynthesizeSettings,
    *,
    device: str | None = None,
    batch: int | None = None,
    threads: int | None = None,
    language: str | None = None,
    references: str | None = None,
    voice: list[str] | None = None,
    **openai: object,
) -> SynthesizeSettings:
    """Lay the engines' options over the build's settings.

    Raises SettingsError naming the option that is wrong.
    """
    from askqa_builder.config import overlaid

    coqui = overlaid(
        section.coqui,
        device=device,
        batch=batch,
        threads=threads,
        language=language,
        references=references,
    )
    return section.model_copy(
        update={"coqui": coqui, "openai": overlaid(section.openai, voices=voice, **openai)}
    )


def voices(
    engine: Annotated[
        str, typer.Argument(help="espeak, coqui[:FOLDER|NAME] or openai:MODEL.")
    ] = "espeak",
    sample: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Say a line in each voice, with a page to compare them."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="The line to say.")] = None,
    device: DeviceOption = None,
    references: ReferencesOption = None,
    language: LanguageOption = None,
    base_url: BaseUrlOption = None,
    voice: VoiceOption = None,
    instructions: InstructionsOption = None,
    response_format: FormatOption = None,
    json: JsonOption = False,
) -> None:
    """List the speakers of an engine, and let them be heard."""
    from askqa_builder.config import SynthesizeSettings
    from askqa_builder.files import storage_errors
    from askqa_builder.voices import open_voices, samples

    settings = speech_section(
        SynthesizeSettings(),
        device=device,
        references=references,
        language=language,
        base_url=base_url,
        voice=voice,
        instructions=instructions,
        response_format=response_format,
    )
    cache = sample / "cache" if sample else None
    if sample is not None:
        with storage_errors(sample):
            sample.mkdir(parents=True, exist_ok=True)
    opened = open_voices(engine, settings, cache)
    if sample is not None:
        page = samples.write_samples(opened, sample, text or samples.TEXT)
    if json:
        import json as json_module

        listed = [one.model_dump(mode="json") for one in opened.voices()]
        typer.echo(json_module.dumps(listed, ensure_ascii=False, indent=1))
        return
    _print_table(opened)
    if sample is not None:
        typer.echo(f"hear them: {page.resolve()}")


def _print_table(engine: Voices) -> None:
    from rich.console import Console
    from rich.table import Table

    voices = engine.voices()
    title = f"{len(voices):,} voices of {':'.join(filter(None, (engine.name, engine.model)))}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("voice", "sex", "accent", "description"):
        table.add_column(column, overflow="fold")
    for voice in voices:
        table.add_row(voice.id, voice.sex, voice.accent, voice.description)
    Console().print(table, markup=False)
