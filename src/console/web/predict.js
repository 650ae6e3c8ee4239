// Asks the network about rows that a person writes: in a form by columns, or pasted as JSON or CSV.

import { at, post, postText } from './api.js';
import { button, card, h, labelled, select, table } from './dom.js';
import { number, percent } from './format.js';
import { acting, notice } from './life.js';

const MOST_CATEGORIES = 20;
const MOST_PROBABILITIES = 3;

export function predictPart(run, signal) {
  const box = notice('predict-problem');
  const form = h('form', { id: 'predict-form', hidden: true });
  const pasted = h('textarea', { id: 'predict-rows', rows: '5', spellcheck: 'false' });
  const result = h('div', { id: 'predictions', 'aria-live': 'polite' });
  const ask = acting(button('Predict', { id: 'predict' }), box, async () => show(await answer(run.name, pasted.value, signal), result));

  if (run.columns) drawForm(run.columns);

  function drawForm(columns) {
    const inputs = columns.map((column) => [column.name, input(column)]);
    const send = acting(button('Predict this row', { id: 'predict-row' }), box, async () => {
      const row = Object.fromEntries(inputs.map(([name, control]) => [name, control.value]));
      show(await post(at`/runs/${run.name}/predict`, { rows: [row] }, { signal }), result);
    });
    form.append(h('div', { class: 'fields' }, inputs.map(([name, control]) => labelled(name, control))), h('p', {}, send));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      send.click();
    });
    form.hidden = false;
  }

  return card('Predict', {}, form,
    labelled('Rows as JSON or CSV', pasted, 'JSON: [[0.1, 2], …] or [{"column": "value"}, …]. CSV: with a header line.'),
    h('p', {}, ask), box, result);
}

function input(column) {
  const id = `predict-${column.name}`;
  const categories = column.categories ?? [];
  if (categories.length > 0 && categories.length <= MOST_CATEGORIES) return select({ id }, categories, categories[0]);
  return h('input', { id, type: 'text', autocomplete: 'off', placeholder: Number.isFinite(column.mean) ? String(Number(column.mean.toPrecision(4))) : null });
}

function answer(name, written, signal) {
  const content = written.trim();
  if (content === '') throw new Error('Write a row first.');
  const path = at`/runs/${name}/predict`;
  if (!/^[[{]/.test(content)) return postText(path, 'text/csv', `${content}\n`, signal);
  const value = JSON.parse(content);
  if (value.rows) return post(path, value, { signal });
  // One row may stand for itself.
  const rows = Array.isArray(value) && typeof value[0] === 'object' ? value : [value];
  return post(path, { rows }, { signal });
}

function show({ predictions }, place) {
  const classes = predictions.some((prediction) => 'class' in prediction);
  const rows = predictions.map((prediction) => (classes
    ? [String(prediction.row), prediction.class, likeliest(prediction.probabilities)]
    : [String(prediction.row), number(prediction.prediction)]));
  place.replaceChildren(table('Predictions', classes ? ['Row', 'Class', 'Probabilities'] : ['Row', 'Prediction'], rows, { class: 'texts' }));
}

function likeliest(probabilities) {
  const order = Object.entries(probabilities ?? {}).sort((one, other) => other[1] - one[1]);
  return order.slice(0, MOST_PROBABILITIES).map(([name, share]) => `${name} ${percent(share)}`).join(', ');
}
