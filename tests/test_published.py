"""A release at a URL: there as a whole or not at all, whatever is cut off and whoever reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askqa_builder import published
from askqa_builder.errors import ReleaseError
from askqa_builder.objects import Objects
from askqa_builder.release.fetch import release_folder
from askqa_builder.remote import open_build

URL = "memory://bucket/build/release"


pytestmark = pytest.mark.usefixtures("mirror")


def made(folder: Path, version: str, dialogues: tuple[str, ...]) -> Path:
    """A release of as many parts as `dialogues`, in the layout of a real one."""
    files = {
        "README.md": f"card of {version}",
        "CHANGELOG.md": f"changes of {version}",
        "index/history.parquet": f"history of {version}",
    }
    for number, text in enumerate(dialogues):
        sha8 = hashlib.sha256(text.encode()).hexdigest()[:8]
        files[f"dialogues/{('test', 'train')[number % 2]}-{number:05d}-{sha8}.parquet"] = text
    digests = {}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        digests[name] = {"sha256": sha256, "bytes": len(text)}
    manifest = {"version": version, "files": digests}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def objects(store: Any) -> dict[str, bytes]:
    return {name.removeprefix("/bucket/build/release/"): store.cat(name) for name in store.store}


class KilledError(Exception):
    pass


def dying(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next process die before it changes the store once more than `after` times."""
    left = [after]
    for name in ("put", "write", "remove"):
        real: Callable[..., None] = getattr(Objects, name)

        def change(self: Objects, *given: Any, real: Callable[..., None] = real) -> None:
            if not left[0]:
                raise KilledError
            left[0] -= 1
            real(self, *given)

        monkeypatch.setattr(Objects, name, change)


