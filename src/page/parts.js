// Pieces that several views are made of.

import { h } from './dom.js';
import { NONE, absolute, ago, clip, clock, interval, value, version } from './format.js';
import { address, changed, replace } from './router.js';

const HEALTH = {
  bad: ['▲', 'bad'],
  warning: ['◆', 'warning'],
  ok: ['●', 'ok'],
  unknown: ['○', 'unknown'],
};

/** A state as sign and word, never as colour alone. */
export function badge(kind, text) {
  const [sign, word] = HEALTH[kind] ?? HEALTH.unknown;
  return h('span', { class: `badge ${kind in HEALTH ? kind : 'unknown'}` },
    h('span', { 'aria-hidden': 'true' }, sign), ' ', text ?? word);
}

/** A time as words that a person reads; in full when pointed at. */
export function when(at, now, how = ago) {
  if (typeof at !== 'number') return NONE;
  return h('time', { datetime: new Date(at * 1000).toISOString(), title: absolute(at) }, how(at, now));
}

export const atClock = (at, now) => when(at, now, (a, b) => clock(a, b));

/** A name from the stream: the whole of it in the title when it is shortened. */
export function name(given, length = 48) {
  const text = String(given);
  const short = clip(text, length);
  return h('bdi', { title: text.length > 14 ? text : null }, short);
}

export function link(text, to, props = {}) {
  return h('a', { href: to, ...props }, text);
}

