// What the page shows of a status: head, one panel per slow port, tables.
import { Chart, element } from './chart.js';
import * as f from './format.js';

const $ = id => document.getElementById(id);

export function showHead(status) {
  const state = $('state');
  const word = status.health.split(':')[0] || 'starting';
  state.textContent = word;
  state.className = `state ${word}`;
  const facts = [`v${status.version}`, status.policy_file.split('/').at(-1), `generation ${status.policy_generation}`];
  if (!status.last_reload_ok) facts.push('last reload refused');
  if (status.asleep) facts.push('idle');
  facts.push(f.clock(Date.now() / 1000));
  $('facts').replaceChildren(...facts.map(t => element('span', {}, t)));
  document.title = word === 'ok' ? 'sluice' : `sluice · ${word}`;
}

// What is wrong, in words; `since` > 0: nobody answers since then.
export function showNotice(status, since) {
  const lines = status ? status.ports.filter(p => p.degraded).map(p => `${p.name}: ${p.degraded}`) : [];
  if (status?.health.startsWith('failed')) lines.unshift(status.health);
  if (!status) {
    $('state').textContent = 'no answer';
    $('state').className = 'state failed';
    lines.push(`sluiced does not answer since ${f.clock(since || Date.now() / 1000)}; what you see is from then`);
  }
  $('notice').hidden = lines.length === 0;
  $('notice').replaceChildren(...lines.map(t => element('span', {}, t)));
}

const REASONS = [
  ['mark', 'mark CE'], ['drop_codel', 'drop CoDel'], ['drop_limit', 'drop limit'], ['drop_ring', 'drop ring']];

// What there is to show, in whole steps: five minutes once the daemon has seen them.
function spanOf(times, longest) {
  const seen = times.length ? times.at(-1) - times[0] : 0;
  return [60, 120].find(span => seen <= span) ?? longest;
}

export class PortPanel {
  constructor(name, span) {
    this.span = span;
    this.title = element('div', { class: 'port-title' });
    this.figures = element('dl', { class: 'figures' });
    this.charts = {
      delay: new Chart({ title: 'Delay', unit: 'ms', format: f.duration, scale: 1e6, floor: 1e6 }),
      rate: new Chart({ title: 'Throughput', unit: 'Mbit/s', format: f.bitRate, scale: 125000, floor: 12500 }),
      ring: new Chart({ title: 'Ring occupancy', unit: 'descriptors', format: v => f.count(Math.round(v)), floor: 10 }),
      verdicts: new Chart({ title: 'Verdicts', unit: 'frames/s', format: f.perSecond, floor: 10 }),
    };
    this.classes = element('table');
    this.flows = element('table', { class: 'flows' });
    this.flowTitle = element('h3', {}, 'Flows');
    this.node = element('section', { class: 'panel port', id: `port-${name}` }, this.title, this.figures,
      element('div', { class: 'charts' }, ...Object.values(this.charts).map(c => c.node)),
      element('div', { class: 'tables' },
        element('div', {}, element('h3', {}, 'Classes'), element('div', { class: 'scroll' }, this.classes)),
        element('div', {}, this.flowTitle, element('div', { class: 'scroll' }, this.flows))));
  }

  update(port, past, rates) {
    this.showTitle(port);
    this.showFigures(port, past);
    this.showCharts(port, past);
    this.showClasses(port, rates);
    this.showFlows(port, rates);
  }

  redraw() {
    Object.values(this.charts).forEach(c => c.draw());
  }

  showTitle(p) {
    const shadow = p.classes.some(c => c.mode === 'shadow');
    this.title.replaceChildren(element('h2', {}, p.name),
      element('span', {}, [p.device, p.driver, p.xdp_mode && hookName(p), `${p.hook} hook`].filter(Boolean).join(' · ')),
      ...(p.up ? [] : [element('b', { class: 'tag failed' }, 'link down')]),
      ...(shadow ? [element('b', { class: 'tag degraded' }, 'shadow: nothing is enforced')] : []));
  }

