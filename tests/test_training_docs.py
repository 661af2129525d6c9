"""docs/training.md: its examples are those of the demo set, and its command lines are real."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import typer
from conftest import ROOT

from askqa_builder.cli import app
from askqa_builder.learn.dialogues import Clip, SpokenDialogue, Turn
from askqa_builder.learn.tasks import TASKS
from askqa_builder.learn.tasks.parts import Draft as Example
from askqa_builder.learn.tasks.parts import Others
from askqa_builder.schema import Passage, Reject
from askqa_builder.sources import open_source
from askqa_builder.writers import open_writer

PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- examples of the demo set -->", "<!-- end of the examples -->"


@cache
def demo() -> tuple[SpokenDialogue, ...]:
    """Dialogues of the demo's first passages as the tasks see them; durations do not matter."""
    found = []
    for passage in islice((p for p in open_source("sample") if isinstance(p, Passage)), 8):
        for draft in islice(open_writer("contrast").write(passage), 6):
            if isinstance(draft, Reject):
                continue
            found.append(
                SpokenDialogue(
                    id=f"{passage.id}-{draft.key}",
                    passage_id=passage.id,
                    narration=(Clip("narration", 0, passage.text, passage.text, 1.0),),
                    turns=tuple(
                        Turn(t.role, t.act, Clip("turns", i, t.text, t.text, 1.0))
                        for i, t in enumerate(draft.turns)
                    ),
                    readings=draft.readings,
                    intended=draft.intended,
                    ambiguous=draft.ambiguous,
                )
            )
    return tuple(found)


def shown(draft: Example) -> str:
    lines = []
    for message in draft.messages:
        parts = [f"♪ {p.said}" if isinstance(p, Clip) else p for p in message.parts]
        lines.append(f"{message.role}: {''.join(parts).strip()}")
    return "\n\n".join([*lines, f"assistant → {draft.target}"])


def examples() -> str:
    """One of each form, of the first ambiguous dialogue (or the first that has it)."""
    dialogues = sorted(demo(), key=lambda d: not d.ambiguous)
    others = Others.of(dialogues)
    parts = []
    for task, drafts in TASKS.items():
        forms: dict[str, str] = {}
        for dialogue in dialogues:
            short = f"{dialogue.passage[:60].rpartition(' ')[0]} …"
            for draft in drafts(dialogue, others, Random(f"docs:{dialogue.id}")):
                text = shown(draft)
                # the passage is read once in full, above
                text = text.replace(dialogue.passage, short) if parts or forms else text
                forms.setdefault(draft.form, text)
        parts += [f"**{task}: `{form}`**\n\n```text\n{text}\n```" for form, text in forms.items()]
    return "\n\n".join(parts)


def test_examples_of_the_page_are_those_of_the_demo_set(
    golden: Callable[[Path, str], None],
) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    golden(PAGE, f"{before}{BEGIN}\n\n{examples()}\n\n{END}{after}")


def test_commands_and_options_of_the_page_exist() -> None:
    commands: Any = typer.main.get_command(app)
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    called = [line for line in lines if "askqa-build " in line or "-m askqa_builder " in line]
    assert len(called) >= 6
    for line in called:
        words = shlex.split(re.split(r"askqa-build |-m askqa_builder ", line)[1])
        context = commands.commands[words[0]].make_context(words[0], words[1:])
        assert context.command.name == words[0]
