// Requests for a retraining: every attempt to deliver them, and the evidence that they carry.

import { path } from '../api.js';
import { h } from '../dom.js';
import { NONE, clip, count, interval, share, value, words } from '../format.js';
import { asTable, atClock, badge, empty, link, name, pageOf, pager, table, versionName, when } from '../parts.js';
import { address, changed } from '../router.js';

const PAGE = 25;
const TONE = { delivered: 'ok', waiting: 'warning', given_up: 'bad' };

export const requests = {
  title: () => 'Requests',
  paths: (route) => ({
    requests: path(['requests'], { model: route.query.model ?? null, limit: PAGE, offset: (pageOf(route) - 1) * PAGE }),
  }),
  show({ route, answers, now }) {
    const { data, error } = answers.requests ?? {};
    const chosen = route.path[1] ?? (data?.requests.length === 1 ? data.requests[0].id : undefined);
    return [
      h('div', { class: 'title-row' }, h('h1', null, 'Requests for a retraining'),
        route.query.model ? h('span', { class: 'chip' }, name(route.query.model), ' ',
          link('×', changed(route, { model: null, page: null }), { 'aria-label': 'Requests of all models' })) : null),
      data ? [
        data.requests.length ? data.requests.map((one) => request(one, one.id === chosen, route, now))
          : empty('No retraining has been requested yet. A policy with `action: retrain` asks for one.'),
        pager(route, data.total, PAGE),
      ] : h('p', { class: 'quiet' }, error ? error.message : 'Loading …'),
    ];
  },
};

function request(one, open, route, now) {
  const to = open && route.path[1] ? address(['requests'], route.query) : address(['requests', one.id], route.query);
  return h('section', { class: 'panel request', key: one.id, 'aria-label': `Request ${one.id}` },
    h('h2', { class: 'request-head' },
      h('a', { href: to, 'aria-expanded': String(open) }, h('span', { class: 'twist', 'aria-hidden': 'true' }, open ? '▾' : '▸'), ' ', clip(one.id, 24)),
      badge(TONE[one.state], words(one.state))),
    h('p', { class: 'pad' }, link(name(one.model), address(['models', one.model])), ' ', versionName(one.version), ' · ',
      one.policy ? link(name(one.policy), address(['models', one.model, 'policies'])) : 'asked from outside', ' · to ', name(one.webhook), ' · ', when(one.created_at, now),
      h('span', { class: 'quiet' }, ` · ${one.attempts.length} attempt${one.attempts.length === 1 ? '' : 's'}`),
      typeof one.next_attempt_at === 'number' ? [', next ', when(one.next_attempt_at, now)] : null),
    open ? [attempts(one, now), evidence(one, now)] : null);
}

function attempts(one, now) {
  return [h('h3', null, 'Attempts'), one.attempts.length ? table('Attempts', [
    { title: 'When', head: true, cell: (row) => atClock(row.at, now) },
    { title: 'Answer', cell: (row) => (typeof row.status === 'number'
      ? badge(row.status < 300 ? 'ok' : 'bad', `status ${row.status}`) : badge('bad', 'no answer')) },
    { title: 'Error', cell: (row) => (row.error ? h('bdi', { class: 'wrap' }, clip(row.error, 300)) : NONE) },
  ], one.attempts) : empty('Not tried yet: a request leaves when the checkpoint that holds it is durable.')];
}

/** What the request says, as far as its shape is known; all of it as it is below. */
function evidence(one, now) {
  const all = one.evidence ?? {};
  const data = all.data ?? all;
  const { metric, drifting_features: features } = data;
  const percent = { name: metric?.name ?? '', unit: metric && /accuracy|precision|recall|auc|f1/.test(metric.name) ? 'ratio' : null };
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));
  return [
    h('h3', null, 'Evidence'),
    one.given_up ? h('p', { class: 'pad' }, badge('bad', 'given up'), ' ', clip(one.given_up, 400)) : null,
    data.reason ? h('p', { class: 'pad' }, h('bdi', null, clip(data.reason, 1000))) : null,
    h('dl', { class: 'facts-list' },
      one.window ? fact('Window', typeof one.window.start === 'number' ? [atClock(one.window.start, now), ' to '] : 'to ', atClock(one.window.end, now),
        data.window?.bad_in_a_row ? `, ${data.window.bad_in_a_row} bad in a row` : null) : null,
      metric ? fact(words(metric.name), h('strong', null, value(metric.value, percent)), ' ', interval(metric, percent),
        typeof metric.bound === 'number' ? ` · bound ${value(metric.bound, percent)}` : null,
        typeof metric.baseline === 'number' ? ` · baseline ${value(metric.baseline, percent)}` : null) : null,
      typeof data.predictions === 'number' ? fact('Predictions', count(data.predictions),
        typeof data.labeled_predictions === 'number' ? `, ${count(data.labeled_predictions)} labeled (${share(data.label_coverage)})` : null) : null,
      Array.isArray(features) && features.length ? fact('Drifting features', h('ul', { class: 'plain' }, features.slice(0, 10).map((feature, index) => h('li', { key: index },
        link(name(feature.name, 48), address(['models', one.model, 'features', feature.name], { version: one.version })), ' ',
        Array.isArray(feature.statistics) ? feature.statistics.slice(0, 3).map(({ name: of, value: number }) => `${words(of)} ${value(number)}`).join(', ') : null)))) : null),
    asTable('The whole body', h('pre', { tabindex: '0' }, JSON.stringify(all, null, 2))),
  ];
}

