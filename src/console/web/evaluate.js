// Asks the network about a whole part of the data.

import { at, post } from './api.js';
import { button, card, h, labelled, select } from './dom.js';
import { confusionTable } from './confusion.js';
import { number, percent } from './format.js';
import { acting, notice } from './life.js';

const KNOWN = ['part', 'loss', 'accuracy', 'confusion'];

export function evaluatePart(run, signal) {
  const box = notice('evaluate-problem');
  const part = select({ id: 'evaluate-part' }, ['test', 'validation', ['train', 'training']], 'test');
  const result = h('div', { id: 'evaluation', 'aria-live': 'polite' });
  const ask = acting(button('Evaluate', { id: 'evaluate' }), box, async () => {
    const found = await post(at`/runs/${run.name}/evaluate`, { part: part.value }, { signal });
    const others = Object.entries(found).filter(([key, value]) => !KNOWN.includes(key) && typeof value === 'number');
    result.replaceChildren(
      h('dl', { class: 'facts' },
        fact('loss', number(found.loss)),
        Number.isFinite(found.accuracy) && fact('accuracy', percent(found.accuracy)),
        others.map(([key, value]) => fact(key.replaceAll('_', ' '), number(value)))),
      found.confusion && run.task.names ? confusionTable(found.confusion, run.task.names) : '');
  });
  return card('Evaluate', {}, h('div', { class: 'row' }, labelled('Rows', part), ask), box, result);
}

function fact(name, value) {
  return h('div', {}, h('dt', {}, name), h('dd', {}, value));
}
