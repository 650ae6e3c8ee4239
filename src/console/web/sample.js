// One sample: what every layer makes of a row, and what the network answers.

import { at, get, post } from './api.js';
import { button, card, h, labelled, select, table } from './dom.js';
import { count, number, percent, plural } from './format.js';
import { attempt, debounced, notice } from './life.js';
import { paint, whenColoursChange } from './palette.js';
import { Pencil } from './pencil.js';

const PAUSE_MILLISECONDS = 120;
const MOST_MAPS = 64;
const MOST_VALUES = 512;

export async function showSample({ page, signal }, name) {
  const run = await get(at`/runs/${name}`, signal);
  const box = notice('sample-problem');
  const part = select({ id: 'sample-part', onchange: () => choose() }, ['test', 'validation', ['train', 'training']], 'test');
  const index = h('input', { type: 'number', min: '0', step: '1', value: '0', id: 'sample-index', oninput: () => choose() });
  const about = h('div', { id: 'sample', 'aria-live': 'polite' });
  const answer = h('div', { id: 'answer', 'aria-live': 'polite' });
  const layers = h('div', { id: 'responses' });
  let shown = null;

  const choose = debounced(PAUSE_MILLISECONDS, signal, async (own) => {
    const place = Number(index.value);
    if (!Number.isInteger(place) || place < 0) return;
    const sample = await attempt(box, () => get(at`/runs/${name}/samples/${place}` + `?part=${part.value}`, own));
    if (!sample) return;
    drawSample(sample);
    await respond(sample.values, sample.label, own);
  });

  const ask = debounced(PAUSE_MILLISECONDS, signal, (values, own) => respond(values, null, own));

  async function respond(values, label, own) {
    const found = await attempt(box, () => post(at`/runs/${name}/responses`, { values }, { signal: own }));
    if (!found) return;
    shown = { found, label };
    draw();
  }

  function draw() {
    if (!shown) return;
    const { found, label } = shown;
    answer.replaceChildren(...drawAnswer(found.answer, label));
    layers.replaceChildren(...found.layers.map(drawLayer));
  }

  function drawSample({ values, image, label, index: place }) {
    const words = label === null ? `Row ${place}` : `Row ${place}, which is ${label}`;
    if (!image) {
      about.replaceChildren(h('p', {}, words), table('Values', ['Input', 'Value'], values.slice(0, MOST_VALUES).map((value, at_) => [String(at_), number(value)])));
      return;
    }
    const canvas = paint(h('canvas', { role: 'img', 'aria-label': `${words}: a picture of ${image[0]} by ${image[1]} pixels` }), values, image, { channels: image[2], most: 1 });
    about.replaceChildren(h('figure', {}, canvas, h('figcaption', {}, words)));
  }

  function step(by) {
    index.value = String(Math.max(0, Number(index.value) + by));
    choose();
  }

  const drawing = run.image && run.image[2] === 1 ? drawingPart(run.image, ask) : null;
  page.append(
    h('p', { class: 'trail' }, h('a', { href: at`#/run/${name}` }, name)),
    h('h1', { 'data-title': `One sample of ${name}` }, 'One sample'),
    box,
    h('div', { class: 'columns' },
      card('A row of the data', {},
        h('div', { class: 'row' }, labelled('Rows', part), labelled('Index', index),
          button('Previous', { id: 'sample-previous', onclick: () => step(-1) }), button('Next', { id: 'sample-next', onclick: () => step(1) })),
        about),
      drawing,
      card('Answer', {}, answer)),
    card('Responses of the layers', {}, layers));
  whenColoursChange(signal, draw);
  choose();
}

function drawingPart([height, width], ask) {
  const pencil = new Pencil(height, width, ask);
  const clear = button('Clear', { id: 'drawing-clear', onclick: () => pencil.clear() });
  return card('Or draw one', {},
    h('figure', {}, pencil.element),
    h('p', { class: 'hint', id: 'drawing-keys' }, 'Draw with a pointer. By keyboard: arrow keys move the pen, space dots, shift and an arrow key draw.'),
    clear);
}

function drawAnswer(answer, label) {
  if (!('class' in answer)) return [h('p', { class: 'answer' }, number(answer.prediction))];
  const right = label === null ? null : h('p', {}, label === answer.class ? 'That is right.' : `The row is labelled ${label}.`);
  const order = Object.entries(answer.probabilities ?? {}).sort((one, other) => other[1] - one[1]).slice(0, 10);
  return [
    h('p', { class: 'answer', 'data-testid': 'class' }, answer.class), right,
    h('div', { class: 'bars' }, order.map(([name, share]) => [
      h('span', {}, name), h('meter', { min: '0', max: '1', value: share, 'aria-label': `${name}: ${percent(share)}` }), h('span', {}, percent(share)),
    ])),
  ].filter(Boolean);
}

// A dense layer is a strip with a square a neuron, a layer of filters a map a filter.
function drawLayer({ name, shape, activations }) {
  const most = activations.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const extent = `${plural(shape[0], shape.length === 3 ? 'map' : 'neuron')}, largest ${number(most)}`;
  return h('div', {}, h('h3', {}, name), h('p', { class: 'hint' }, extent),
    shape.length === 3 ? drawMaps(name, shape, activations, most) : drawStrip(name, activations, most));
}

function drawStrip(name, activations, most) {
  const label = `Responses of ${count(activations.length)} neurons of ${name}; the largest are listed below`;
  const strongest = activations.map((value, index) => [index, value]).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, MOST_VALUES);
  return [
    paint(h('canvas', { class: 'strip', role: 'img', 'aria-label': label }), activations, [1, activations.length], { signed: true, most }),
    h('details', {}, h('summary', {}, 'The same as a table'), table(`Responses of ${name}`, ['Neuron', 'Response'], strongest.map(([index, value]) => [String(index), number(value)]))),
  ];
}

function drawMaps(name, [filters, height, width], activations, most) {
  const maps = Array.from({ length: Math.min(filters, MOST_MAPS) }, (_, filter) => {
    const own = activations.slice(filter * height * width, (filter + 1) * height * width);
    const peak = own.reduce((largest, value) => Math.max(largest, value), -Infinity);
    const canvas = h('canvas', { role: 'img', 'aria-label': `Map of ${name} ${filter}, largest response ${number(peak)}` });
    return h('li', {}, paint(canvas, own, [height, width], { signed: true, most }));
  });
  return h('ul', { class: 'maps' }, maps);
}
