"""Data set repositories as the tests' own Hub keeps and shows them: git, with LFS beside it.

A repository is a bare git repository (`ROOT/NAME/SET.git`); a large file is a real LFS pointer
and its bytes lie in `lfs/SHA256` beside it. There is no xet storage. The answers follow what the
client of huggingface_hub 2.4 reads, and https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

LARGE = (".parquet", ".png", ".flac", ".wav", ".mp3")
GIT_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE)
BAD_TOKEN = "Invalid credentials in Authorization header"
QUOTA = (
    "Private repository storage limit reached, please upgrade your plan "
    "to increase your private storage limit."
)
_WHEN = ("--date=format-local:%Y-%m-%dT%H:%M:%S.000Z",)
OPEN = {"upload", "download"}  # stand for pre-signed storage links: no token is sent there


@dataclass(frozen=True)
class Call:
    name: str
    args: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    base: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Answer:
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818
    def __init__(self, status: int, message: str, code: str = "", **extra: str) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.answer = Answer({"error": message, **extra}, status, headers)


def git(repo: Path, *args: str, stdin: bytes = b"", index: str = "") -> bytes:
    who = {f"GIT_{a}_{b}": "hub@local" for a in ("AUTHOR", "COMMITTER") for b in ("NAME", "EMAIL")}
    env = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull, "TZ": "UTC"}
    if index:
        env["GIT_INDEX_FILE"] = index
    done = subprocess.run(
        ["git", f"--git-dir={repo}", *args], input=stdin, env=env, capture_output=True, check=True
    )
    return done.stdout


class Hub:
    """The state of the server: one method `on_…` per endpoint, each from a Call to an Answer."""

    def __init__(self, root: Path, token: str) -> None:
        self.root, self.token = root, token
        self.lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def answer(self, call: Call) -> Answer:
        given = call.headers.get("authorization")
        if call.name not in OPEN and given not in (None, f"Bearer {self.token}"):
            raise Refused(401, BAD_TOKEN)
        writes = {"whoami", "create", "yaml", "preupload", "commit", "tag", "batch"}
        if call.name in writes and given is None:
            raise Refused(401, "Invalid username or password.")
        handler: Callable[[Call], Answer] = getattr(self, f"on_{call.name}")
        return handler(call)

    def on_whoami(self, call: Call) -> Answer:
        return Answer({"type": "user", "name": "tester", "orgs": [], "auth": {}})

    def on_yaml(self, call: Call) -> Answer:
        return Answer({"errors": [], "warnings": []})

    def on_create(self, call: Call) -> Answer:
        wanted = call.json
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        url = f"{call.base}/datasets/{name}"
        repo = self.root / f"{name}.git"
        if repo.exists():
            raise Refused(409, "You already created this dataset repo", url=url)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repo], check=True)
        (repo / "lfs").mkdir()
        if wanted.get("visibility") == "private" or wanted.get("private"):
            (repo / "private").touch()
        self.commit(repo, "initial commit", [(".gitattributes", GIT_ATTRIBUTES.encode())], [])
        return Answer({"url": url, "name": name, "id": name})

    def on_info(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        files = [{"rfilename": e["path"]} for e in self.entries(repo, sha)]
        date = git(repo, "log", "-1", *_WHEN, "--format=%cd", sha).decode().strip()
        about = {"id": call.args["repo"], "author": call.args["repo"].split("/")[0], "sha": sha}
        flags = {"private": (repo / "private").exists(), "gated": False, "disabled": False}
        counts = {"downloads": 0, "likes": 0, "tags": [], "lastModified": date}
        return Answer({"_id": "0" * 24, **about, **flags, **counts, "siblings": files})

    def on_refs(self, call: Call) -> Answer:
        repo = self.repo(call)
        found: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": []}
        form = "--format=%(refname) %(objectname) %(*objectname)"
        for line in git(repo, "for-each-ref", form).decode().splitlines():
            ref, *oids = line.split()
            kind = "tags" if ref.startswith("refs/tags/") else "branches"
            name = ref.split("/", 2)[2]
            found[kind].append({"name": name, "ref": ref, "targetCommit": oids[-1]})
        return Answer(found)

    def on_tree(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        folder = call.args["path"].strip("/")
        prefix = f"{folder}/" if folder else ""
        inside = [e for e in self.entries(repo, sha, folders=True) if e["path"].startswith(prefix)]
        if folder and not inside:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        if call.query.get("recursive", "").lower() != "true":
            inside = [e for e in inside if "/" not in e["path"].removeprefix(prefix)]
        return Answer(inside)

    def on_paths(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        if "json" in call.headers.get("content-type", ""):
            wanted = call.json["paths"]
        else:
            wanted = parse_qs(call.body.decode()).get("paths", [])
        return Answer([e for e in self.entries(repo, sha, folders=True) if e["path"] in wanted])

    def on_commits(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        lines = git(repo, "log", *_WHEN, "--format=%H%x00%cd%x00%s", sha).decode().splitlines()
        rows = [line.split("\0") for line in lines]
        common = {"authors": [], "message": ""}
        return Answer([{"id": i, "date": d, "title": t, **common} for i, d, t in rows])

    def on_preupload(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        known = {e["path"]: e for e in self.entries(repo, sha)}
        rows = []
        for file in call.json["files"]:
            binary = b"\0" in base64.b64decode(file["sample"]) or file["path"].endswith(LARGE)
            row = {"path": file["path"], "shouldIgnore": False}
            row["uploadMode"] = "lfs" if binary or file["size"] > 10_000_000 else "regular"
            if entry := known.get(file["path"]):
                row["oid"] = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            rows.append(row)
        return Answer({"files": rows})

    def on_batch(self, call: Call) -> Answer:
        repo, rows = self.repo(call), []
        for item in call.json["objects"]:
            row = {"oid": item["oid"], "size": item["size"]}
            if not (repo / "lfs" / item["oid"]).exists():
                href = f"{call.base}/lfs/{call.args['repo']}/{item['oid']}?signature=secret"
                link = {"href": href, "header": {}}
                row["actions"] = {"upload": link, "verify": link}
            rows.append(row)
        return Answer({"transfer": "basic", "objects": rows})

    def on_upload(self, call: Call) -> Answer:
        if hashlib.sha256(call.body).hexdigest() != call.args["oid"]:
            raise Refused(400, "sha256 mismatch")
        stored = self.stored(call)
        part = stored.with_suffix(f".{threading.get_ident()}")
        part.write_bytes(call.body)
        part.rename(stored)
        return Answer()

    def on_verify(self, call: Call) -> Answer:
        stored = self.stored(call)
        if not stored.exists() or stored.stat().st_size != call.json["size"]:
            raise Refused(404, "not uploaded")
        return Answer({})

    def on_download(self, call: Call) -> Answer:
        return _ranged(call, self.stored(call).read_bytes(), {"ETag": f'"{call.args["oid"]}"'})

    def on_resolve(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        entry = next((e for e in self.entries(repo, sha) if e["path"] == call.args["path"]), None)
        if entry is None:
            raise Refused(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": sha}
        if "lfs" in entry:  # like the Hub: the bytes lie with another server (another host name)
            oid = entry["lfs"]["oid"]
            linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(entry["size"])}
            storage = call.base.replace("127.0.0.1", "localhost")
            return Answer(
                None,
                302,
                headers | linked | {"Location": f"{storage}/lfs/{call.args['repo']}/{oid}"},
            )
        blob = git(repo, "cat-file", "blob", entry["oid"])
        return _ranged(call, blob, headers | {"ETag": f'"{entry["oid"]}"'})

    def on_commit(self, call: Call) -> Answer:
        repo = self.repo(call)
        lines = [json.loads(line) for line in call.body.splitlines() if line.strip()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        adds: list[tuple[str, bytes]] = []
        deletes: list[str] = []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                adds.append((value["path"], base64.b64decode(value["content"])))
            elif line["key"] == "lfsFile":
                stored = repo / "lfs" / value["oid"]
                if not stored.exists():
                    raise Refused(400, f"LFS pointer to a file that does not exist: {value}")
                adds.append((value["path"], _pointer(value["oid"], stored.stat().st_size)))
            elif line["key"] == "deletedFile":
                deletes.append(value["path"])
        parent = header.get("parentCommit")
        sha = self.commit(repo, header["summary"], adds, deletes, parent)
        url = f"{call.base}/datasets/{call.args['repo']}/commit/{sha}"
        return Answer({"success": True, "commitOid": sha, "commitUrl": url})

    def on_tag(self, call: Call) -> Answer:
        repo, sha = self.at(call)
        ref = f"refs/tags/{call.json['tag']}"
        with self.lock:
            if git(repo, "for-each-ref", ref):
                raise Refused(409, f"Tag reference exists already: {call.json['tag']}")
            git(repo, "update-ref", ref, sha)
        return Answer()

    def intrude(self, call: Call) -> None:
        """Commit what another person might: an edited card."""
        self.commit(self.repo(call), "Update README.md", [("README.md", b"edited by hand\n")], [])

    def commit(
        self,
        repo: Path,
        title: str,
        adds: list[tuple[str, bytes]],
        deletes: list[str],
        expected: str | None = None,
    ) -> str:
        with self.lock, tempfile.TemporaryDirectory() as folder:
            index = f"{folder}/index"
            parent = git(repo, "for-each-ref", "--format=%(objectname)", "refs/heads/main")
            head = parent.decode().strip()
            if expected and expected != head:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            if head:
                git(repo, "read-tree", head, index=index)
            lines = [f"0 {'0' * 40}\t{path}" for path in deletes]
            for path, data in adds:
                oid = git(repo, "hash-object", "-w", "--stdin", stdin=data).decode().strip()
                lines.append(f"100644 {oid}\t{path}")
            git(repo, "update-index", "--index-info", stdin="\n".join(lines).encode(), index=index)
            tree = git(repo, "write-tree", index=index).decode().strip()
            parents = ["-p", head] if head else []
            sha = git(repo, "commit-tree", tree, *parents, stdin=title.encode()).decode().strip()
            git(repo, "update-ref", "refs/heads/main", sha)
            return sha

    def stored(self, call: Call) -> Path:
        return self.root / f"{call.args['repo']}.git" / "lfs" / call.args["oid"]

    def repo(self, call: Call) -> Path:
        path = self.root / f"{call.args['repo']}.git"
        allowed = call.headers.get("authorization") == f"Bearer {self.token}"
        if not path.is_dir() or ((path / "private").exists() and not allowed):
            raise Refused(404 if allowed else 401, "Repository not found", "RepoNotFound")
        return path

    def at(self, call: Call) -> tuple[Path, str]:
        """The repository and the commit that the call names (main where it names none)."""
        repo, rev = self.repo(call), call.args.get("rev") or "main"
        form = "--format=%(objectname) %(*objectname)"
        for ref in (f"refs/heads/{rev}", f"refs/tags/{rev}"):
            if found := git(repo, "for-each-ref", form, ref).decode().split():
                return repo, found[-1]
        if re.fullmatch(r"[0-9a-f]{40}", rev):
            return repo, rev
        raise Refused(404, f"Invalid rev id: {rev}", "RevisionNotFound")

    def entries(self, repo: Path, sha: str, *, folders: bool = False) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        listing = git(repo, "ls-tree", "-r", "-l", "-z", *(["-t"] if folders else []), sha)
        for line in listing.decode().split("\0")[:-1]:
            meta, path = line.split("\t", 1)
            _, kind, oid, size = meta.split()
            row: dict[str, Any] = {"type": "directory", "oid": oid, "size": 0, "path": path}
            if kind == "blob":
                row |= {"type": "file", "size": int(size)}
                if int(size) < 200 and (large := _read_pointer(git(repo, "cat-file", "blob", oid))):
                    row |= {"size": large["size"], "lfs": large | {"pointerSize": int(size)}}
            rows.append(row)
        return rows


def _pointer(oid: str, size: int) -> bytes:
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{oid}\nsize {size}\n".encode()


def _read_pointer(blob: bytes) -> dict[str, Any] | None:
    found = re.fullmatch(rb"version \S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n", blob)
    return {"oid": found[1].decode(), "size": int(found[2])} if found else None


def _ranged(call: Call, data: bytes, headers: dict[str, str]) -> Answer:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", call.headers.get("range", ""))
    headers |= {"Accept-Ranges": "bytes"}
    if not asked:
        return Answer(data, 200, headers)
    start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Answer(data[start : end + 1], 206, headers)