def test_a_release_is_old_or_new_wherever_its_storing_is_cut_off(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(tmp_path / "old", "1.0.0", ("kept", "dropped"))
    new = made(tmp_path / "new", "1.1.0", ("kept", "other", "added"))
    seen: list[str] = []
    for cut in range(100):
        store.store.clear()
        published.store(old, Objects(URL))
        with monkeypatch.context() as patch:
            dying(cut, patch)
            try:
                published.store(new, Objects(URL))
                break
            except KilledError:
                pass
        got = files(release_folder(URL, whole=True))
        seen.append(json.loads(got["manifest.json"])["version"])
        assert got == files(old if seen[-1] == "1.0.0" else new)
        published.store(new, Objects(URL))
        assert objects(store) == files(new), "the next run finishes it"
    assert objects(store) == files(new)
    assert seen == sorted(seen)
    assert set(seen) == {"1.0.0", "1.1.0"}


def test_a_release_is_fetched_in_parts_and_once(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.store(made(tmp_path / "r", "1.0.0", ("a", "b", "c")), Objects(URL))
    fetched: list[str] = []
    real = Objects.fetch

    def noted(self: Objects, name: str, *given: Any) -> bool:
        fetched.append(name)
        return real(self, name, *given)

    monkeypatch.setattr(Objects, "fetch", noted)
    folder = release_folder(URL)
    small = {"manifest.json", "CHANGELOG.md", "index/history.parquet"}
    assert set(files(folder)) == small
    assert release_folder(URL, splits=["train"]) == folder, "a command that reads it goes on"
    assert [n.split("-")[0] for n in set(files(folder)) - small] == ["dialogues/train"]
    assert len(fetched) == 3
    release_folder(URL + "/", splits=["train"])
    assert len(fetched) == 3, "nothing twice"
    assert files(release_folder(URL, whole=True)) == files(tmp_path / "r")


def test_who_may_not_list_the_store_reads_the_release(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.store(made(tmp_path / "r", "1.0.0", ("a",)), Objects(URL))
    cat = type(store).cat_file

    def forbidding(self: Any, path: str, **options: Any) -> bytes:
        try:
            return bytes(cat(self, path, **options))
        except FileNotFoundError as error:
            raise PermissionError("Access Denied") from error

    monkeypatch.setattr(type(store), "cat_file", forbidding)
    assert files(release_folder(URL, whole=True)) == files(tmp_path / "r")


def test_what_is_uploaded_already_is_not_uploaded_again(store: Any, tmp_path: Path) -> None:
    published.store(made(tmp_path / "old", "1.0.0", ("kept",)), Objects(URL))
    (kept,) = (name for name in store.store if "/test-" in name)
    before = store.store[kept]
    published.store(made(tmp_path / "new", "1.1.0", ("kept", "more")), Objects(URL))
    assert store.store[kept] is before


def test_a_release_that_is_damaged_is_one_line(store: Any, tmp_path: Path) -> None:
    published.store(made(tmp_path / "r", "1.0.0", ("a",)), Objects(URL))
    store.pipe("/bucket/build/release/CHANGELOG.md", b"torn")
    with pytest.raises(ReleaseError, match=r"release/CHANGELOG\.md: missing or not as the man"):
        release_folder(URL)
    store.pipe("/bucket/build/release/manifest.json", b'{"files"')
    with pytest.raises(ReleaseError, match=r"manifest\.json: not a release's"):
        release_folder(URL)


@pytest.mark.parametrize("is_torn", [True, False])
def test_storing_the_same_release_mends_it(store: Any, tmp_path: Path, is_torn: bool) -> None:
    release = made(tmp_path / "r", "1.0.0", ("a", "b"))
    published.store(release, Objects(URL))
    for name in [name for name in store.store if "manifest" not in name]:
        if is_torn:
            store.pipe(name, b"")
        else:
            store.rm_file(name)
    published.store(release, Objects(URL))
    assert objects(store) == files(release)


@pytest.mark.parametrize("torn", [b"", b'{"files": {"REA'])
def test_a_next_manifest_that_is_cut_off_is_as_if_not_there(
    store: Any, tmp_path: Path, torn: bytes
) -> None:
    old, new = made(tmp_path / "old", "1.0.0", ("a",)), made(tmp_path / "new", "1.1.0", ("b",))
    published.store(old, Objects(URL))
    store.pipe("/bucket/build/release/.next/manifest.json", torn)
    assert files(release_folder(URL, whole=True)) == files(old)
    published.store(new, Objects(URL))
    assert objects(store) == files(new)


def test_a_part_of_the_next_release_that_is_gone_empties_nothing(
    store: Any, tmp_path: Path
) -> None:
    old, new = made(tmp_path / "old", "1.0.0", ("a",)), made(tmp_path / "new", "1.1.0", ("a",))
    published.store(old, Objects(URL))
    for name, content in files(new).items():
        if name != "README.md":
            store.pipe(f"/bucket/build/release/.next/{name}", content)
    with pytest.raises(ReleaseError, match=r"\.next/README\.md: missing .* delete"):
        published.finish(Objects(URL))
    assert objects(store)["README.md"] == b"card of 1.0.0"
    store.pipe("/bucket/build/release/README.md", b"card of 1.1.0")
    published.store(new, Objects(URL))  # it had its place already
    assert objects(store) == files(new)


def test_a_copy_that_is_changed_on_this_machine_is_fetched_again(
    store: Any, tmp_path: Path
) -> None:
    release = made(tmp_path / "r", "1.0.0", ("good",))
    published.store(release, Objects(URL))
    (part,) = release_folder(URL, whole=True).glob("dialogues/*")
    part.write_text("evil")
    assert files(release_folder(URL, whole=True)) == files(release)


def test_what_mends_a_release_that_cannot_be_compared_with_is_said(
    store: Any, tmp_path: Path
) -> None:
    published.store(made(tmp_path / "r", "1.0.0", ("a",)), Objects(URL))
    store.pipe("/bucket/build/release/CHANGELOG.md", b"torn")
    with pytest.raises(ReleaseError, match=r"give --previous with a whole copy of it, or delete"):
        open_build("memory://bucket/build").fetch_release()


@pytest.mark.parametrize("name", ["../outside", "/outside", "index/../../outside"])
def test_a_manifest_names_no_file_outside_its_folder(store: Any, tmp_path: Path, name: str) -> None:
    folder = made(tmp_path / "r", "1.0.0", ("a",))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["README.md"]
    store.pipe("/bucket/build/release/manifest.json", json.dumps(manifest).encode())
    store.pipe(f"/bucket/build/release/{name}", b"card of 1.0.0")
    with pytest.raises(ReleaseError, match="names a file outside the release"):
        release_folder(URL, whole=True)
    assert not list(tmp_path.rglob("outside"))
