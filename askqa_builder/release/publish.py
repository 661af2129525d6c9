"""Put a release on the Hugging Face Hub: one commit, then the tag `vX.Y.Z` on it.

`publish` looks at what the Hub has, decides, and acts. Every step can be done again, so whatever
broke (the connection, this machine, the Hub), running it once more goes on where it stopped:

    tag vX.Y.Z holds this release ............ nothing to do
    tag vX.Y.Z holds something else .......... ReleaseError: raise the version
    a commit holds it, its tag is missing .... tag that commit
    main is at the last release .............. upload what the Hub lacks, commit, tag
    main is anywhere else .................... ReleaseError: look, then `--onto COMMIT`

Tags are never moved and commits never rewritten: what was once published loads for ever. One
`create_commit` is one commit, with xet storage or without (`upload_folder` may split into several).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from askqa_builder import __version__
from askqa_builder.errors import AskqaError, EndpointError, ReleaseError, SettingsError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_log = logging.getLogger(__name__)
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_OF_THE_HUB = ".gitattributes"
"""The Hub's own file in every repository: no release brings it, none takes it away."""


@dataclass(frozen=True)
class Published:
    """Where a release lies on the Hub."""

    repo: str
    tag: str
    commit: str
    changed: bool
    """False where the Hub already had exactly this release."""


@dataclass(frozen=True)
class LocalRelease:
    """A release folder whose every file is what its manifest says."""

    folder: Path
    version: str
    files: dict[str, str]
    """Path in the repository → SHA-256 of the content, `manifest.json` included."""


