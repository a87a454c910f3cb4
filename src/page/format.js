// Numbers, times and names for people. What is not there is a dash, never 0.

export const NONE = '–';
const PLAIN = /auc|^f\d|kappa|mcc|brier|gini|loss|calibration|r2|average_precision/;

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const there = (value) => typeof value === 'number' && Number.isFinite(value);

export function count(value) {
  if (!there(value)) return NONE;
  return Math.abs(value) < 1e5 ? grouped.format(value) : si(value);
}

/** 1.83M, 12.4k. */
export function si(value) {
  if (!there(value)) return NONE;
  for (const [unit, size] of [['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
    if (Math.abs(value) >= size) return `${digits(value / size)}${unit}`;
  }
  return digits(value);
}

export function bytes(value) {
  if (!there(value)) return NONE;
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]]) {
    if (value >= size) return `${digits(value / size)} ${unit}`;
  }
  return `${value} B`;
}

/** Three digits that matter. */
export function digits(value) {
  if (!there(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2);
  if (size >= 100) return grouped.format(value);
  return String(Number(value.toPrecision(3)));
}

/** A share as a percentage, with a digit more where it is small. */
export function share(value, places = 1) {
  if (!there(value)) return NONE;
  if (value > 0 && value < 0.0005) return '<0.1%';
  return `${(100 * value).toFixed(places)}%`;
}

/** Whether a metric reads as a percentage. */
export function isPercent(metric) {
  return metric?.unit === 'ratio' && !PLAIN.test(metric.name);
}

export function value(number, metric) {
  if (!there(number)) return NONE;
  if (isPercent(metric)) return share(number);
  return metric?.unit === 'ratio' ? number.toFixed(3) : digits(number);
}

/** The interval of an estimate in brackets, or an empty text. */
export function interval(estimate, metric) {
  if (!there(estimate?.lower) || !there(estimate?.upper)) return '';
  const end = (number) => (isPercent(metric) ? (100 * number).toFixed(1) : value(number, metric));
  return `[${end(estimate.lower)}, ${end(estimate.upper)}]`;
}

/** A difference with its sign; of percentages in points. */
export function gap(number, metric) {
  if (!there(number)) return NONE;
  const size = Math.abs(number);
  const none = isPercent(metric) ? size < 0.0005 : size < 5e-7;
  const sign = none ? '' : number > 0 ? '+' : '−';
  return isPercent(metric) ? `${sign}${(100 * size).toFixed(1)} pts` : `${sign}${value(size, metric)}`;
}

export function effect(number) {
  if (!there(number)) return NONE;
  return Math.abs(number) < 10 ? number.toFixed(3) : digits(number);
}

/** A length of time in one or two units. */
export function span(seconds) {
  if (!there(seconds)) return NONE;
  const size = Math.abs(seconds);
  if (size === 0) return '0 s';
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 60) return `${digits(size < 10 ? Math.round(size * 10) / 10 : Math.round(size))} s`;
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  const first = units.findIndex(([, length]) => size >= length);
  const [unit, length] = units[first];
  const [below, small] = units[Math.min(first + 1, 3)];
  if (first === 3 || size >= 10 * length) return `${Math.round(size / length)} ${unit}`;
  // In the smaller unit first, so that nothing is rounded up to a whole one of the larger.
  const all = Math.round(size / small);
  const [whole, rest] = [Math.floor((all * small) / length), all % (length / small)];
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${below}`;
}

export function ago(at, now) {
  if (!there(at) || !there(now)) return NONE;
  const seconds = now - at;
  if (seconds < 0) return `in ${span(-seconds)}`;
  return seconds < 2 ? 'just now' : `${span(seconds < 60 ? Math.round(seconds) : seconds)} ago`;
}

const clockOf = (options) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', ...options });
const CLOCK = clockOf({});
const CLOCK_SECONDS = clockOf({ second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** The time of day, with the day when that is another one than now's. */
export function clock(at, now, seconds = false) {
  if (!there(at)) return NONE;
  const date = new Date(at * 1000);
  const time = (seconds || at % 60 !== 0 ? CLOCK_SECONDS : CLOCK).format(date);
  const today = there(now) && DAY.format(new Date(now * 1000)) === DAY.format(date);
  return today ? time : `${DAY.format(date)} ${time}`;
}

/** Texts for the marks of a time axis: the day only where it begins. */
export function axisTimes(all, now) {
  const days = all.map((at) => DAY.format(new Date(at * 1000)));
  if (all.length > 1 && all[1] - all[0] >= 86400) return days;
  return all.map((at, index) => {
    const time = (at % 60 === 0 ? CLOCK : CLOCK_SECONDS).format(new Date(at * 1000));
    if (index === 0) return clock(at, now);
    return days[index] === days[index - 1] ? time : days[index];
  });
}

/** In full, for titles. */
export function absolute(at) {
  if (!there(at)) return '';
  const date = new Date(at * 1000);
  return `${date.toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long' })} (${date.toISOString()})`;
}

/** A version, as a word for one that has no name. */
export function version(name) {
  return name === '' || name === null || name === undefined ? 'no version' : clip(name, 40);
}

/** Long names are shortened where there is no room; the whole one is in a title. */
export function clip(text, length) {
  const letters = [...text];
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join('')}…`;
}

const SHORT = new Set(['auc', 'f1', 'f2', 'js', 'ks', 'mae', 'mape', 'mcc', 'mse', 'psi', 'r2', 'rmse', 'roc']);

/** `not_enough_labels` as words, `roc_auc` as ROC AUC. */
export function words(text) {
  if (text === 'l_infinity') return 'L∞';
  return String(text).split('_').map((word) => (SHORT.has(word) ? word.toUpperCase() : word)).join(' ');
}
