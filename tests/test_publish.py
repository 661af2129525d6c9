"""The life of a release on a Hub: pushed from one process, loaded in another, with faults."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_repositories import QUOTA
from hub_server import LocalHub, local_hub

from askqa_builder.errors import EndpointError, ReleaseError, SettingsError
from askqa_builder.release.publish import publish, read_release

CARD = """---
license: cc0-1.0
configs:
- config_name: dialogues
  default: true
  data_files:
  - {split: train, path: dialogues/train-*.parquet}
  - {split: test, path: dialogues/test-*.parquet}
---
# A tiny set, version %s
"""
CLIENT = """
import json, sys, time
from pathlib import Path
time.sleep = lambda seconds: None  # pauses between attempts are not what is tested
from askqa_builder.errors import AskqaError
from askqa_builder.release.publish import publish
for line in sys.stdin:
    folder, repo, options = json.loads(line)
    try:
        done = publish(Path(folder), repo, **options)
        answer = {"tag": done.tag, "commit": done.commit, "changed": done.changed}
    except AskqaError as error:
        answer = {"error": type(error).__name__, "says": str(error)}
    print(json.dumps(answer), flush=True)
"""
LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for revision in sys.argv[2:]:
    splits = load_dataset(sys.argv[1], revision=revision)
    found[revision] = {name: list(rows["text"]) for name, rows in splits.items()}
print(json.dumps(found))
"""


