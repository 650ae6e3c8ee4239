// One neuron: its weights as a picture, and what it did with the last batch.

import { address, at, get, post } from './api.js';
import { button, card, h, tile } from './dom.js';
import { count, number, percent } from './format.js';
import { acting, every, notice } from './life.js';
import { bar, paint, whenColoursChange } from './palette.js';

const LIVE_MILLISECONDS = 1000;
const IDLE_MILLISECONDS = 5000;
const TONES = { running: 'good', dead: 'bad', restarting: 'bad', unreachable: 'bad' };

export async function showNeuron({ page, signal }, name, layerName, index) {
  const run = await get(at`/runs/${name}`, signal);
  const layer = run.layers.find((found) => found.name === layerName);
  const path = at`/runs/${name}/layers/${layerName}/neurons/${index}`;
  let neuron = await get(path, signal);
  const number_ = Number(index);
  const box = notice('neuron-problem');
  const mood = h('span', { id: 'neuron-state' });
  const tiles = h('dl', { class: 'tiles' });
  const weights = h('dl', { class: 'facts' });
  const batch = h('dl', { class: 'facts', id: 'last-batch' });
  const freshness = h('p', { class: 'hint' });
  const canvas = h('canvas', { role: 'img', 'aria-label': 'Weights', id: 'weights' });
  const ends = h('div', { class: 'scale' });
  const caption = h('figcaption', {});
  let values = [];

  const beside = (by, words, id) => {
    const other = number_ + by;
    return other >= 0 && other < layer.neurons && h('a', { class: 'button', id, href: at`#/run/${name}/${layerName}/${other}` }, words);
  };
  const kill = acting(button('Kill this neuron', { class: 'danger', id: 'kill' }), box, () => post(at`/runs/${name}/actors/${neuron.actor}/kill`, {}, { signal }));
  kill.hidden = run.target === 'local';
  kill.title = `Kills the container of ${neuron.actor}, which hosts it.`;

  page.append(
    h('p', { class: 'trail' }, h('a', { href: at`#/run/${name}` }, name), ` / ${layerName}`),
    h('div', { class: 'heading' },
      h('h1', { 'data-title': `${layerName} ${index} of ${name}` }, `${layerName}.${index} `, mood),
      h('div', { class: 'row' }, beside(-1, 'Previous', 'previous-neuron'), beside(1, 'Next', 'next-neuron'), kill)),
    h('p', {}, `Neuron ${index} of the ${count(layer.neurons)} of layer ${layerName}, hosted by ${neuron.actor}`),
    h('ol', { class: 'chain', 'aria-label': 'Layers' }, run.layers.map((found) => h('li', found === layer ? { class: 'here', 'aria-current': 'true' } : {},
      h('b', {}, found.name), ` ${count(found.neurons)} ${found.activation ?? found.type}`))),
    box, tiles,
    card('Weights', {}, h('div', { class: 'split' },
      h('figure', {}, canvas, ends, caption),
      h('div', {}, freshness, weights, h('h3', {}, 'Last batch'), batch,
        h('p', {}, link(path, 'json', 'JSON'), ' · ', link(path, 'npy', 'NumPy'), ' · ', link(path, 'png', 'PNG'), ' of the weights')))));

  function draw() {
    mood.replaceChildren(h('span', { class: `status ${TONES[neuron.state] ?? 'calm'}`, 'data-testid': 'state' }, neuron.state));
    tiles.replaceChildren(
      tile('tick', count(neuron.tick), 'last one applied'),
      tile('inputs', count(neuron.fan_in)),
      tile('activation', neuron.activation, layer.type));
    weights.replaceChildren(
      fact('bias', number(neuron.bias)), fact('weight norm', number(neuron.weight_norm)),
      fact('weights', `${number(neuron.weight_min)} to ${number(neuron.weight_max)}`));
    freshness.textContent = neuron.live ? 'Live, from the neuron itself.' : 'Of the last commit.';
    const last = neuron.last_batch;
    batch.replaceChildren(...(last ? figures(last) : [none(neuron)]));
  }

  function drawWeights() {
    const most = Math.max(Math.abs(neuron.weight_min), Math.abs(neuron.weight_max));
    const shape = shapeOf(neuron.picture, values.length);
    paint(canvas, values, shape, { signed: true, most });
    canvas.setAttribute('aria-label', `${count(values.length)} weights from ${number(neuron.weight_min)} to ${number(neuron.weight_max)}, blue below zero and orange above`);
    ends.replaceChildren(number(-most), bar(true), number(most));
    caption.textContent = `${shape[0]} × ${shape[1]} weights, one square each`;
  }

  const wait = neuron.live ? LIVE_MILLISECONDS : IDLE_MILLISECONDS;
  every(wait, signal, async () => {
    const [next, found] = await Promise.all([get(path, signal), get(`${path}/weights?format=json`, signal)]);
    neuron = next;
    values = found.weights;
    draw();
    drawWeights();
  });
  whenColoursChange(signal, drawWeights);
  draw();
}

// Figures of a batch are those of a neuron that is alive; a commit has none.
function none({ live }) {
  return h('div', { class: 'long' }, h('dt', {}, 'no batch'),
    h('dd', {}, live ? 'it has computed none since it was started' : 'a commit keeps weights only'));
}

function figures({ activation, logit, delta }) {
  const shown = activation ?? logit;
  const what = activation ? 'activations' : 'logits';
  return [
    shown && fact(what, `${number(shown.min)} to ${number(shown.max)}`),
    shown && fact('mean', number(shown.mean)),
    shown && Number.isFinite(shown.zeros_ratio) && fact('exactly 0', percent(shown.zeros_ratio)),
    delta && fact('gradient norm', number(delta.norm)),
    delta && fact('gradient mean', number(delta.mean)),
  ].filter(Boolean);
}

// The picture of a neuron behind maps has several maps; they are put below each other.
function shapeOf([height, width], length) {
  return height * width >= length && height > 0 ? [height, width] : [Math.ceil(length / width), width];
}

function fact(name, value) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, value));
}

function link(path, format, words) {
  return h('a', { href: address(`${path}/weights?format=${format}`), download: true, id: `weights-${format}` }, words);
}
