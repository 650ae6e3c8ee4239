// The network of a run as a picture: a cell a neuron, and the same as a table.

import { at, get } from './api.js';
import { button, card, checkbox, h, labelled, select, table } from './dom.js';
import { drawNetwork, drawState, edgesFrom } from './cells.js';
import { FIGURES, OTHER_STATES, joined, measured } from './figures.js';
import { count, number, percent, plural } from './format.js';
import { announcer } from './life.js';
import { arrange, hit } from './layout.js';
import { bar, sequential, whenColoursChange } from './palette.js';

const TABLE_ROWS = 100;
const TABLE_MILLISECONDS = 2000;

export class NetworkPanel {
  #data = null;
  #actors = [];
  #chosen = null;
  #edges = null;
  #waiting = false;
  #tableShown = 0;

  // `kill` is called with the name of an actor; null where units cannot be killed.
  constructor(run, signal, kill) {
    Object.assign(this, { run, signal, kill });
    this.figure = select({ id: 'figure', onchange: () => this.#changed() }, FIGURES.map(({ key, text }) => [key, text]), 'weight_norm');
    this.weights = checkbox('Weights of the chosen neuron', { id: 'edges', onchange: () => this.#fetchEdges() });
    this.canvas = h('canvas', { role: 'img', tabindex: '0', id: 'network', 'aria-label': 'The network', 'aria-describedby': 'network-keys' });
    this.context = this.canvas.getContext('2d');
    this.scale = h('div', { class: 'scale' });
    this.about = h('div', { class: 'chosen', id: 'chosen' }, h('p', { class: 'hint' }, 'Choose a neuron in the picture.'));
    this.speech = announcer(400, signal);
    this.figures = h('details', { id: 'neurons-table', ontoggle: () => this.#drawTable(true) }, h('summary', {}, 'The same as a table'));
    this.tableLayer = select({ id: 'table-layer', onchange: () => this.#turn(0) }, []);
    this.tableRows = h('div', {});
    this.first = 0;
    this.element = card('Network', { id: 'network-part' },
      h('div', { class: 'row' }, labelled('Colour by', this.figure), this.weights),
      this.freshness = h('p', { class: 'hint', id: 'freshness' }),
      h('div', { class: 'network' }, this.canvas),
      h('p', { class: 'unseen', id: 'network-keys' }, 'Arrow keys choose a neuron, enter opens its page. All figures are in the table below.'),
      this.scale, this.about, this.speech.region, this.figures);
    this.#listen();
  }

  #listen() {
    const { canvas, signal } = this;
    const sizes = new ResizeObserver(() => this.#arrange());
    sizes.observe(canvas.parentElement);
    signal.addEventListener('abort', () => sizes.disconnect());
    whenColoursChange(signal, () => this.#changed());
    canvas.addEventListener('click', (event) => {
      const found = this.#at(event);
      if (found) this.#choose(found);
    });
    canvas.addEventListener('dblclick', () => this.#open());
    canvas.addEventListener('keydown', (event) => this.#key(event));
    this.figures.append(
      h('div', { class: 'row' }, labelled('Layer', this.tableLayer),
        button('Previous', { id: 'table-previous', onclick: () => this.#turn(this.first - TABLE_ROWS) }),
        button('Next', { id: 'table-next', onclick: () => this.#turn(this.first + TABLE_ROWS) })),
      this.tableRows);
  }

  #at(event) {
    const place = this.canvas.getBoundingClientRect();
    return this.layout ? hit(this.layout, event.clientX - place.left, event.clientY - place.top) : null;
  }

  neurons(data) {
    const shape = data.layers.map((layer) => `${layer.name} ${layer.neurons}`).join();
    this.#data = data;
    if (shape !== this.shape) {
      this.shape = shape;
      this.tableLayer.replaceChildren(...data.layers.map((layer, index) => h('option', { value: index }, layer.name)));
      this.#arrange();
    }
    this.#changed();
  }

  actors(list) {
    this.#actors = list;
    this.#changed();
  }

  #arrange() {
    if (!this.#data) return;
    const width = Math.floor(this.canvas.parentElement.clientWidth);
    if (width === 0) return;
    this.layout = arrange(this.#data.layers.map(({ name, neurons }) => ({ name: `${name} ${count(neurons)}`, neurons })), width);
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.layout.height * ratio);
    this.canvas.style.height = `${this.layout.height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#changed();
  }

  // One drawing a frame at most, and none where nothing has changed.
  #changed() {
    if (this.#waiting || !this.#data || !this.layout) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      if (!this.signal.aborted) this.#draw();
    });
  }

  #draw() {
    const figure = FIGURES.find(({ key }) => key === this.figure.value);
    this.layers = joined(this.#data, this.#actors);
    const found = measured(figure, this.layers);
    drawNetwork(this.context, this.layout, {
      measured: found, figure, layers: this.layers, chosen: this.#chosen, edges: this.#edges,
    });
    this.#drawScale(figure, found);
    this.#drawChosen();
    this.#drawTable(false);
    const neurons = this.layers.reduce((sum, { layer }) => sum + layer.neurons, 0);
    const others = OTHER_STATES.map((state) => [state, this.layers.reduce((sum, { states }) => sum + states.filter((own) => own === state).length, 0)])
      .filter(([, number]) => number > 0).map(([state, number]) => `${count(number)} ${state}`);
    const text = `${plural(neurons, 'neuron')} in ${plural(this.layers.length, 'layer')}, coloured by ${figure.text}${others.length ? `; ${others.join(', ')}` : ''}`;
    if (this.canvas.getAttribute('aria-label') !== text) this.canvas.setAttribute('aria-label', text);
    const others_text = others.length ? `: ${others.join(', ')}` : '';
    this.freshness.textContent = (this.#data.live ? `Live, tick ${count(this.#data.tick)}` : `Of the last commit, tick ${count(this.#data.tick)}`) + others_text;
  }

  #drawScale(figure, { least, most }) {
    const key = [figure.key, least, most, sequential(0)].join();
    if (this.scaleKey === key) return;
    this.scaleKey = key;
    const parts = [];
    if (most !== null) {
      parts.push(figure.write(least), bar(figure.signed), figure.write(most));
    } else if (figure.key !== 'state') {
      parts.push(`${figure.text} is not known now`);
    }
    const marks = OTHER_STATES.map((state) => {
      const mark = h('canvas', { width: 14, height: 14, 'aria-hidden': 'true' });
      drawState(mark.getContext('2d'), state, 0, 0, 14);
      return h('span', { class: 'key' }, mark, state);
    });
    this.scale.replaceChildren(...parts, ...marks);
  }

  #choose(chosen) {
    this.#chosen = chosen;
    this.#edges = null;
    this.aboutKey = null;
    this.#fetchEdges();
    this.#changed();
    const [block, index] = chosen;
    const { layer, states } = this.layers[block];
    this.speech.say(`${layer.name} ${index}, ${states[index]}, weight norm ${number(layer.weight_norm[index])}`);
  }

  #link([block, index]) {
    return at`#/run/${this.run}/${this.#data.layers[block].name}/${index}`;
  }

  #open() {
    if (this.#chosen) location.hash = this.#link(this.#chosen);
  }

  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === 'Enter') return this.#open();
    if (!steps[event.key] || !this.layout || !this.layers) return undefined;
    event.preventDefault();
    return this.#choose(this.#chosen ? this.#next(steps[event.key]) : [0, 0]);
  }

  // One cell on; past the side of a block into the block beside it.
  #next([right, down]) {
    const [block, index] = this.#chosen;
    const { columns, neurons } = this.layout.blocks[block];
    const column = (index % columns) + right;
    const moved = index + right + down * columns;
    const other = this.layout.blocks[block + (right || down)];
    const inside = moved >= 0 && moved < neurons && column >= 0 && column < columns;
    if (inside || !other) return [block, Math.min(Math.max(moved, 0), neurons - 1)];
    return [block + (right || down), Math.min(index, other.neurons - 1)];
  }

  async #fetchEdges() {
    this.#edges = null;
    const asked = this.#chosen;
    const wanted = this.weights.querySelector('input').checked && asked && asked[0] > 0;
    if (wanted) {
      const { name } = this.#data.layers[asked[0]];
      const { weights } = await get(at`/runs/${this.run}/layers/${name}/neurons/${asked[1]}/weights`, this.signal).catch(() => ({ weights: [] }));
      if (asked === this.#chosen && weights.length > 0) this.#edges = edgesFrom(weights, this.#data.layers[asked[0] - 1].neurons);
    }
    this.#changed();
  }

  #drawChosen() {
    if (!this.#chosen) return;
    const [block, index] = this.#chosen;
    const { layer, states, units } = this.layers[block];
    const unit = units[index];
    const facts = [
      `weight norm ${number(layer.weight_norm[index])}`, `bias ${number(layer.bias[index])}`,
      `mean activation ${number(layer.activation_mean[index])}`, `zeros ${percent(layer.zeros_ratio[index])}`,
      `gradient norm ${number(layer.delta_norm[index])}`, `tick ${count(layer.tick[index])}`,
    ].join(', ');
    // The controls stay while figures change, so that they can be pressed.
    const key = [block, index, unit?.name].join();
    if (this.aboutKey !== key) {
      this.aboutKey = key;
      this.aboutText = h('p', {});
      this.about.replaceChildren(
        h('div', { class: 'row middle' },
          h('a', { href: this.#link(this.#chosen), id: 'open-neuron' }, `Open ${layer.name} ${index}`),
          this.kill && unit && button(`Kill its unit ${unit.name}`, { class: 'danger small', id: 'kill-unit', onclick: () => this.kill(unit.name) })),
        this.aboutText);
    }
    this.aboutText.textContent = `${states[index]}: ${facts}`;
  }

  #turn(first) {
    this.first = first;
    this.#drawTable(true);
  }

  #drawTable(now) {
    if (!this.figures.open || !this.layers || (!now && performance.now() - this.#tableShown < TABLE_MILLISECONDS)) return;
    if (!now && this.tableRows.contains(document.activeElement) && document.activeElement.tagName === 'A') return;
    this.#tableShown = performance.now();
    const block = Number(this.tableLayer.value);
    const { layer, states } = this.layers[block];
    this.first = Math.min(Math.max(this.first, 0), Math.floor((layer.neurons - 1) / TABLE_ROWS) * TABLE_ROWS);
    const rows = [];
    for (let index = this.first; index < Math.min(this.first + TABLE_ROWS, layer.neurons); index += 1) {
      rows.push([
        h('a', { href: this.#link([block, index]) }, `${layer.name} ${index}`), states[index], count(layer.tick[index]), number(layer.weight_norm[index]),
        number(layer.bias[index]), number(layer.activation_mean[index]), percent(layer.zeros_ratio[index]), number(layer.delta_norm[index]),
      ]);
    }
    const scrolled = this.tableRows.firstElementChild?.scrollTop ?? 0;
    this.tableRows.replaceChildren(table(`Neurons of ${layer.name}`,
      ['Neuron', 'State', 'Tick', 'Weight norm', 'Bias', 'Mean activation', 'Zeros', 'Gradient norm'], rows));
    this.tableRows.firstElementChild.scrollTop = scrolled;
    document.getElementById('table-previous').disabled = this.first === 0;
    document.getElementById('table-next').disabled = this.first + TABLE_ROWS >= layer.neurons;
  }
}