def publish(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    onto: str | None = None,
    quiet: bool = False,
    attempts: int = 5,
    pause_s: float = 1.0,
) -> Published:
    """Publish the release in `folder` as the data set `repo` ("NAME/SET"), or complete it.

    `private` makes a new repository private (and refuses one that is public); `onto` is a commit
    of main, made by somebody else, that the caller has seen and whose changes may be replaced.
    `attempts` tries, the first pause being `pause_s` and each one twice as long as the last, go
    against server errors and broken connections. The token is that of the Hugging Face login
    (`hf auth login` or HF_TOKEN); it is sent to the Hub and shows up nowhere else.

    Raises ReleaseError where publishing is not right (damaged folder, version taken, main moved),
    EndpointError where the Hub refuses or stays unreachable, SettingsError for a bad `repo`.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    _check_name(repo)
    release = read_release(folder)
    token = get_token()
    if token is None:
        raise EndpointError("no login for the Hugging Face Hub; log in: hf auth login")
    api = HfApi(token=token, library_name="askqa_builder", library_version=__version__)
    additions = []
    for path, sha256 in release.files.items():
        addition = CommitOperationAdd(path, str(folder / path))
        addition.upload_info.sha256 = bytes.fromhex(sha256)  # known: no second pass over the bytes
        additions.append(addition)
    push = _Push(api, release, repo, private, onto, additions)
    with _discreet(token, quiet):
        return _patiently(push.advance, repo, token, attempts, pause_s)


def read_release(folder: Path) -> LocalRelease:
    """Read a release folder and check every file against the manifest.

    Raises ReleaseError unless the folder holds exactly the files of its manifest, whole.
    """
    manifest_path = folder / "manifest.json"
    remake = "make it again: askqa-build release"
    try:
        text = manifest_path.read_bytes()
        manifest = json.loads(text)
        version, listed = str(manifest["version"]), dict(manifest["files"])
        wanted = {path: str(entry["sha256"]) for path, entry in listed.items()}
    except FileNotFoundError:
        raise ReleaseError(
            f"{folder}: no manifest.json, so no complete release; {remake}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{manifest_path}: not a manifest ({error!r}); {remake}") from error
    if not _VERSION.fullmatch(f"v{version}"):
        raise ReleaseError(f"{manifest_path}: version {version!r} is not of the form X.Y.Z")
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    } - {"manifest.json"}
    if strays := sorted(found - wanted.keys()):
        raise ReleaseError(f"{folder}: {strays[0]!r} is not in manifest.json; {remake}")
    for path, sha256 in wanted.items():
        parts = PurePosixPath(path).parts
        if path not in found or ".." in parts or PurePosixPath(path).is_absolute():
            raise ReleaseError(f"{folder}: {path!r} of manifest.json is missing; {remake}")
        with (folder / path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise ReleaseError(f"{folder}: {path!r} differs from its manifest; {remake}")
    wanted["manifest.json"] = hashlib.sha256(text).hexdigest()
    return LocalRelease(folder, version, wanted)


@dataclass(repr=False)  # no repr: the API object knows the token
class _Push:
    api: HfApi
    release: LocalRelease
    repo: str
    private: bool
    onto: str | None
    additions: list[Any]
    acted: bool = False
    """Whether a commit or a tag was asked for; its answer may have been lost."""

    def advance(self) -> Published:
        """Look, decide, act; safe to call again after any failure."""
        self._ensure_repository()
        refs = self.api.list_repo_refs(self.repo, repo_type="dataset")
        tags = {ref.name: ref.target_commit for ref in refs.tags if _VERSION.fullmatch(ref.name)}
        head = {ref.name: ref.target_commit for ref in refs.branches}["main"]
        tag = f"v{self.release.version}"
        if tag in tags:
            if differing := self._differences(tags[tag]):
                raise ReleaseError(
                    f"{tag} of {self.repo} is already published with other content "
                    f"(such as {differing[0]!r}); what is published stays: raise the version"
                )
            return Published(self.repo, tag, tags[tag], changed=self.acted)
        commit = self._commit_without_tag(set(tags.values()))
        if commit is None:
            self._check_may_follow(head, tags)
            commit = self._commit(head)
        self.acted = True
        self.api.create_tag(self.repo, tag=tag, revision=commit, repo_type="dataset")
        return Published(self.repo, tag, commit, changed=True)

    @property
    def _title(self) -> str:
        return f"Release {self.release.version}"

    def _ensure_repository(self) -> None:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            info = self.api.dataset_info(self.repo)
        except RepositoryNotFoundError as error:
            if error.response.status_code == 401:
                raise
            # None leaves the visibility to the account's or organisation's own default.
            private = True if self.private else None
            self.api.create_repo(self.repo, repo_type="dataset", private=private, exist_ok=True)
            return
        if self.private and not info.private:
            raise ReleaseError(
                f"{self.repo} is public; make it private in its settings on the Hub, "
                "or push without --private"
            )

    def _commit_without_tag(self, tagged: set[str]) -> str | None:
        """The commit of this very release, where an earlier push died before its tag."""
        for commit in self.api.list_repo_commits(self.repo, repo_type="dataset"):
            if commit.commit_id in tagged:
                break
            if commit.title == self._title and not self._differences(commit.commit_id):
                return str(commit.commit_id)
        return None

    def _check_may_follow(self, head: str, tags: dict[str, str]) -> None:
        newest = max(tags, key=_numbers, default=None)
        if newest and _numbers(newest) > _numbers(f"v{self.release.version}"):
            raise ReleaseError(
                f"{self.repo} is already at {newest}: {self.release.version!r} would lead main "
                "backwards; raise the version above it"
            )
        if head in tags.values() or (
            self.onto and len(self.onto) > 6 and head.startswith(self.onto)
        ):
            return
        if not tags and self._tree(head).keys() <= {"README.md"}:
            return  # as the Hub or its web form makes a new repository
        title = next(iter(self.api.list_repo_commits(self.repo, repo_type="dataset"))).title
        raise ReleaseError(
            f"main of {self.repo} has moved: {title!r} ({head[:8]}) came after "
            f"{newest or 'the repository was made'}; take what you want to keep of it into the "
            f"release, then push again with --onto {head[:8]}"
        )

    def _commit(self, head: str) -> str:
        """Make main hold exactly the release: one commit, on `head` or not at all."""
        from huggingface_hub import CommitOperationDelete

        kept = self.release.files.keys()
        deletions = [CommitOperationDelete(path) for path in self._tree(head) if path not in kept]
        self.api.preupload_lfs_files(
            self.repo, self.additions, repo_type="dataset", free_memory=False
        )
        self.acted = True
        info = self.api.create_commit(
            self.repo,
            [*deletions, *self.additions],
            repo_type="dataset",
            commit_message=self._title,
            commit_description=f"Made by askqa_builder {__version__}.",
            parent_commit=head,
        )
        return str(info.oid)

    def _differences(self, revision: str) -> list[str]:
        """The paths whose content at `revision` is not that of the release."""
        tree, files = self._tree(revision), self.release.files
        differing = {path for path in tree if path not in files}
        for path, sha256 in files.items():
            entry = tree.get(path)
            if entry is None:
                differing.add(path)
            elif entry.lfs is not None:
                if entry.lfs.sha256 != sha256:
                    differing.add(path)
            elif entry.blob_id != _git_blob_id(self.release.folder / path):
                differing.add(path)
        return sorted(differing)

    def _tree(self, revision: str) -> dict[str, Any]:
        from huggingface_hub.hf_api import RepoFile

        entries = self.api.list_repo_tree(
            self.repo, recursive=True, revision=revision, repo_type="dataset"
        )
        files = (entry for entry in entries if isinstance(entry, RepoFile))
        return {file.path: file for file in files if file.path != _OF_THE_HUB}


def _patiently(
    advance: Callable[[], Published], repo: str, token: str, attempts: int, pause_s: float
) -> Published:
    """Call `advance` until it is through, a person is needed, or the attempts are spent."""
    import httpx2

    for attempt in range(1, attempts + 1):
        try:
            return advance()
        except (httpx2.HTTPError, RuntimeError, OSError, json.JSONDecodeError) as error:
            # The client wraps a failed upload in a RuntimeError; xet's own failures are OSErrors;
            # a gateway's page in place of an answer is no JSON.
            wrapped = error.__cause__ if isinstance(error, RuntimeError) else None
            problem = wrapped if isinstance(wrapped, Exception) else error
        except ValueError as error:  # the Hub finds the card's front matter invalid
            raise ReleaseError(f"{repo}: {_line(error, token)}") from None
        if final := _final(problem, repo, token):
            raise final from None  # the chain could show what the message must not
        if attempt == attempts:
            break
        _log.warning("%s; attempt %d of %d failed", _line(problem, token), attempt, attempts)
        time.sleep(max(pause_s * 2 ** (attempt - 1), _asked_pause_s(problem)))
    raise EndpointError(
        f"the Hub does not answer as it should ({_line(problem, token)}); "
        "nothing is lost: push again to go on"
    )


def _asked_pause_s(problem: Exception) -> float:
    """The seconds that a busy Hub asks us to wait (Retry-After), at most five minutes."""
    from huggingface_hub.errors import HfHubHTTPError

    if not isinstance(problem, HfHubHTTPError):
        return 0.0
    asked = problem.response.headers.get("Retry-After", "")
    return min(float(asked), 300.0) if asked.isdecimal() else 0.0


def _final(problem: Exception, repo: str, token: str) -> AskqaError | None:
    """What to tell the person where trying again is no use; None where it may help."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(problem, OfflineModeIsEnabled):
        return EndpointError("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it")
    login = "log in again: hf auth login"
    if isinstance(problem, PermissionError):
        return EndpointError(f"the Hub refuses the token ({_line(problem, token)}); {login}")
    if not isinstance(problem, HfHubHTTPError):
        return None
    status = problem.response.status_code
    # 409 and 412: somebody was faster; the next look says who. The rest is the server's trouble.
    if status in (408, 409, 412, 429) or status >= 500:
        return None
    said = _line(problem.server_message or problem, token)
    if status == 401:
        return EndpointError(f"the Hub refuses the token (wrong, revoked or expired); {login}")
    if status in (402, 413) or "storage" in said.lower():
        return EndpointError(
            f"no room for {repo} on the Hub: {said} Make room, then push again: "
            "what was uploaded is kept"
        )
    if status == 403:
        return EndpointError(f"the token may not write to {repo} ({said}); {login}")
    return EndpointError(f"the Hub refuses ({status}): {said}")


