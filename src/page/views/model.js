// One model on one page: since when, for whom, why; performance over time, and what is known besides.

import { path } from '../api.js';
import { timeChart, together } from '../chart.js';
import { h } from '../dom.js';
import { NONE, clip, clock, count, effect, interval, share, span, value, words } from '../format.js';
import {
  asTable, atClock, badge, empty, estimate, link, name, panel, sliceName, sparkline, table, versionName, when,
} from '../parts.js';
import { address, changed, replace } from '../router.js';
import { awaited, frame, part, pathsOf } from './frame.js';

const TOP = 5;
/** A window with fewer of its labels says nothing yet about since when. */
const MATURE = 0.5;
const GLYPHS = { version: '▸', firing: '▲', cleared: '✓', request: '↻', delivered: '→', given_up: '✕' };

export const model = {
  title: (route) => route.path[1],
  paths: (route, answers) => pathsOf(route, answers, ({ window, metric, version }, of) => {
    const { slice } = route.query;
    const one = { window: window?.window, version: version ?? null };
    return {
      history: path([...of, 'history'], { window: window?.window, metric: metric.name }),
      part: slice ? path([...of, 'history'], { window: window?.window, metric: metric.name, slice }) : null,
      slices: path([...of, 'slices'], { ...one, metric: metric.name, limit: TOP }),
      drift: path([...of, 'drift'], { ...one, limit: TOP }),
      labels: path([...of, 'labels']),
      policies: path([...of, 'policies']),
    };
  }),
  show: (context) => frame(context, null, (one, choices, now) => {
    const { answers, route } = context;
    const at = { model: one, choices, now, route, answers };
    return [
      h('div', { class: 'answers wide', key: 'answers' }, sinceWhen(at), forWhom(at), why(at)),
      performance(at),
      h('div', { class: 'stack', key: 'left' }, numbers(at)),
      h('div', { class: 'stack', key: 'right' }, events(at), policiesOf(at), labelsOf(at)),
    ];
  }, ['window', 'version', 'metric']),
};

const sub = (at, ...parts) => address(['models', at.model.name, ...parts],
  { window: at.choices.window?.window, version: at.choices.asked });

// --- Since when, for whom, why.

function card(title, id, ...content) {
  return h('section', { class: 'answer', 'aria-labelledby': `answer-${id}`, key: id }, h('h2', { id: `answer-${id}` }, title), ...content);
}

/** Since when the newest windows lie beyond the baseline with their whole interval; null: they do not. */
export function fallen(series, metric, size) {
  const columns = series?.metrics?.[metric.name];
  const baseline = series?.baseline?.[metric.name];
  if (!columns || typeof baseline !== 'number' || typeof metric.higher_is_better !== 'boolean') return null;
  let since = null;
  let windows = 0;
  for (let index = series.ends.length - 1; index >= 0; index -= 1) {
    const edge = metric.higher_is_better ? columns.upper?.[index] : columns.lower?.[index];
    if (typeof edge !== 'number') continue;
    const beyond = metric.higher_is_better ? edge < baseline : edge > baseline;
    if (!beyond && windows === 0 && (series.coverage?.[index] ?? 1) < MATURE) continue;
    if (!beyond) break;
    since = series.ends[index] - size;
    windows += 1;
  }
  return since === null ? null : { since, windows };
}

function seriesOf(history, version) {
  return history?.series.find((one) => one.version === version) ?? history?.series[0];
}

