"""From raw records to the figures of a run: every key that a report or a test reads is computed here."""
from __future__ import annotations

from statistics import median

from traffic import FIRST_TCP_SOURCE, FLOOD_SOURCE_PORT

TCP_PAYLOAD, TCP_WIRE = 1448, 1538  # a full segment with time stamps, and its frame with preamble and gap


def jain(shares: list[float]) -> float:
    """(sum x)^2 / (n sum x^2): 1 = all equal, 1/n = one has all, 0 = nobody has anything."""
    squares = sum(x * x for x in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def data_flows(report: dict, count: int) -> list[int]:
    """Indices of the TCP data flows in order of their source port; a flow that never sent is missing."""
    by_port = {f["sport"]: i for i, f in enumerate(report["flows"]) if f["proto"] == 6}
    return [by_port[port] for port in range(FIRST_TCP_SOURCE, FIRST_TCP_SOURCE + count) if port in by_port]


def window_goodput(window: dict, flows: list[int], count: int) -> list[float]:
    """Mbit/s of new payload per TCP flow; flows that never reached the link get 0."""
    seconds = window["to_s"] - window["from_s"]
    rates = [window["flow_fresh_bytes"][i] * 8 / 1e6 / seconds for i in flows]
    return rates + [0.0] * (count - len(rates))


def convergence_s(report: dict, step_s: float, end_s: float) -> float | None:
    """Time from the rate step until the queue is under control, in bins of 100 ms.

    The first moment t after the step from which, for a whole second, the mean delay of every bin is at most
    T = min(20 ms, max(5 ms, 2 x median of the bins of the last half of the time after the step)). None = never.
    """
    series, bin_s = report["delay"]["mean_ms"], report["delay"]["bin_s"]
    per_bin = round(0.1 / bin_s)
    first, last = round(step_s / bin_s), min(round(end_s / bin_s), len(series))
    bins = []
    for i in range(first, last - per_bin + 1, per_bin):
        values = [v for v in series[i:i + per_bin] if v is not None]
        bins.append(sum(values) / len(values) if values else 0.0)
    if len(bins) < 12:
        return None
    limit = min(20.0, max(5.0, 2 * median(bins[len(bins) // 2:])))
    for start in range(len(bins) - 9):
        if all(value <= limit for value in bins[start:start + 10]):
            return round(start * 0.1, 1)
    return None


def probe_figures(probe: dict) -> dict:
    if not probe:
        return {"probe_rtt_ms_p50": None, "probe_rtt_ms_p99": None, "probe_rtt_ms_max": None, "probe_loss": None}
    window = probe["windows"][0]
    return {"probe_rtt_ms_p50": window["rtt_ms"]["p50"], "probe_rtt_ms_p99": window["rtt_ms"]["p99"],
            "probe_rtt_ms_max": window["rtt_ms"]["max"],
            "probe_loss": window["lost"] / window["sent"] if window["sent"] else None}


def link_figures(report: dict, flows: int, flood: bool) -> dict:
    """Figures of the measured window, the first one that slowlink was given."""
    window = report["windows"][0]
    seconds = window["to_s"] - window["from_s"]
    goodput = window_goodput(window, data_flows(report, flows), flows)
    capacity_mbit = window["capacity_bytes"] * 8 / 1e6 / seconds
    share = flows / max(flows + (1 if flood else 0), 1)
    fair_mbit = capacity_mbit * TCP_PAYLOAD / TCP_WIRE * share
    delay = window["delay_ms"]
    udp = sum(window["flow_fresh_bytes"][i] for i, f in enumerate(report["flows"]) if f["sport"] == FLOOD_SOURCE_PORT)
    return {"goodput_mbit": sum(goodput), "utilisation": window["utilisation"], "jain": jain(goodput),
            "delay_ms_p50": delay["p50"], "delay_ms_p90": delay["p90"], "delay_ms_p99": delay["p99"],
            "delay_ms_max": delay["max"], "tcp_share": sum(goodput) / fair_mbit if flows else None,
            "flood_mbit": udp * 8 / 1e6 / seconds if flood else None,
            "flow_goodput_mbit": [round(g, 3) for g in goodput], "frames_matched": window["matched"],
            "frames_unmatched": window["unmatched"]}


def step_figures(report: dict, step_s: float) -> dict:
    """Second half of a run whose link changed its rate at step_s; slowlink's second window."""
    window = report["windows"][1]
    return {"delay_ms_p50_second_half": window["delay_ms"]["p50"],
            "delay_ms_p99_second_half": window["delay_ms"]["p99"],
            "utilisation_second_half": window["utilisation"],
            "convergence_s": convergence_s(report, step_s, window["to_s"])}


def plot_data(report: dict, probe: dict, flows: int) -> dict:
    """What the plots need: delay quantiles and series, and throughput of each flow over time."""
    bin_s = report["flows"][0]["bin_s"] if report["flows"] else 0.1

    def rates(index: int) -> list[float]:
        return [round(b * 8 / 1e6 / bin_s, 3) for b in report["flows"][index]["wire_bytes"]]

    named = [{"name": f"TCP {n + 1}", "mbit": rates(i)} for n, i in enumerate(data_flows(report, flows))]
    named += [{"name": "UDP flood", "mbit": rates(i)} for i, f in enumerate(report["flows"])
              if f["sport"] == FLOOD_SOURCE_PORT and f["proto"] == 17]
    return {"delay_quantiles_ms": report["windows"][0]["delay_ms"]["quantiles"], "delay": report["delay"],
            "flow_bin_s": bin_s, "flows": named, "probe": probe.get("series", [])}
