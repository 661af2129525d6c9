"""askqa_builder: make, release, and learn from spoken, ambiguous question-answering data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askqa_builder.release.load import load_release

__version__ = "0.1.0"
__all__ = ["__version__", "load_release"]


def __getattr__(name: str) -> Any:
    """Import what is public when it is first asked for: `import askqa_builder` stays quick."""
    if name == "load_release":
        from askqa_builder.release.load import load_release

        return load_release
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