function sinceWhen(at) {
  const { model: one, choices, answers, now } = at;
  return card('Since when', 'since', part(answers.history, (history) => {
    const series = seriesOf(history, choices.version);
    if (!series || series.ends.length === 0) return empty(awaited(one, choices.window, now));
    const { metric } = choices;
    const baseline = series.baseline?.[metric.name];
    const fall = fallen(series, metric, history.size);
    const latest = newest(series, metric);
    const beyond = metric.higher_is_better ? 'below' : 'above';
    const what = fall
      ? h('p', { class: 'say' }, `${cap(beyond)} its baseline since `, h('strong', null, atClock(fall.since, now)))
      : h('p', { class: 'say' }, typeof baseline === 'number' ? 'As good as its baseline' : 'No baseline to compare with');
    return [
      what,
      fall ? h('p', { class: 'quiet' }, `for ${span(series.ends.at(-1) - fall.since)}, ${fall.windows} window${fall.windows === 1 ? '' : 's'}`) : null,
      h('p', null, versionName(series.version), ' ', words(metric.name), ' ', estimate(latest, metric),
        typeof baseline === 'number' ? h('span', { class: 'quiet' }, ` · baseline ${value(baseline, metric)}`) : null),
      [...one.firing].sort((a, b) => (b.version === series.version) - (a.version === series.version)).slice(0, 3).map((firing) => h('p', { key: `${firing.policy}${firing.version}` }, badge('bad', 'firing'), ' ',
        link(name(firing.policy), sub(at, 'policies')), ' for ', versionName(firing.version), ' since ', atClock(firing.since, now))),
      one.last_request ? h('p', null, '↻ ', link('retraining requested', address(['requests', one.last_request.id], { model: one.name })),
        ' ', when(one.last_request.at, now), ` · ${words(one.last_request.state)}`) : null,
    ];
  }));
}

const cap = (text) => text[0].toUpperCase() + text.slice(1);

/** The newest estimate of a series that has enough of its labels. */
function newest(series, metric) {
  const columns = series.metrics?.[metric.name];
  let index = -1;
  if (columns) {
    const there = (at) => typeof columns.value[at] === 'number';
    index = series.ends.findLastIndex((_, at) => there(at) && (series.coverage?.[at] ?? 1) >= MATURE);
    if (index < 0) index = series.ends.findLastIndex((_, at) => there(at));
  }
  if (index < 0) return null;
  return { value: columns.value[index], lower: columns.lower?.[index], upper: columns.upper?.[index] };
}

function forWhom(at) {
  const { choices: { metric }, answers, model: one } = at;
  return card('For whom', 'whom', one.slices.length === 0 ? empty('No slices are declared.') : part(answers.slices, ({ slices, total }) => {
    if (slices.length === 0) return empty('No slice has enough labels yet.');
    return [
      h('ol', { class: 'ranked' }, slices.slice(0, 3).map((row) => h('li', { key: row.slice.name },
        h('div', null, link(name(row.slice.name, 60), changed(at.route, { slice: row.slice.name })),
          h('p', { class: 'quiet' }, h('strong', null, value(row.estimate?.value, metric)), ' ',
            h('span', { class: 'interval' }, interval(row.estimate, metric)),
            ` · rest ${value(row.rest?.value, metric)} · ${share(row.share, 0)} of all`)),
        sparkline(row.history?.values ?? [], { width: 60, label: `${words(metric.name)} of ${row.slice.name} over time` })))),
      total > 3 ? h('p', null, link(`All ${total} slices`, sub(at, 'slices'))) : h('p', null, link('Slices in detail', sub(at, 'slices'))),
    ];
  }));
}

function why(at) {
  const { answers } = at;
  return card('Why', 'why', part(answers.drift, (drift) => {
    if (drift.features.length === 0) return empty('No drift is known yet: it needs a reference and a closed window.');
    return [
      h('ol', { class: 'ranked' }, drift.features.slice(0, 3).map((row, index) => h('li', { key: row.feature },
        h('div', null, link(name(row.feature, 60), sub(at, 'features', row.feature)),
          h('p', { class: 'quiet' }, `${words(drift.statistic)} `, h('strong', null, effect(row.effect)), statistics(row, drift.statistic),
            row.missing_share > 0 ? ` · ${share(row.missing_share)} missing` : null,
            row.new_share > 0 ? ` · ${share(row.new_share)} new` : null)),
        sparkline(drift.heat?.features?.[index]?.effect ?? [], { width: 60, zero: true, label: `drift of ${row.feature} over time` })))),
      h('p', null, link(`All ${drift.total} inputs and outputs`, sub(at, 'drift'))),
    ];
  }));
}

