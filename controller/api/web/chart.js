// A small time chart in SVG: lines or stacked areas over the last minutes, axes with units, a legend that carries the
// current values, and a crosshair that carries those of any moment. Colours come from the style sheet (.s0, .s1, ...).
import { minute, clock } from './format.js';

const NS = 'http://www.w3.org/2000/svg';
const HEIGHT = 150, LEFT = 44, RIGHT = 8, TOP = 8, BOTTOM = 20;

export function element(name, attributes = {}, ...children) {
  const node = name.startsWith('svg:') ? document.createElementNS(NS, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// 1, 2 or 5 times a power of ten, so that about `lines` fit below `max`.
function step(max, lines) {
  const rough = max / lines;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find(f => f * power >= rough * 0.999);
}

export class Chart {
  // series: [{name, kind: 'line' | 'area' | 'limit'}]; areas are stacked in their order, limits are dashed lines that
  // the scale need not reach. format: value -> text with unit; tick: the same for the axis.
  constructor({ title, unit, format, scale = 1, floor = 1 }) {
    Object.assign(this, { unit, format, scale, floor, hover: null, data: null });
    this.legend = element('ul', { class: 'legend' });
    this.svg = element('svg:svg', { class: 'plot', height: HEIGHT, role: 'img', 'aria-label': `${title} over time` });
    this.node = element('figure', { class: 'chart' },
      element('figcaption', {}, element('b', {}, title), element('span', { class: 'unit' }, unit)), this.svg, this.legend);
    this.svg.addEventListener('pointermove', e => this.point(e));
    this.svg.addEventListener('pointerleave', () => { this.hover = null; this.draw(); });
  }

  // times: seconds; series[].values: one per time, null where nothing is known. now: right edge; span: seconds shown.
  update(data) {
    this.data = data;
    this.draw();
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const { now, span, times } = this.data ?? {};
    if (!times?.length) return;
    const t = now - span + (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * span;
    this.hover = times.reduce((best, time, i) => Math.abs(time - t) < Math.abs(times[best] - t) ? i : best, 0);
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const { times, now, span } = this.data;
    const series = this.data.series;
    const width = Math.max(200, this.svg.clientWidth || 420);
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const x = t => LEFT + (t - (now - span)) / span * (width - LEFT - RIGHT);
    const stacked = stack(series.filter(s => s.kind === 'area'), times.length);
    let max = this.floor;
    for (const s of series) {
      const values = s.kind === 'area' ? stacked.get(s).top : s.values;
      for (const v of values) if (v !== null && v > max) max = v;
    }
    max *= 1.06;
    const y = v => TOP + (1 - v / max) * (HEIGHT - TOP - BOTTOM);
    const parts = [...this.axes(max, x, y, width, now, span)];
    for (const s of series.filter(s => s.kind === 'area'))
      parts.push(element('svg:path', { class: `area s${s.colour}`, d: band(times, stacked.get(s), x, y) }));
    for (const s of series.filter(s => s.kind !== 'area'))
      parts.push(element('svg:path', { class: `${s.kind} s${s.colour}`, d: line(times, s.values, x, y) }));
    const at = this.hover === null || this.hover >= times.length ? times.length - 1 : this.hover;
    if (this.hover !== null && at >= 0) {
      parts.push(element('svg:line', { class: 'cross', x1: x(times[at]), x2: x(times[at]), y1: TOP, y2: HEIGHT - BOTTOM }));
      parts.push(text(x(times[at]), HEIGHT - 5, clock(times[at]), 'tick cross-time', 'middle'));
    }
    this.svg.replaceChildren(...parts);
    this.drawLegend(series, at);
  }

  *axes(max, x, y, width, now, span) {
    const grid = step(max / this.scale, 4) * this.scale;
    for (let v = 0; v <= max; v += grid) {
      yield element('svg:line', { class: v === 0 ? 'base' : 'grid', x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) });
      yield text(LEFT - 6, y(v) + 3.5, plain(v / this.scale), 'tick', 'end');
    }
    for (let t = Math.ceil((now - span + 12) / 60) * 60; t <= now - 10; t += 60) {
      yield element('svg:line', { class: 'minute', x1: x(t), x2: x(t), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 });
      if (this.hover === null) yield text(x(t), HEIGHT - 5, minute(t), 'tick', 'middle');
    }
  }

  drawLegend(series, at) {
    const rows = series.map(s => element('li', { class: `s${s.colour} ${s.kind}` },
      element('i', {}), element('span', {}, s.name),
      element('b', {}, at < 0 || s.values[at] === null || s.values[at] === undefined ? '–' : this.format(s.values[at]))));
    this.legend.replaceChildren(...rows);
  }
}

function plain(v) {
  if (v >= 1e6) return `${+(v / 1e6).toPrecision(3)}M`;
  if (v >= 1e4) return `${+(v / 1e3).toPrecision(3)}k`;
  return `${+v.toPrecision(3)}`;
}

function text(x, y, content, cls, anchor) {
  return element('svg:text', { x, y, class: cls, 'text-anchor': anchor }, content);
}

function stack(areas, length) {
  const base = new Array(length).fill(0);
  const found = new Map();
  for (const s of areas) {
    const bottom = [...base];
    const top = s.values.map((v, i) => (v === null ? null : (base[i] += v)));
    found.set(s, { bottom, top });
  }
  return found;
}

// Runs of known values become one stroke each: what is not known is a gap, not a line down to zero.
function* runs(values) {
  let begin = -1;
  for (let i = 0; i <= values.length; i++) {
    const known = i < values.length && values[i] !== null;
    if (known && begin < 0) begin = i;
    if (!known && begin >= 0) {
      yield [begin, i];
      begin = -1;
    }
  }
}

function line(times, values, x, y) {
  let d = '';
  for (const [from, to] of runs(values))
    for (let i = from; i < to; i++) d += `${i === from ? 'M' : 'L'}${x(times[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`;
  return d;
}

function band(times, { top, bottom }, x, y) {
  let d = '';
  for (const [from, to] of runs(top)) {
    for (let i = from; i < to; i++) d += `${i === from ? 'M' : 'L'}${x(times[i]).toFixed(1)} ${y(top[i]).toFixed(1)}`;
    for (let i = to - 1; i >= from; i--) d += `L${x(times[i]).toFixed(1)} ${y(bottom[i]).toFixed(1)}`;
    d += 'Z';
  }
  return d;
}
