// Which classes were taken for which.

import { h, scrolling } from './dom.js';
import { count } from './format.js';

const SHADES = 4;

// Rows are the right classes, columns the answers. A cell is shaded by its share of its row.
export function confusionTable(matrix, names) {
  return scrolling('Confusion of the classes', h('table', { class: 'confusion', id: 'confusion' },
    h('caption', { class: 'unseen' }, 'Confusion: down the right class, across the answer'),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'right \\ answer'), names.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, matrix.map((row, right) => {
      const total = row.reduce((sum, value) => sum + value, 0);
      return h('tr', {}, h('th', { scope: 'row' }, names[right]),
        row.map((value, answer) => h('td', { class: shade(value, total, right === answer) }, value === 0 ? '·' : count(value))));
    }))));
}

function shade(value, total, right) {
  if (value === 0) return 'zero';
  return `${right ? 'right' : 'wrong'}-${Math.max(1, Math.ceil((value / total) * SHADES))}`;
}