function statistics(row, shown) {
  const psi = row.statistics?.psi;
  return shown !== 'psi' && typeof psi === 'number' ? ` · PSI ${effect(psi)}` : null;
}

// --- Performance over time.

function performance(at) {
  const { choices: { metric, window }, answers, now, route, model: one } = at;
  const { slice } = route.query;
  const title = `${cap(words(metric.name))} over time`;
  const from = Number(route.query.from);
  const to = Number(route.query.to);
  const zoomed = from > 0 && to > from;
  const more = [
    slice ? h('span', { class: 'chip', key: 'slice' }, name(slice, 40), ' ',
      link('×', changed(route, { slice: null }), { 'aria-label': 'Show the whole model only' })) : null,
    zoomed ? link('All of it', changed(route, { from: null, to: null })) : null,
  ];
  return panel(title, { id: 'performance', wide: true, more, note: `${window?.window ?? ''} windows, 95% intervals` }, part(answers.history, (history) => {
    // The newest version comes first in the answer and is drawn last, over the others.
    const some = (answer, most) => answer?.series.filter((series) => series.ends.length).slice(0, most).reverse() ?? [];
    const shown = some(history, slice ? 2 : 4);
    const ofSlice = slice ? some(answers.part?.data, 2) : [];
    if (shown.length === 0) return empty(awaited(one, window, now));
    const all = [...shown, ...ofSlice];
    const { ends, spread } = together(all);
    const newestOne = shown.find((series) => series.version === at.choices.version) ?? shown.at(-1);
    const line = (series, role, title, dash) => {
      const columns = series.metrics?.[metric.name] ?? {};
      const bounded = columns.lower?.some((bound) => bound !== null) && (role === 'main' || role === 'bad' || !slice);
      return {
        name: title, role, dash, values: spread(series, columns.value),
        ...(bounded ? { lower: spread(series, columns.lower), upper: spread(series, columns.upper) } : {}),
      };
    };
    const lines = shown.map((series) => line(series, series === newestOne && !slice ? 'main' : 'older',
      slice ? `all, ${clip(series.version || 'no version', 16)}` : clip(series.version || 'no version', 24)));
    for (const series of ofSlice) {
      lines.push(line(series, series.version === newestOne.version ? 'main' : 'other', `${clip(slice, 36)}, ${clip(series.version, 16)}`));
    }
    const estimates = slice ? null : newestOne.estimates?.[metric.name];
    if (estimates) {
      // Where windows are final nothing more will come: the measured line is enough.
      const settled = (index) => newestOne.state?.[index] === 'final' || newestOne.coverage?.[index] === 1;
      const open = (column) => column.map((value, index) => (settled(index) && settled(index + 1) ? null : value));
      lines.push({
        name: 'estimated where labels are missing', role: 'other', dash: [6, 4], values: spread(newestOne, open(estimates.combined)),
        lower: spread(newestOne, open(estimates.combined_lower)), upper: spread(newestOne, open(estimates.combined_upper)),
      });
    }
    const baseline = newestOne.baseline?.[metric.name];
    const common = {
      ends, now, every: history.every, sync: 'history', range: zoomed ? [from, to] : null,
      onrange: ([a, b]) => replace(changed(route, { from: a, to: b })),
    };
    return [
      legend(lines),
      h('div', {
        key: 'performance', widget: timeChart, data: {
          ...common, label: title, lines, height: 260, limits: metric.unit === 'ratio' ? [0, 1] : undefined,
          marks: history.marks.map((mark) => ({ ...mark, glyph: GLYPHS[mark.kind] ?? '·', text: shortMark(mark) })),
          levels: typeof baseline === 'number' ? [{ name: `baseline ${value(baseline, metric)}`, value: baseline }] : [],
          format: (number) => value(number, metric),
        },
      }),
      estimates ? grade(estimates.grade, metric) : null,
      h('h3', { class: 'chart-title' }, 'Labels that came'),
      h('div', {
        key: 'coverage', widget: timeChart, data: {
          ...common, label: 'Share of predictions with a label', height: 92, domain: [0, 1], format: (number) => share(number, 0),
          lines: shown.map((series, index) => ({
            name: lines[index].name, role: lines[index].role, area: true, values: spread(series, series.coverage),
          })),
        },
      }),
      asTable('The numbers as a table', historyTable(all, metric, now)),
    ];
  }));
}