@contextlib.contextmanager
def _discreet(token: str, quiet: bool) -> Iterator[None]:
    """Keep the token and signed links out of the client's log; `quiet`: no progress bars."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    def scrub(record: logging.LogRecord) -> bool:
        record.msg, record.args = _scrubbed(record.getMessage(), token), ()
        return True

    handlers = [*logging.getLogger("huggingface_hub").handlers, *logging.getLogger().handlers]
    hide = quiet and not are_progress_bars_disabled()
    for handler in handlers:
        handler.addFilter(scrub)
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(scrub)
        if hide:
            enable_progress_bars()


def _check_name(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
        well_formed = repo.count("/") == 1
    except HFValidationError:
        well_formed = False
    if not well_formed:
        raise SettingsError(f"repository {repo!r}: expected NAME/SET, such as 'me/my-ask-qa'")


def _numbers(tag: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(tag)
    assert found is not None
    return tuple(map(int, found.groups()))


def _git_blob_id(path: Path) -> str:
    """The name that git gives to a file's content (git-hash-object)."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _line(said: object, token: str) -> str:
    """A message on one line of bearable length, fit to be shown."""
    line = " ".join(_scrubbed(str(said), token).split()) or type(said).__name__
    return line if len(line) <= 300 else f"{line[:299]}…"


def _scrubbed(text: str, token: str) -> str:
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text.replace(token, "<token>"))
