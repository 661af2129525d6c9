"""The tests' own Hugging Face Hub: an HTTP server in its own process, with faults to switch on.

with local_hub(tmp_path) as hub:
    hub.fail("commit", status=500, times=2)      # the next two commits answer 500
    subprocess.run([...], env=os.environ | hub.env)
    hub.calls("upload")                          # what the clients asked for
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hub_repositories import Call, Hub, Refused, git

_REPO = r"(?P<repo>[^/]+/[^/]+)"
_REV = r"(?P<rev>[^/]+)"
_API = rf"/api/datasets/{_REPO}"
ROUTES = (
    ("whoami", "GET", r"/api/whoami-v2"),
    ("create", "POST", r"/api/repos/create"),
    ("yaml", "POST", r"/api/validate-yaml"),
    ("refs", "GET", rf"{_API}/refs"),
    ("tree", "GET", rf"{_API}/tree/{_REV}(?:/(?P<path>.*))?"),
    ("paths", "POST", rf"{_API}/paths-info/{_REV}"),
    ("commits", "GET", rf"{_API}/commits/{_REV}"),
    ("preupload", "POST", rf"{_API}/preupload/{_REV}"),
    ("commit", "POST", rf"{_API}/commit/{_REV}"),
    ("tag", "POST", rf"{_API}/tag/{_REV}"),
    ("info", "GET", rf"{_API}(?:/revision/{_REV})?"),
    ("batch", "POST", rf"/datasets/{_REPO}\.git/info/lfs/objects/batch"),
    ("upload", "PUT", rf"/lfs/{_REPO}/(?P<oid>\w+)"),
    ("verify", "POST", rf"/lfs/{_REPO}/(?P<oid>\w+)"),
    ("download", "GET|HEAD", rf"/lfs/{_REPO}/(?P<oid>\w+)"),
    ("resolve", "GET|HEAD", rf"/datasets/{_REPO}/resolve/{_REV}/(?P<path>.+)"),
)


@dataclass
class Fault:
    """What goes wrong at an endpoint, the next `times` times that it is called."""

    endpoint: str
    kind: str
    """status: answer `status` and do nothing; cut: close the connection while the body comes;
    lost: do it, then close the connection; hang: never answer; intrude: another's commit first."""
    times: int = 1
    status: int = 500
    message: str = "something went wrong"
    skip: int = 0
    """Calls that go well first."""


class Server:
    """The ASGI application: routing, faults and the log around a Hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.faults: list[Fault] = []
        self.log: list[dict[str, Any]] = []
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request
        from starlette.responses import Response

        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = unquote(scope["raw_path"].decode().split("?")[0])
        if path == "/_faults":
            self.faults.append(Fault(**await request.json()))
            await Response()(scope, receive, send)
            return
        if path == "/_reset":
            self.faults.clear()
            self.log.clear()
            await Response()(scope, receive, send)
            return
        if path == "/_log":
            await Response(json.dumps(self.log))(scope, receive, send)
            return
        name, args = _route(scope["method"], scope["raw_path"].decode().split("?")[0])
        fault = self._due(name)
        entry = {"endpoint": name, "path": path, "fault": fault.kind if fault else None}
        self.log.append(entry)
        if fault and fault.kind in ("cut", "hang"):
            await anext(request.stream())
            await asyncio.sleep(3600 if fault.kind == "hang" else 0)
            self.transports[tuple(scope["client"])].abort()
            return
        base = f"http://{request.headers['host']}"
        headers, query = dict(request.headers), dict(request.query_params)
        call = Call(name, args, query, headers, base, await request.body())
        try:
            if fault and fault.kind == "status":
                raise Refused(fault.status, fault.message)
            if fault and fault.kind == "intrude":
                await asyncio.to_thread(self.hub.intrude, call)
            if not name:
                raise Refused(404, "no such endpoint")
            answer = await asyncio.to_thread(self.hub.answer, call)
        except Refused as refused:
            answer = refused.answer
        entry["status"] = answer.status
        if fault and fault.kind == "lost":
            self.transports[tuple(scope["client"])].abort()
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        await Response(body, answer.status, answer.headers)(scope, receive, send)

    def _due(self, endpoint: str) -> Fault | None:
        for fault in self.faults:
            if fault.endpoint == endpoint and fault.skip > 0:
                fault.skip -= 1
            elif fault.endpoint == endpoint and fault.times > 0:
                fault.times -= 1
                return fault
        return None


def _route(method: str, raw_path: str) -> tuple[str, dict[str, str]]:
    """The endpoint's name and arguments; matched before unquoting: a revision may hold %2F."""
    for name, methods, pattern in ROUTES:
        if method in methods.split("|") and (found := re.fullmatch(pattern, raw_path)):
            return name, {key: unquote(value or "") for key, value in found.groupdict().items()}
    return "", {}


def serve(root: Path, token: str) -> None:
    """Serve on a free port of the loopback; the first line of output is the address."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    server = Server(Hub(root, token))

    class Cuttable(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            server.transports[transport.get_extra_info("peername")] = transport

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        server, http=Cuttable, log_level="warning", lifespan="off", timeout_keep_alive=60
    )
    uvicorn.Server(config).run(sockets=[listener])


@dataclass(frozen=True)
class LocalHub:
    """A running server, as a test sees it."""

    url: str
    env: dict[str, str]
    root: Path

    def fail(self, endpoint: str, kind: str = "status", **fault: Any) -> None:
        self._open("/_faults", json.dumps(asdict(Fault(endpoint, kind, **fault))).encode())

    def reset(self) -> None:
        """Forget the faults and the log; the repositories stay."""
        self._open("/_reset")

    def calls(self, endpoint: str) -> list[dict[str, Any]]:
        """The calls to an endpoint so far, in order, those that met a fault included."""
        log: list[dict[str, Any]] = json.loads(self._open("/_log"))
        return [call for call in log if call["endpoint"] == endpoint]

    def git(self, repo: str, *args: str) -> str:
        return git(self.root / f"{repo}.git", *args).decode().strip()

    def _open(self, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + quote(path), data, timeout=10) as response:
            body: bytes = response.read()
        return body


@contextlib.contextmanager
def local_hub(root: Path, token: str = "hf_local_test_token") -> Iterator[LocalHub]:
    """Run the server in a process of its own; `env` makes clients talk to it and to no other."""
    command = [sys.executable, __file__, str(root / "hub"), token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the local Hub did not start"
            env = {"HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HOME": str(root / "hf_home")}
            env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
            env |= {"HF_DATASETS_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
            yield LocalHub(url, env, root / "hub")
        finally:
            process.kill()
            shutil.rmtree(root / "hf_home", ignore_errors=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