/** How estimates did once labels had come. */
function grade(found, metric) {
  if (!found) return h('p', { class: 'quiet', key: 'grade' }, 'The estimate has not been graded yet: no window has all its labels.');
  const verdict = found.trusted === false ? badge('bad', 'not trusted') : found.trusted ? badge('ok', 'trusted') : badge('unknown', 'not graded yet');
  const bias = typeof found.bias === 'number' ? ` · off by ${value(Math.abs(found.bias), metric)} on average, ${found.bias > 0 ? 'too low' : 'too high'}` : '';
  return h('p', { key: 'grade' }, 'Estimates ', verdict, ' ', h('span', { class: 'quiet' },
    `${found.reason} · band held in ${found.band_held} of ${found.band_windows} windows${bias}`));
}

const shortMark = ({ kind, version, policy }) => ({
  version: clip(version || 'no version', 16), firing: policy ?? 'firing', cleared: `${policy ?? 'policy'} healthy`,
  request: 'retraining requested', delivered: 'delivered', given_up: 'given up',
}[kind] ?? kind);

function legend(lines) {
  return h('ul', { class: 'legend-row', 'aria-hidden': 'true' },
    lines.map((line) => h('li', { key: line.name }, h('span', { class: `swatch ${line.role}` }), h('bdi', null, line.name))));
}

function historyTable(all, metric, now) {
  const rows = all.flatMap((series) => series.ends.map((end, index) => ({ series, end, index })))
    .sort((a, b) => b.end - a.end).slice(0, 60);
  const column = (row, key) => row.series.metrics?.[metric.name]?.[key]?.[row.index];
  return table('The newest 60 windows', [
    { title: 'Window ends', cell: (row) => atClock(row.end, now), head: true },
    { title: 'Version', cell: (row) => versionName(row.series.version) },
    { title: 'Of', cell: (row) => (row.series.slice ? name(sliceName(row.series.slice), 40) : 'all') },
    { title: words(metric.name), number: true, cell: (row) => value(column(row, 'value'), metric) },
    { title: '95% interval', number: true, cell: (row) => interval({ lower: column(row, 'lower'), upper: column(row, 'upper') }, metric) || NONE },
    { title: 'Predictions', number: true, cell: (row) => count(row.series.predictions?.[row.index]) },
    { title: 'Labeled', number: true, cell: (row) => share(row.series.coverage?.[row.index]) },
    { title: 'State', cell: (row) => words(row.series.state?.[row.index] ?? '') },
  ], rows, (row) => `${row.series.version} ${sliceName(row.series.slice)} ${row.end}`);
}

// --- What is known besides.

function numbers(at) {
  const { model: one, choices: { window, version }, now } = at;
  const current = one.current.filter((row) => row.window === window?.window);
  const rows = current.length ? current : one.current;
  const shown = rows.find((row) => row.version === version) ?? rows[0];
  if (!shown) return panel('Now', { id: 'now' }, empty(awaited(one, window, now)));
  const kept = one.versions.find((row) => row.version === shown.version);
  const metrics = one.metrics.filter((metric) => shown.metrics[metric.name]);
  return panel('Now', { id: 'now', note: `${version === shown.version ? '' : `${clip(shown.version, 20)}, `}window to ${clock(shown.end, now)}` },
    h('p', { class: 'pad' }, h('strong', null, count(shown.predictions)), ' predictions, ',
      h('strong', null, share(shown.coverage)), ' labeled'),
    table('Current numbers', [
      { title: 'Metric', head: true, cell: (metric) => h('span', { title: metric.label }, words(metric.name)) },
      { title: 'Value', number: true, cell: (metric) => h('strong', null, value(shown.metrics[metric.name].value, metric)) },
      { title: '95% interval', number: true, cell: (metric) => interval(shown.metrics[metric.name], metric)
        || h('span', { title: 'no honest interval is known' }, NONE) },
      { title: 'Baseline', number: true, cell: (metric) => value(kept?.baseline?.[metric.name], metric) },
      { title: 'Rows', number: true, cell: (metric) => count(shown.metrics[metric.name].support) },
    ], metrics, (metric) => metric.name));
}

