"""One command at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from askqa_builder.errors import BuildError
from askqa_builder.files import storage_errors

LOCK = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_held: set[IO[str]] = set()


def _let_go() -> None:
    """Called in a forked process, such as one that loads batches: it may outlive this one."""
    for file in _held:
        file.close()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Keep a folder, which is made where it is missing; the lock dies with the process.

    Yields False where the file system has no locks: there the user sees to it. Raises BuildError
    if another process holds it.
    """
    path = folder / LOCK
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                yield False
                return
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise BuildError(
                f"{folder}: another command (process {holder}) is at work here; "
                "wait for it, or choose another --out folder"
            ) from error
        with storage_errors(path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        _held.add(file)
        try:
            yield True
        finally:
            _held.remove(file)
