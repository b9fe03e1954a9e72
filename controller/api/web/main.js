// Asks the daemon once a second and hands what it says to the views. Reads only.
import { History, Rates } from './series.js';
import { PortPanel, showArrivals, showEvents, showHead, showNotice } from './view.js';

const SPAN_S = 300, PERIOD_MS = 1000, EVENTS = 1000, EVENT_ROWS = 10;
const history = new History(SPAN_S), rates = new Rates();
const panels = new Map();
let events = [], nextEvent = 0, failures = 0;

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000), cache: 'no-store' });
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer.json();
}

async function askEvents() {
  // At first only the newest are wanted: the end of the store tells their numbers.
  if (!nextEvent) nextEvent = Math.max(1, (await ask(`/api/v1/drops?since=${Number.MAX_SAFE_INTEGER}&limit=0`)).next - EVENTS);
  const page = await ask(`/api/v1/drops?since=${nextEvent}&limit=1000`);
  if (page.next < nextEvent) events = []; // the daemon was restarted
  nextEvent = page.next;
  events = [...page.events.slice(-EVENTS).reverse(), ...events].slice(0, EVENTS);
}

function showPorts(status) {
  const main = document.getElementById('ports');
  const wanted = status.ports.filter(p => p.classes.length);
  for (const [name, panel] of panels)
    if (!wanted.some(p => p.name === name)) {
      panel.node.remove();
      panels.delete(name);
    }
  for (const port of wanted) {
    if (!panels.has(port.name)) {
      panels.set(port.name, new PortPanel(port.name, SPAN_S));
      main.append(panels.get(port.name).node);
    }
    panels.get(port.name).update(port, history.port(port.name), rates);
  }
}

async function refresh() {
  try {
    const since = Math.floor(history.newest * 1000);
    const [status, past] = await Promise.all([ask('/api/v1/status'), ask(`/api/v1/history?since_ms=${since}`), askEvents()]);
    if (past.points.length && past.points.at(-1).unix_s < history.newest) history.points = [];
    history.add(past.points);
    rates.begin(status.time_ns);
    showHead(status);
    showNotice(status, 0);
    showPorts(status);
    showArrivals(status, rates);
    showEvents(events, EVENT_ROWS);
    failures = 0;
    document.body.classList.remove('stale');
    document.body.dataset.ready = 'yes';
  } catch (error) {
    failures++;
    if (failures > 2) {
      document.body.classList.add('stale');
      showNotice(null, history.newest);
    }
  }
}

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function stored() {
  try {
    return localStorage.getItem('theme');
  } catch {
    return null; // storage is switched off: the system's preference stays
  }
}

applyTheme(new URLSearchParams(location.search).get('theme') ?? stored());
document.getElementById('theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.trim() === 'dark';
  applyTheme(dark ? 'light' : 'dark');
  try {
    localStorage.setItem('theme', dark ? 'light' : 'dark');
  } catch { /* this visit only */ }
});
addEventListener('resize', () => panels.forEach(panel => panel.redraw()));

for (;;) {
  const begin = performance.now();
  if (!document.hidden || !document.body.dataset.ready) await refresh();
  await new Promise(resolve => setTimeout(resolve, Math.max(200, PERIOD_MS - (performance.now() - begin))));
}
