#!/usr/bin/env python3
"""Short TCP transfers that come at random, and how long each takes from its SYN to the receiver's FIN:

    short_flows.py sink PORT
    short_flows.py source ADDRESS PORT GO_NS FROM_S TO_S RATE BYTES

The source begins RATE transfers per second in the mean (always the same ones), counts those that begin between FROM_S and
TO_S after GO_NS (CLOCK_MONOTONIC), and prints a JSON object when it gets SIGTERM.
"""
from __future__ import annotations

import json
import random
import signal
import socket
import sys
import threading
import time

TIMEOUT_S = 30


def swallow(connection: socket.socket) -> None:
    with connection:
        while connection.recv(65536):
            pass


def sink(port: int) -> None:
    family = socket.AF_INET6
    with socket.create_server(("", port), family=family, backlog=1024, dualstack_ipv6=True) as server:
        print("ready", flush=True)
        while True:
            threading.Thread(target=swallow, args=(server.accept()[0],), daemon=True).start()


class Source:
    def __init__(self, address: str, port: int, size: int) -> None:
        self._to, self._payload = (address, port), bytes(size)
        self.begun, self.times_s = 0, []  # of those that are counted

    def transfer(self, counted: bool) -> None:
        self.begun += counted
        begin = time.monotonic()
        try:
            with socket.create_connection(self._to, TIMEOUT_S) as connection:
                connection.sendall(self._payload)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)
        except OSError:
            return  # it has not ended
        if counted:
            self.times_s.append(time.monotonic() - begin)

    def report(self) -> dict:
        times = sorted(self.times_s)
        if not times:
            return {"begun": self.begun, "ended": 0}
        at = lambda share: round(times[min(int(share * len(times)), len(times) - 1)] * 1e3, 1)  # noqa: E731
        return {"begun": self.begun, "ended": len(times), "ms_p50": at(0.5), "ms_p90": at(0.9), "ms_p99": at(0.99)}


def run_source(address: str, port: str, go_ns: str, *numbers: str) -> None:
    begin, end, rate, size = map(float, numbers)
    source, gaps = Source(address, int(port), int(size)), random.Random(1)

    def finish(*_: object) -> None:
        print(json.dumps(source.report()), flush=True)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, finish)
    at = int(go_ns) * 1e-9
    while True:
        at += gaps.expovariate(rate)
        time.sleep(max(0.0, at - time.monotonic()))
        counted = begin <= at - int(go_ns) * 1e-9 < end
        threading.Thread(target=source.transfer, args=(counted,), daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(int(sys.argv[2]))
    run_source(*sys.argv[2:])
