"""What engines on several machines share."""

from __future__ import annotations

import os

from askqa_builder import __version__
from askqa_builder.errors import BuildError
from askqa_builder.objects import is_url
from askqa_builder.store import Build


def shared_location(build: Build) -> str:
    """Where other machines find the build: its URL, or its folder on the shared file system."""
    return build.location if is_url(build.location) else os.path.abspath(build.location)


def check_version(version: str) -> None:
    """Raise BuildError where a node has another askqa_builder than the command."""
    if version != __version__:
        raise BuildError(
            f"{os.uname().nodename}: has askqa_builder {__version__}, the command {version}; "
            "install the same on every node"
        )
