"""Writing weights, alone in a folder, on a disk that may be full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from askqa_builder.errors import StorageError
from askqa_builder.files import storage_errors, sweep
from askqa_builder.learn.hf import processes
from askqa_builder.lock import lock

_FULL = ("no space left", "disk quota", "os error 28", "file write failed", "unexpected pos")
"""How libraries that write weights say that the disk is full, in words of their own."""


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """What is written into `folder`. Raises StorageError, one line, where the disk does not take
    it, whoever says so."""
    try:
        with storage_errors(folder):
            yield
    except StorageError:
        raise
    except Exception as error:
        if not any(words in str(error).lower() for words in _FULL):
            raise
        raise StorageError(
            f"{folder}: the disk is full; free some space and run the command again"
        ) from error


@contextmanager
def alone(out: Path, checkpoints: Path) -> Iterator[None]:
    """Keep a run for this command, without the rubbish of a killed one.

    The processes of one command share it. The lock goes with the checkpoints, when the run is
    done. Raises BuildError while another command is at work there.
    """
    if not processes().is_main_process:
        yield
        return
    with lock(checkpoints):
        sweep(out)
        yield
