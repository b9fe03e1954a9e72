"""A headless Chromium in a network namespace, spoken to over its debugging pipe: no port, no driver, no library."""
from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path

from netns import LabError, in_namespace

CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--remote-debugging-pipe"]
_TO_BROWSER, _FROM_BROWSER = 3, 4  # descriptors that Chromium expects


class Browser:
    """`with Browser(namespace, folder) as page:` one tab; it knows every request, message and error of the page."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._number, self._buffer, self._session = 0, b"", ""
        read_end, self._write = os.pipe()
        self._read, write_end = os.pipe()
        environment = os.environ | {"HOME": str(folder), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        self._log = (folder / "chromium.err").open("w")

        def keep_pipes() -> None:
            high = [os.dup(end) for end in (read_end, write_end)]  # neither may be overwritten by the other
            while max(high) < 10:
                high = [os.dup(end) for end in high]
            os.dup2(high[0], _TO_BROWSER)
            os.dup2(high[1], _FROM_BROWSER)

        self._child = subprocess.Popen(
            in_namespace(namespace, [*CHROMIUM, f"--user-data-dir={folder / 'chromium'}"]), stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, close_fds=False, preexec_fn=keep_pipes, env=environment)
        os.close(read_end)
        os.close(write_end)

    def __enter__(self) -> Browser:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        os.close(self._write)
        os.close(self._read)
        self._log.close()

    def send(self, method: str, **parameters: object) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            answer = self._receive(end)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise LabError(f"chromium: {method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self, end: float) -> dict:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0, end - time.monotonic()))[0]:
                raise LabError("chromium does not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise LabError(f"chromium ended: {Path(self._log.name).read_text()[-500:]}")
            self._buffer += piece
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(f"{details['text']} {details.get('exception', {}).get('description', '')}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("warning", "error"):
            self.complaints.append(parameters["entry"]["text"])

    def open(self, url: str, width: int, height: int, dark: bool = False) -> None:
        self.resize(width, height)
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.send("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression: str) -> object:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise LabError(f"chromium: {expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 30) -> None:
        """Until the expression is true in the page."""
        end = time.monotonic() + timeout_s
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise LabError(f"the page never came to {expression}; it says {self.complaints[-3:]}")
            time.sleep(0.1)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))
