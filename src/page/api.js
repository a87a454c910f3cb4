// Asks the daemon every two seconds while the page is visible, and knows since when it does not answer.

const BASE = 'api/v1/';
const EVERY = 2000;
const TIMEOUT = 15000;
const CACHE_MAX = 60;

/** The newest answer by path: { tag, data, error }. */
const cache = new Map();

/** `path(['models', name], { window })` as part of a URL. */
export function path(parts, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const search = new URLSearchParams(pairs).toString();
  return parts.map(encodeURIComponent).join('/') + (search === '' ? '' : `?${search}`);
}

/** An answer of the daemon that is not what was asked for: `status`, and `message` in words. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(name, signal) {
  const known = cache.get(name);
  const headers = known?.tag ? { 'If-None-Match': known.tag } : {};
  const response = await fetch(BASE + name, { headers, signal, cache: 'no-store' });
  if (response.status === 304) return known.data;
  const body = await response.json().catch(() => null);
  if (!response.ok) {
    throw new ApiError(response.status, body?.error?.message ?? `the daemon answered with status ${response.status}`);
  }
  if (body === null) throw new ApiError(response.status, 'the daemon answered with something that is not JSON');
  cache.delete(name);
  cache.set(name, { tag: response.headers.get('ETag'), data: body });
  if (cache.size > CACHE_MAX) cache.delete(cache.keys().next().value);
  return body;
}

/** What is already known of these paths, for the first picture of a view. */
export function known(paths) {
  return Object.fromEntries(Object.entries(paths).map(([key, name]) => [key, { data: cache.get(name)?.data }]));
}

/**
 * Polls what `wanted()` names (`{ key: path }`, a path may be null) and hands `{ key: { data, error } }` to `show`,
 * with `{ at, since }`: when the daemon last answered, and since when it does not (null: it does). What `show` returns
 * is the time to the next poll in milliseconds, if it is to be another than usual.
 */
export class Poller {
  constructor(wanted, show) {
    this.wanted = wanted;
    this.show = show;
    this.connection = { at: null, since: null };
    this.turn = 0;
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.now(); });
  }

  /** At once, because the place changed or the page became visible. */
  now() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.turn += 1;
    this.poll(this.turn);
  }

  async poll(turn) {
    this.abort = new AbortController();
    const signal = AbortSignal.any([this.abort.signal, AbortSignal.timeout(TIMEOUT)]);
    const entries = Object.entries(this.wanted()).filter(([, name]) => name !== null);
    let answered = 0;
    const answers = await Promise.all(entries.map(async ([key, name]) => {
      try {
        const data = await ask(name, signal);
        answered += 1;
        return [key, { data }];
      } catch (error) {
        if (error instanceof ApiError) answered += 1;
        return [key, { data: error instanceof ApiError && error.status < 500 ? undefined : cache.get(name)?.data, error }];
      }
    }));
    if (turn !== this.turn) return;
    if (answered > 0) this.connection = { at: Date.now(), since: null };
    else this.connection = { ...this.connection, since: this.connection.since ?? Date.now() };
    const delay = this.show(Object.fromEntries(answers), this.connection) ?? EVERY;
    this.timer = setTimeout(() => { if (!document.hidden && turn === this.turn) this.poll(turn); }, delay);
  }
}
