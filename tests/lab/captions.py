"""Sentences and tables about runs. Every figure in them is taken from the data; nothing is claimed that it lacks."""
from __future__ import annotations

from figures import NAMES
from scene import Scene

TITLES = {
    "tcp": "Four TCP flows and a sparse probe",
    "mixed": "Sixteen TCP flows: cubic, reno and BBR",
    "flood": "Four TCP flows against a UDP flood of three times the link",
    "ratestep": "The link halves its rate, and nobody tells the router",
}


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits without exponent; a dash for nothing."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, digits - magnitude)}f}"


def plain(value: float) -> str:
    """A given number as it was given: 20, 2.5."""
    return f"{value:g}"


def percent(value: float | None) -> str:
    if value is None:
        return "–"
    digits = 0 if value >= 0.1 or value == 0 else 1 if value >= 0.001 else 2
    return f"{100 * value:.{digits}f}\u00a0%"


def conditions(scene: Scene) -> str:
    traffic = f"{scene.flows} TCP flows ({', '.join(scene.congestion_controls)})"
    if scene.flood_ratio:
        traffic += f", UDP flood of {plain(scene.flood_ratio)} × the link"
    policy = "rate in the policy" if scene.policy_rate else "no rate in the policy"
    link = f"{scene.rate.replace('mbit', ' Mbit/s')}, ring {scene.ring}, base RTT {plain(scene.rtt_ms)} ms"
    return f"{link}; {traffic}; {policy}; {plain(scene.seconds)} s measured after {plain(scene.warmup)} s of warm-up"


def _delay_sentence(runs: dict[str, dict]) -> str:
    parts = [f"{NAMES[name]} {number(run['delay_ms_p50'])} ms (p99 {number(run['delay_ms_p99'])})"
             for name, run in runs.items()]
    text = "Median wait in front of the link: " + ", ".join(parts) + "."
    if "raw" in runs and "sluice" in runs and runs["sluice"]["delay_ms_p99"] > 0:
        ratio = runs["raw"]["delay_ms_p99"] / runs["sluice"]["delay_ms_p99"]
        text += f" At p99 that is {number(ratio, 2)} times less with sluice." if ratio > 1.2 else ""
    return text


def _goodput_sentence(runs: dict[str, dict]) -> str:
    parts = [f"{NAMES[name]} {number(run['goodput_mbit'])}" for name, run in runs.items()]
    return "TCP goodput in Mbit/s: " + ", ".join(parts) + "."


def _flood_sentence(runs: dict[str, dict]) -> str:
    parts = [f"{NAMES[name]} {percent(run['tcp_share'])}" for name, run in runs.items()]
    losses = [f"{percent(run['probe_loss'])}" for run in runs.values()]
    return (f"Share of their fair part of the link that the TCP flows get: {', '.join(parts)}. "
            f"Loss of the sparse probe, in the same order: {', '.join(losses)}.")


def _step_sentence(runs: dict[str, dict]) -> str:
    parts = []
    for name, run in runs.items():
        found = run["convergence_s"]
        parts.append(f"{NAMES[name]} {'never' if found is None else f'after {found:.1f} s'}"
                     f" (p99 in the second half {number(run['delay_ms_p99_second_half'])} ms)")
    return "Queue under control again after the step: " + ", ".join(parts) + "."


def caption(scene: Scene, runs: dict[str, dict]) -> str:
    sentences = [_delay_sentence(runs)]
    if scene.step:
        sentences.append(_step_sentence(runs))
    sentences.append(_flood_sentence(runs) if scene.flood_ratio else _goodput_sentence(runs))
    return " ".join(sentences)


# heading, key, how to write it
COLUMNS = (
    ("goodput Mbit/s", "goodput_mbit", number), ("link used", "utilisation", percent), ("Jain", "jain", number),
    ("queue p50 ms", "delay_ms_p50", number), ("p99", "delay_ms_p99", number), ("max", "delay_ms_max", number),
    ("probe RTT p50 ms", "probe_rtt_ms_p50", number), ("p99", "probe_rtt_ms_p99", number),
    ("probe loss", "probe_loss", percent), ("TCP fair share", "tcp_share", percent),
    ("unexplained frames", "unexplained", str),
)


def text_table(results: dict[str, dict[str, dict]]) -> str:
    """One table for the terminal, below 100 columns."""
    head = (f"{'scene':9}{'treatment':10}{'goodput':>8}{'used':>6}{'Jain':>7} |{'queueing delay, ms':^22} |"
            f"{'probe RTT, ms':^14}|{'loss':>6} |{'TCP':>6}{'unex-':>8}\n"
            f"{'':9}{'':10}{'Mbit/s':>8}{'':>6}{'':>7} |{'p50':>7}{'p99':>8}{'max':>7} |{'p50':>6}{'p99':>7} |"
            f"{'':>6} |{'share':>6}{'plained':>8}")
    lines = [head, "-" * 96]
    for scene, runs in results.items():
        for name, run in runs.items():
            lines.append(
                f"{scene:9}{name:10}{number(run['goodput_mbit']):>8}{percent(run['utilisation']):>6}"
                f"{run['jain']:>7.4f} |{number(run['delay_ms_p50']):>7}"
                f"{number(run['delay_ms_p99']):>8}{number(run['delay_ms_max']):>7} |"
                f"{number(run['probe_rtt_ms_p50']):>6}"
                f"{number(run['probe_rtt_ms_p99']):>7} |{percent(run['probe_loss']):>6} |{percent(run['tcp_share']):>6}"
                f"{run['unexplained']:>8}")
        lines.append("")
    return "\n".join(lines).rstrip()


def noise(results: dict[str, dict[str, dict]]) -> str:
    """How far the machine itself was from ideal: a stolen CPU delays every data path."""
    runs = [run for scene in results.values() for run in scene.values()]
    busy, steal = (max((run["cpu"][key] for run in runs), default=0) for key in ("busy", "steal"))
    late = max((run["link"]["late_max_us"] for run in runs), default=0) / 1e3
    return (f"During the runs: CPUs up to {percent(busy)} busy, up to {percent(steal)} taken by the hypervisor, "
            f"link emulator late by at most {number(late)} ms.")