class Client:
    """A process of its own that pushes; no byte that it prints may hold the token."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.token, self.printed = env["HF_TOKEN"], folder / f"stderr-{env['HF_TOKEN'][-4:]}"
        with self.printed.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CLIENT],
                env=os.environ | env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def ask(self, folder: Path, repo: str, options: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(folder), repo, options]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        printed = line + self.printed.read_text()
        assert line, printed
        assert self.token not in printed
        assert "signature=secret" not in printed
        result: dict[str, Any] = json.loads(line)
        return result

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with local_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(server: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(server.env, tmp_path_factory.mktemp("client"))
    yield client
    client.close()


class Place:
    """One repository on the Hub, and a client that pushes to it."""

    def __init__(self, hub: LocalHub, client: Client) -> None:
        self.hub, self.client, self.repo = hub, client, f"tester/{uuid.uuid4().hex}"

    def push(self, folder: Path, **options: Any) -> dict[str, Any]:
        self.client.ask(folder, self.repo, options)
        return self.client.answer()

    def git(self, *args: str) -> str:
        return self.hub.git(self.repo, *args)

    def commits(self) -> list[str]:
        return self.git("log", "--format=%s", "main").splitlines()

    def load(self, *revisions: str) -> dict[str, dict[str, list[str]]]:
        """Every split of every revision, as a fresh process reads it."""
        command = [sys.executable, "-c", LOAD, self.repo, *revisions]
        env = os.environ | self.hub.env
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, dict[str, list[str]]] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture
def place(server: LocalHub, client: Client) -> Place:
    server.reset()
    return Place(server, client)


def make_release(
    folder: Path, version: str, texts: list[str], shards: int = 1, padding: int = 0
) -> Path:
    """A release in small: `texts` in `shards` train shards, one row of test, a card."""
    (folder / "dialogues").mkdir(parents=True)
    for shard in range(shards):
        noise = random.Random(f"{version}:{shard}").randbytes(padding)
        rows = {"text": texts[shard::shards], "noise": [noise] * len(texts[shard::shards])}
        name = f"train-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(pa.table(rows), folder / "dialogues" / name)
    pq.write_table(
        pa.table({"text": ["held out"], "noise": [b""]}), folder / "dialogues/test-0.parquet"
    )
    (folder / "README.md").write_text(CARD % version)
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / "manifest.json").write_text(json.dumps({"version": version, "files": files}))
    return folder


def test_every_tag_keeps_loading_its_own_rows_and_main_the_newest(
    place: Place, tmp_path: Path
) -> None:
    old = make_release(tmp_path / "1.0.0", "1.0.0", ["a", "b", "c"], shards=3)
    new = make_release(tmp_path / "1.1.0", "1.1.0", ["a", "b", "c", "d"], shards=2)

    first = place.push(old)
    assert first["changed"]
    assert first["tag"] == "v1.0.0"
    assert place.commits() == ["Release 1.0.0", "initial commit"]
    uploads = len(place.hub.calls("upload"))

    again = place.push(old)
    assert again == first | {"changed": False}
    assert place.commits() == ["Release 1.0.0", "initial commit"]
    assert len(place.hub.calls("upload")) == uploads

    assert place.push(new)["changed"]
    assert place.commits() == ["Release 1.1.0", "Release 1.0.0", "initial commit"]
    assert place.git("rev-parse", "v1.0.0") == first["commit"]
    assert (
        len(place.hub.calls("upload")) == uploads + 2
    )  # the unchanged test shard is not sent again

    found = place.load("v1.0.0", "v1.1.0", "main")
    assert sorted(found["v1.0.0"]["train"]) == ["a", "b", "c"]
    assert sorted(found["v1.1.0"]["train"]) == ["a", "b", "c", "d"]
    assert found["main"] == found["v1.1.0"]  # stale shards are gone from main
    assert found["main"]["test"] == ["held out"]
    old_bytes = place.git("show", "v1.0.0:manifest.json")
    assert old_bytes == (old / "manifest.json").read_text()
    assert place.push(old) == again  # pushing an older release again is still no change


def test_a_version_is_published_once(place: Place, tmp_path: Path) -> None:
    place.push(make_release(tmp_path / "one", "1.1.0", ["a"]))
    other = place.push(make_release(tmp_path / "two", "1.1.0", ["b"]))
    assert other["error"] == "ReleaseError"
    assert "already published with other content" in other["says"]
    lower = place.push(make_release(tmp_path / "three", "1.0.9", ["b"]))
    assert lower["error"] == "ReleaseError"
    assert "already at v1.1.0" in lower["says"]
    assert place.commits() == ["Release 1.1.0", "initial commit"]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        ("create", {"status": 502}),
        ("refs", {"status": 500}),
        ("yaml", {"status": 503}),
        ("preupload", {"status": 500}),
        ("batch", {"status": 504}),
        ("upload", {"kind": "cut", "times": 2}),
        ("upload", {"kind": "lost"}),
        ("verify", {"status": 500}),
        ("commit", {"status": 500, "times": 2}),
        ("commit", {"kind": "lost"}),
        ("tag", {"status": 500}),
        ("tag", {"kind": "lost"}),
    ],
)
def test_a_passing_fault_is_overcome_with_one_commit_and_one_tag(
    place: Place, tmp_path: Path, endpoint: str, fault: dict[str, Any]
) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a", "b"], shards=2, padding=2_000_000)
    place.hub.fail(endpoint, **fault)
    done = place.push(folder)
    assert done.get("changed"), done
    assert any(call["fault"] for call in place.hub.calls(endpoint))
    assert place.commits() == ["Release 1.0.0", "initial commit"]
    assert place.git("rev-parse", "v1.0.0") == done["commit"]
    assert place.push(folder) == done | {"changed": False}


def test_a_push_killed_in_an_upload_sends_the_rest_only(place: Place, tmp_path: Path) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", list("abcd"), shards=4, padding=100_000)
    place.hub.fail("upload", "hang", skip=3, times=2)
    doomed = Client(place.hub.env, tmp_path)
    doomed.ask(folder, place.repo, {})
    deadline = time.monotonic() + 30
    while len(place.hub.calls("verify")) < 3 or len(place.hub.calls("upload")) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    doomed.close()
    assert place.commits() == ["initial commit"]
    assert place.push(folder)["changed"]
    stored = [call["path"] for call in place.hub.calls("upload") if not call["fault"]]
    assert len(stored) == len(set(stored)) == 5  # nothing that had arrived is sent again


def test_a_commit_whose_tag_is_missing_is_tagged_not_made_again(
    place: Place, tmp_path: Path
) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    place.hub.fail("tag", status=500, times=3)
    cut_short = place.push(folder, attempts=3)
    assert cut_short["error"] == "EndpointError"
    assert "push again to go on" in cut_short["says"]
    made = place.git("rev-parse", "main")
    done = place.push(folder)
    assert done["changed"]
    assert done["commit"] == place.git("rev-parse", "v1.0.0") == made
    assert place.commits() == ["Release 1.0.0", "initial commit"]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_moved_main_is_a_persons_decision(place: Place, tmp_path: Path, when: str) -> None:
    place.push(make_release(tmp_path / "one", "1.0.0", ["a"]))
    new = make_release(tmp_path / "two", "1.1.0", ["a", "b"])
    if when == "before":  # another's commit lands on main: that of a push which then fails
        place.hub.fail("commit", "intrude")
        place.push(new, attempts=1)
    else:
        place.hub.fail("commit", "intrude")
    moved = place.push(new)
    assert moved["error"] == "ReleaseError"
    assert "'Update README.md'" in moved["says"]
    theirs = place.git("rev-parse", "main")
    assert f"--onto {theirs[:8]}" in moved["says"]
    assert place.commits() == ["Update README.md", "Release 1.0.0", "initial commit"]

    done = place.push(new, onto=theirs[:8])
    assert done["changed"]
    assert place.commits()[:2] == [
        "Release 1.1.0",
        "Update README.md",
    ]  # theirs stays in the history
    assert place.git("show", "main:README.md") == (new / "README.md").read_text().strip()


def test_a_repository_with_other_content_is_not_taken_over(place: Place, tmp_path: Path) -> None:
    first = make_release(tmp_path / "one", "1.0.0", ["a"])
    place.hub.fail("tag", status=500)
    place.push(first, attempts=1)  # files on main, and no release tag
    other = place.push(make_release(tmp_path / "two", "2.0.0", ["b"]))
    assert other["error"] == "ReleaseError"
    assert "has moved" in other["says"]


@pytest.mark.parametrize(
    ("endpoint", "fault", "advice"),
    [
        ("commit", {"status": 401, "message": "token expired"}, "log in again: hf auth login"),
        ("refs", {"status": 401, "message": "token expired"}, "log in again: hf auth login"),
        ("batch", {"status": 403, "message": QUOTA}, QUOTA),
        ("commit", {"status": 413, "message": "Payload too large"}, "no room for tester/"),
        ("commit", {"status": 403, "message": "Forbidden"}, "may not write to tester/"),
        ("tag", {"status": 400, "message": "hf_local_test_token?"}, "refuses (400): <token>?"),
    ],
)
def test_a_refusal_says_what_to_do_and_the_next_push_completes(
    place: Place, tmp_path: Path, endpoint: str, fault: dict[str, Any], advice: str
) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    place.hub.fail(endpoint, **fault)
    refused = place.push(folder)
    assert refused["error"] == "EndpointError"
    assert advice in refused["says"]
    assert "\n" not in refused["says"]
    assert (
        len([call for call in place.hub.calls(endpoint) if call["fault"]]) == 1
    )  # no blind retries
    assert place.push(folder)["changed"]
    assert place.commits() == ["Release 1.0.0", "initial commit"]


def test_a_card_that_the_hub_finds_invalid_is_a_fault_of_the_release(
    place: Place, tmp_path: Path
) -> None:
    place.hub.fail("yaml", status=400)
    refused = place.push(make_release(tmp_path / "r", "1.0.0", ["a"]))
    assert refused["error"] == "ReleaseError"
    assert "Invalid metadata in README.md" in refused["says"]


def test_a_wrong_token_is_a_login_problem_not_a_missing_repository(
    place: Place, tmp_path: Path
) -> None:
    stranger = Client(place.hub.env | {"HF_TOKEN": "hf_of_somebody_else"}, tmp_path)
    stranger.ask(make_release(tmp_path / "r", "1.0.0", ["a"]), place.repo, {})
    refused = stranger.answer()
    stranger.close()
    assert refused["error"] == "EndpointError"
    assert "hf auth login" in refused["says"]
    assert not place.hub.calls("create")


def test_private_makes_a_private_set_and_refuses_a_public_one(place: Place, tmp_path: Path) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    assert place.push(folder, private=True)["changed"]
    assert (place.hub.root / f"{place.repo}.git" / "private").exists()
    (place.hub.root / f"{place.repo}.git" / "private").unlink()
    refused = place.push(folder, private=True)
    assert refused["error"] == "ReleaseError"
    assert "is public" in refused["says"]


def test_the_token_reaches_no_file(place: Place, tmp_path: Path) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    place.push(folder)
    token = place.hub.env["HF_TOKEN"].encode()
    files = [path for path in place.hub.root.parent.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if token in path.read_bytes()]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "README.md").write_text("other"), "'README.md' differs"),
        (lambda f: (f / "dialogues/test-0.parquet").unlink(), "'dialogues/test-0.parquet'"),
        (lambda f: (f / "extra.parquet").write_text("x"), "'extra.parquet' is not in"),
        (lambda f: (f / "manifest.json").unlink(), "no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "not a manifest"),
        (lambda f: (f / "manifest.json").write_text('{"version": "1", "files": {}}'), "X.Y.Z"),
        (lambda f: shutil.rmtree(f), "no manifest.json"),
    ],
)
def test_a_damaged_folder_is_refused_before_anything_is_sent(
    tmp_path: Path, damage: Any, says: str
) -> None:
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    assert read_release(folder).version == "1.0.0"
    damage(folder)
    with pytest.raises(ReleaseError, match=r"askqa-build release|X\.Y\.Z") as caught:
        publish(folder, "tester/ask-qa")
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["no-owner", "a/b/c", "a/..", "", "spaces in/it"])
def test_a_malformed_repository_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="expected NAME/SET"):
        publish(tmp_path, name)


def test_without_a_login_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    folder = make_release(tmp_path / "r", "1.0.0", ["a"])
    with pytest.raises(EndpointError, match="log in: hf auth login"):
        publish(folder, "tester/ask-qa")
