"""The command line: parse, call, print. Everything else lives in the rooms.

A command is a function in `commands/`; its imports happen inside it, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from askqa_builder.commands import learning, llm, making, measuring, publishing, voices, working
from askqa_builder.errors import AskqaError, printable

app = typer.Typer(
    name="askqa-build",
    help="Make, release, and learn from spoken conversations in which the assistant asks back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("Make a data set", making.demo, "askqa-build demo"),
    ("Make a data set", making.generate, "askqa-build generate --source squad:FILE --out build"),
    (
        "Make a data set",
        llm.estimate,
        "askqa-build estimate --source text:DIR --model NAME --count 1000 --out build",
    ),
    ("Make a data set", making.check, "askqa-build check dialogues.jsonl"),
    ("Make a data set", voices.voices, "askqa-build voices coqui:models/vctk --sample samples"),
    ("Make a data set", making.synthesize, "askqa-build synthesize build"),
    ("Make a data set", making.release, "askqa-build release build --version 1.0.0"),
    ("Publish and use it", publishing.push, "askqa-build push build --repo NAME/SET"),
    ("Publish and use it", publishing.diff, "askqa-build diff NAME/SET@v1.0.0 build/release"),
    ("Publish and use it", publishing.listen, "askqa-build listen build/release ID"),
    (
        "Publish and use it",
        publishing.export,
        "askqa-build export build/release --to nemo --out nemo",
    ),
    (
        "Learn from it",
        learning.examples,
        "askqa-build examples build/release --tasks main,listening --head 20",
    ),
    (
        "Learn from it",
        learning.train,
        "askqa-build train build/release --base tiny --out model",
    ),
    (
        "Learn from it",
        learning.ablate,
        "askqa-build ablate build/release --fractions 0.1,1.0 --seeds 3 --steps 4000 --out study",
    ),
    (
        "Learn from it",
        measuring.evaluate,
        "askqa-build evaluate build/release --model oracle-text --out results",
    ),
    ("Learn from it", measuring.compare, "askqa-build compare results-a results-b"),
)
"""Panel of the help, command, example."""

for _panel, _command, _example in COMMANDS:
    app.command(rich_help_panel=_panel, epilog=f"Example: `{_example}`")(_command)

app.command(hidden=True)(working.work)


_INTERRUPTED = 130
"""Exit code after Ctrl-C, as typer has it."""


def main() -> None:
    """Entry point: an error for people is one line and exit code 1; a bug keeps its traceback."""
    try:
        app()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            print("interrupted; the same command goes on where it was", file=sys.stderr)
        raise
    except AskqaError as error:
        print(f"askqa-build: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(1) from None