function events(at) {
  const { answers, now } = at;
  return panel('What happened', { id: 'events' }, part(answers.history, ({ marks }) => {
    if (marks.length === 0) return empty('Nothing yet: versions, alarms and requests are listed here.');
    return h('ol', { class: 'events' }, [...marks].reverse().sort((a, b) => b.at - a.at).slice(0, 10).map((mark, index) => h('li', { key: `${mark.at}${mark.kind}${index}` },
      h('span', { class: `glyph ${mark.kind}`, 'aria-hidden': 'true' }, GLYPHS[mark.kind] ?? '·'),
      atClock(mark.at, now), h('div', null, h('bdi', null, event(mark)),
        mark.kind === 'firing' || mark.kind === 'given_up' ? h('p', { class: 'quiet' }, h('bdi', null, clip(mark.text, 200))) : null))));
  }));
}

const event = ({ kind, version, policy, text }) => ({
  firing: `${policy} fires for ${clip(version || 'no version', 40)}`,
  cleared: `${policy} is quiet again`,
  request: `a retraining is requested${policy ? ` by ${policy}` : ''}`,
  given_up: 'a request is given up',
}[kind] ?? clip(text, 200));

function labelsOf(at) {
  const { answers, model: one, now } = at;
  return panel('Labels', { id: 'labels', more: link('in detail', sub(at, 'labels')) }, part(answers.labels, ({ delay }) => h('dl', { class: 'facts-list' },
    fact('Typical delay', delay?.count ? quantileText(delay, 0.5) : NONE),
    fact('Nine in ten within', delay?.count ? quantileText(delay, 0.9) : NONE),
    fact('Waiting for a label', count(one.pending_predictions)),
    fact('Labels complete up to', one.labels_silent ? badge('warning', 'labels are silent') : atClock(one.labels_closing, now)),
    fact('Predictions complete up to', atClock(one.predictions_closing, now)))));
}

const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));

/** "up to" the bound of the bucket in which a share of the labels has come. */
export function quantileText({ buckets, count: all }, wanted) {
  let sum = 0;
  for (const { le, count: number } of buckets) {
    sum += number;
    if (sum >= wanted * all) return typeof le === 'number' ? `≤ ${span(le)}` : `> ${span(buckets.at(-2)?.le)}`;
  }
  return NONE;
}

function policiesOf(at) {
  const { answers, now } = at;
  return panel('Policies', { id: 'policies', more: link('in detail', sub(at, 'policies')) }, part(answers.policies, ({ policies }) => {
    if (policies.length === 0) return empty('No policy is configured.');
    return h('ul', { class: 'rows' }, policies.map((policy) => {
      const last = policy.last[0];
      return h('li', { key: policy.name },
        h('div', { class: 'row-head' }, h('strong', null, name(policy.name)), badge(policy.firing.length ? 'bad' : last ? 'ok' : 'unknown',
          policy.firing.length ? 'firing' : last ? 'quiet' : 'not judged yet')),
        h('p', { class: 'quiet' }, policy.condition, ` · ${policy.window}`),
        last ? h('p', null, words(last.decision), ': ', h('bdi', null, clip(last.text || words(last.reason ?? ''), 200)), ' ',
          h('span', { class: 'quiet' }, when(last.window_end, now))) : null);
    }));
  }));
}

