// One row of a heat map: a cell a window on a canvas. A widget for dom.js: its data is
//   { values: [number|null], max, cursor: index|null, label, onpoint(index|null), onopen(index) }

const STOPS = 3;

/** The colour of a share of the scale, between the stops that the style sheet gives. */
function scale(style) {
  const stops = [];
  for (let stop = 0; stop <= STOPS; stop += 1) {
    const number = parseInt(style.getPropertyValue(`--heat-${stop}`).trim().slice(1), 16);
    stops.push([number >> 16, (number >> 8) & 255, number & 255]);
  }
  return (part) => {
    const at = Math.min(Math.max(part, 0), 1) * STOPS;
    const low = Math.min(Math.floor(at), STOPS - 1);
    const mixed = stops[low].map((from, channel) => Math.round(from + (stops[low + 1][channel] - from) * (at - low)));
    return `rgb(${mixed.join(',')})`;
  };
}

function draw(state) {
  const { canvas, data, width, height } = state;
  if (width === undefined) return;
  const ratio = devicePixelRatio;
  const seen = JSON.stringify([data.values, data.max, data.cursor, width, height, ratio, document.documentElement.dataset.theme]);
  if (seen === state.seen) return;
  state.seen = seen;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const style = getComputedStyle(document.documentElement);
  const color = scale(style);
  const context = canvas.getContext('2d');
  const step = canvas.width / data.values.length;
  const space = step > 5 * ratio ? ratio : 0;
  data.values.forEach((value, index) => {
    const from = Math.round(index * step);
    const to = Math.round((index + 1) * step) - space;
    if (typeof value === 'number') {
      context.fillStyle = color(value / data.max);
      context.fillRect(from, 0, to - from, canvas.height);
    } else {
      // No number: a thin line, which is no colour of the scale.
      context.fillStyle = style.getPropertyValue('--line');
      context.fillRect(from, canvas.height / 2 - ratio / 2, to - from, ratio);
    }
    if (index === data.cursor) {
      context.strokeStyle = style.getPropertyValue('--ink');
      context.lineWidth = 2 * ratio;
      context.strokeRect(from + ratio, ratio, Math.max(to - from - 2 * ratio, ratio), canvas.height - 2 * ratio);
    }
  });
}

export const strip = {
  mount(element, data) {
    const canvas = document.createElement('canvas');
    canvas.className = 'strip';
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', data.label);
    element.append(canvas);
    const state = { canvas, data };
    const at = (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      return Math.min(Math.max(Math.floor(((event.clientX - left) / width) * state.data.values.length), 0), state.data.values.length - 1);
    };
    canvas.addEventListener('pointermove', (event) => state.data.onpoint(at(event)));
    canvas.addEventListener('pointerleave', () => state.data.onpoint(null));
    canvas.addEventListener('click', (event) => state.data.onopen(at(event)));
    state.ontheme = () => draw(state);
    window.addEventListener('themechange', state.ontheme);
    // The observer tells the size, so that drawing asks for no layout.
    state.resize = new ResizeObserver(([{ contentRect }]) => {
      state.width = Math.max(contentRect.width, 1);
      state.height = Math.max(contentRect.height, 1);
      draw(state);
    });
    state.resize.observe(canvas);
    return state;
  },
  update(state, data) {
    state.data = data;
    if (state.canvas.getAttribute('aria-label') !== data.label) state.canvas.setAttribute('aria-label', data.label);
    draw(state);
  },
  destroy(state) {
    if (!state) return;
    window.removeEventListener('themechange', state.ontheme);
    state.resize.disconnect();
  },
};