/** A part of a page under a heading of its own; `more` stands at the right of the heading. */
export function panel(title, props, ...children) {
  const { more, note, id, wide, level = 'h2' } = props ?? {};
  const heading = `heading-${id ?? title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
  return h('section', { class: `panel${wide ? ' wide' : ''}`, 'aria-labelledby': heading, key: id ?? title },
    h('div', { class: 'panel-head' },
      h(level, { id: heading }, title), note ? h('p', { class: 'note' }, note) : null,
      more ? h('div', { class: 'more' }, more) : null),
    ...children);
}

/** What is awaited, where there is nothing yet. */
export function empty(text) {
  return h('p', { class: 'empty' }, text);
}

/** Rows under named columns: `columns` are `{ title, cell(row), number?, class? }`; `low`: it scrolls by itself. */
export function table(label, columns, rows, keyOf, low = false) {
  return h('div', { class: low ? 'scroll low' : 'scroll', tabindex: '0', role: 'group', 'aria-label': label },
    h('table', null,
      h('caption', { class: 'unseen' }, label),
      h('thead', null, h('tr', null, columns.map((column) => h('th',
        { scope: 'col', class: classOf(column), title: column.help }, column.title)))),
      h('tbody', null, rows.map((row, index) => h('tr', { key: keyOf ? keyOf(row) : index },
        columns.map((column, at) => (column.head
          ? h('th', { scope: 'row', class: classOf(column), key: at }, column.cell(row, index))
          : h('td', { class: classOf(column), key: at }, column.cell(row, index)))))))));
}

const classOf = (column) => [column.number ? 'number' : '', column.class ?? ''].join(' ').trim() || null;

/** The same numbers as the picture above, for those who would rather read. */
export function asTable(what, ...content) {
  return h('details', { class: 'as-table' }, h('summary', null, what), ...content);
}

export function estimate(one, metric) {
  if (!one || one.value === null || one.value === undefined) return h('span', { class: 'quiet' }, NONE);
  return [h('strong', null, value(one.value, metric)), ' ',
    h('span', { class: 'interval', title: one.error_max > 0 ? `95% interval; binning may move the value by at most ${one.error_max.toPrecision(2)}` : '95% interval' }, interval(one, metric))];
}

/** A choice among few, each an address: `options` are `[value, text]`. */
export function segments(label, route, key, chosen, options) {
  if (options.length < 2) return null;
  return h('nav', { class: 'segments', 'aria-label': label },
    h('span', { class: 'legend' }, label),
    options.map(([option, text]) => h('a', {
      key: option, href: changed(route, { [key]: option, page: null }), 'aria-current': option === chosen ? 'true' : null,
      onclick: (event) => { event.preventDefault(); replace(changed(route, { [key]: option, page: null })); },
    }, text)));
}

/** A choice among many. */
export function choice(label, route, key, chosen, options) {
  if (options.length < 2) return null;
  return h('label', { class: 'choice' }, h('span', { class: 'legend' }, label),
    h('select', {
      value: chosen ?? '',
      onchange: (event) => replace(changed(route, { [key]: event.target.value, page: null })),
    }, options.map(([option, text]) => h('option', { value: option, key: option }, text))));
}

/** Links to the pages of a long list; `page` in the address counts from 1. */
export function pager(route, total, limit) {
  const pages = Math.ceil((total ?? 0) / limit);
  if (pages < 2) return null;
  const page = pageOf(route);
  const to = (number) => changed(route, { page: number === 1 ? null : number });
  const step = (text, number, word) => (number < 1 || number > pages
    ? h('span', { class: 'quiet', 'aria-hidden': 'true' }, text)
    : h('a', { href: to(number), 'aria-label': word }, text));
  return h('nav', { class: 'pager', 'aria-label': 'Pages' },
    step('‹ previous', page - 1, 'previous page'),
    h('span', null, `${(page - 1) * limit + 1}–${Math.min(page * limit, total)} of ${total}`),
    step('next ›', page + 1, 'next page'));
}

export function pageOf(route) {
  const page = Number.parseInt(route.query.page ?? '1', 10);
  return Number.isFinite(page) && page > 0 ? page : 1;
}

/** A line without axes, with a level to compare with; `label` says it in words. */
export function sparkline(values, { level, label, width = 120, height = 28, zero = false } = {}) {
  const there = values.filter((one) => typeof one === 'number');
  if (there.length < 2) return h('span', { class: 'quiet' }, NONE);
  const all = typeof level === 'number' ? [...there, level] : there;
  let low = zero ? Math.min(0, ...all) : Math.min(...all);
  let high = Math.max(...all);
  // The noise of small windows must not fill the picture.
  const least = zero ? 0.05 : 0.06 * Math.max(Math.abs(low), Math.abs(high));
  if (high - low < least) {
    const more = least - (high - low);
    if (!zero) low -= more / 2;
    high += zero ? more : more / 2;
  }
  const room = high - low || 1;
  const x = (index) => 2 + (index / (values.length - 1)) * (width - 6);
  const y = (one) => 3 + (1 - (one - low) / room) * (height - 6);
  let path = '';
  let pen = false;
  values.forEach((one, index) => {
    if (typeof one !== 'number') { pen = false; return; }
    path += `${pen ? 'L' : 'M'}${x(index).toFixed(1)} ${y(one).toFixed(1)}`;
    pen = true;
  });
  const last = values.findLastIndex((one) => typeof one === 'number');
  return h('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, width, height, preserveAspectRatio: 'xMinYMid', role: 'img', 'aria-label': label },
    typeof level === 'number'
      ? h('path', { class: 'spark-level', d: `M0 ${y(level).toFixed(1)}H${width}` }) : null,
    h('path', { class: 'spark-line', d: path }),
    h('circle', { class: 'spark-end', cx: x(last).toFixed(1), cy: y(values[last]).toFixed(1), r: 2.5 }));
}

/** A length on a scale from 0 to `max`. */
export function bar(number, max, kind = '') {
  const part = typeof number === 'number' && max > 0 ? Math.min(Math.max(number / max, 0), 1) : 0;
  return h('span', { class: `bar ${kind}`, 'aria-hidden': 'true' },
    h('span', { style: { width: `${(100 * part).toFixed(1)}%` } }));
}

export function versionName(one) {
  return one === '' || one === null || one === undefined ? 'no version' : name(version(one), 32);
}

/** Where a reason of a model's health is explained. */
export function reasonAddress(model, reason) {
  const query = { version: reason.version, window: reason.window };
  if (reason.feature) return address(['models', model, 'features', reason.feature], query);
  if (reason.slice) return address(['models', model], { ...query, slice: sliceName(reason.slice) });
  if (reason.policy) return address(['models', model, 'policies']);
  if (/webhook|request/.test(reason.kind)) return address(['requests'], { model });
  if (/label/.test(reason.kind)) return address(['models', model, 'labels']);
  return null;
}

export const sliceName = (slice) => (typeof slice === 'string' ? slice : slice?.name ?? 'all');
