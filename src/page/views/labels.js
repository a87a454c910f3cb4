// How late the truth comes, how complete windows are, and where every row ended.

import { path } from '../api.js';
import { timeChart, together } from '../chart.js';
import { h } from '../dom.js';
import { clip, clock, count, share, span, words } from '../format.js';
import { asTable, atClock, badge, bar, empty, panel, table } from '../parts.js';
import { awaited, frame, part, pathsOf } from './frame.js';

export const labels = {
  title: (route) => `Labels of ${route.path[1]}`,
  paths: (route, answers) => pathsOf(route, answers, (choices, of) => ({ labels: path([...of, 'labels']) })),
  show: (context) => frame(context, 'labels', (model, choices, now) => part(context.answers.labels, (data) => [
    delay(data), state(model, data.expected, now), maturity(data, model, choices, now), outcomes(data),
  ]), ['window']),
};

function delay({ delay: all }) {
  if (!all?.count) return panel('Delay', { id: 'delay' }, empty('No label has met a prediction yet.'));
  let sum = 0;
  const rows = all.buckets.map(({ le, count: number }, index) => {
    sum += number;
    const before = all.buckets[index - 1]?.le;
    return { title: typeof le === 'number' ? `≤ ${span(le)}` : `> ${span(before)}`, number, below: sum / all.count };
  });
  const first = rows.findIndex((row) => row.number > 0);
  const last = rows.findLastIndex((row) => row.number > 0);
  const shown = rows.slice(Math.max(first, 0), last + 1);
  const max = Math.max(...shown.map((row) => row.number));
  return panel('Delay from prediction to label', { id: 'delay', note: `${count(all.count)} labels, mean ${span(all.mean)}` },
    table('Delay', [
      { title: 'Delay', head: true, cell: (row) => row.title },
      { title: h('span', { class: 'unseen' }, 'Picture'), class: 'bar-cell', cell: (row) => bar(row.number, max) },
      { title: 'Labels', number: true, cell: (row) => count(row.number) },
      { title: 'By then', number: true, help: 'share of all labels that came at most so late', cell: (row) => share(row.below) },
    ], shown, (row) => row.title));
}

function state(model, expected, now) {
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, h('bdi', null, term)), h('dd', null, ...what));
  return panel('Where the join stands', { id: 'join' }, h('dl', { class: 'facts-list' },
    fact('Labels', model.labels_silent ? badge('warning', 'silent') : badge('ok', 'coming')),
    fact('Predictions that wait', count(model.pending_predictions)),
    fact('Predictions complete up to', atClock(model.predictions_closing, now)),
    fact('Labels complete up to', atClock(model.labels_closing, now)),
    ...(expected ? [fact('A label counts', `up to ${span(expected.horizon)} after its prediction`),
      expected.absent_after ? fact('No label means an answer', `after ${span(expected.absent_after)}`) : null,
      expected.silent_after ? fact('Called silent after', span(expected.silent_after)) : null,
      fact('Shown from', `${share(expected.coverage_min, 0)} and ${count(expected.support_min)} labels of a window`)] : []),
    ...model.versions.slice(0, 8).map((one) => fact(clip(one.version || 'no version', 32),
      `${count(one.predictions)} predictions`, typeof one.labeled === 'number' ? `, ${count(one.labeled)} labeled` : ''))));
}

function maturity(data, model, choices, now) {
  const of = data.maturity.filter((one) => one.window === choices.window?.window && one.ends.length).slice(0, 3).reverse();
  if (of.length === 0) return panel('Maturity', { id: 'maturity', wide: true }, empty(awaited(model, choices.window, now)));
  const { ends, spread } = together(of);
  const lines = of.map((one, index) => ({
    name: clip(one.version || 'no version', 24), role: index === of.length - 1 ? 'main' : 'older', area: true, values: spread(one, one.coverage),
  }));
  return panel('Share of each window that has its label', { id: 'maturity', wide: true, note: 'the newest windows are still waiting for theirs' },
    h('div', { key: 'maturity', widget: timeChart, data: {
      label: 'Label coverage by window', ends, now, every: choices.window?.every, height: 180, domain: [0, 1], format: (number) => share(number, 0), lines,
    } }),
    asTable('The numbers as a table', table('Coverage', [
      { title: 'Window ends', head: true, cell: (end) => clock(end, now) },
      ...lines.map((line) => ({ title: line.name, number: true, cell: (end) => share(line.values[ends.indexOf(end)]) })),
    ], [...ends].reverse().slice(0, 60))));
}

function outcomes({ outcomes: all }) {
  const rows = Object.entries(all ?? {}).flatMap(([kind, by]) => Object.entries(by ?? {})
    .map(([outcome, number]) => ({ kind: kind === 'rows' ? 'predictions' : kind, outcome, number }))).filter((row) => row.number > 0);
  if (rows.length === 0) return null;
  rows.sort((a, b) => b.kind.localeCompare(a.kind) || b.number - a.number);
  return panel('Where every row ended', { id: 'outcomes', wide: true }, table('Outcomes', [
    { title: 'Rows', cell: (row) => words(row.kind) },
    { title: 'Outcome', head: true, cell: (row) => words(row.outcome) },
    { title: 'Count', number: true, cell: (row) => count(row.number) },
  ], rows, (row) => `${row.kind} ${row.outcome}`));
}

