// Addresses: `#/models/income/slices?window=1h&version=v7`. Every state of the page has one.

/** The state that an address means: `{ path: ['models', 'income', 'slices'], query: { window: '1h' } }`. */
export function parse(hash) {
  const text = hash.replace(/^#\/?/, '');
  const at = text.indexOf('?');
  const path = (at < 0 ? text : text.slice(0, at)).split('/').filter((part) => part !== '').map(decode);
  const query = Object.create(null);
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : text.slice(at + 1))) query[name] = value;
  return { path, query };
}

/** The address of a state; members of `query` that are empty are left out. */
export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`;
}

/** The same place with some of the query changed; what is given as null goes. */
export function changed(route, change) {
  return address(route.path, { ...route.query, ...change });
}

export function current() {
  return parse(location.hash);
}

/** Goes there without a new entry in the browser's history: for choices within a view. */
export function replace(hash) {
  history.replaceState(null, '', hash);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}

function decode(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}
