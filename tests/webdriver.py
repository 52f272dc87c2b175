"""A headless Chromium for tests and for the pictures of the docs, by W3C WebDriver over plain HTTP."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from free_port import free_port

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}
KEYS |= {"Tab": "\ue004", "Home": "\ue011", "End": "\ue010", "Backspace": "\ue003"}

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
]


class Browser:
    """One browser with one window and a profile of its own."""

    def __enter__(self) -> Self:
        assert CHROMIUM
        assert CHROMEDRIVER
        self._port = free_port()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(  # noqa: S603  # Debian's chromedriver
            [CHROMEDRIVER, f"--port={self._port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._session = ""
        self._opened = 0
        options = {"binary": CHROMIUM, "args": [*_FLAGS, f"--user-data-dir={self._profile.name}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        for _ in range(200):
            try:
                made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            except ConnectionRefusedError:
                time.sleep(0.025)  # chromedriver is not listening yet
            else:
                self._session = f"/session/{made['sessionId']}"
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._ask("DELETE", self._session)
        self._driver.terminate()
        self._driver.wait(10)
        self._profile.cleanup()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if method == "POST" else None)
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{answer['error']}: {answer['message']}")
        return answer

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file, from the beginning; its events are then counted from here."""
        self.log("browser"), self.log("performance")
        self._opened += 1  # a query of its own, because an address that differs in its fragment only is not loaded
        self._ask("POST", self._session + "/url", {"url": f"{path.as_uri()}?{self._opened}{fragment}"})
        # Chromium discards keys that are pressed before the first frame.
        self.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a function's body, or of the promise that it returns."""
        return self._ask("POST", self._session + "/execute/sync", {"script": script, "args": arguments})

    def press(self, *keys: str) -> None:
        """Keys by name, or text."""
        strokes = [letter for key in keys for letter in (KEYS.get(key, key))]
        actions = [{"type": kind, "value": letter} for letter in strokes for kind in ("keyDown", "keyUp")]
        self._ask("POST", self._session + "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since it was asked for last."""
        entries: list[dict[str, Any]] = self._ask("POST", self._session + "/se/log", {"type": kind})
        return entries

    def requests(self) -> list[str]:
        """The URLs that were asked for since the page was opened, without query and fragment."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"].partition("#")[0].partition("?")[0] for each in sent]

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """The window's size and theme."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [theme]})

    def picture(self) -> bytes:
        """A PNG of the window."""
        return base64.b64decode(self._ask("GET", self._session + "/screenshot"))

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._ask("POST", self._session + "/goog/cdp/execute", {"cmd": command, "params": parameters})
