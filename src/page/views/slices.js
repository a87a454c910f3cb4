// Parts of the population, the one that lies farthest below the rest first: dot and whiskers beside the rest's dot.

import { path } from '../api.js';
import { h } from '../dom.js';
import { count, gap, interval, share, value, words } from '../format.js';
import { atClock, empty, link, name, pageOf, pager, panel, sparkline, table } from '../parts.js';
import { address } from '../router.js';
import { awaited, frame, part, pathsOf } from './frame.js';

const PAGE = 50;

export const slices = {
  title: (route) => `Slices of ${route.path[1]}`,
  paths: (route, answers) => pathsOf(route, answers, ({ window, version, metric }, of) => ({
    slices: path([...of, 'slices'], {
      window: window?.window, version: version ?? null, metric: metric.name, limit: PAGE, offset: (pageOf(route) - 1) * PAGE,
    }),
  })),
  show: (context) => frame(context, 'slices', (model, choices, now) => part(context.answers.slices, (data) => {
    if (model.slices.length === 0) return empty('No slices are declared; `slices:` in the configuration names features to look at separately.');
    if (data.slices.length === 0) return empty(data.end === null || data.end === undefined ? awaited(model, choices.window, now) : 'No slice has enough labels yet.');
    return ranked(model, choices, data, context.route, now);
  }), ['window', 'version', 'metric']),
};

function ranked(model, choices, data, route, now) {
  const { metric } = choices;
  const scale = domain(data);
  const to = (row) => address(['models', model.name], {
    window: choices.window?.window, version: choices.asked, metric: route.query.metric, slice: row.slice.name,
  });
  const side = { true: 'below', false: 'above' }[metric.higher_is_better] ?? 'from';
  return panel(`Slices by how far they lie ${side} the rest`, {
    id: 'slices', wide: true,
    note: ['window to ', atClock(data.end, now), `, all: ${value(data.whole?.estimate?.value, metric)} `, interval(data.whole?.estimate, metric)],
    more: h('ul', { class: 'legend-row' }, h('li', null, h('span', { class: 'swatch-dot' }), 'slice, 95% interval'), h('li', null, h('span', { class: 'swatch-rest' }), 'the rest')),
  }, table('Slices', [
    { title: 'Slice', head: true, cell: (row) => link(name(row.slice.name, 60), to(row)) },
    { title: words(metric.name), number: true, cell: (row) => h('strong', null, value(row.estimate?.value, metric)) },
    { title: axis(scale, metric), class: 'whisker-cell', cell: (row) => whiskers(row, scale, metric) },
    { title: 'Rest', number: true, cell: (row) => value(row.rest?.value, metric) },
    {
      title: `${side[0].toUpperCase()}${side.slice(1)} the rest`, number: true, help: 'the greatest first of what it is at least, with 95% certainty',
      cell: (row) => h('span', { title: typeof row.gap_lower === 'number' ? `95% interval ${gap(row.gap_lower, metric)} to ${gap(row.gap_upper, metric)}` : null }, gap(row.gap, metric)),
    },
    { title: 'Over time', cell: (row) => sparkline(row.history?.values ?? [], { width: 96, height: 22, label: `${words(metric.name)} of ${row.slice.name} over time` }) },
    { title: 'Labeled', number: true, cell: (row) => count(row.labeled) },
    { title: 'Coverage', number: true, cell: (row) => share(row.coverage, 0) },
    { title: 'Share', number: true, help: 'of all predictions', cell: (row) => share(row.share) },
  ], data.slices, (row) => row.slice.name), pager(route, data.total, PAGE));
}

/** The least and greatest of all ends of intervals. */
function domain(data) {
  const numbers = data.slices.flatMap(({ estimate, rest }) => [estimate?.lower ?? estimate?.value, estimate?.upper ?? estimate?.value, rest?.value])
    .filter((one) => typeof one === 'number');
  if (numbers.length === 0) return [0, 1];
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const room = (high - low) * 0.04 || 0.01;
  return [low - room, high + room];
}

/** Across the picture, in percent: it is as wide as there is room. */
const place = ([low, high], number) => `${(3 + (94 * (number - low)) / (high - low)).toFixed(2)}%`;

function axis([low, high], metric) {
  return h('span', { class: 'axis' }, h('span', null, value(Math.max(low, 0), metric)),
    h('span', null, value(metric.unit === 'ratio' ? Math.min(high, 1) : high, metric)));
}

function whiskers({ estimate, rest, slice }, scale, metric) {
  if (typeof estimate?.value !== 'number') return null;
  const x = (number) => place(scale, number);
  const bounded = typeof estimate.lower === 'number' && typeof estimate.upper === 'number';
  const line = (kind, from, to, y1, y2) => h('line', { class: kind, x1: from, x2: to, y1, y2 });
  const end = (number) => line('whisker', x(number), x(number), 7, 15);
  return h('svg', {
    class: 'whiskers', height: 22, role: 'img',
    'aria-label': `${slice.name}: ${value(estimate.value, metric)} ${interval(estimate, metric)}, the rest ${value(rest?.value, metric)}`,
  },
  line('whisker-base', 0, '100%', 11, 11),
  bounded ? [line('whisker', x(estimate.lower), x(estimate.upper), 11, 11), end(estimate.lower), end(estimate.upper)] : null,
  typeof rest?.value === 'number' ? line('whisker-rest', x(rest.value), x(rest.value), 3, 19) : null,
  h('circle', { class: 'whisker-dot', cx: x(estimate.value), cy: 11, r: 4.5 }));
}
