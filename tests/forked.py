"""Processes that are there at once, to be killed: forked from one that has imported what they need.

    process = forked(work, folder, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.join()

An interpreter that imports openai takes over a second to start, and a test of kills starts many.
The one that forks runs none of our code: what it hands on are imported modules, no thread, no
event loop, no open file.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("openai", "aiohttp.web", "datasketch", "pytest"),
        *("askqa_builder.cli", "askqa_builder.generate_llm", "askqa_builder.llm.batch"),
    ]
)


def forked(work: Callable[..., Any], *arguments: Any) -> ForkServerProcess:
    """Start `work(*arguments)`, a function of a module, with this process's environment."""
    environment = dict(os.environ)  # the forking one keeps that of the time it was started
    process = _CONTEXT.Process(target=_run, args=(environment, work, arguments), daemon=True)
    process.start()
    return process


def whole(process: ForkServerProcess) -> None:
    """Wait for it to end well."""
    process.join(240)
    assert process.exitcode == 0


def command(*arguments: str | Path) -> ForkServerProcess:
    """Start the command line; what it prints goes nowhere."""
    return forked(_command, *map(str, arguments))


def _command(*arguments: str) -> None:
    from askqa_builder.cli import main

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.argv = ["askqa-build", *arguments]
    main()


def _run(environment: dict[str, str], work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    work(*arguments)
