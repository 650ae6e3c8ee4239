// Controls for what the JSON Schema describes. They write into the value that they are given and then call `changed`.

import { checkbox, h, labelled, select } from './dom.js';

// The controls of an object, in the order of the schema. What has no control, an object that may be left out for
// example, stays as it is in the file.
export function controls(schema, object, value, prefix, changed, { without = [] } = {}) {
  return Object.entries(object.properties)
    .filter(([key, node]) => !without.includes(key) && !('const' in schema.plain(node)))
    .map(([key, node]) => control(schema, key, node, value, `${prefix}-${key}`, changed))
    .filter(Boolean);
}

export function control(schema, key, node, value, id, changed) {
  const plain = schema.plain(node);
  const text = key.replaceAll('_', ' ');
  const set = (next) => {
    if (next === undefined) delete value[key];
    else value[key] = next;
    changed(key);
  };
  if (plain.type === 'boolean') {
    return checkbox(text, {
      id, checked: value[key] ?? plain.default ?? false, title: plain.description, onchange: (event) => set(event.target.checked),
    });
  }
  const words = schema.words(node);
  if (words) {
    const choices = words.map(({ word }) => word);
    if (plain.optional || (!(key in value) && !('default' in plain))) choices.unshift(['', 'not said']);
    const chosen = value[key] ?? plain.default ?? '';
    return labelled(text, select({ id, title: plain.description, onchange: (event) => set(event.target.value || undefined) }, choices, chosen));
  }
  const reader = READERS[kind(plain)];
  if (!reader) return null;
  const input = h('input', {
    id,
    type: reader.type,
    value: written(value[key]),
    placeholder: plain.default === null || plain.default === undefined ? null : written(plain.default),
    min: plain.minimum,
    max: plain.maximum,
    step: reader.type === 'number' ? 'any' : null,
    title: plain.description,
    autocomplete: 'off',
    oninput: (event) => set(reader.read(event.target.value)),
  });
  return labelled(text, input);
}

function kind(plain) {
  if (Array.isArray(plain.type)) return plain.type.includes('array') ? 'sizes' : null;
  if (plain.type === 'array') return plain.items?.type === 'integer' ? 'sizes' : null;
  return plain.type;
}

const READERS = {
  integer: { type: 'number', read: numeric },
  number: { type: 'number', read: numeric },
  string: { type: 'text', read: (text) => text || undefined },
  sizes: { type: 'text', read: sizes },
};

function numeric(text) {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? undefined : value;
}

// One number, or two with a comma or a cross between them.
function sizes(text) {
  const parts = text.split(/[\s,x×]+/).filter((part) => part !== '').map(Number);
  if (parts.length === 0 || parts.some(Number.isNaN)) return undefined;
  return parts.length === 1 ? parts[0] : parts;
}

function written(value) {
  if (value === null || value === undefined) return '';
  return Array.isArray(value) ? value.join(', ') : String(value);
}

// One of several objects that a key tells apart: a control for the key, and those of the chosen object behind it.
export function variant(schema, node, value, prefix, text, changed, restructured) {
  const tag = schema.tag(node);
  const objects = schema.objects(node).filter((object) => object.properties[tag]);
  const choices = objects.map((object) => object.properties[tag].const);
  const chosen = schema.chosen(node, value);
  const choice = select({
    id: `${prefix}-${tag}`,
    onchange: (event) => {
      become(schema, objects, value, tag, event.target.value);
      restructured();
    },
  }, choices, value[tag]);
  return [labelled(text, choice), ...(chosen ? controls(schema, chosen, value, prefix, changed) : [])];
}

// Makes a value another kind of object: what both kinds have is kept, and what the new one must have is begun.
export function become(schema, objects, value, tag, word) {
  const next = objects.find((object) => object.properties[tag].const === word);
  for (const key of Object.keys(value)) {
    if (!(key in next.properties)) delete value[key];
  }
  value[tag] = word;
  for (const key of next.required ?? []) {
    value[key] ??= beginning(schema.plain(next.properties[key]), key);
  }
}

const BEGINNINGS = { units: 32, filters: 16, kernel_size: 3, rate: 0.2, target_shape: [8, 8], every_epochs: 10, factor: 0.5, decay_rate: 0.95 };

function beginning(plain, key) {
  return plain.default ?? BEGINNINGS[key] ?? plain.minimum ?? null;
}
