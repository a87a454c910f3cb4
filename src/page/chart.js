// Lines over time with bands and marks, by uPlot. A widget for dom.js: its data is
//   { label, ends: [s], lines: [{ name, values, lower?, upper?, role, dash?, area? }], marks?: [{ at, glyph, text, kind }],
//     levels?: [{ name, value }], height, domain?: [min, max], format, sync?, every?, onrange?, onpick? }
// role: 'main' | 'older' | 'other' | 'bad' says the colour, taken from the style sheet.
// The keys left and right move a cursor; a line of text above the picture says what is there.

import { absolute, axisTimes, clock } from './format.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLORS = { main: '--accent', older: '--older', other: '--other', bad: '--bad' };
const TOP = 38;
/** Windows farther apart than so many steps are not joined by a line. */
const JOINED = 1.6;

const color = (line) => css(COLORS[line.role] ?? COLORS.other);

function faded(text, share) {
  const number = parseInt(text.slice(1), 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${share})`;
}

/** Columns for several series of windows on one line of time: a null breaks a line, what is undefined does not. */
export function together(all) {
  const ends = [...new Set(all.flatMap((one) => one.ends))].sort((a, b) => a - b);
  const index = new Map(ends.map((end, at) => [end, at]));
  const spread = (one, values) => {
    const column = new Array(ends.length).fill(undefined);
    const steps = one.ends.slice(1).map((end, at) => end - one.ends[at]);
    const step = Math.min(...steps);
    one.ends.forEach((end, at) => {
      column[index.get(end)] = values?.[at] ?? null;
      if (steps[at - 1] > JOINED * step) column.fill(null, index.get(one.ends[at - 1]) + 1, index.get(end));
    });
    return column;
  };
  return { ends, spread };
}

/** The same data with an empty place in each stretch without windows, so that no line crosses it. */
function withGaps(data) {
  const { ends } = data;
  const holes = [];
  for (let at = 1; at < ends.length; at += 1) {
    if (ends[at] - ends[at - 1] > JOINED * (data.every ?? Infinity)) holes.push(at);
  }
  if (holes.length === 0) return data;
  const open = (column, hole) => {
    const wide = [...column];
    for (const at of [...holes].reverse()) wide.splice(at, 0, hole(column, at));
    return wide;
  };
  const none = (column) => column && open(column, () => null);
  return {
    ...data, ends: open(ends, (column, at) => (column[at - 1] + column[at]) / 2),
    lines: data.lines.map((line) => ({ ...line, values: none(line.values), lower: none(line.lower), upper: none(line.upper) })),
  };
}

/** The columns of uPlot: times, then for each line its values, and its bounds if it has them. */
function columns(data) {
  const list = [data.ends];
  for (const line of data.lines) {
    list.push(line.values);
    if (line.lower) list.push(line.upper, line.lower);
  }
  return list;
}

/** What makes another picture necessary, not only other numbers. */
function shape(data) {
  return JSON.stringify([data.height, data.lines.map((line) => [line.name, line.role, Boolean(line.lower), line.dash])]);
}

/** All that is drawn: while it is the same, nothing is drawn again. */
const numbers = (data) => JSON.stringify([columns(data), data.marks, data.levels, data.range]);

function options(state) {
  const { data } = state;
  const series = [{}];
  const bands = [];
  for (const line of data.lines) {
    const at = series.length;
    const stroke = color(line);
    series.push({
      stroke, width: line.role === 'main' ? 2 : 1.5, dash: line.dash, spanGaps: false,
      points: { show: (chart, index, from, to) => to - from < 12, size: 5, fill: stroke },
      fill: line.area ? faded(stroke, 0.14) : undefined,
    });
    if (line.lower) {
      const hidden = { stroke: 'transparent', width: 0, points: { show: false } };
      series.push({ ...hidden }, { ...hidden });
      bands.push({ series: [at + 1, at + 2], fill: faded(stroke, line.role === 'main' ? 0.16 : 0.1) });
    }
  }
  const axis = { stroke: css('--muted'), font: '12px system-ui, sans-serif', ticks: { show: false } };
  return {
    width: Math.max(state.place.clientWidth, 120),
    height: data.height,
    padding: [data.marks ? TOP : 10, 8, 0, 0],
    legend: { show: false },
    cursor: {
      x: true, y: false, drag: { x: Boolean(data.onrange), y: false, setScale: false },
      points: { size: 7 }, sync: data.sync ? { key: data.sync, setSeries: false } : undefined,
    },
    select: { show: Boolean(data.onrange), left: 0, top: 0, width: 0, height: 0 },
    scales: {
      x: { time: true, range: () => xRange(state.data) },
      y: { range: (chart, low, high) => yRange(state.data, low, high) },
    },
    series, bands,
    axes: [
      { ...axis, grid: { show: false }, space: 76, size: 28, incrs: steps(data),
        values: (chart, at) => axisTimes(at, state.data.now) },
      { ...axis, grid: { stroke: css('--line'), width: 1 }, size: 52, space: data.height < 120 ? 24 : 34,
        splits: data.domain ? () => middle(data.domain) : undefined,
        values: (chart, at) => ticks(at, state.data.format) },
    ],
    hooks: {
      draw: [(chart) => { levels(chart, state.data); marks(chart, state.data); }],
      setCursor: [() => tell(state)],
      setSelect: [(chart) => select(chart, state)],
    },
  };
}

/** Steps of the time axis: whole minutes, unless windows are shorter. */
function steps({ every }) {
  const seconds = every < 60 ? [1, 2, 5, 10, 15, 30] : [];
  return [...seconds, ...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => 60 * minutes),
    ...[1, 2, 3, 7, 14, 28, 56, 112, 364].map((days) => 86400 * days)];
}

const middle = ([low, high]) => [low, (low + high) / 2, high];

/** Marks of the axis; where two would read the same, one of them is left out. */
function ticks(at, format) {
  const texts = at.map((number) => format(number).replace(/\.0+(%?)$/, '$1').replace(/(\.\d*[1-9])0+$/, '$1'));
  return texts.map((text, index) => (texts.indexOf(text) === index ? text : ''));
}

function xRange(data) {
  const { ends } = data;
  if (data.range) return data.range;
  const every = data.every ?? 60;
  if (ends.length === 0) return [data.now - 10 * every, data.now];
  return [ends[0] - every / 2, ends[ends.length - 1] + every / 2];
}

function yRange(data, low, high) {
  if (data.domain) return data.domain;
  let [from, to] = [low ?? 0, high ?? 1];
  for (const level of data.levels ?? []) {
    from = Math.min(from, level.value);
    to = Math.max(to, level.value);
  }
  if (data.zero) from = Math.min(from, 0);
  const room = Math.max((to - from) * 0.08, Math.abs(to) * 0.002, 1e-6);
  const limits = data.limits ?? [-Infinity, Infinity];
  return [Math.max(data.zero && from === 0 ? 0 : from - room, limits[0]), Math.min(to + room, limits[1])];
}

function levels(chart, data) {
  const { ctx } = chart;
  const { left, width } = chart.bbox;
  const ratio = devicePixelRatio;
  for (const level of data.levels ?? []) {
    const y = Math.round(chart.valToPos(level.value, 'y', true));
    ctx.save();
    ctx.strokeStyle = css('--muted');
    ctx.lineWidth = ratio;
    ctx.setLineDash([5 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    caption(ctx, level.name, left + 6 * ratio, y - 5 * ratio, css('--muted'), 'left');
    ctx.restore();
  }
}

function caption(ctx, text, x, y, stroke, align) {
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = align;
  ctx.textBaseline = 'alphabetic';
  ctx.lineJoin = 'round';
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeStyle = css('--panel');
  ctx.setLineDash([]);
  ctx.strokeText(text, x, y);
  ctx.fillStyle = stroke;
  ctx.fillText(text, x, y);
}

/** A thin line for each mark, and its words above as long as there is room for them: versions above the rest. */
function marks(chart, data) {
  const { ctx } = chart;
  const ratio = devicePixelRatio;
  const { left, top, width, height } = chart.bbox;
  const taken = { version: -Infinity, other: -Infinity };
  for (const mark of [...(data.marks ?? [])].sort((a, b) => a.at - b.at)) {
    const x = Math.round(chart.valToPos(mark.at, 'x', true));
    if (x < left - 1 || x > left + width + 1) continue;
    const row = mark.kind === 'version' ? 'version' : 'other';
    const free = taken[row];
    const y = top - (row === 'version' ? 24 : 10) * ratio;
    const stroke = css(mark.kind === 'firing' ? '--bad' : mark.kind === 'version' ? '--accent' : '--muted');
    ctx.save();
    ctx.strokeStyle = stroke;
    ctx.globalAlpha = 0.75;
    ctx.lineWidth = ratio;
    ctx.beginPath();
    ctx.moveTo(x, y + 4 * ratio);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    const full = `${mark.glyph} ${mark.text}`;
    const fits = (text) => x - 4 * ratio >= free && x + ctx.measureText(text).width <= left + width + 8 * ratio;
    const before = x - ctx.measureText(full).width + 4 * ratio;
    if (fits(full)) {
      caption(ctx, full, x - 4 * ratio, y, stroke, 'left');
      taken[row] = x + ctx.measureText(full).width + 6 * ratio;
    } else if (before >= Math.max(free, left) && x + ctx.measureText(full).width > left + width) {
      caption(ctx, full, x + 4 * ratio, y, stroke, 'right');
      taken[row] = x + 10 * ratio;
    } else if (x - 5 * ratio >= free) {
      caption(ctx, mark.glyph, x, y, stroke, 'center');
      taken[row] = x + 8 * ratio;
    }
    ctx.restore();
  }
}

/** What the cursor stands on, in words; without a cursor the newest numbers. */
function tell(state) {
  const { data, readout, chart } = state;
  if (!chart) return;
  let index = chart.cursor.idx;
  if (index === null || index === undefined) index = data.ends.length - 1;
  if (index < 0) { readout.textContent = ''; return; }
  const end = data.ends[index];
  const parts = data.lines.map((line) => {
    const value = line.values[index];
    if (value === null || value === undefined) return null;
    const bounds = line.lower && line.lower[index] !== null && line.lower[index] !== undefined
      ? ` [${data.format(line.lower[index])}, ${data.format(line.upper[index])}]` : '';
    return `${line.name} ${data.format(value)}${bounds}`;
  }).filter((part) => part !== null);
  readout.textContent = `${clock(end, data.now, true)}  ·  ${parts.length ? parts.join('  ·  ') : 'no number'}`;
  readout.title = absolute(end);
}

function select(chart, state) {
  const { left, width } = chart.select;
  if (width < 8 || !state.data.onrange) return;
  const range = [chart.posToVal(left, 'x'), chart.posToVal(left + width, 'x')].map(Math.round);
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  state.data.onrange(range);
}

function draw(state) {
  state.chart?.destroy();
  state.chart = new window.uPlot(options(state), columns(state.data), state.place);
  state.shape = shape(state.data);
  state.numbers = numbers(state.data);
  tell(state);
}

function press(event, state) {
  const { chart, data } = state;
  const last = data.ends.length - 1;
  const at = chart.cursor.idx ?? last;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  const index = Math.min(Math.max(to, 0), last);
  chart.setCursor({ left: chart.valToPos(data.ends[index], 'x'), top: 0 });
}

export const timeChart = {
  mount(element, given) {
    const data = withGaps(given);
    element.classList.add('chart');
    const readout = document.createElement('p');
    readout.className = 'readout';
    readout.setAttribute('aria-live', 'off');
    const place = document.createElement('div');
    place.className = 'plot';
    place.tabIndex = 0;
    place.setAttribute('role', 'img');
    element.append(readout, place);
    const state = { element, readout, place, data };
    place.setAttribute('aria-label', label(data));
    draw(state);
    state.onkey = (event) => press(event, state);
    place.addEventListener('keydown', state.onkey);
    place.addEventListener('focus', () => readout.setAttribute('aria-live', 'polite'));
    place.addEventListener('blur', () => readout.setAttribute('aria-live', 'off'));
    state.ontheme = () => draw(state);
    window.addEventListener('themechange', state.ontheme);
    state.resize = new ResizeObserver(() => {
      const width = Math.max(place.clientWidth, 120);
      if (width !== state.chart.width) state.chart.setSize({ width, height: state.data.height });
    });
    state.resize.observe(place);
    return state;
  },
  update(state, given) {
    const data = withGaps(given);
    state.data = data;
    state.place.setAttribute('aria-label', label(data));
    if (shape(data) !== state.shape) draw(state);
    else if (numbers(data) !== state.numbers) {
      state.numbers = numbers(data);
      state.chart.setData(columns(data));
      tell(state);
    }
  },
  destroy(state) {
    if (!state) return;
    window.removeEventListener('themechange', state.ontheme);
    state.resize.disconnect();
    state.chart.destroy();
  },
};

const label = (data) => `${data.label}. The arrow keys move along the windows; a table with the numbers follows.`;
