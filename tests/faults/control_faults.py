"""Rows 41 and 43: clients of the metrics port and of the control socket that misbehave, while packets flow."""
from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
import urllib.request

from lab import Lab
from lab_case import LabCase, flood, probe, sluice
from netns import in_namespace, inside
from process_facts import descriptors, resident_kib
from treatments import Sluice

ADDRESS, PORT = "127.0.0.1", 9655
NOBODY = 65534
PATIENCE_S = 1.0  # for an answer; on a quiet machine it takes milliseconds
MOST_DESCRIPTORS = 400  # 256 connections per listener, and what the daemon has open anyway
MOST_GROWTH_KIB = 64 * 1024


def answer_s(lab: Lab) -> float:
    """How long a client waits that does nothing wrong."""
    begin = time.monotonic()
    with inside(lab.router), urllib.request.urlopen(f"http://{ADDRESS}:{PORT}/-/healthy", timeout=10) as reply:
        assert reply.status == 200
    return time.monotonic() - begin


def connect_web(lab: Lab) -> socket.socket:
    with inside(lab.router):
        return socket.create_connection((ADDRESS, PORT), timeout=10)


def reads_end(client: socket.socket, patience_s: float = 20) -> bytes:
    """What the server says until it hangs up; a reset is an end too."""
    client.settimeout(patience_s)
    said = b""
    try:
        while more := client.recv(1 << 16):
            said += more
    except ConnectionError:
        pass
    return said


class Web(LabCase):
    def test_hostile_clients(self) -> None:
        treatment = sluice(listen=f"{ADDRESS}:{PORT}")
        with self.lab(treatment) as lab:
            before_kib = resident_kib(treatment.process.pid)
            idle = [connect_web(lab) for _ in range(60)]  # 64 per address are let in
            for client in idle:
                client.sendall(b"G")
            among_idle_s = answer_s(lab)
            for client in idle[:30]:
                client.close()
            header = connect_web(lab)
            try:
                header.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20))
            except ConnectionError:
                pass  # it hung up before the end
            refused = reads_end(header)
            tls = connect_web(lab)
            tls.sendall(bytes.fromhex("16030100c8010000c40303") + os.urandom(200))
            garbage = reads_end(tls)
            healthy_s = answer_s(lab)
            served = probe(lab, 1)
            grown_kib = resident_kib(treatment.process.pid) - before_kib
            for client in idle[30:]:
                client.close()
        self.note(among_idle_s=among_idle_s, after_s=healthy_s, to_big_header=refused[:20], to_tls=garbage[:20],
                  grown_kib=grown_kib, probe_lost=served["lost"])
        self.assertLess(among_idle_s, PATIENCE_S)
        self.assertLess(healthy_s, PATIENCE_S)
        self.assertNotIn(b" 200 ", refused[:20])
        self.assertNotIn(b" 200 ", garbage[:20])
        self.assertLess(grown_kib, MOST_GROWTH_KIB)
        self.assertEqual(served["lost"], 0)


class ControlSocket(LabCase):
    def test_flood_of_half_requests(self) -> None:
        """1,000 clients that never end their request: the next one is served, and nothing of them stays."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            pid = treatment.process.pid
            before = descriptors(pid)
            clients, most = [], 0
            for i in range(1000):
                client = socket.socket(socket.AF_UNIX)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))
                client.connect(str(treatment.control))
                try:
                    client.send(b"POST /api/v1/reload HTTP/1.1\r\nContent-Le")
                except ConnectionError:
                    pass  # it had to give way already
                clients.append(client)
                if i % 100 == 99:
                    most = max(most, descriptors(pid))
            begin = time.monotonic()
            status = treatment.status(lab)
            answered_s = time.monotonic() - begin
            for client in clients:
                client.close()
            end = time.monotonic() + 5
            while descriptors(pid) > before + 4 and time.monotonic() < end:
                time.sleep(0.1)
            after = descriptors(pid)
            flood(lab, "20mbit", 0.5)
        self.note(answered_s=answered_s, descriptors=(before, most, after), generation=status["policy_generation"])
        self.assertLess(answered_s, 2 * PATIENCE_S)
        self.assertLess(most, MOST_DESCRIPTORS)
        self.assertLessEqual(after, before + 4)
        self.assertEqual(status["reloads_ok"] + status["reloads_failed"], 0)

    def test_wrong_user(self) -> None:
        """A stranger cannot open the socket; a member of its group reads, and changes nothing."""
        treatment = sluice()
        with self.lab(treatment) as lab:
            lab.folder.chmod(0o755)
            stranger = self.as_user(lab, treatment, NOBODY, "status")
            group = treatment.control.stat().st_gid
            member_reads = self.as_user(lab, treatment, group, "status")
            member_changes = self.as_user(lab, treatment, group, "reload")
            status = treatment.status(lab)
        self.note(stranger=stranger.stderr.strip()[:100], member=member_changes.stderr.strip()[:100])
        self.assertNotEqual(stranger.returncode, 0)
        self.assertIn("ermission denied", stranger.stderr)
        self.assertEqual(member_reads.returncode, 0, member_reads.stderr)
        self.assertNotEqual(member_changes.returncode, 0)
        self.assertIn("root", member_changes.stderr)
        self.assertEqual(status["reloads_ok"], 0)

    @staticmethod
    def as_user(lab: Lab, treatment: Sluice, group: int, command: str) -> subprocess.CompletedProcess:
        argv = ["setpriv", "--reuid", str(NOBODY), "--regid", str(group), "--clear-groups", "--inh-caps=-all",
                lab.binary("sluicectl"), "--control-socket", str(treatment.control), command]
        return subprocess.run(in_namespace(lab.router, argv), capture_output=True, text=True, timeout=10)
