// History points -> what the charts draw: differences of counters per second, null across gaps and restarts.

const GAP_S = 3.5; // more between two points, and nobody knows what happened

export class History {
  constructor(spanS) {
    this.span = spanS;
    this.points = [];
  }

  add(points) {
    const last = this.points.at(-1)?.unix_s ?? 0;
    this.points.push(...points.filter(p => p.unix_s > last));
    const from = (this.points.at(-1)?.unix_s ?? 0) - this.span - 2;
    while (this.points.length && this.points[0].unix_s < from) this.points.shift();
  }

  get newest() {
    return this.points.at(-1)?.unix_s ?? 0;
  }

  port(name) {
    return new PortHistory(this.points.map(p => ({ t: p.unix_s, port: p.ports.find(q => q.name === name) })));
  }
}

export class PortHistory {
  constructor(rows) {
    this.rows = rows;
    this.times = rows.map(r => r.t);
  }

  get last() {
    return this.rows.at(-1)?.port;
  }

  gauge(read) {
    return this.rows.map(r => (r.port ? read(r.port) ?? null : null));
  }

  // Per second. `read` returns a counter, or undefined where there is none.
  rate(read) {
    return this.rows.map((r, i) => {
      const before = this.rows[i - 1];
      if (!before?.port || !r.port || r.t - before.t > GAP_S) return null;
      const a = read(before.port), b = read(r.port);
      return a === undefined || b === undefined || b < a ? null : (b - a) / (r.t - before.t);
    });
  }

  classNames() {
    return this.last?.classes.map(c => c.name) ?? [];
  }

  // Sum over the classes of the counter of one reason.
  reason(name) {
    return this.rate(port => {
      const i = port.outcome_names.indexOf(name);
      return i < 0 ? undefined : port.classes.reduce((sum, c) => sum + (c.outcomes[i] ?? 0), 0);
    });
  }
}

// Rates of a status against the one before it: (object of the status) -> per second, by a key.
export class Rates {
  constructor() {
    this.before = new Map();
    this.now = new Map();
    this.seconds = 0;
  }

  begin(timeNs) {
    this.before = this.now;
    this.now = new Map();
    this.seconds = this.time ? (timeNs - this.time) * 1e-9 : 0;
    this.time = timeNs;
  }

  of(key, value) {
    this.now.set(key, value);
    const before = this.before.get(key);
    return before === undefined || value < before || this.seconds <= 0 ? null : (value - before) / this.seconds;
  }
}
