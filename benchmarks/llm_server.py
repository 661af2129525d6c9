"""A chat-completions server that costs next to nothing, to measure clients against.

    python benchmarks/llm_server.py --port 0 --latency-ms 100

prints its port and serves until it is ended: every `POST …/chat/completions` is answered after
the latency with the same reply. `GET /stats` tells what happened since `GET /reset`: how
many requests came and were answered, how many were open at most, and the seconds from the first
request to the last answer. One process, asyncio, no framework, so that what is measured is the
client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

REPLY = {
    "name": "Jason",
    "age": 25,
    "question": "Who won the second match?",
    "answer": "It was the home side, by two goals.",
    "ambiguous": True,
    "turns": [{"speaker": "A", "text": "lorem ipsum dolor sit amet " * 6} for _ in range(6)],
}
"""What the model says: it fits the schemas of our client and of the peers (`name`, `age`)."""


def completion(content: str) -> bytes:
    """Return a whole HTTP response that carries `content` as the assistant's message."""
    body = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1700000000,
            "model": "mock",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800},
            "system_fingerprint": "fp",
        }
    ).encode()
    limits = b"x-ratelimit-limit-requests: 1000000\r\nx-ratelimit-limit-tokens: 1000000000\r\n"
    return ok(body, limits)


def ok(body: bytes, headers: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


PLAIN = completion(json.dumps(REPLY))
FENCED = completion("```json\n" + json.dumps(REPLY) + "\n```")
"""For clients that ask for a code fence (DataDesigner)."""
MODELS = ok(json.dumps({"object": "list", "data": [{"id": "mock", "object": "model"}]}).encode())


class Counts:
    """What the server did since the last reset."""

    def __init__(self) -> None:
        self.open = 0
        self.reset()

    def reset(self) -> None:
        self.came = self.paid = self.peak = 0
        self.first_s = self.last_s = 0.0

    def report(self) -> bytes:
        facts = {
            "came": self.came,
            "paid": self.paid,
            "open": self.open,
            "peak": self.peak,
            "span_s": self.last_s - self.first_s,
        }
        return json.dumps(facts).encode()


class Connection(asyncio.Protocol):
    """One client connection: no pipelining, bodies by Content-Length or chunked."""

    def __init__(self, counts: Counts, latency_s: float) -> None:
        self._counts, self._latency_s = counts, latency_s
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            end = head_end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < end:
                return
        elif b"transfer-encoding: chunked" in head and not self._buffer.endswith(b"0\r\n\r\n"):
            return
        fenced = self._buffer.find(b"code fence") >= 0
        self._buffer.clear()
        self._answer(head.split(b" ", 2)[1], fenced)

    def _answer(self, path: bytes, fenced: bool) -> None:
        counts = self._counts
        if path.endswith(b"/chat/completions"):
            counts.first_s = counts.first_s or time.monotonic()
            counts.came += 1
            counts.open += 1
            counts.peak = max(counts.peak, counts.open)
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency_s, self._pay, FENCED if fenced else PLAIN)
        elif path == b"/stats":
            self._transport.write(ok(counts.report()))
        elif path == b"/reset":
            counts.reset()
            self._transport.write(ok(b"{}"))
        else:
            self._transport.write(MODELS)

    def _pay(self, response: bytes) -> None:
        self._counts.open -= 1
        self._counts.paid += 1  # also where the client has gone: the provider has done the work
        self._counts.last_s = time.monotonic()
        if not self._transport.is_closing():
            self._transport.write(response)


async def serve(port: int, latency_s: float) -> None:
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(counts, latency_s), "127.0.0.1", port, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--latency-ms", type=float, default=100.0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
