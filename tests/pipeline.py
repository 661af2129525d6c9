"""Running the real command line, for tests that follow data through the whole pipeline."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest


def command(*arguments: str | Path) -> list[str]:
    """The command line as a user has it, run with this interpreter."""
    return [sys.executable, "-m", "askqa_builder", *map(str, arguments)]


def askqa(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the exit code must be `code`."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def here(*arguments: str | Path) -> str:
    """Run a command in this process, which has imported much; returns what it printed.

    Raises what the command raises: `main`, which makes a line of it, is not run.
    """
    from typer.testing import CliRunner

    from askqa_builder.cli import app

    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def one_line(*arguments: str | Path) -> str:
    """Run a command that must fail with one clear line and no traceback; returns the line."""
    error = askqa(*arguments, code=1).stderr.strip()
    assert len(error.splitlines()) == 1, error
    return error


def one_line_here(*arguments: str | Path) -> str:
    """The same in this process, which takes no second to start."""
    from askqa_builder.cli import main

    errors = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["askqa-build", *map(str, arguments)]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert ended.value.code == 1, errors.getvalue()
    error = errors.getvalue().strip()
    assert len(error.splitlines()) == 1, error
    return error


def killed(after_s: float, *arguments: str | Path) -> bool:
    """Start a command and kill it, workers and all; False if it had already ended well."""
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(timeout=after_s) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.05)  # the workers' files are closed by the kernel a moment later
        return True


def tree(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder by its relative path; the lock file left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
