// Elements from plain values. Text always becomes text nodes, so nothing that the server says is read as HTML.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'disabled' || name === 'selected') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

let identifiers = 0;

export function unique(prefix) {
  identifiers += 1;
  return `${prefix}-${identifiers}`;
}

// A titled part of a page, a landmark of its own.
export function card(title, properties, ...children) {
  const id = unique('part');
  return h('section', { class: 'card', 'aria-labelledby': id, ...properties }, h('h2', { id }, title), ...children);
}

// A control with its label above it and, where there is one, an explanation below.
export function labelled(text, control, help) {
  control.id ||= unique('control');
  const parts = [h('label', { for: control.id }, text), control];
  if (help) {
    const id = unique('help');
    control.setAttribute('aria-describedby', id);
    parts.push(h('small', { id }, help));
  }
  return h('div', { class: 'field' }, ...parts);
}

export function checkbox(text, properties) {
  const id = properties.id ?? unique('control');
  return h('div', { class: 'check' }, h('input', { type: 'checkbox', ...properties, id }), h('label', { for: id }, text));
}

// `choices` are values, or pairs of a value and what people read.
export function select(properties, choices, chosen) {
  const options = choices.map((choice) => {
    const [value, text] = Array.isArray(choice) ? choice : [choice, choice];
    return h('option', { value, selected: value === chosen }, text);
  });
  return h('select', properties, ...options);
}

export function button(text, properties = {}) {
  return h('button', { type: 'button', ...properties }, text);
}

export function tile(name, value, note) {
  return h('div', { class: 'tile' }, h('dt', {}, name), h('dd', {}, h('strong', {}, value), note && h('small', {}, note)));
}

// Rows are arrays of cells, each text or an element; the first cell of a row is its heading. A wide table scrolls by
// itself, and the keyboard reaches it to do so.
export function table(caption, columns, rows, properties = {}) {
  const head = h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column)));
  const body = rows.map((cells) => h('tr', {},
    cells.map((cell, index) => (index === 0 ? h('th', { scope: 'row' }, cell) : h('td', {}, cell)))));
  return scrolling(caption, h('table', properties,
    h('caption', { class: 'unseen' }, caption), h('thead', {}, head), h('tbody', {}, body)));
}

export function scrolling(label, ...children) {
  return h('div', { class: 'scroll', role: 'group', tabindex: '0', 'aria-label': label }, ...children);
}

// Asks before what cannot be undone; resolves to whether it was confirmed.
export function confirmed(title, text, action) {
  return new Promise((resolve) => {
    const heading = unique('dialog');
    const dialog = h('dialog', { 'aria-labelledby': heading, id: 'confirm' },
      h('h2', { id: heading }, title),
      h('p', {}, text),
      h('form', { method: 'dialog', class: 'row' },
        h('button', { value: 'no', autofocus: true, id: 'confirm-no' }, 'Cancel'),
        h('button', { value: 'yes', class: 'danger', id: 'confirm-yes' }, action)));
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes');
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
