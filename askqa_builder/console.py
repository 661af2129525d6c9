"""What people see: progress on stderr while a command works, tables and results on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from askqa_builder.engine import ShardReport


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
