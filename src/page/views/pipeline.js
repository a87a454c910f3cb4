// The daemon itself: is it connected, how far behind, what waits, what was refused, is its state safe.

import { path } from '../api.js';
import { h } from '../dom.js';
import { bytes, clip, clock, count, span, words } from '../format.js';
import { atClock, badge, empty, link, name, panel, table, when } from '../parts.js';
import { address } from '../router.js';

export const pipeline = {
  title: () => 'Pipeline',
  paths: () => ({ pipeline: path(['pipeline']) }),
  show({ answers, now, status }) {
    const { data, error } = answers.pipeline ?? {};
    return [
      h('h1', null, 'Pipeline'),
      data?.last_error ? h('p', { class: 'banner warning', role: 'status' }, `The broker’s last error: ${clip(data.last_error, 300)}`) : null,
      data ? [tiles(data, now), h('div', { class: 'grid' }, data.topics.map((topic) => partitions(topic, now)),
        h('div', { class: 'stack', key: 'left' }, watermarks(data, now), refused(data)),
        h('div', { class: 'stack', key: 'right' }, checkpoints(data, now), rows(data), daemon(status, now)))]
        : h('p', { class: 'quiet' }, error ? error.message : 'Loading …'),
    ];
  },
};

const sum = (numbers) => numbers.reduce((all, one) => all + (one ?? 0), 0);

function tiles(data, now) {
  const all = data.topics.flatMap((topic) => topic.partitions);
  const { checkpoints: safe } = data;
  const late = all.map((one) => one.lag_seconds).filter((one) => typeof one === 'number');
  const tile = (title, content, note) => h('div', { key: title }, h('dt', null, title), h('dd', null, h('strong', null, content), h('span', null, note)));
  return h('dl', { class: 'tiles' },
    tile('Broker', data.connected === null ? badge('unknown', 'not known yet') : data.connected ? badge('ok', 'connected') : badge('bad', 'not connected'), `${all.filter((one) => one.assigned).length} of ${all.length} partitions`),
    tile('Behind', count(sum(all.map((one) => one.lag_records))), late.length ? `records, at most ${span(Math.max(...late))}` : 'records'),
    tile('Waiting for a label', count(sum(data.watermarks.map((one) => one.pending))), 'predictions'),
    tile('Refused', count(sum(data.dead_letters.map((one) => one.count))), 'records'),
    tile('Last checkpoint', typeof safe.last_durable_at === 'number' ? when(safe.last_durable_at, now) : 'none yet',
      safe.failures ? badge('warning', `${safe.failures} failed`) : `every ${span(safe.every)}`),
    tile('Memory', bytes(data.memory?.resident_bytes), 'resident'));
}

function partitions(topic, now) {
  return panel(topic.topic, { id: `topic-${topic.topic}`, note: `${topic.role}, group ${topic.group ?? '–'}` }, topic.missing ? h('p', null, badge('bad', 'this topic is missing on the broker')) : topic.partitions.length ? table(`Partitions of ${topic.topic}`, [
    { title: 'Partition', head: true, cell: (one) => one.partition },
    { title: 'State', cell: (one) => (one.assigned === false ? badge('unknown', 'elsewhere') : one.paused ? badge('warning', 'paused') : badge('ok', 'read')) },
    { title: 'Position', number: true, cell: (one) => count(one.position) },
    { title: 'End', number: true, cell: (one) => count(one.end) },
    { title: 'Behind', number: true, cell: (one) => count(one.lag_records) },
    { title: 'Behind, time', number: true, cell: (one) => span(one.lag_seconds) },
    { title: 'Watermark', number: true, cell: (one) => atClock(one.watermark, now) },
  ], topic.partitions, (one) => one.partition) : empty('No partition yet.'));
}

function watermarks(data, now) {
  return panel('Watermarks', { id: 'watermarks', note: 'up to when a model’s inputs are complete' }, table('Watermarks', [
    { title: 'Model', head: true, cell: (one) => link(name(one.model), address(['models', one.model])) },
    { title: 'Predictions to', number: true, cell: (one) => atClock(one.predictions_closing, now) },
    { title: 'Labels to', number: true, cell: (one) => (one.labels_silent ? badge('warning', 'silent') : atClock(one.labels_closing, now)) },
    { title: 'Pending', number: true, cell: (one) => count(one.pending) },
    { title: 'Labels that wait', number: true, cell: (one) => count(one.waiting_labels) },
  ], data.watermarks, (one) => one.model, true));
}

function checkpoints({ checkpoints: safe }, now) {
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));
  return panel('Checkpoints', { id: 'checkpoints' }, h('dl', { class: 'facts-list' },
    fact('Last durable', typeof safe.last_durable_at === 'number' ? [atClock(safe.last_durable_at, now), ' · ', when(safe.last_durable_at, now)] : 'none yet'),
    fact('Took', span(safe.last_duration)), fact('Size', bytes(safe.last_bytes)), fact('Every', span(safe.every)),
    fact('Failures', count(safe.failures)),
    safe.last_error ? fact('Last error', h('bdi', { class: 'wrap' }, clip(safe.last_error, 300))) : null));
}

function refused({ dead_letters: all }) {
  return panel('Refused records', { id: 'refused' }, all.length ? table('Refused records', [
    { title: 'Topic', cell: (one) => name(one.topic) },
    { title: 'Reason', head: true, cell: (one) => words(one.reason) },
    { title: 'Count', number: true, cell: (one) => count(one.count) },
  ], all, (one) => `${one.topic} ${one.reason}`) : empty('None: every record could be read.'));
}

function rows({ rows: all }) {
  const some = all.filter((one) => one.count > 0);
  return panel('Where rows ended', { id: 'rows' }, some.length ? table('Outcomes of rows', [
    { title: 'Topic', cell: (one) => name(one.topic) },
    { title: 'Outcome', head: true, cell: (one) => words(one.outcome) },
    { title: 'Rows', number: true, cell: (one) => count(one.count) },
  ], some, (one) => `${one.topic} ${one.outcome}`) : empty('No row has ended yet.'));
}

function daemon(status, now) {
  if (!status) return null;
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));
  const { config } = status;
  return panel('This daemon', { id: 'daemon' }, h('dl', { class: 'facts-list' },
    fact('Version', status.version), fact('Started', when(status.started_at, now)),
    config?.file ? fact('Configuration', h('bdi', { class: 'wrap' }, config.file)) : null,
    typeof config?.loaded_at === 'number' ? fact('Loaded', `${clock(config.loaded_at, now)}`,
      config.last_reload && !config.last_reload.ok ? [' ', badge('warning', 'last reload failed')] : null) : null));
}