  showFigures(p, past) {
    const sent = past.rate(q => q.sent_bytes).at(-1);
    const occupancy = p.rings.reduce((n, r) => n + r.occupancy, 0), size = p.rings.reduce((n, r) => n + r.size, 0);
    const rows = [
      ['throughput', sent === null || sent === undefined ? '–' : f.bitRate(sent)],
      [`capacity, ${p.policy_rate_bytes_per_s === null ? 'measured' : 'given'}`,
        p.capacity_bytes_per_s ? f.bitRate(p.capacity_bytes_per_s) : '–'],
      ['phantom delay', f.duration(Math.max(0, ...p.classes.map(c => c.delay_ns)))],
      ['ring delay', p.rings.length ? f.duration(Math.max(...p.rings.map(r => r.sojourn_ns))) : '–'],
      ['ring', size ? `${f.count(occupancy)} / ${f.count(size)}` : '–'],
      ['backlogged flows', f.count(p.classes.reduce((n, c) => n + c.active_flows, 0))],
    ];
    this.figures.replaceChildren(...rows.map(([k, v]) => element('div', {}, element('dt', {}, k), element('dd', {}, v))));
  }

  showCharts(p, past) {
    const common = { times: past.times, now: past.times.at(-1) ?? Date.now() / 1000, span: spanOf(past.times, this.span) };
    const row = (name, kind, colour, values) => ({ name, kind, colour, values });
    const names = past.classNames();
    const byName = name => q => q.classes.find(c => c.name === name);
    const worst = q => Math.max(0, ...q.classes.map(c => c.delay_ns));
    this.charts.delay.update({ ...common, series: [
      ...(names.length > 8 ? [row('worst class', 'line', 0, past.gauge(worst))]
        : names.map((name, i) => row(name, 'line', i, past.gauge(q => byName(name)(q)?.delay_ns)))),
      row('ring', 'line', 'x', past.gauge(q => q.sojourn_ns))] });
    this.charts.ring.update({ ...common, series: [row(`in use of ${f.count(past.last?.ring_size ?? 0)}`, 'area', 'x',
      past.gauge(q => q.occupancy))] });
    this.charts.rate.update({ ...common, series: [
      ...names.map((name, i) => row(name, 'area', i % 8, past.rate(q => byName(name)(q)?.admitted_bytes))),
      row('capacity', 'limit', 'x', past.gauge(q => q.capacity_bytes_per_s || null))] });
    const shadow = p.classes.some(c => c.mode === 'shadow');
    const reasons = shadow ? [['would_mark', 'would mark'], ['would_drop_codel', 'would drop CoDel'],
      ['would_drop_limit', 'would drop limit']] : REASONS;
    this.charts.verdicts.update({ ...common, series: [
      ...reasons.map(([name, text], i) => row(text, 'line', [2, 0, 3, 4][i], past.reason(name))),
      row('lost by kernel', 'line', 5, past.rate(q => q.kernel_drops))] });
  }

  showClasses(p, rates) {
    const total = (c, prefix) => c.outcomes.filter(o => o.name.startsWith(prefix)).reduce((n, o) => n + o.packets, 0);
    const rows = p.classes.map((c, i) => {
      const key = `${p.name}/${c.transition}/${c.name}`;
      const rate = kind => rates.of(`${key}/${kind}`, kind === 'bytes' ? c.admitted_bytes : total(c, kind));
      const shadow = c.mode === 'shadow';
      return [cell(element('span', { class: `swatch s${i < 12 ? i % 8 : 3}` }), c.name), c.mode,
        show(rate('bytes'), f.bitRate), f.duration(c.delay_ns), f.bytes(c.backlog_bytes), f.count(c.active_flows),
        show(rate(shadow ? 'would_mark' : 'mark'), f.perSecond), show(rate(shadow ? 'would_drop' : 'drop'), f.perSecond),
        `${f.duration(c.target_ns)} · ${f.duration(c.limit_ns)}`];
    });
    table(this.classes, ['class', 'mode', 'rate', 'delay', 'backlog', 'flows', 'marks', 'drops', 'target · limit'], rows);
  }

