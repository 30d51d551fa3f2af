"""A server in this process that keeps objects as Google Cloud Storage does, by its XML API: enough for a store.

Conditions are on generations: ``x-goog-if-generation-match`` is 0 for an object that must not be there yet.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from server import Quiet
from werkzeug.serving import make_server

Answer = tuple[str, dict[str, str], bytes]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Kept:
    """An object, and the number of its version."""

    content: bytes
    generation: int

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says of it."""
        return {
            "ETag": f'"{self.generation}"',
            "x-goog-generation": str(self.generation),
            "Last-Modified": formatdate(1e9, usegmt=True),
        }


class Google:
    """A running server; every bucket is there, and empty at first."""

    def __init__(self, folder: Path) -> None:
        self._kept: dict[str, Kept] = {}
        self._generations = itertools.count(1)
        self._turn = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self._credentials = folder / "service-account.json"
        account = {
            "gcs_base_url": f"http://127.0.0.1:{self._server.server_port}",
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        self._credentials.write_text(json.dumps(account))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients find the server."""
        return {"GOOGLE_SERVICE_ACCOUNT": str(self._credentials), "AWS_ALLOW_HTTP": "true"}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = unquote(environ["RAW_URI"].partition("?")[0]).lstrip("/")
        bucket, _, key = path.partition("/")
        with self._turn:
            if key:
                status, headers, content = self._object(environ, path, body)
            else:
                status, headers, content = self._listing(bucket, environ["QUERY_STRING"])
        start(status, [*headers.items(), ("Content-Length", str(len(content)))])
        return [content if environ["REQUEST_METHOD"] != "HEAD" else b""]

    def _object(self, environ: dict[str, Any], path: str, body: bytes) -> Answer:
        method, kept = environ["REQUEST_METHOD"], self._kept.get(path)
        if method == "PUT":
            wanted = environ.get("HTTP_X_GOOG_IF_GENERATION_MATCH")
            if wanted is not None and int(wanted) != (kept.generation if kept else 0):
                return "412 Precondition Failed", {}, b""
            if source := environ.get("HTTP_X_GOOG_COPY_SOURCE"):
                body = self._kept[unquote(source).lstrip("/")].content
            self._kept[path] = Kept(body, next(self._generations))
            return "200 OK", self._kept[path].headers, b""
        if kept is None:
            return "404 Not Found", {}, b""
        if method == "DELETE":
            del self._kept[path]
            return "204 No Content", {}, b""
        if asked := _RANGE.fullmatch(environ.get("HTTP_RANGE", "")):
            first, size = int(asked[1]), len(kept.content)
            last = min(int(asked[2] or size), size - 1)
            part = {"Content-Range": f"bytes {first}-{last}/{size}"}
            return "206 Partial Content", kept.headers | part, kept.content[first : last + 1]
        return "200 OK", kept.headers, kept.content

    def _listing(self, bucket: str, query: str) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter")
        files, folders = [], set()
        for path, kept in sorted(self._kept.items()):
            key = path.removeprefix(f"{bucket}/")
            if not path.startswith(f"{bucket}/{prefix}"):
                continue
            below, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                folders.add(prefix + below + found)
            else:
                files.append((key, kept))
        parts = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>2001-09-09T01:46:40.000Z</LastModified>"
            f"<ETag>{escape(kept.headers['ETag'])}</ETag><Size>{len(kept.content)}</Size></Contents>"
            for key, kept in files
        ]
        parts += [
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        ]
        return "200 OK", {}, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode()
