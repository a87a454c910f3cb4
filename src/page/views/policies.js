// What is done when: every policy with its state and the reason of its last decision.

import { path } from '../api.js';
import { h } from '../dom.js';
import { clip, count, span, words } from '../format.js';
import { atClock, badge, empty, link, name, panel, table, versionName, when } from '../parts.js';
import { address } from '../router.js';
import { frame, part, pathsOf } from './frame.js';

const TONE = { retrain: 'bad', alert: 'bad', hold: 'unknown' };

export const policies = {
  title: (route) => `Policies of ${route.path[1]}`,
  paths: (route, answers) => pathsOf(route, answers, (choices, of) => ({ policies: path([...of, 'policies']) })),
  show: (context) => frame(context, 'policies', (model, choices, now) => part(context.answers.policies,
    ({ policies: all }) => (all.length ? all.map((policy) => one(policy, model, now)) : empty('No policy is configured.'))), []),
};

function one(policy, model, now) {
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));
  const state = policy.firing.length ? badge('bad', 'firing')
    : policy.last.length ? badge('ok', 'quiet') : badge('unknown', 'not judged yet');
  return panel(policy.name, { id: `policy-${policy.name}`, more: state },
    h('p', { class: 'pad condition' }, policy.condition),
    h('dl', { class: 'facts-list' },
      policy.firing.map((firing) => fact('Firing', versionName(firing.version), ' since ', atClock(firing.since, now))),
      typeof policy.judged_through === 'number' ? fact('Judged up to', atClock(policy.judged_through, now)) : null,
      fact('Windows', policy.window, typeof policy.label_age === 'number' ? `, judged ${span(policy.label_age)} after their end` : ''),
      fact('Action', words(policy.action), policy.webhook ? [', asks ', name(policy.webhook)] : null,
        policy.action === 'retrain' ? [' · ', link('requests', address(['requests'], { model: model.name }))] : null),
      typeof policy.cooldown === 'number' ? fact('Cooldown', span(policy.cooldown),
        typeof policy.cooldown_until === 'number' && policy.cooldown_until > now ? [', until ', atClock(policy.cooldown_until, now)] : ', not running') : null),
    budget(policy, now),
    h('h3', null, 'Last decisions'),
    policy.last.length ? h('ul', { class: 'rows' }, policy.last.map((last) => h('li', { key: last.version },
      h('div', { class: 'row-head' }, badge(TONE[last.decision] ?? 'unknown', words(last.decision)),
        h('span', null, versionName(last.version), ', window to ', atClock(last.window_end, now)), h('span', { class: 'quiet' }, when(last.window_end, now))),
      h('p', null, h('bdi', null, clip(last.text || words(last.reason ?? ''), 400))))))
      : empty('No window has been judged yet.'),
    policy.decisions.length ? table('Decisions so far', [
      { title: 'Decision', head: true, cell: (row) => words(row.decision) },
      { title: 'Reason', cell: (row) => words(row.reason ?? '') },
      { title: 'Count', number: true, cell: (row) => count(row.count) },
    ], policy.decisions, (row) => `${row.decision} ${row.reason}`) : null);
}

// How the bound follows from the budget of false alarms, and how near each version is to it.
function budget(policy, now) {
  const of = policy.budget;
  if (!of) return null;
  const fact = (term, ...what) => h('div', { key: term }, h('dt', null, term), h('dd', null, ...what));
  const takes = typeof of.run_length === 'number' ? `evidence of ${count(Math.round(of.run_length))} windows without a false alarm`
    : `a chance of at most ${of.alpha?.toPrecision(2) ?? '?'} in a window without cause`;
  return [
    h('h3', { key: 'budget' }, 'Budget of false alarms'),
    h('dl', { class: 'facts-list', key: 'facts' },
      fact('False alarms', `at most ${of.episodes_per_week.toPrecision(2)} a week on average`),
      fact('An alarm takes', takes),
      fact('Episodes so far', count(of.episodes)),
      of.versions.map((version) => h('div', { key: `evidence ${version.version}` }, h('dt', null, 'Evidence'), h('dd', null, versionName(version.version), ': ',
        typeof version.evidence === 'number' ? `${version.evidence.toFixed(2)} of the 1 that it takes` : 'too few rows to say')))),
    of.versions.some((version) => version.tests.length) ? h('ul', { class: 'rows', key: 'tests' }, of.versions.flatMap((version) => version.tests.map((test) =>
      h('li', { key: `${version.version} ${test.feature ?? ''} ${test.test}` }, badge('bad', words(test.test)), ' ',
        test.feature ? [name(test.feature), ' of '] : null, versionName(version.version), ' since ', atClock(test.since, now),
        test.calm ? `, calm at ${test.calm} of 3 looks` : '')))) : null,
  ];
}
