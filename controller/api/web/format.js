// Numbers as people read them: three digits, SI units, a thin space before the unit.
const SPACE = '\u202f';

function scaled(value, units, factor) {
  if (value === 0) return '0';
  let unit = 0;
  let v = Math.abs(value);
  while (v >= factor * 0.9995 && unit + 1 < units.length) {
    v /= factor;
    unit++;
  }
  const text = v >= 100 ? v.toFixed(0) : v.toPrecision(3);
  return (value < 0 ? '−' : '') + trim(text) + SPACE + units[unit];
}

function trim(text) {
  return text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text;
}

export const bitRate = bytesPerS => scaled(bytesPerS * 8, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'], 1000);
export const perSecond = n => scaled(n < 0.05 ? 0 : n, ['/s', 'k/s', 'M/s', 'G/s'], 1000);
export const bytes = n => scaled(n, ['B', 'kB', 'MB', 'GB', 'TB'], 1000);
export const count = n => n.toLocaleString('en-US').replaceAll(',', SPACE);

export function duration(ns) {
  return scaled(ns, ['ns', 'µs', 'ms', 's'], 1000);
}

export const clock = unixS => new Date(unixS * 1000).toLocaleTimeString('en-GB', { hour12: false });
export const minute = unixS => clock(unixS).slice(0, 5);

const PROTOCOLS = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 47: 'GRE', 50: 'ESP', 58: 'ICMPv6', 132: 'SCTP', 136: 'UDPlite' };
const WITH_PORTS = new Set([6, 17, 33, 132, 136]);

export const protocol = n => PROTOCOLS[n] ?? `proto ${n}`;

export function endpoint(address, port, proto) {
  if (!address || !WITH_PORTS.has(proto)) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

// "drop_codel" -> "drop codel": reasons are words of the closed set, shown without their underscores.
export const words = reason => reason.replaceAll('_', ' ');
