"""A release by folder or by Hub id, or the parts of it that are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from askqa_builder.errors import ReleaseError
from askqa_builder.objects import is_url
from askqa_builder.remote import release_copy

_NEEDED = ("manifest.json", "CHANGELOG.md", "index/*")


def release_folder(spec: str, *, splits: Sequence[str] = (), whole: bool = False) -> Path:
    """The folder of a release; for a Hub id NAME/SET[@REVISION] or an fsspec URL, a copy.

    The copy holds manifest, changelog and index, and the dialogues of the `splits` named; `whole`:
    everything.

    Raises ReleaseError if there is no such release.
    """
    if is_url(spec):
        copy = release_copy(spec, splits=tuple(splits), whole=whole)
        if copy is None:
            raise ReleaseError(
                f"{spec}: no manifest.json, so no whole release; is it BUILD/release?"
            )
        return copy
    path = Path(spec)
    if path.is_dir():
        return path
    if path.exists():
        raise ReleaseError(f"{spec}: is a file, and no release folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, _, revision = spec.partition("@")
    try:
        folder = snapshot_download(
            repo,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=None
            if whole
            else [*_NEEDED, *(f"dialogues/{split}-*" for split in splits)],
        )
    except HFValidationError as error:
        raise ReleaseError(
            f"{spec}: no such folder, and no Hub id (NAME/SET[@REVISION])"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0].removeprefix("Got: ")
        raise ReleaseError(
            f"{spec}: no such folder here, and the Hub does not give it: {reason}"
        ) from error
    return Path(folder)
