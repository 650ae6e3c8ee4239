// Loss and accuracy over epochs, with the rewinds on their axis.

import { card, checkbox, h, s, table } from './dom.js';
import { count, number, percent } from './format.js';

const HEIGHT = 240;
const LEFT = 58;
const RIGHT = 10;
const TOP = 16;
const BOTTOM = 26;
const TICKS = 4;
const MARK_WIDTH = 80;

export class Curves {
  #drawn = '';

  constructor(signal) {
    this.logarithmic = checkbox('Logarithmic loss', { id: 'log-loss', onchange: () => this.draw(this.history, this.rewinds) });
    this.charts = h('div', { class: 'columns', id: 'curves' });
    this.rows = h('details', { ontoggle: () => this.#drawTable() }, h('summary', {}, 'The same as a table'));
    this.element = card('Curves', {},
      h('div', { class: 'row middle' }, h('div', { class: 'legend' }, h('span', {}, 'training'), h('span', { class: 'of-validation' }, 'validation'),
        h('span', { class: 'of-rewind' }, 'rewind')), this.logarithmic),
      this.charts, this.rows);
    const sizes = new ResizeObserver(() => this.draw(this.history, this.rewinds));
    sizes.observe(this.charts);
    signal.addEventListener('abort', () => sizes.disconnect());
  }

  // A chart is drawn as wide as its place, so that its text has the size of other text.
  #width() {
    const place = this.charts.firstElementChild ?? this.charts;
    return Math.max(240, Math.floor(place.clientWidth));
  }

  // `rewinds` are epochs, with fractions.
  draw(history, rewinds) {
    Object.assign(this, { history, rewinds });
    if (!history) return;
    const width = this.#width();
    const logarithmic = this.logarithmic.querySelector('input').checked;
    const key = JSON.stringify([history.length, history[0], history.at(-1), rewinds, logarithmic, width]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    const charts = [chart('Loss', history, 'loss', 'validation_loss', rewinds, { width, write: number, logarithmic })];
    if (history.some((row) => row.accuracy !== null && row.accuracy !== undefined)) {
      charts.push(chart('Accuracy', history, 'accuracy', 'validation_accuracy', rewinds, { width, write: percent, most: 1 }));
    }
    this.charts.replaceChildren(...charts);
    this.#drawTable();
  }

  #drawTable() {
    if (!this.rows.open || !this.history) return;
    const rows = this.history.map((row) => [
      count(row.epoch), number(row.loss), percent(row.accuracy), number(row.validation_loss), percent(row.validation_accuracy), number(row.learning_rate),
    ]);
    this.rows.replaceChildren(this.rows.firstElementChild, table('Every epoch',
      ['Epoch', 'Loss', 'Accuracy', 'Validation loss', 'Validation accuracy', 'Learning rate'], rows));
  }
}

function chart(title, history, train, validation, rewinds, { width, write, most, logarithmic = false }) {
  const values = history.flatMap((row) => [row[train], row[validation]]).filter((value) => Number.isFinite(value) && (!logarithmic || value > 0));
  if (values.length === 0) return h('figure', {}, h('p', { class: 'hint' }, `${title}: no epoch has ended yet.`));
  const project = logarithmic ? Math.log10 : (value) => value;
  // Not as arguments of one call, of which there may be too many.
  const low = values.reduce((least, value) => Math.min(least, value), logarithmic ? Infinity : 0);
  const high = values.reduce((largest, value) => Math.max(largest, value), most ?? 0);
  const [bottom, top] = high > low ? [project(low), project(high)] : [project(low) - 1, project(low) + 1];
  const last = Math.max(history.at(-1).epoch, 1);
  const first = Math.min(history[0].epoch, last - 1);
  const x = (epoch) => LEFT + ((epoch - first) / (last - first)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (project(value) - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM);
  const line = (key, style) => {
    const known = history.filter((row) => Number.isFinite(row[key]) && (!logarithmic || row[key] > 0));
    const points = thinned(known, width).map((row) => `${x(row.epoch).toFixed(1)},${y(row[key]).toFixed(1)}`);
    if (known.length === 1) return s('circle', { class: `dot ${style}`, cx: x(known[0].epoch), cy: y(known[0][key]), r: 3 });
    return s('polyline', { class: style, points: points.join(' '), 'data-points': known.length });
  };
  const label = `${title} after epoch ${last}: training ${write(history.at(-1)[train])}, validation ${write(history.at(-1)[validation])}`
    + (rewinds.length ? `; ${rewinds.length} rewinds` : '');
  return h('figure', { 'data-testid': `chart-${train}` },
    s('svg', { class: 'chart', viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': label },
      levels(bottom, top, logarithmic).map((level) => [
        s('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(level), y2: y(level) }),
        s('text', { x: LEFT - 6, y: y(level) + 4, 'text-anchor': 'end' }, most === 1 ? `${Math.round(level * 100)} %` : short(level)),
      ]),
      epochMarks(first, last, width).map((epoch) => s('text', { x: x(epoch), y: HEIGHT - 8, 'text-anchor': 'middle' }, count(epoch))),
      rewinds.filter((epoch) => epoch >= first && epoch <= last).map((epoch) => [
        s('line', { class: 'rewind', x1: x(epoch), x2: x(epoch), y1: TOP, y2: HEIGHT - BOTTOM }),
        s('path', { class: 'rewind-mark', d: `M${x(epoch) - 5} ${TOP - 9}h10l-5 8z` }),
      ]),
      line(train, 'train'), line(validation, 'validation')),
    h('figcaption', {}, `${title} by epoch`));
}

// No more rows than a chart has pixels, the last one among them.
function thinned(rows, width) {
  const step = Math.ceil(rows.length / width);
  return step <= 1 ? rows : rows.filter((_, index) => (rows.length - 1 - index) % step === 0);
}

function levels(bottom, top, logarithmic) {
  const found = Array.from({ length: TICKS + 1 }, (_, step) => bottom + ((top - bottom) * step) / TICKS);
  return logarithmic ? found.map((level) => 10 ** level) : found;
}

function epochMarks(first, last, width) {
  const step = Math.max(1, Math.ceil(((last - first) * MARK_WIDTH) / width));
  const marks = [];
  for (let epoch = Math.ceil(first); epoch <= last; epoch += step) marks.push(epoch);
  return marks;
}

function short(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 0.01 || size >= 1e5 ? value.toExponential(1).replace('e+', 'e') : String(Number(value.toPrecision(3)));
}

// The last measurements of a speed, without axes.
export function spark(values, label) {
  const most = Math.max(...values, 1);
  const points = values.map((value, index) => `${(index / Math.max(values.length - 1, 1)) * 200},${38 - (value / most) * 36}`);
  return s('svg', { class: 'spark', viewBox: '0 0 200 40', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    s('polyline', { points: points.join(' ') }));
}