  showFlows(p, rates) {
    const flows = p.flows.slice(0, 12);
    this.flowTitle.replaceChildren('Top flows by backlog ', element('small', {}, `${f.count(p.flow_count)} in use`));
    table(this.flows, ['flow', 'class', 'rate', 'backlog', 'delay', 'refused'], flows.map(w => {
      const key = `flow/${w.bucket}/${w.src}/${w.sport}/${w.dst}/${w.dport}`;
      const name = w.src ? [`${f.protocol(w.proto)} ${f.endpoint(w.src, w.sport, w.proto)}`,
        element('wbr'), ` → ${f.endpoint(w.dst, w.dport, w.proto)}`] : [`bucket ${w.bucket}`];
      return [cell(...name), w.class_name, show(rates.of(key, w.bytes), f.bitRate), f.bytes(w.backlog_bytes),
        f.duration(w.delay_ns), show(rates.of(`${key}/refused`, w.refused), f.perSecond)];
    }));
  }
}

export function showArrivals(status, rates) {
  const ports = status.ports.filter(p => p.received_packets > 0 || p.xdp_mode);
  $('arrivals-section').hidden = ports.length === 0;
  table($('arrivals'), ['port', 'device', 'frames', 'rate', 'to the kernel', 'why'], ports.map(p => {
    const passed = p.passed.reduce((n, c) => n + c.packets, 0);
    const why = p.passed.filter(c => c.packets).sort((a, b) => b.packets - a.packets).slice(0, 4)
      .map(c => `${f.words(c.name.replace('pass_', ''))} ${f.count(c.packets)}`).join(', ');
    return [p.name, `${p.device} · ${hookName(p)}`, show(rates.of(`${p.name}/rx`, p.received_packets), f.perSecond),
      show(rates.of(`${p.name}/rxb`, p.received_bytes), f.bitRate),
      show(rates.of(`${p.name}/passed`, passed), f.perSecond), why || '–'];
  }));
}

// Events of one flow and one reason are one row: how often, and the worst of them.
function group(events) {
  const found = new Map();
  for (const e of events) {
    const key = [e.reason, e.class_name, e.egress_port, e.proto, e.src, e.sport, e.dst, e.dport].join('|');
    const row = found.get(key) ?? { ...e, times: 0, delay: 0, ringDelay: 0 };
    row.times++;
    row.delay = Math.max(row.delay, e.delay_ns);
    row.ringDelay = Math.max(row.ringDelay, e.ring_sojourn_ns);
    found.set(key, row);
  }
  return [...found.values()];
}

export function showEvents(events, rows) {
  table($('events'), ['last', 'verdict', 'samples', 'flow', 'class', 'phantom, worst', 'ring, worst', 'policy line'],
    group(events).slice(0, rows).map(e => [
      f.clock(e.unix_s), cell(element('span', { class: `verdict ${e.reason.split('_')[0]}` }, f.words(e.reason))), f.count(e.times),
      e.src ? `${f.protocol(e.proto)} ${f.endpoint(e.src, e.sport, e.proto)} → ${f.endpoint(e.dst, e.dport, e.proto)}` : 'not IP',
      `${e.egress_port} · ${e.class_name}`, f.duration(e.delay), f.duration(e.ringDelay),
      `${e.policy_file.split('/').at(-1)}:${e.policy_line}`]));
  if (!events.length) $('events').replaceChildren(element('caption', {}, 'Nothing was marked or dropped lately.'));
}

const hookName = p => (p.xdp_mode === 'tc' ? 'tc ingress' : `${p.xdp_mode || 'no'} XDP`);
const show = (value, format) => (value === null ? '–' : format(value));
const cell = (...children) => {
  const node = document.createDocumentFragment();
  node.append(...children);
  return node;
};

function table(node, heads, rows) {
  node.replaceChildren(element('thead', {}, element('tr', {}, ...heads.map(h => element('th', { scope: 'col' }, h)))),
    element('tbody', {}, ...rows.map(r => element('tr', {}, ...r.map(c => element('td', {}, c))))));
}
