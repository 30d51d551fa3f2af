"""An S3 server in this process: moto behind a layer that counts requests, and spoils some of them if asked.

moto keeps no order among threads, so requests are given to it one at a time: a conditional write is then as
atomic as the real thing.
"""

from __future__ import annotations

import io
import math
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.server import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

FAULTS = ("unavailable", "lost", "unanswered", "truncated")
REFUSALS = {
    "unavailable": ("503 Slow Down", "SlowDown"),
    "forbidden": ("403 Forbidden", "AccessDenied"),
    "unimplemented": ("501 Not Implemented", "NotImplemented"),
}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Environ = dict[str, Any]


@dataclass
class Trouble:
    """What is to go wrong.

    Attributes
    ----------
    rate
        Share of the requests that are spoilt.
    seed
        Of the draw.
    faults
        ``unavailable``: a 503 and nothing done; ``forbidden``: a 403; ``lost``: the connection is reset and
        nothing done; ``unanswered``: done, but the connection is reset before the answer; ``truncated``: the
        answer breaks off.
    latency
        Seconds that every answer takes.
    count
        How many requests to spoil at most.
    methods
        Of which requests; any by default.
    """

    rate: float = 0.0
    seed: int = 0
    faults: tuple[str, ...] = FAULTS
    latency: float = 0.0
    count: float = math.inf
    methods: tuple[str, ...] = ()
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, method: str) -> str | None:
        """Say what to do to a request, if anything."""
        spared = self.count < 1 or (self.methods and method not in self.methods)
        if spared or self._random.random() >= self.rate:
            return None
        self.count -= 1
        return self._random.choice(self.faults)


class Server:
    """A running server.

    Attributes
    ----------
    requests
        ``(method, path with its query)`` of every request.
    trouble
        What is to go wrong; change it at will.
    spoilt
        How often each fault was made.
    signatures
        The ``Authorization`` of every request.
    conditional
        Whether ``If-None-Match`` and ``If-Match`` of writes are honoured.
    unimplemented
        The conditions whose writes are answered with a 501.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.spoilt: Counter[str | None] = Counter()
        self.signatures: list[str] = []
        self.trouble = Trouble()
        self.conditional = True
        self.unimplemented: tuple[str, ...] = ()
        self._moto = create_backend_app("s3")
        self._turn, self._drawing = threading.Lock(), threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients find the server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, name: str) -> str:
        """Make a bucket and return its URL."""
        with self._turn:
            answer = self._moto.test_client().put(f"/{name}", base_url=self.url)
        assert answer.status_code == 200, answer.text
        return f"s3://{name}"

    @contextmanager
    def counted(self) -> Iterator[list[tuple[str, str]]]:
        """Collect the requests of a block; complete when it ends."""
        first = len(self.requests)
        found: list[tuple[str, str]] = []
        yield found
        found += self.requests[first:]

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.trouble, self.conditional, self.unimplemented = Trouble(), True, ()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        with self._drawing:
            self.requests.append((environ["REQUEST_METHOD"], environ.get("RAW_URI", environ["PATH_INFO"])))
            self.signatures.append(environ.get("HTTP_AUTHORIZATION", ""))
            fault = self.trouble.draw(environ["REQUEST_METHOD"])
            self.spoilt[fault] += fault is not None
        time.sleep(self.trouble.latency)
        # The body is taken in any case: else it would be read as the connection's next request.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        if not self.conditional and environ["REQUEST_METHOD"] == "PUT":
            environ.pop("HTTP_IF_NONE_MATCH", None)
            environ.pop("HTTP_IF_MATCH", None)
        if any(f"HTTP_{name.upper().replace('-', '_')}" in environ for name in self.unimplemented):
            fault = "unimplemented"
        if fault in REFUSALS:
            status, code = REFUSALS[fault]
            body = f"<Error><Code>{code}</Code><Message>It will not do.</Message></Error>".encode()
            start(status, [("Content-Length", str(len(body))), ("Content-Type", "application/xml")])
            return [body]
        if fault == "lost":
            return _reset(environ["werkzeug.socket"])
        kept: list[Any] = []
        body = self._served(environ, lambda *answer: kept.append(answer))
        if fault == "unanswered":
            return _reset(environ["werkzeug.socket"])
        status, headers, *_ = kept[-1]
        headers = [(name, value) for name, value in headers if name.lower() != "connection"]
        start(status, headers)
        if fault == "truncated" and environ["REQUEST_METHOD"] != "HEAD":
            return _broken_off(body, environ["werkzeug.socket"])
        return [body]

    def _served(self, environ: Environ, start: Callable[..., Any]) -> bytes:
        with self._turn:
            answer = self._moto(environ, start)
            return b"".join(answer)


def _reset(connection: socket.socket) -> Iterator[bytes]:
    """Cut the connection before anything is said.

    Closing alone would not do it: the server's files still hold the socket.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError
    yield b""


def _broken_off(body: bytes, connection: socket.socket) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def log(self, *what: Any) -> None:
        pass
