// All models, the worst first: health, the headline number beside its baseline, since when, for whom, why.

import { path } from '../api.js';
import { h } from '../dom.js';
import { clip, effect, gap, interval, share, value, words } from '../format.js';
import { badge, empty, link, name, pageOf, pager, reasonAddress, sliceName, sparkline, versionName, when } from '../parts.js';
import { address, changed, replace } from '../router.js';

const LIMIT = 100;
const PAGE = 25;
/** Reasons of one model. */
const SHOWN = 3;
/** Fewer labels than this are worth a word. */
const FEW = 0.8;
const ORDER = ['bad', 'warning', 'unknown', 'ok'];

export const overview = {
  title: () => 'Models',
  paths: () => ({ all: path(['models'], { limit: LIMIT }) }),
  show({ route, answers, now }) {
    const { data, error } = answers.all ?? {};
    if (!data) return [h('h1', null, 'Models'), h('p', { class: 'quiet' }, error ? error.message : 'Loading …')];
    const { models } = data;
    const text = (route.query.q ?? '').toLowerCase();
    const shown = models.filter((one) => (!route.query.health || one.health === route.query.health)
      && one.name.toLowerCase().includes(text));
    const first = (pageOf(route) - 1) * PAGE;
    return [
      h('div', { class: 'title-row' }, h('h1', null, 'Models'), filters(models, route),
        models.length > 8 ? h('input', {
          type: 'search', 'aria-label': 'Find a model by name', placeholder: 'Find a model …', value: route.query.q ?? '',
          oninput: (event) => replace(changed(route, { q: event.target.value, page: null })),
        }) : null),
      shown.length
        ? h('ul', { class: 'models' }, shown.slice(first, first + PAGE).map((one) => row(one, now)))
        : empty(models.length ? 'No model is like that.' : 'No model is configured.'),
      pager(route, shown.length, PAGE),
      data.total > models.length ? h('p', { class: 'quiet' }, `${data.total - models.length} more models are not listed: the worst are here.`) : null,
    ];
  },
};

function filters(models, route) {
  const chosen = route.query.health;
  return h('nav', { class: 'filters', 'aria-label': 'By health' }, ORDER.map((health) => {
    const number = models.filter((one) => one.health === health).length;
    if (number === 0) return null;
    return h('a', {
      key: health, href: changed(route, { health: chosen === health ? null : health, page: null }),
      'aria-current': chosen === health ? 'true' : null,
    }, badge(health, `${number} ${health}`));
  }));
}

/** A metric's name says how it reads when the model's own list is not at hand. */
const metricOf = (metric) => ({ name: metric, unit: /accuracy|precision|recall|specificity|rate|ratio|auc|f1|share/.test(metric) ? 'ratio' : null });

function row(model, now) {
  const { headline, worst_slice: slice, worst_feature: feature } = model;
  const to = address(['models', model.name]);
  return h('li', { key: model.name, class: `model ${model.health}` },
    h('div', { class: 'model-name' },
      h('h2', null, link(name(model.name), to)), badge(model.health),
      h('p', { class: 'quiet' }, model.task, headline ? [' · ', versionName(headline.version)] : null)),
    h('div', { class: 'model-number' }, headline ? number(headline)
      : h('p', { class: 'quiet' }, model.reasons[0]?.text ?? 'no window has closed yet')),
    h('div', { class: 'model-line' }, line(model)),
    h('div', { class: 'model-why' }, reasons(model), h('p', { class: 'facts' },
      slice ? h('span', null, 'worst slice ', link(name(sliceName(slice.slice), 40),
        address(['models', model.name], { window: slice.window, version: slice.version, slice: sliceName(slice.slice) })),
      ` ${value(slice.value, metricOf(slice.metric))}`,
      typeof slice.gap === 'number' ? h('span', { title: 'against the rest of the population' }, ` (${distance(slice)})`) : null) : null,
      feature ? h('span', null, 'most drift ', link(name(feature.feature, 32),
        address(['models', model.name, 'features', feature.feature], { window: feature.window, version: feature.version })),
      ` ${words(feature.statistic)} ${effect(feature.value)}`) : null,
      request(model, now))));
}

function number(headline) {
  const metric = metricOf(headline.metric);
  const { estimate, baseline } = headline;
  return [
    h('p', { class: 'big' }, value(estimate?.value, metric)),
    h('p', { class: 'quiet' }, words(headline.metric), ' ', h('span', { class: 'interval' }, interval(estimate, metric))),
    h('p', { class: 'quiet' }, baseline ? `baseline ${value(baseline.value, metric)}` : 'no baseline', ` · ${headline.window}`),
    headline.coverage < FEW ? h('p', { class: 'quiet' }, `only ${share(headline.coverage, 0)} labeled`) : null,
  ];
}

function distance({ gap: number, metric }) {
  return `${gap(Math.abs(number), metricOf(metric)).replace('+', '')} ${number >= 0 ? 'worse' : 'better'}`;
}

function line(model) {
  const { sparkline: spark, headline } = model;
  if (!spark || !headline) return null;
  return sparkline(spark.values, {
    level: headline.baseline?.value, width: 220, height: 44,
    label: `${words(headline.metric)} over the last ${spark.values.length} windows`,
  });
}

function reasons(model) {
  const { reasons: all } = model;
  if (!all.length || (model.health === 'unknown' && !model.headline && all.length === 1)) return null;
  return h('ul', { class: 'reasons' }, all.slice(0, SHOWN).map((reason, index) => {
    const to = reasonAddress(model.name, reason);
    const text = h('bdi', null, clip(reason.text, 160));
    return h('li', { key: index }, to ? link(text, to) : text);
  }), all.length > SHOWN ? h('li', { key: 'more' }, link(`${all.length - SHOWN} more`, address(['models', model.name]))) : null);
}

function request(model, now) {
  const { last_request: last } = model;
  if (!last) return null;
  return h('span', null, link('retraining', address(['requests', last.id], { model: model.name })), ` ${words(last.state)} `, when(last.at, now));
}
