"""What people see: progress on stderr while a command works, tables and results on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from askqa_builder.engine import ShardReport

if TYPE_CHECKING:
    from askqa_builder.llm_session import Progress


@contextmanager
def shard_progress(label: str, quiet: bool) -> Iterator[Callable[[ShardReport, int], None]]:
    """A progress bar over shards; silent with `quiet`, and where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda report, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("shards"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    milliseconds = 0
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task(label, total=None, note="")

        def advance(report: ShardReport, total: int) -> None:
            nonlocal milliseconds
            milliseconds += report.counts.get("milliseconds", 0)
            note = f"{milliseconds / 3_600_000:.2f} h of speech" if milliseconds else ""
            bar.update(task, advance=1, total=total, note=note)

        yield advance


@contextmanager
def llm_progress(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A line that says what was accepted, rejected and spent, and what remains."""
    if quiet or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.BarColumn(bar_width=10),
        bars.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        bars.TextColumn("{task.fields[note]}"),
    )
    with bars.Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("", total=None, note="asking")

        def advance(progress: Progress) -> None:
            note = f"{progress.accepted:,}/{progress.wanted:,} accepted"
            note += f", {progress.rejected:,} rejected"
            if progress.spent_usd is not None:
                note += f", ${progress.spent_usd:,.2f} spent"
                if progress.budget_usd is not None:
                    note += f", ${progress.budget_usd - progress.spent_usd:,.2f} left"
            if progress.waiting:
                note += f"; batch {progress.waiting}"
            bar.update(task, completed=progress.accepted, total=progress.wanted, note=note)

        yield advance


@contextmanager
def item_progress(label: str, quiet: bool) -> Iterator[Callable[[object], None]]:
    """A counter of items; silent with `quiet`, and where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda item: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}: {task.completed:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task(label, total=None)
        yield lambda item: bar.update(task, advance=1)


def print_counts(title: str, counts: Mapping[str, int]) -> None:
    """What went in, what was accepted, and why the rest was not."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name in ("candidates", "accepted", "rejected"):
        table.add_row(name, f"{counts.get(name, 0):,}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        if name.startswith("rejected:"):
            table.add_row(f"  {name.removeprefix('rejected:').replace('_', ' ')}", f"{count:,}")
    Console().print(table)
