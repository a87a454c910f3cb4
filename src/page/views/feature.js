// One feature: what it looks like now beside what it looked like in the reference, and since when.

import { path } from '../api.js';
import { timeChart } from '../chart.js';
import { h } from '../dom.js';
import { NONE, clip, clock, count, digits, effect, share, words } from '../format.js';
import { asTable, empty, link, name, panel, table } from '../parts.js';
import { address } from '../router.js';
import { awaited, frame, part, pathsOf } from './frame.js';

export const feature = {
  title: (route) => `${clip(route.path[3] ?? '', 60)} of ${route.path[1]}`,
  paths: (route, answers) => pathsOf(route, answers, ({ window, version }, of) => ({
    feature: path([...of, 'features', route.path[3] ?? ''], { window: window?.window, version: version ?? null }),
  })),
  show: (context) => frame(context, 'drift', (model, choices, now) => [
    h('div', { class: 'wide sub-head', key: 'head' },
      h('p', { class: 'crumb' }, link('‹ All features', address(['models', model.name, 'drift'], { window: choices.window?.window, version: choices.asked }))),
      h('h2', { class: 'sub-title' }, name(context.route.path[3] ?? '', 200))),
    part(context.answers.feature, (data) => [
      tiles(data), distributions(data, model, choices, now), ...past(data, choices.window?.every, now),
    ]),
  ]),
};

function tiles(data) {
  const statistics = Object.entries(data.statistics ?? {}).filter(([, number]) => typeof number === 'number');
  const quality = [
    ['Missing', data.missing_share, data.reference_missing_share],
    ['New values', data.new_share], ['Out of range', data.out_of_range_share], ['Invalid', data.invalid_share],
  ].filter(([, number]) => typeof number === 'number');
  return h('dl', { class: 'tiles wide', key: 'tiles' },
    statistics.map(([key, number]) => tile(words(key), effect(number), NAMES[key] ?? 'drift')),
    quality.map(([title, number, before]) => tile(title, share(number),
      typeof before === 'number' ? `${share(before)} in reference` : 'of predictions')));
}

const NAMES = {
  psi: 'population stability', js: 'Jensen–Shannon', ks: 'Kolmogorov–Smirnov', wasserstein: 'scaled distance', chi_square: 'two samples',
  l_infinity: 'largest difference',
};

const tile = (title, number, note) => h('div', { key: title }, h('dt', null, title), h('dd', null, h('strong', null, number), h('span', null, note)));

function distributions(data, model, choices, now) {
  const { reference, current } = data;
  const more = h('ul', { class: 'legend-row' },
    h('li', null, h('span', { class: 'swatch older' }), reference ? `reference, ${count(reference.count)} rows` : 'no reference'),
    h('li', null, h('span', { class: 'swatch main' }), current ? `window to ${clock(data.end, now)}, ${count(current.count)} rows` : 'no window yet'));
  const any = current ?? reference;
  return panel('Reference and now', { id: 'distribution', wide: true, more },
    any === null || any === undefined ? empty(awaited(model, choices.window, now))
      : any.bins ? columns(reference, current) : categories(reference, current));
}

/** The edges of a bin in words; without them its number. */
function binName(bin, index) {
  const lower = typeof bin.lower === 'number' ? digits(bin.lower) : null;
  const upper = typeof bin.upper === 'number' ? digits(bin.upper) : null;
  if (lower === null && upper === null) return `bin ${index + 1}`;
  if (lower === null) return `< ${upper}`;
  return upper === null ? `≥ ${lower}` : `${lower} – ${upper}`;
}

function columns(reference, current) {
  const bins = (current ?? reference).bins.map((bin, index) => ({
    name: binName(bin, index), before: reference?.bins[index]?.share, now: current?.bins[index]?.share,
    edge: typeof bin.upper === 'number' ? digits(bin.upper) : '',
  }));
  const max = Math.max(0.01, ...bins.flatMap((bin) => [bin.before ?? 0, bin.now ?? 0]));
  const tall = (number) => ({ height: `${(100 * (number ?? 0)) / max}%` });
  const every = Math.ceil(bins.length / 12);
  return [
    h('div', { class: 'columns-scroll', role: 'img', 'aria-label': 'Distribution of the reference and of now; a table with the numbers follows' },
      h('span', { class: 'columns-max', 'aria-hidden': 'true' }, share(max, 0)),
      h('div', { class: 'columns' }, bins.map((bin, index) => h('div', {
        key: index, class: 'column', title: `${bin.name}: reference ${share(bin.before)}, now ${share(bin.now)}`,
      }, h('div', { class: 'pair' }, h('span', { class: 'older', style: tall(bin.before) }), h('span', { class: 'main', style: tall(bin.now) })),
      h('span', { class: 'edge' }, index % every === every - 1 && index < bins.length - 1 ? bin.edge : ''))))),
    asTable('The numbers as a table', pairs('Bin', bins)),
  ];
}

