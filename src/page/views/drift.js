// Drift of every input and output: features by effect, each a row of windows.

import { path } from '../api.js';
import { h } from '../dom.js';
import { clock, count, effect, share, words } from '../format.js';
import { strip } from '../heat.js';
import { asTable, empty, link, name, pageOf, pager, panel, table } from '../parts.js';
import { address } from '../router.js';
import { awaited, frame, part, pathsOf } from './frame.js';

const PAGE = 40;
/** Where the scale ends at least: less is the noise of small windows. */
const SCALE_MIN = 0.1;

/** Which cell is pointed at or chosen by the keys. */
let cursor = null;
let drawing = false;
const move = (to) => {
  if (cursor?.row === to?.row && cursor?.column === to?.column) return;
  if (!drawing) requestAnimationFrame(() => { drawing = false; window.dispatchEvent(new Event('redraw')); });
  drawing = true;
  cursor = to;
};

export const drift = {
  title: (route) => `Drift of ${route.path[1]}`,
  paths: (route, answers) => pathsOf(route, answers, ({ window, version }, of) => ({
    drift: path([...of, 'drift'], { window: window?.window, version: version ?? null, limit: PAGE, offset: (pageOf(route) - 1) * PAGE }),
  })),
  show: (context) => frame(context, 'drift', (model, choices, now) => part(context.answers.drift,
    (data) => (data.features.length ? heat(model, choices, data, context.route, now)
      : empty(data.end === null || data.end === undefined ? awaited(model, choices.window, now) : 'There is no reference to measure drift against.')))),
};

/** The order of the rows when they were last drawn. */
let order = [];

/** Rows stay where they are while somebody points at them: what is about to be clicked must not run away. */
function settled(rows) {
  const before = new Map(order.map((feature, index) => [feature, index]));
  if (document.querySelector('.heat-table:hover') !== null && rows.every((row) => before.has(row.feature))) {
    rows.sort((one, other) => before.get(one.feature) - before.get(other.feature));
  }
  order = rows.map((row) => row.feature);
  return rows;
}

function heat(model, choices, data, route, now) {
  const ends = data.heat?.ends ?? [];
  const rows = settled(data.features.map((feature, index) => ({ ...feature, line: data.heat?.features?.[index]?.effect ?? [] })));
  const max = Math.max(SCALE_MIN, ...rows.flatMap((row) => row.line.filter((one) => typeof one === 'number')));
  const to = (feature) => address(['models', model.name, 'features', feature], { window: choices.window?.window, version: choices.asked });
  const keys = (event) => {
    const change = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const at = cursor ?? { row: 0, column: ends.length - 1 };
    if (event.key === 'Enter' && event.target === event.currentTarget && cursor) location.hash = to(rows[at.row].feature);
    if (!change || event.target !== event.currentTarget) return;
    event.preventDefault();
    const bound = (number, most) => Math.min(Math.max(number, 0), most);
    move(cursor === null ? at : { row: bound(at.row + change[0], rows.length - 1), column: bound(at.column + change[1], ends.length - 1) });
  };
  return panel('Features by how far they have drifted', {
    id: 'drift', wide: true,
    note: `${versionText(data.version)}, ${data.reference === 'inherited' ? 'measured against the default reference' : 'measured against its own reference'}, ${count(data.predictions)} predictions in the newest window`,
  },
  h('p', { class: 'readout', 'aria-live': 'polite' }, read(rows, ends, data.statistic, now)),
  h('div', {
    class: 'heat', tabindex: '0', role: 'group', onkeydown: keys, onblur: () => move(null),
    'aria-label': 'Heat map of drift, features by windows. The arrow keys move from cell to cell, Enter opens the feature.',
  }, h('table', { class: 'heat-table' },
    h('caption', { class: 'unseen' }, 'Drift of each feature'),
    h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Feature'),
      h('th', { scope: 'col', class: 'heat-cell' }, h('span', { class: 'heat-axis' }, h('span', null, clock(ends[0], now)),
        h('span', { class: 'heat-title' }, `${words(data.statistic)} by window`), h('span', null, clock(ends.at(-1), now)))),
      h('th', { scope: 'col', class: 'number' }, 'Newest'), h('th', { scope: 'col', class: 'number wide-only' }, 'PSI'),
      h('th', { scope: 'col', class: 'number wide-only' }, 'Missing'), h('th', { scope: 'col', class: 'number wide-only' }, 'New or outside'))),
    h('tbody', null, rows.map((row, index) => h('tr', { key: row.feature },
      h('th', { scope: 'row' }, link(name(row.feature, 42), to(row.feature)), row.output ? h('span', { class: 'tag' }, 'output') : null,
        row.material ? h('span', { class: 'tag drifted', title: 'above what a policy or the noise of the reference calls material' }, '◆', h('span', { class: 'wide-only' }, ' drifted')) : null),
      h('td', { class: 'heat-cell' }, h('div', {
        widget: strip, data: {
          values: row.line, max, cursor: cursor?.row === index ? cursor.column : null,
          label: `Drift of ${row.feature} over ${ends.length} windows, newest ${effect(row.effect)}`,
          onpoint: (column) => move(column === null ? null : { row: index, column }),
          onopen: () => { location.hash = to(row.feature); },
        },
      })),
      h('td', { class: 'number' }, h('strong', null, effect(row.effect))),
      h('td', { class: 'number wide-only' }, effect(row.statistics?.psi)),
      h('td', { class: 'number wide-only' }, share(row.missing_share)),
      h('td', { class: 'number wide-only' }, share(row.new_share ?? row.out_of_range_share))))))),
  scaleLegend(max, data.statistic),
  pager(route, data.total, PAGE),
  asTable('The numbers as a table', statisticsTable(rows, data, to)));
}

const versionText = (version) => (version === '' || version === null || version === undefined ? 'no version' : version);

function read(rows, ends, statistic, now) {
  const row = cursor && rows[cursor.row];
  if (!row) return `Newest window ends ${clock(ends.at(-1), now, true)}. Point at a cell, or use the arrow keys.`;
  const value = row.line[cursor.column];
  return [name(row.feature, 40), `  ·  ${clock(ends[cursor.column], now, true)}  ·  ${words(statistic)} ${value === null || value === undefined ? 'no number' : effect(value)}`];
}

function scaleLegend(max, statistic) {
  return h('div', { class: 'heat-legend', role: 'img', 'aria-label': `Scale of ${words(statistic)} from 0 to ${effect(max)}` },
    h('span', null, '0'), h('span', { class: 'heat-scale' }), h('span', null, `${effect(max)} ${words(statistic)}`));
}

function statisticsTable(rows, data, to) {
  const statistics = [...new Set(rows.flatMap((row) => Object.keys(row.statistics ?? {})))];
  return table('Statistics of the newest window', [
    { title: 'Rank', number: true, cell: (row) => row.rank },
    { title: 'Feature', head: true, cell: (row) => link(name(row.feature, 42), to(row.feature)) },
    { title: 'Kind', cell: (row) => words(row.kind) },
    ...statistics.map((key) => ({ title: words(key), number: true, cell: (row) => effect(row.statistics?.[key]) })),
    { title: 'Missing', number: true, cell: (row) => share(row.missing_share) },
    { title: 'Missing in reference', number: true, cell: (row) => share(row.reference_missing_share) },
    { title: 'Invalid', number: true, cell: (row) => share(row.invalid_share) },
    { title: 'Out of range', number: true, cell: (row) => share(row.out_of_range_share) },
    { title: 'New', number: true, cell: (row) => share(row.new_share) },
  ], rows, (row) => row.feature);
}

