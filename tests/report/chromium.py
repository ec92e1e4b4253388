"""A headless Chromium, driven by its own protocol over two pipes: no driver, no port, no library."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_S = 60.0


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """The one tab of a browser; :meth:`send` is the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer, self._rest, self._number, self._session = reader, writer, b"", 0, ""
        self.events: list[dict[str, Any]] = []
        (target,) = [info for info in self.send("Target.getTargets")["targetInfos"] if info["type"] == "page"]
        self._session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._reader, 1 << 16)
            assert piece, "Chromium has gone"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        if "method" in read:
            self.events.append(read)
        return read

    def open(self, path: Path) -> None:
        self.events.clear()
        answer = self.send("Page.navigate", url=path.as_uri())
        assert "errorText" not in answer, answer
        ended = time.monotonic() + PATIENCE_S
        while self.evaluate("document.readyState") != "complete" or self.evaluate("location.protocol") != "file:":
            assert time.monotonic() < ended, "the page does not load"
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        number = {"Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, " ": 32}[key]
        code = "Space" if key == " " else key
        for kind in ("keyDown", "keyUp"):
            text = {"text": " "} if key == " " and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **text)

    def resize(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and whatever was fetched from anywhere but the page itself."""
        found = []
        for event in self.events:
            values = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(values["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled" and values["type"] in {"error", "warning"}:
                found.append(str(values["args"]))
            elif event["method"] == "Log.entryAdded" and values["entry"]["level"] in {"error", "warning"}:
                found.append(values["entry"]["text"])
            elif event["method"] == "Network.requestWillBeSent" and not values["request"]["url"].startswith(("file:", "data:")):
                found.append(values["request"]["url"])
        return found


@contextmanager
def chromium(program: str) -> Iterator[Page]:
    profile = tempfile.mkdtemp(prefix="chromium-")
    from_browser, browser_writes = os.pipe()
    browser_reads, to_browser = os.pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    arguments = [program, *options, "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    # The browser reads its commands from file 3 and answers on file 4.
    moves = [(os.POSIX_SPAWN_DUP2, browser_reads, 3), (os.POSIX_SPAWN_DUP2, browser_writes, 4)]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    process = os.posix_spawn(program, arguments, dict(os.environ), file_actions=[*quiet, *moves], setpgroup=0)
    for end in (browser_reads, browser_writes):
        os.close(end)
    try:
        yield Page(from_browser, to_browser)
    finally:
        for end in (from_browser, to_browser):
            os.close(end)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        shutil.rmtree(profile, ignore_errors=True)
