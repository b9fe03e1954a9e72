"""The daemon's web page in a real browser, beside real traffic."""
from __future__ import annotations

import http.client
import os
import threading
import time
from pathlib import Path

from browser import Browser
from lab import SOURCE_IP, Lab
from lab_case import LabCase, flood, probe, sluice
from netns import inside

LISTEN = ("127.0.0.1", 9655)
URL = "http://%s:%d/" % LISTEN
LENGTHS = "[...document.querySelectorAll('.plot path')].map(p => (p.getAttribute('d') || '').length)"
ROWS = "[...document.querySelectorAll('%s tbody tr')].map(r => [...r.cells].map(c => c.textContent.trim()))"


def headers(lab: Lab, path: str) -> dict[str, str]:
    connection = http.client.HTTPConnection(*LISTEN, timeout=5)
    with inside(lab.router):
        connection.connect()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return {key.lower(): value for key, value in answer.getheaders()} | {"status": str(answer.status)}


class Page(LabCase):
    def test_shows_what_happens(self) -> None:
        treatment = sluice("20mbit", listen="%s:%d" % LISTEN)
        with self.lab(treatment) as lab:
            self.assert_headers(lab)
            load = [threading.Thread(target=flood, args=(lab, "60mbit", 14)), threading.Thread(target=probe, args=(lab, 14))]
            for thread in load:
                thread.start()
            with Browser(lab.router, lab.folder) as page:
                page.open(URL, 1440, 1000)
                page.wait_for("document.body?.dataset.ready === 'yes'")
                page.wait_for("document.querySelectorAll('#events tbody tr').length > 0")
                time.sleep(3)
                self.assert_figures(page)
                for width, dark in ((1440, False), (1440, True), (390, False), (390, True)):
                    self.assert_layout(page, lab, width, dark)
                self.assertEqual(page.complaints, [])
                strangers = [url for url in page.requests if not url.startswith(URL)]
                self.assertEqual(strangers, [], "the page asks nobody but the daemon")
                self.assertGreater(len(page.requests), 10)
                treatment.stop(lab)
                page.wait_for("document.body.classList.contains('stale')")
                self.assertEqual(page.evaluate("document.getElementById('state').textContent"), "no answer")
            for thread in load:
                thread.join()

    def assert_headers(self, lab: Lab) -> None:
        for path, kind in (("/", "text/html"), ("/web/main.js", "text/javascript"), ("/web/sluice.css", "text/css"),
                           ("/api/v1/status", "application/json"), ("/api/v1/history", "application/json")):
            found = headers(lab, path)
            self.assertEqual(found["status"], "200", path)
            self.assertTrue(found["content-type"].startswith(kind), (path, found))
            self.assertEqual(found["cache-control"], "no-store", path)
            self.assertIn("default-src 'none'", found["content-security-policy"])
            self.assertNotIn("unsafe", found["content-security-policy"])
        self.assertEqual(headers(lab, "/web/../main.js")["status"], "404")

    def assert_figures(self, page: Browser) -> None:
        figures = page.evaluate("[...document.querySelectorAll('.figures div')].map(d => d.innerText.split('\\n'))")
        classes = page.evaluate(ROWS % "#port-wan .tables > div:first-child")
        events = page.evaluate(ROWS % "#events")
        lengths = page.evaluate(LENGTHS)
        arrivals = page.evaluate(ROWS % "#arrivals")
        self.note(figures=figures, classes=classes, event=events[0], paths=lengths, arrivals=arrivals)
        shown = dict(figures)
        self.assertIn("Mbit/s", shown["throughput"])
        self.assertGreater(float(shown["throughput"].split("\u202f")[0]), 5)
        self.assertEqual(page.evaluate("document.getElementById('state').textContent"), "ok")
        self.assertEqual(classes[0][0], "default")
        self.assertTrue(any(SOURCE_IP in row[3] for row in events), events)
        self.assertTrue(any(row[1] == "drop limit" for row in events), events)
        self.assertGreater(sum(length > 30 for length in lengths), 4, "lines that are drawn")
        self.assertEqual(arrivals[0][0], "lan")

    def assert_layout(self, page: Browser, lab: Lab, width: int, dark: bool) -> None:
        page.open(URL, width, 1000, dark)
        page.wait_for("document.body?.dataset.ready === 'yes'")
        name = f"{width}-{'dark' if dark else 'light'}"
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        level = sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")) / 3
        shot = Path(os.environ.get("SLUICE_SCREENSHOTS", lab.folder)) / f"page-{name}.png"
        page.screenshot(shot)
        self.note(layout=name, overflow=overflow, ground=ground, screenshot=shot.stat().st_size)
        self.assertLessEqual(overflow, 0, "nothing sticks out sideways")
        self.assertEqual(level < 64, dark, ground)
        self.assertGreater(shot.stat().st_size, 10_000)
