"""An OpenAI-compatible server on the loopback, for tests: the true wire protocol, scripted.

    with OpenAIServer(lambda call: say({"name": "Ada"})) as server:
        ... base_url=server.base_url ...
    assert server.paid == 1

A script is called with each request and says what to do: answer (`say`, `refuse`, `send`), or
misbehave (`fail`, `hang`, `cut`, `garble`, `html`, `trickle`). The same script answers the lines
of a batch. `paid` counts replies that were sent whole: what a provider would certainly bill.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Call:
    """A request as the server sees it."""

    number: int
    """0 for the first request to this server (each line of a batch counts)."""
    path: str
    body: dict[str, Any]
    """The JSON body, or a form's fields."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Of a form: field to (file name, content)."""
    headers: dict[str, str] = field(default_factory=dict)
    batch: bool = False

    @property
    def text(self) -> str:
        """The last message's content."""
        return str(self.body["messages"][-1]["content"])

    @property
    def digest(self) -> str:
        """The same for the same body."""
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Act:
    """What to do with a call: made by the functions below."""

    kind: str
    content: bytes = b""
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    step_s: float = 0.0


Script = Callable[[Call], Act]


def say(
    answer: object,
    *,
    finish_reason: str | None = "stop",
    prompt_tokens: int = 50,
    completion_tokens: int = 30,
    cached_tokens: int = 0,
    usage: bool = True,
    refusal: str | None = None,
    headers: dict[str, str] | None = None,
) -> Act:
    """A chat completion: text, None, or any other object as JSON text."""
    text = answer if isinstance(answer, str) or answer is None else json.dumps(answer)
    completion: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
    }
    if usage:
        completion["usage"] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": cached_tokens},
        }
    return Act("send", json.dumps(completion).encode(), headers=headers or {})


def refuse(words: str) -> Act:
    """The model will not."""
    return say(None, refusal=words)


def send(content: bytes, content_type: str) -> Act:
    """Any body: sound, or a transcription."""
    return Act("send", content, content_type)


