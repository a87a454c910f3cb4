// A tree of plain objects and the changes that it needs in the document. Text only becomes text nodes: nothing here
// parses HTML, so that names from a stream cannot become markup.

const SVG = 'http://www.w3.org/2000/svg';

/** A node: `h('p', { class: 'x', onclick: f, key: 'a' }, 'text', other)`. null, false and undefined are left out. */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flat(children) };
}

function flat(children) {
  const list = [];
  for (const child of children) {
    if (Array.isArray(child)) list.push(...flat(child));
    else if (child !== null && child !== undefined && child !== false) {
      list.push(typeof child === 'object' ? child : { text: String(child) });
    }
  }
  return list;
}

/** Makes the children of `parent` be these nodes; keeps elements of the same key or else of the same tag. */
export function render(parent, nodes) {
  children(parent, flat([nodes]), parent.namespaceURI === SVG);
}

function children(parent, nodes, svg) {
  const old = [...parent.childNodes];
  const keyed = new Map();
  const free = [];
  for (const dom of old) {
    const key = dom.$node?.props?.key;
    if (key === undefined) free.push(dom); else keyed.set(key, dom);
  }
  let next = 0;
  const used = new Set();
  let place = parent.firstChild;
  for (const node of nodes) {
    let dom;
    const key = node.props?.key;
    if (key !== undefined) {
      dom = keyed.get(key);
    } else {
      while (next < free.length && dom === undefined) {
        if (fits(free[next], node)) dom = free[next];
        next += 1;
      }
    }
    if (dom === undefined || !fits(dom, node)) dom = create(node, svg);
    used.add(dom);
    if (dom === place) place = place.nextSibling;
    else parent.insertBefore(dom, place);
    update(dom, node, svg);
  }
  for (const dom of old) if (!used.has(dom)) remove(dom);
}

function fits(dom, node) {
  return (dom.$node?.tag ?? (dom.nodeType === 3 ? undefined : false)) === node.tag
    && dom.$node?.props?.widget === node.props?.widget;
}

function create(node, svg) {
  if (node.tag === undefined) return document.createTextNode(node.text);
  return svg || node.tag === 'svg'
    ? document.createElementNS(SVG, node.tag)
    : document.createElement(node.tag);
}

function remove(dom) {
  leave(dom);
  dom.remove();
}

function leave(dom) {
  dom.$node?.props?.widget?.destroy?.(dom.$state);
  for (const child of dom.childNodes) leave(child);
}

function update(dom, node, svg) {
  const before = dom.$node?.props ?? {};
  dom.$node = node;
  if (node.tag === undefined) {
    if (dom.data !== node.text) dom.data = node.text;
    return;
  }
  for (const name of Object.keys(before)) if (!(name in node.props)) set(dom, name, null, before[name]);
  for (const [name, value] of Object.entries(node.props)) set(dom, name, value, before[name]);
  const { widget } = node.props;
  if (widget === undefined) {
    children(dom, node.children, svg || node.tag === 'svg');
    // A select has its value when it has its options.
    if (node.tag === 'select' && dom.value !== node.props.value) dom.value = node.props.value;
  } else if (before.widget === undefined) {
    // After the element is in the document, so that it has a size.
    queueMicrotask(() => { dom.$state = widget.mount(dom, dom.$node.props.data); });
  } else if (dom.$state !== undefined) {
    widget.update(dom.$state, node.props.data);
  }
}

function set(dom, name, value, before) {
  if (name === 'key' || name === 'widget' || name === 'data') return;
  if (name.startsWith('on')) dom[name] = value;
  else if (name === 'style') style(dom, value ?? {}, before ?? {});
  else if (name === 'value' || name === 'open') {
    // What a person types or opens stays until the page itself wants something else.
    if (value !== before && value !== null) dom[name] = value;
  } else if (value === before) return;
  else if (value === null || value === undefined || value === false) dom.removeAttribute(name);
  else dom.setAttribute(name, value === true ? '' : String(value));
}

function style(dom, now, before) {
  for (const name of Object.keys(before)) if (!(name in now)) dom.style.removeProperty(name);
  for (const [name, value] of Object.entries(now)) {
    if (before[name] !== value) dom.style.setProperty(name, String(value));
  }
}
