"""A headless Chromium to try pages in, over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from itertools import count
from pathlib import Path
from select import select

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

PATIENCE = 60
"""Seconds until a browser that says nothing counts as lost."""
PROBES = Path(__file__).with_name("probes.js")


class Browser:
    """One page of a browser; ``with Browser(folder) as page``."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 900) -> None:
        assert PROGRAM is not None
        here, its = os.pipe(), os.pipe()  # what we write and it reads; what it writes and we read
        self._answers, self._questions = its[0], here[1]
        words = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *(f"--user-data-dir={folder}", f"--window-size={width},{height}", "--remote-debugging-pipe"),
        ]
        script = f'exec 3<&{here[0]} 4>&{its[1]}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", PROGRAM, *words],
            pass_fds=(here[0], its[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(here[0])
        os.close(its[1])
        self._buffer = b""
        self._numbers = count(1)
        self._session: str | None = None
        self._loaded = False
        self.failures: list[str] = []

    def __enter__(self) -> Browser:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=PROBES.read_text())
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._answers)
        os.close(self._questions)

    def ask(self, method: str, **params):
        """Send a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._questions, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page and wait until it is whole."""
        for url in ("about:blank", path.as_uri() + fragment):  # from the same page a fragment loads nothing
            self._loaded = False
            self.ask("Page.navigate", url=url)
            while not self._loaded:
                self._next()

    def run(self, script: str):
        """Return what an expression comes to."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key that has a meaning, such as ``Tab`` or ``Enter``."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
        extra = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            more = extra if kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more
            )

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.ask("Input.insertText", text=text)

    def picture(self, path: Path) -> None:
        """Save what is to be seen of the whole page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self):
        while b"\0" not in self._buffer:
            assert select([self._answers], [], [], PATIENCE)[0], "the browser does not answer"
            part = os.read(self._answers, 1 << 16)
            assert part, "the browser has gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer = json.loads(message)
        self._loaded |= answer.get("method") == "Page.loadEventFired"
        if answer.get("method") == "Runtime.exceptionThrown":
            self.failures.append(answer["params"]["exceptionDetails"]["text"])
        if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
            self.failures.append(answer["params"]["entry"]["text"])
        return answer
