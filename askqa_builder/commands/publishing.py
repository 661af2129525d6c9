"""push, diff, listen, export: what can be done with a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from askqa_builder.commands import BuildArgument, JsonOption, QuietOption

ReleaseArgument = Annotated[
    Path, typer.Argument(metavar="RELEASE", help="A release folder, such as build/release.")
]


def push(
    build: BuildArgument,
    repo: Annotated[str, typer.Option(metavar="NAME/SET", help="Hub id of the data set.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new data set private.")
    ] = False,
    onto: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT",
            help="Somebody else's commit on main, which you have seen and agree to replace.",
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Publish a release on the Hugging Face Hub: one commit, one tag.

    Log in before, with `hf auth login` or HF_TOKEN. What was published before stays as it is
    under its own tag. After a broken connection, run the same command again.
    """
    from askqa_builder.objects import is_url
    from askqa_builder.release.fetch import release_folder
    from askqa_builder.release.publish import publish

    folder = Path(build) / "release"
    if is_url(build):
        folder = release_folder(f"{build.rstrip('/')}/release", whole=True)
    done = publish(folder, repo, private=private, onto=onto, quiet=quiet or json)
    if json:
        import json as encoder
        from dataclasses import asdict

        typer.echo(encoder.dumps(asdict(done), indent=1))
    elif not done.changed:
        typer.echo(f"{done.repo} already has exactly this release as {done.tag}: nothing changed")
    else:
        typer.echo(f"published {done.repo} {done.tag} as commit {done.commit[:12]}")
        typer.echo(f'load it: datasets.load_dataset("{done.repo}", revision="{done.tag}")')


def diff(
    old: Annotated[str, typer.Argument(help="A release folder, or a Hub id NAME/SET[@REVISION].")],
    new: Annotated[str, typer.Argument(help="The same.")],
    json: JsonOption = False,
) -> None:
    """Tell what changed between two releases, and how far the version must step for it.

    patch = audio or card only; minor = dialogues added; major = dialogues changed, moved or
    removed, or other columns.
    """
    from askqa_builder.errors import printable
    from askqa_builder.release.diff import compare, smallest_next, summary
    from askqa_builder.release.fetch import release_folder

    changes = compare(release_folder(old), release_folder(new))
    if json:
        import json as encoder

        fields = changes.model_dump(mode="json") | {"step": changes.step}
        typer.echo(encoder.dumps(fields, indent=1))
        return
    before, after = changes.rows
    typer.echo(f"{changes.old}: {before:,} dialogues → {changes.new}: {after:,} dialogues")
    typer.echo(summary(changes))
    for name in ("added", "removed", "text", "split", "voice", "audio", "columns", "leaks"):
        items: tuple[str, ...] = getattr(changes, name)
        if items:
            shown = ", ".join(items[:5]) + (" …" if len(items) > 5 else "")
            typer.echo(f"  {name:8}{len(items):>8,}  {printable(shown)}")
    if changes.step != "none":
        following = smallest_next(changes.old, changes.step)
        typer.echo(f"smallest step: {changes.step}, so {following} or later")


def listen(
    release: ReleaseArgument,
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of a dialogue.")],
    out: Annotated[Path, typer.Option(help="Folder for the sound and the page.")] = Path("."),
    wav: Annotated[
        bool, typer.Option("--wav", help="WAV even where MP3 could be written.")
    ] = False,
) -> None:
    """Mix a conversation down to one sound file, with a page that follows it word by word."""
    from askqa_builder.release.listen import listen as mix

    written = mix(release, id, out, form="wav" if wav else None)
    typer.echo(f"{written.sound}\n{written.page}")


def export(
    release: ReleaseArgument,
    to: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="ms-swift, llama-factory, nemo, lhotse, kimi-audio, sdialog or wav.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet.")],
    quiet: QuietOption = False,
) -> None:
    """Write a release in the form that another toolkit reads."""
    from askqa_builder.console import item_progress
    from askqa_builder.release.exports import export as write

    with item_progress("dialogues", quiet) as progress:
        done = write(release, to, out, progress=progress)
    typer.echo(f"{done.folder}: {done.dialogues:,} dialogues, {done.clips:,} sound files")
    typer.echo(f"how to read it: {out / 'ABOUT.txt'}")
