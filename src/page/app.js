// The frame around every view: navigation, theme, connection, and the loop that asks and draws.

import { Poller, known, path } from './api.js';
import { h, render } from './dom.js';
import { clock } from './format.js';

import { address, current } from './router.js';
import { drift } from './views/drift.js';
import { feature } from './views/feature.js';
import { labels } from './views/labels.js';
import { model } from './views/model.js';
import { overview } from './views/overview.js';
import { pipeline } from './views/pipeline.js';
import { policies } from './views/policies.js';
import { requests } from './views/requests.js';
import { slices } from './views/slices.js';

const OF_MODEL = { drift, features: feature, slices, labels, policies };
const top = document.getElementById('top');
const main = document.getElementById('main');
const announce = document.getElementById('announce');
/** Milliseconds to the next question while the first numbers are awaited. */
const SOON = 300;

/** What the page shows now; `asked` are the paths behind `answers`. */
const state = { route: current(), answers: {}, asked: {}, connection: { at: null, since: null }, place: null };

// A view: `paths(route, answers)` says what it needs, `title(route)` names it, `show({ route, answers, now })` draws it.
function viewOf({ path: [first, , third] }) {
  if (first === undefined) return overview;
  if (first === 'requests') return requests;
  if (first === 'pipeline') return pipeline;
  if (first === 'models' && third === undefined) return model;
  if (first === 'models' && Object.hasOwn(OF_MODEL, third)) return OF_MODEL[third];
  return {
    title: () => 'Nothing is here',
    paths: () => ({}),
    show: () => [h('h1', null, 'Nothing is here'), h('p', null, 'This address is not one of the page’s. ',
      h('a', { href: address([]) }, 'To the overview'))],
  };
}

function wanted() {
  const view = viewOf(state.route);
  return { status: path(['status']), ...view.paths(state.route, state.answers) };
}

const poller = new Poller(() => {
  state.asked = wanted();
  return state.asked;
}, (answers, connection) => {
  state.answers = answers;
  state.connection = connection;
  draw();
  tellHealth();
  // The first answer may say what else is needed.
  if (JSON.stringify(wanted()) !== JSON.stringify(state.asked)) poller.now();
  return awaitsFirst() ? SOON : undefined;
});

/** A daemon that has just begun will have its first numbers any moment. */
function awaitsFirst() {
  const { status, all, model: one } = state.answers;
  const models = all?.data?.models ?? (one?.data ? [one.data] : []);
  return now() - status?.data?.started_at < 60 && models.some(({ headline, sparkline }) => headline === null || sparkline.ends.length < 3);
}

/** The daemon's clock, so that a wrong clock here does no harm. */
function now() {
  const times = Object.values(state.answers).map(({ data }) => data?.generated_at).filter((at) => typeof at === 'number');
  return times.length ? Math.max(...times) : Date.now() / 1000;
}

function draw() {
  const view = viewOf(state.route);
  const context = { route: state.route, answers: state.answers, now: now(), status: state.answers.status?.data };
  document.title = `${view.title(state.route)} · tidemark`;
  render(top, header(context));
  render(main, [banner(context), h('div', { key: `${state.route.path.slice(0, 4).join('/')}`, class: 'view' }, view.show(context))]);
}

function header({ route, status }) {
  const first = route.path[0] ?? 'models';
  const item = (text, to, at) => h('a', { href: to, 'aria-current': first === at ? 'page' : null }, text);
  const dark = window.theme.current() === 'dark';
  return h('div', { class: 'bar-top' },
    h('a', { class: 'brand', href: address([]) },
      h('svg', { viewBox: '0 0 32 32', width: 22, height: 22, 'aria-hidden': 'true' },
        h('path', { d: 'M3 20c4.3 0 4.3-5 8.7-5s4.3 5 8.6 5 4.4-5 8.7-5', class: 'brand-wave' }),
        h('path', { d: 'M3 9h26', class: 'brand-mark' })), 'tidemark'),
    h('nav', { class: 'main-nav', 'aria-label': 'Main' },
      item('Models', address([]), 'models'), item('Requests', address(['requests']), 'requests'),
      item('Pipeline', address(['pipeline']), 'pipeline')),
    h('div', { class: 'aside' }, connection(status),
      h('button', {
        type: 'button', class: 'theme', 'aria-label': dark ? 'Use light colours' : 'Use dark colours',
        title: dark ? 'Use light colours' : 'Use dark colours', onclick: () => { window.theme.toggle(); draw(); },
      }, h('svg', { viewBox: '0 0 20 20', width: 18, height: 18, 'aria-hidden': 'true' },
        h('circle', { cx: 10, cy: 10, r: 7, class: 'theme-ring' }), h('path', { d: 'M10 3a7 7 0 0 1 0 14z', class: 'theme-half' })))));
}

function connection(status) {
  const { since, at } = state.connection;
  if (since !== null) {
    return h('span', { class: 'badge bad' }, h('span', { 'aria-hidden': 'true' }, '▲'), ' disconnected');
  }
  if (at === null) return h('span', { class: 'quiet' }, 'connecting …');
  if (status && !status.ready) return h('span', { class: 'badge warning' }, h('span', { 'aria-hidden': 'true' }, '◆'), ' not ready');
  return h('span', { class: 'live', title: 'This page asks every two seconds' },
    h('span', { class: 'dot', 'aria-hidden': 'true' }), 'live');
}

function banner({ status }) {
  const { since, at } = state.connection;
  if (since !== null) {
    const seen = at === null ? 'It has not answered yet.' : `What you see is from ${clock(at / 1000, Date.now() / 1000, true)}.`;
    return h('p', { class: 'banner bad', role: 'alert', key: 'banner' },
      `Disconnected since ${clock(Math.round(since / 1000), Date.now() / 1000, true)}: the daemon does not answer. ${seen}`);
  }
  if (status && !status.ready) {
    return h('p', { class: 'banner warning', role: 'status', key: 'banner' },
      `The daemon is not ready: ${status.not_ready_reason ?? 'it does not say why'}`);
  }
  const reload = status?.config?.last_reload;
  if (reload && !reload.ok) {
    return h('p', { class: 'banner warning', role: 'status', key: 'banner' },
      `The configuration could not be reloaded, the old one is in force: ${reload.error ?? ''}`);
  }
  return null;
}

/** Says a change of health aloud, once. */
const healths = new Map();
function tellHealth() {
  const { all, model: one } = state.answers;
  const summaries = all?.data?.models ?? (one?.data ? [one.data] : []);
  const changes = [];
  for (const { name: of, health, reasons } of summaries) {
    const before = healths.get(of);
    if (before !== undefined && before !== health) changes.push(`${of} is now ${health}${reasons?.[0] ? `: ${reasons[0].text}` : ''}`);
    healths.set(of, health);
  }
  if (changes.length) announce.textContent = changes.slice(0, 3).join('. ');
}

function go() {
  const before = state.route;
  state.route = current();
  const same = before.path.join('/') === state.route.path.join('/');
  if (!same) {
    // What the model's own page knows serves its other views at once.
    state.answers = known(wanted());
    state.answers = known(wanted());
  }
  draw();
  if (!same) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  poller.now();
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener('hashchange', go);
window.addEventListener('themechange', draw);
window.addEventListener('redraw', draw);
draw();
poller.now();

