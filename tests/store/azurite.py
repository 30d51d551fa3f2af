"""An Azure server beside this process: azurite, which npx fetches where it is not installed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
import urllib.request
from email.utils import formatdate
from pathlib import Path

import pytest

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of azurite's own account, the same for all the world."""
VERSION = "2021-12-02"
PATIENCE = 240


class Azurite:
    """A running azurite that keeps everything in memory."""

    def __init__(self, folder: Path) -> None:
        npx = shutil.which("npx")
        if npx is None:
            pytest.skip("azurite needs npx, which is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        command = [npx, "--yes", "--package", "azurite", "azurite-blob", "--blobPort", str(port), *options]
        self.url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self._log = (folder / "azurite.log").open("w+")
        self._process = subprocess.Popen(command, cwd=folder, stdout=self._log, stderr=subprocess.STDOUT)
        end = time.monotonic() + PATIENCE
        while not _answers(port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.skip(f"azurite does not start: {(folder / 'azurite.log').read_text()[-300:]}")
            time.sleep(0.2)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients find the server."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self.url,
        }

    def container(self, name: str) -> str:
        """Make a container and return its URL."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
        lines = ["PUT", *[""] * 11, *(f"{key}:{value}" for key, value in headers.items())]
        text = "\n".join([*lines, f"/{ACCOUNT}/{ACCOUNT}/{name}", "restype:container"])
        signature = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
        request = urllib.request.Request(
            f"{self.url}/{name}?restype=container", method="PUT", headers=headers
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 201
        return f"az://{name}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
