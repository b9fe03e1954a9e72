"""The control socket of sluiced, asked without starting a process: for tests that ask often."""
from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("sluiced", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class ControlClient:
    """Keeps one connection. Every answer is (HTTP status, decoded JSON)."""

    def __init__(self, path: Path, timeout: float = 10) -> None:
        self._connection = _Connection(path, timeout)

    def get(self, path: str) -> tuple[int, object]:
        return self._ask("GET", path, None)

    def post(self, path: str, value: object = None) -> tuple[int, object]:
        return self._ask("POST", path, json.dumps(value) if value is not None else "")

    def apply(self, text: str, confirm_within_s: float | None = None) -> tuple[int, object]:
        return self.post("/api/v1/apply", {"file": "test", "text": text, "confirm_within_s": confirm_within_s})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, object]:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
