// What a topology expands to, on which target, and the button that trains it.

import { at, post } from './api.js';
import { button, card, checkbox, h, labelled, select, table, tile } from './dom.js';
import { bytes, count } from './format.js';
import { acting, notice } from './life.js';

export class PlanPanel {
  #key = null;

  constructor(targets, signal) {
    this.signal = signal;
    const choices = targets.map(({ target, available }) => [target, available ? target : `${target} (not available)`]);
    this.targets = targets;
    this.target = select({ id: 'target' }, choices, 'local');
    this.grouping = h('input', { type: 'number', min: '1', id: 'neurons-per-unit', placeholder: 'as the file says' });
    this.why = h('p', { class: 'hint', id: 'target-problem', 'aria-live': 'polite' });
    this.box = notice('plan-problem');
    this.content = h('div', { id: 'plan' });
    this.overwrite = checkbox('Replace the run that has this name', { id: 'overwrite' });
    this.overwrite.hidden = true;
    this.reason = h('p', { class: 'hint', id: 'train-reason', 'aria-live': 'polite' });
    this.train = button('Train', { class: 'primary', id: 'train', disabled: true, 'aria-describedby': 'train-reason' });
    this.element = card('Plan', {},
      h('div', { class: 'row' }, labelled('Target', this.target), labelled('Neurons per unit', this.grouping)),
      this.why, this.box, this.content, this.overwrite,
      h('div', { class: 'row middle' }, this.train, this.reason));
  }

  // `text` gives the file, `redraw` asks for a new plan.
  bind({ text, redraw }) {
    const changed = () => {
      const chosen = this.targets.find(({ target }) => target === this.target.value);
      this.why.textContent = chosen?.problem ?? '';
      this.stale();
      redraw();
    };
    this.target.addEventListener('change', changed);
    this.grouping.addEventListener('input', changed);
    this.overwrite.querySelector('input').addEventListener('change', () => this.#decide());
    acting(this.train, this.box, () => this.#start(text()));
  }

  #order(topology) {
    const neurons = Number(this.grouping.value);
    return { topology, target: this.target.value, neurons_per_unit: neurons > 0 ? neurons : null };
  }

  // A plan of what the file no longer says must not be trained.
  stale() {
    this.train.disabled = true;
    this.reason.textContent = '';
    this.#key = null;
  }

  unavailable(reason) {
    this.stale();
    this.obstacle = null;
    this.content.replaceChildren();
    this.overwrite.hidden = true;
    this.reason.textContent = reason;
  }

  // Returns the problems that only the data shows.
  async draw(topology, signal) {
    this.box.replaceChildren();
    let found;
    try {
      found = await post('/topologies/plan', this.#order(topology), { signal });
    } catch (error) {
      if (error.name !== 'Problem') throw error;
      this.unavailable('The plan follows as soon as the problem is solved.');
      if (error.problems.length === 0) this.box.replaceChildren(error.message);
      return error.problems;
    }
    this.#show(found);
    return [];
  }

  #show({ plan, text, changes, obstacle }) {
    this.obstacle = obstacle;
    this.content.replaceChildren(
      h('dl', { class: 'tiles' },
        tile('parameters', count(plan.totals.parameters)),
        tile('actors', count(sum(plan.actors))),
        plan.broker ? tile('queues', count(plan.broker.queues.count)) : '',
        tile('deliveries a tick', count(plan.per_tick.deliveries)),
        tile('memory', bytes(sum(plan.memory)))),
      h('details', { open: true }, h('summary', {}, 'Layers'),
        table('Layers', ['Layer', 'Neurons', 'Inputs of each', 'Parameters', 'Units'],
          plan.layers.map((layer) => [layer.name, count(layer.neurons), count(layer.fan_in), count(layer.parameters), count(layer.units)]))),
      h('details', {}, h('summary', {}, 'As the command line says it'), h('pre', { class: 'output', tabindex: '0' }, text)),
      changes?.length ? h('div', {}, h('h3', {}, 'Changes'), h('ul', {}, changes.map((change) => h('li', {}, change)))) : '');
    this.overwrite.hidden = !obstacle;
    if (!obstacle) this.overwrite.querySelector('input').checked = false;
    this.#decide();
  }

  #decide() {
    const chosen = this.targets.find(({ target }) => target === this.target.value);
    const kept = this.obstacle && !this.overwrite.querySelector('input').checked;
    this.train.disabled = Boolean(kept) || !chosen?.available;
    this.reason.textContent = kept ? this.obstacle : chosen?.available ? '' : `Nothing can be trained on ${this.target.value} from here.`;
  }

  // The same press that is sent twice, because the answer was lost, makes one run.
  async #start(topology) {
    this.#key ??= unguessable();
    const run = await post('/runs', { ...this.#order(topology), overwrite: this.overwrite.querySelector('input').checked }, {
      signal: this.signal,
      headers: { 'Idempotency-Key': this.#key },
    });
    location.hash = at`#/run/${run.name}`;
  }
}

function sum(numbers) {
  return Object.values(numbers).reduce((all, number) => all + number, 0);
}

function unguessable() {
  const words = crypto.getRandomValues(new Uint32Array(4));
  return [...words].map((word) => word.toString(16).padStart(8, '0')).join('');
}