function categories(reference, current) {
  const any = current ?? reference;
  const rows = any.values.map((one, index) => ({
    name: one.value, before: reference?.values[index]?.share, now: current?.values[index]?.share,
  }));
  const others = { before: reference?.other_share, now: current?.other_share };
  if (others.before > 0 || others.now > 0) rows.push({ name: 'all others', other: true, ...others });
  const max = Math.max(0.01, ...rows.flatMap((row) => [row.before ?? 0, row.now ?? 0]));
  const wide = (number) => ({ width: `${(100 * (number ?? 0)) / max}%` });
  return [
    h('ul', { class: 'categories' }, rows.map((row, index) => h('li', { key: index },
      h('span', { class: row.other ? 'quiet' : null }, name(row.name, 48)),
      h('div', { class: 'pair-rows', 'aria-hidden': 'true' }, h('span', { class: 'older', style: wide(row.before) }), h('span', { class: 'main', style: wide(row.now) })),
      h('span', { class: 'number' }, h('strong', null, share(row.now)), h('span', { class: 'quiet' }, ` was ${share(row.before)}`))))),
    asTable('The numbers as a table', pairs('Value', rows)),
  ];
}

function pairs(title, rows) {
  return table('Shares', [
    { title, head: true, cell: (row) => name(row.name, 60) },
    { title: 'Reference', number: true, cell: (row) => share(row.before) },
    { title: 'Now', number: true, cell: (row) => share(row.now) },
    { title: 'Change', number: true, cell: (row) => (typeof row.now === 'number' && typeof row.before === 'number'
      ? `${row.now >= row.before ? '+' : '−'}${(100 * Math.abs(row.now - row.before)).toFixed(1)} pts` : NONE) },
  ], rows);
}

function quantiles({ reference, current }) {
  const any = current ?? reference;
  if (!any?.quantiles || Object.keys(any.quantiles).length === 0) return null;
  const rows = [
    ['Least', 'min'], ...Object.keys(any.quantiles).sort((a, b) => a - b).map((key) => [
      key === '0.5' ? 'Median' : `${digits(100 * Number(key))}% below`, key]), ['Greatest', 'max'], ['Mean', 'mean'],
  ].map(([title, key]) => ({
    title, before: reference?.quantiles?.[key] ?? reference?.[key], now: current?.quantiles?.[key] ?? current?.[key],
  })).filter((row) => typeof row.before === 'number' || typeof row.now === 'number');
  return panel('Quantiles', { id: 'quantiles' }, table('Quantiles', [
    { title: 'Quantile', head: true, cell: (row) => row.title },
    { title: 'Reference', number: true, cell: (row) => digits(row.before) },
    { title: 'Now', number: true, cell: (row) => h('strong', null, digits(row.now)) },
  ], rows));
}

/** Quantiles beside the history, or the history alone in full width. */
function past(data, every, now) {
  const left = quantiles(data);
  return [left, history(data, every, now, left === null)];
}

function history(data, every, now, wide) {
  const past = data.history;
  if (!past?.ends.length) return null;
  const common = { ends: past.ends, now, sync: 'feature', every, zero: true };
  const shares = [['missing', 'missing', 'older'], ['new values', 'new', 'main'], ['out of range', 'out_of_range', 'other']]
    .filter(([, key]) => past[key]?.some((one) => one > 0))
    .map(([title, key, role]) => ({ name: title, role, values: past[key], dash: role === 'older' ? [6, 3] : undefined }));
  return panel('Since when', { id: 'history', wide },
    h('h3', { class: 'chart-title' }, 'Drift'),
    h('div', { key: 'effect', widget: timeChart, data: { ...common, label: 'Drift over time', height: 150, format: effect,
      lines: [{ name: 'drift', role: 'main', area: true, values: past.effect }] } }),
    shares.length ? [h('h3', { class: 'chart-title' }, 'Share of predictions'),
      h('ul', { class: 'legend-row', 'aria-hidden': 'true' }, shares.map((line) => h('li', { key: line.name }, h('span', { class: `swatch ${line.role}` }), line.name))),
      h('div', { key: 'shares', widget: timeChart, data: { ...common, label: 'Missing, new and out of range over time', height: 120, format: (number) => share(number), lines: shares } })] : null,
    asTable('The numbers as a table', table('History', [
      { title: 'Window ends', head: true, cell: (index) => clock(past.ends[index], now) },
      { title: 'Drift', number: true, cell: (index) => effect(past.effect[index]) },
      { title: 'Missing', number: true, cell: (index) => share(past.missing?.[index]) },
      { title: 'New', number: true, cell: (index) => share(past.new?.[index]) },
      { title: 'Out of range', number: true, cell: (index) => share(past.out_of_range?.[index]) },
    ], past.ends.map((_, index) => index).reverse().slice(0, 60))));
}