def fail(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Act:
    """An error in OpenAI's form; `retry_after="1"` becomes the header `retry-after`."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act("send", json.dumps(body).encode(), status=status, headers=named)


def html(status: int = 200) -> Act:
    """A proxy's error page."""
    return Act("send", b"<html><h1>Bad gateway</h1></html>", "text/html", status)


def garble() -> Act:
    """A body that says it is JSON and is not."""
    return Act("send", b'{"id": "chatcmpl-1", "choices": [{"mess')


def hang() -> Act:
    """No answer, ever."""
    return Act("hang")


def cut(answer: object = "half of this") -> Act:
    """The connection dies in the middle of the body."""
    return Act("cut", say(answer).content)


def trickle(answer: object, step_s: float) -> Act:
    """One byte at a time."""
    return Act("trickle", say(answer).content, step_s=step_s)


class OpenAIServer:
    """Runs in a thread of its own while the `with` block does."""

    def __init__(
        self,
        script: Script = lambda call: say("hello"),
        *,
        latency_s: float = 0.0,
        rejects: tuple[str, ...] = (),
        batch_ends: Callable[[int], str] = lambda number: "completed",
        batch_polls: int = 1,
        lost_creates: int = 0,
    ) -> None:
        """`rejects`: types of `response_format` that are answered with 400. `batch_ends`: the
        last status of the batch with this number (from 0); `batch_polls`: after so many looks;
        `lost_creates`: so many batches are created and the answer is lost."""
        self.script = script
        self.latency_s = latency_s
        self.rejects = rejects
        self.batch_ends = batch_ends
        self.batch_polls = batch_polls
        self.lost_creates = lost_creates
        self.calls: list[Call] = []
        self.paid_calls: Counter[str] = Counter()
        """How often each body was answered in full, by digest."""
        self.open = 0
        self.most_open = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.port = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="openai-server", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def paid(self) -> int:
        """Replies sent whole."""
        return sum(self.paid_calls.values())

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [call.body for call in self.calls]

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        assert self._started.wait(10), "the test server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        app = web.Application(client_max_size=1 << 28)
        routes = [
            web.post("/v1/chat/completions", self._json_call),
            web.post("/v1/audio/speech", self._json_call),
            web.post("/v1/embeddings", self._json_call),
            web.post("/v1/audio/transcriptions", self._form_call),
            web.get("/v1/models", self._models),
            web.post("/v1/files", self._upload),
            web.get("/v1/files/{id}/content", self._download),
            web.post("/v1/batches", self._create_batch),
            web.get("/v1/batches", self._list_batches),
            web.get("/v1/batches/{id}", self._get_batch),
        ]
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=2048)
        await site.start()
        self.port = runner.addresses[0][1]
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    def _call(self, path: str, body: dict[str, Any], **more: Any) -> tuple[Call, Act]:
        call = Call(len(self.calls), path, body, **more)
        self.calls.append(call)
        asked = body.get("response_format") if isinstance(body, dict) else None
        shape = asked.get("type") if isinstance(asked, dict) else None  # a form has it as a word
        if shape in self.rejects:
            return call, fail(400, f"'response_format' of type '{shape}' is not supported")
        return call, self.script(call)

    async def _json_call(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        path = request.path.removeprefix("/v1")
        return await self._perform(request, *self._call(path, body, headers=dict(request.headers)))

    async def _form_call(self, request: web.Request) -> web.StreamResponse:
        fields: dict[str, Any] = {}
        files: dict[str, tuple[str, bytes]] = {}
        async for part in await request.multipart():
            content = bytes(await part.read())
            if part.filename is None:
                fields[part.name] = content.decode()
            else:
                files[part.name] = (part.filename, content)
        path = request.path.removeprefix("/v1")
        more = {"files": files, "headers": dict(request.headers)}
        return await self._perform(request, *self._call(path, fields, **more))

    async def _perform(self, request: web.Request, call: Call, act: Act) -> web.StreamResponse:
        response = web.StreamResponse(status=act.status, headers=act.headers)
        response.content_type = act.content_type
        response.content_length = len(act.content)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            if act.kind == "hang":
                await self._stop.wait()
            await response.prepare(request)
            if act.kind == "cut":
                await response.write(act.content[: len(act.content) // 2])
                assert request.transport is not None
                request.transport.abort()
                return response
            if act.kind == "trickle":
                for at in range(len(act.content)):
                    await response.write(act.content[at : at + 1])
                    await asyncio.sleep(act.step_s)
            else:
                await response.write(act.content)
            await response.write_eof()
            if act.status == 200:
                self.paid_calls[call.digest] += 1
            return response
        except ConnectionResetError:  # the client has gone
            return response
        finally:
            self.open -= 1

    async def _models(self, request: web.Request) -> web.Response:
        models = [{"id": "scripted", "object": "model", "created": 1, "owned_by": "tests"}]
        return web.json_response({"object": "list", "data": models})

    # Batches: developers.openai.com/api/reference/resources/batches

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        content = upload.file.read()
        name = self._new_file(content)
        facts = {"id": name, "object": "file", "bytes": len(content), "created_at": 1}
        return web.json_response(
            {
                **facts,
                "filename": upload.filename,
                "purpose": form["purpose"],
                "status": "processed",
            }
        )

    def _new_file(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    async def _download(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create_batch(self, request: web.Request) -> web.Response:
        asked = await request.json()
        number = len(self.batches)
        batch = {
            "id": f"batch-{number}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": None,
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": number,
            "metadata": asked.get("metadata"),
            "looks": 0,
        }
        self.batches[batch["id"]] = batch
        if len(self.batches) <= self.lost_creates:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(batch)

    async def _list_batches(self, request: web.Request) -> web.Response:
        newest_first = list(reversed(self.batches.values()))
        after = request.query.get("after")
        if after is not None:
            newest_first = newest_first[[b["id"] for b in newest_first].index(after) + 1 :]
        limit = int(request.query.get("limit", "20"))
        page = newest_first[:limit]
        return web.json_response(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(newest_first) > limit,
            }
        )

    async def _get_batch(self, request: web.Request) -> web.Response:
        batch = self.batches[request.match_info["id"]]
        batch["looks"] += 1
        if batch["status"] in ("validating", "in_progress"):
            batch["status"] = "in_progress"
            if batch["looks"] > self.batch_polls:
                self._finish(batch)
        return web.json_response(batch)

    def _finish(self, batch: dict[str, Any]) -> None:
        """Answer the lines by the script: errors and lines that hang go to the error file."""
        batch["status"] = self.batch_ends(int(batch["id"].removeprefix("batch-")))
        if batch["status"] == "failed":
            error = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            batch["errors"] = {"object": "list", "data": [error]}
            return
        good, bad = [], []
        for line in self.files[batch["input_file_id"]].splitlines():
            asked = json.loads(line)
            call, act = self._call(asked["url"].removeprefix("/v1"), asked["body"], batch=True)
            result = {"id": "r", "custom_id": asked["custom_id"], "response": None, "error": None}
            if act.kind == "hang":
                result["error"] = {"code": "batch_expired", "message": "not done in time"}
                bad.append(result)
                continue
            body = json.loads(act.content)
            result["response"] = {"status_code": act.status, "request_id": "q", "body": body}
            (good if act.status == 200 else bad).append(result)
            if act.status == 200:
                self.paid_calls[call.digest] += 1
        for name, results in (("output_file_id", good), ("error_file_id", bad)):
            if results:
                lines = "".join(json.dumps(result) + "\n" for result in reversed(results))
                batch[name] = self._new_file(lines.encode())
