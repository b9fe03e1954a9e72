#!/usr/bin/env python3
"""Makes sluice.json, the Grafana dashboard, from the table below: `dashboard.py > sluice.json`.

A test keeps the file in step with this table, and asks a real Prometheus that scrapes a real daemon for every metric.
"""
from __future__ import annotations

import json

HERE = '{instance=~"$instance"}'
PORT = '{instance=~"$instance", device=~"$device"}'
OUTCOMES = 'instance=~"$instance", device=~"$device"'
RATE = "[$__rate_interval]"

# (title, unit, [(query, legend)], description). Units are Grafana's: s, Bps, pps, percentunit, short.
ROWS = [
    ("Is it well", [
        ("Hosts up", "short", [("sum(sluice_up)", "up"), ("count(sluice_up)", "all")],
         "Hosts whose data path works as the policy asks."),
        ("Policies in force", "short", [("count by (sha256) (sluice_policy_info)", "{{sha256}}")],
         "More than one line for long: drift."),
        ("Degraded ports", "short", [(f"sluice_port_degraded{PORT} > 0", "{{instance}} {{port}}")],
         "sluicectl status says why and what cures it."),
        ("Age of the control loop", "s", [(f"time() - sluice_heartbeat_timestamp_seconds{HERE}", "{{instance}}")],
         "Above a second or two the loop hangs."),
    ]),
    ("Delay", [
        ("Phantom delay per class", "s", [(f"sluice_class_delay_seconds{PORT}", "{{device}} {{class}}"),
                                          (f"sluice_class_target_seconds{PORT}", "target {{device}} {{class}}")],
         "Mean wait of a backlogged flow in the simulated fair queue; AQM steers it to the target."),
        ("Phantom delay, quantiles", "s",
         [(f"histogram_quantile({q}, sum by (le, device, class) "
           f"(rate(sluice_class_phantom_delay_seconds_bucket{PORT}{RATE})))", f"p{round(q * 100)} {{{{device}}}} {{{{class}}}}")
          for q in (0.5, 0.99)],
         "What frames met, sampled; buckets are powers of two."),
        ("TX ring delay, quantiles", "s",
         [(f"histogram_quantile({q}, sum by (le, device) (rate(sluice_ring_delay_seconds_bucket{PORT}{RATE})))",
           f"p{round(q * 100)} {{{{device}}}}") for q in (0.5, 0.99)],
         "Age of the ring's head, as each redirected frame met it."),
        ("TX ring: age of the head", "s", [(f"sluice_ring_sojourn_seconds{PORT}", "{{device}} ring {{ring}}"),
                                           (f"sluice_port_ring_target_seconds{PORT}", "target {{device}}")],
         "The real queue, which everybody shares."),
        ("TX ring occupancy", "percentunit",
         [(f"sluice_ring_occupied_descriptors{PORT} / sluice_ring_descriptors{PORT}", "{{device}} ring {{ring}}")],
         "Full rings lose frames."),
    ]),
    ("Rates", [
        ("Throughput per class", "Bps",
         [(f"rate(sluice_class_admitted_bytes_total{PORT}{RATE})", "{{device}} {{class}}")],
         "Admitted bytes, as on the wire."),
        ("Capacity", "Bps", [(f"sluice_port_capacity_bytes_per_second{PORT}", "capacity {{device}}"),
                             (f"sluice_port_drain_bytes_per_second{PORT}", "drained {{device}}"),
                             (f"sluice_port_policy_rate_bytes_per_second{PORT}", "policy {{device}}")],
         "What is shared out, what the link was seen to drain, what the policy says."),
        ("Active flows", "short", [(f"sluice_class_active_flows{PORT}", "{{device}} {{class}}")],
         "Flows with phantom backlog."),
    ]),
    ("Where frames end", [
        ("Verdicts", "pps", [(f"sum by (reason) (rate(sluice_class_outcome_packets_total{{{OUTCOMES}, "
                              f'reason!~"would_.*|forward"}}{RATE}))', "{{reason}}")],
         "Marks and drops, by reason."),
        ("Shadow mode: what would happen", "pps",
         [(f'sum by (reason) (rate(sluice_class_outcome_packets_total{{{OUTCOMES}, reason=~"would_.*"}}{RATE}))',
           "{{reason}}")], "Only in transitions with mode: shadow."),
        ("Lost by the kernel after the verdict", "pps",
         [(f"sum by (device, reason) (rate(sluice_kernel_drop_packets_total{PORT}{RATE})) > 0",
           "{{device}} {{reason}}")], "Should be zero."),
        ("Passed to the kernel's stack", "pps",
         [(f"sum by (device, reason) (rate(sluice_pass_packets_total{PORT}{RATE})) > 0", "{{device}} {{reason}}")],
         "Frames that XDP does not forward, by reason."),
        ("Received and sent", "pps", [(f"rate(sluice_receive_packets_total{PORT}{RATE})", "received {{device}}"),
                                      (f"rate(sluice_transmit_packets_total{PORT}{RATE})", "sent {{device}}")],
         "At the XDP program, and into the TX ring."),
    ]),
    ("The daemon", [
        ("CPU", "percentunit", [(f'rate(process_cpu_seconds_total{{job="sluice", instance=~"$instance"}}{RATE})',
                                 "{{instance}}")], "Cores of sluiced; the data path itself runs in softirq."),
        ("Memory", "bytes", [('process_resident_memory_bytes{job="sluice", instance=~"$instance"}', "{{instance}}")],
         ""),
        ("Reloads", "short", [(f"increase(sluice_policy_reloads_total{HERE}[1h])", "{{instance}} {{result}}")],
         "In the last hour."),
    ]),
]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel(number: int, title: str, unit: str, queries: list, description: str, x: int, y: int, width: int) -> dict:
    return {
        "id": number, "type": "timeseries", "title": title, "description": description, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 8}},
                        "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend, "datasource": SOURCE}
                    for i, (query, legend) in enumerate(queries)],
    }


def variable(name: str, label: str) -> dict:
    query = f"label_values(sluice_port_up, {label})"
    return {"name": name, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name},
            "definition": query, "includeAll": True, "multi": True, "current": {"text": "All", "value": "$__all"},
            "refresh": 2, "sort": 1}


def dashboard() -> dict:
    panels: list[dict] = []
    y = 0
    for row, contents in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        width = 24 // len(contents) if len(contents) < 5 else 8
        for i, (title, unit, queries, description) in enumerate(contents):
            per_row = 24 // width
            panels.append(panel(len(panels) + 1, title, unit, queries, description, i % per_row * width,
                                y + i // per_row * 8, width))
        y += 8 * ((len(contents) - 1) // (24 // width) + 1)
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {"uid": "sluice", "title": "sluice", "tags": ["sluice", "network"], "schemaVersion": 38, "version": 1,
            "editable": True, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
            "templating": {"list": [source, variable("instance", "instance"), variable("device", "device")]},
            "panels": panels}


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2))
