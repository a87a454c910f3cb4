// What all views of one model share: its head, its sections, and which window, version and metric are looked at.

import { path } from '../api.js';
import { h } from '../dom.js';
import { clip, clock, span, words } from '../format.js';
import { badge, choice, empty, link, name, reasonAddress, segments, versionName } from '../parts.js';
import { address } from '../router.js';

/** Reasons that the summary's three answers tell in full. */
const ANSWERED = new Set(['policy_firing', 'drift', 'slice']);

const SECTIONS = [
  [null, 'Summary'], ['drift', 'Drift'], ['slices', 'Slices'], ['labels', 'Labels'], ['policies', 'Policies'],
];

/** The paths that every view of a model needs, with its own ones added when the model is known. */
export function pathsOf(route, answers, more) {
  const of = route.path[1];
  const paths = { model: path(['models', of]) };
  const { model } = answers;
  if (!model?.data || model.data.name !== of) return paths;
  return { ...paths, ...more(pick(route, model.data), ['models', of]) };
}

/** The window, version and metric in the address, or those of the model's headline. */
export function pick(route, model) {
  const { headline, windows, metrics, versions } = model;
  const window = windows.find((one) => one.window === route.query.window)
    ?? windows.find((one) => one.window === headline?.window) ?? windows[0];
  const wanted = route.query.metric ?? headline?.metric;
  const metric = metrics.find((one) => one.name === wanted) ?? metrics[0]
    ?? { name: 'accuracy', label: '', higher_is_better: true, unit: 'ratio' };
  return { window, metric, version: route.query.version ?? headline?.version ?? versions[0]?.version, asked: route.query.version };
}

/** `body(model, choices)` inside the model's frame; an answer that failed is said in its place. */
export function frame({ route, answers, now }, section, body, controls = ['window', 'version']) {
  const { model } = answers;
  const of = route.path[1];
  if (!model?.data) {
    return [h('h1', null, name(of)), model?.error
      ? h('p', { class: 'banner warning', role: 'alert' }, model.error.message, ' ', link('To all models', address([])))
      : h('p', { class: 'quiet' }, 'Loading …')];
  }
  const choices = pick(route, model.data);
  return [
    head(model.data, section, route),
    bar(route, model.data, choices, controls),
    h('div', { class: 'grid' }, body(model.data, choices, now)),
  ];
}

function head(model, section, route) {
  const kept = { window: route.query.window, version: route.query.version };
  const others = model.reasons.filter(({ kind }) => !ANSWERED.has(kind)).slice(0, 6);
  return h('div', { class: 'model-head' },
    h('div', { class: 'title-row' },
      h('h1', null, name(model.name)), badge(model.health),
      h('span', { class: 'quiet' }, model.task,
        model.headline ? [' · serving ', versionName(model.headline.version)] : null)),
    section === null && others.length ? h('ul', { class: 'reasons' }, others.map((reason, index) => {
      const to = reasonAddress(model.name, reason);
      return h('li', { key: index }, to ? link(h('bdi', null, clip(reason.text, 220)), to) : h('bdi', null, clip(reason.text, 220)));
    })) : null,
    h('nav', { class: 'tabs', 'aria-label': `Sections of ${model.name}` }, SECTIONS.map(([part, text]) => h('a', {
      key: text, href: address(['models', model.name, ...(part ? [part] : [])], kept),
      'aria-current': part === section ? 'page' : null,
    }, text)), h('a', { key: 'requests', href: address(['requests'], { model: model.name }) }, 'Requests')));
}

function bar(route, model, choices, controls) {
  const parts = controls.map((control) => {
    if (control === 'window') {
      return segments('Window', route, 'window', choices.window?.window, model.windows.map((one) => [one.window, one.window]));
    }
    if (control === 'version') {
      const options = model.versions.map((one) => [one.version, clip(one.version === '' ? 'no version' : one.version, 40)]);
      return choice('Version', route, 'version', choices.version, options);
    }
    return choice('Metric', route, 'metric', choices.metric.name, model.metrics.map((one) => [one.name, words(one.name)]));
  }).filter((part) => part !== null);
  return parts.length ? h('div', { class: 'controls' }, parts) : null;
}

/** Draws an answer, or says why there is none. */
export function part(answer, draw) {
  if (answer?.data) return draw(answer.data);
  if (answer?.error) return empty(answer.error.message);
  return h('p', { class: 'quiet pad' }, 'Loading …');
}

/** What the first numbers wait for. */
export function awaited(model, window, now) {
  const begun = model.versions.map((one) => one.first_prediction_at).filter((at) => typeof at === 'number');
  if (!window || (!begun.length && typeof window.closed_through !== 'number')) return 'No prediction has come yet.';
  if (typeof window.closed_through === 'number') {
    const next = typeof window.next_end === 'number' ? `; the next ${window.window} window ends ${clock(window.next_end, now)}` : '';
    return `No closed window has numbers yet${next}.`;
  }
  const end = window.next_end ?? (Math.floor(Math.min(...begun) / window.every) + 1) * window.every;
  return end > now
    ? `No window has closed yet; the first ${window.window} window ends ${clock(end, now)}, in ${span(end - now)}.`
    : `No window has closed yet; the first ${window.window} window, to ${clock(end, now)}, closes when later events have come.`;
}
