// The table of a data set: its columns, what becomes of each, and how it is written.

import { get, at } from './api.js';
import { h, labelled, scrolling, select, table } from './dom.js';
import { count, plain, plural } from './format.js';

const SAMPLE_ROWS = 8;

// What of the form goes into the query of a preview and into `data` of the file.
export function previewPath(name, options) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(options)) {
    if (value !== '' && value.length > 0) query.set(key, Array.isArray(value) ? value.join(',') : value);
  }
  const text = query.toString();
  return at`/datasets/${name}/preview` + (text ? `?${text}` : '');
}

export function preview(name, options, signal) {
  return get(previewPath(name, options), signal);
}

// Controls for how a table is written. `changed` is called with the options.
export function tableOptions(schema, columns, options, changed) {
  const csv = schema.objects(schema.root.properties.data).find((object) => object.properties.source.const === 'csv');
  const words = (key) => (schema.words(csv.properties[key]) ?? []).map(({ word, means }) => [word, means ? `${word}   ${means}` : word]);
  const choice = (key, text, choices, none) => labelled(text, select({
    id: `table-${key}`, onchange: (event) => changed({ ...options(), [key]: event.target.value }),
  }, [['', none], ...choices], options()[key]));
  const target = labelled('Column to predict', select({
    id: 'table-target', onchange: (event) => changed({ ...options(), target: event.target.value }),
  }, [['', 'Choose a column'], ...columns.map((column) => column.name)], options().target));
  const dates = h('input', {
    id: 'table-dates', type: 'text', autocomplete: 'off', value: options().dates.join(', '),
    onchange: (event) => changed({ ...options(), dates: event.target.value.split(',').map((name) => name.trim()).filter(Boolean) }),
  });
  return h('div', { class: 'row', id: 'table-options' },
    target,
    choice('decimal', 'Decimal sign', words('decimal').filter(([word]) => word !== '.'), '.   (5.39)'),
    choice('thousands', 'Thousands sign', words('thousands'), 'none'),
    choice('encoding', 'Encoding', words('encoding').filter(([word]) => word !== 'utf-8'), 'utf-8'),
    labelled('Columns of dates, with commas', dates));
}

export function columnsTable(found) {
  const rows = found.columns.map((column) => [
    column.name, column.type, column.becomes, count(column.missing), count(column.distinct), range(column),
  ]);
  return h('div', { id: 'columns' },
    h('p', {}, [plural(found.n_rows, 'row'), found.task && `task: ${found.task}`].filter(Boolean).join('; ')),
    table('Columns', ['Column', 'Type', 'Becomes', 'Missing', 'Distinct', 'Values'], rows, { class: 'texts' }),
    h('details', {}, h('summary', {}, 'First rows'), firstRows(found)));
}

function range(column) {
  if (column.categories?.length) {
    const more = column.distinct > column.categories.length ? ', …' : '';
    return column.categories.join(', ') + more;
  }
  if (column.min === null || column.min === undefined) return '';
  return `${plain(column.min)} to ${plain(column.max)}, mean ${plain(column.mean)}`;
}

function firstRows(found) {
  return scrolling('First rows', h('table', {},
    h('thead', {}, h('tr', {}, found.columns.map((column) => h('th', { scope: 'col' }, column.name)))),
    h('tbody', {}, found.rows.slice(0, SAMPLE_ROWS).map((cells) => h('tr', {}, cells.map((cell) => h('td', {}, cell)))))));
}
