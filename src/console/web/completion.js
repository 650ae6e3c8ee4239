// Suggestions for the word at the cursor of a text field, from the JSON Schema.

import { h } from './dom.js';
import { placeAt } from './place.js';
import { plural } from './format.js';

const MOST = 60;

// What may stand at a place: [{ word, means, insert }].
export function suggestions(schema, text, offset) {
  const place = placeAt(text, offset);
  const node = descend(schema, place);
  if (node === null) return { place, found: [] };
  const found = place.key === null ? keys(schema, node, place) : values(schema, node, place);
  const begun = found.filter(({ word }) => word.startsWith(place.prefix) && word !== place.prefix);
  return { place, found: begun.slice(0, MOST) };
}

function descend(schema, { path }) {
  let node = schema.root;
  for (const step of path) {
    node = schema.plain(node);
    const next = step === 0 ? node.items
      : schema.objects(node).map((object) => object.properties[step]).find(Boolean);
    if (!next) return null;
    node = next;
  }
  return node;
}

function keys(schema, node, { written }) {
  const chosen = schema.chosen(node, written);
  const objects = chosen ? [chosen] : schema.objects(node);
  const known = new Map();
  for (const object of objects) {
    for (const [key, child] of Object.entries(object.properties)) {
      if (key in written && written[key] !== '') continue;
      if (!known.has(key)) known.set(key, { word: key, means: child.description ?? schema.plain(child).description ?? '', insert: `${key}: ` });
    }
  }
  return [...known.values()];
}

function values(schema, node, { key, written }) {
  const tagged = schema.tag(node) === key;
  const chosen = tagged ? null : schema.chosen(node, written);
  const objects = chosen ? [chosen] : schema.objects(node);
  const known = new Map();
  for (const object of objects) {
    const child = object.properties[key];
    if (!child) continue;
    for (const { word, means } of schema.words(child) ?? []) {
      const text = String(word);
      if (!known.has(text)) known.set(text, { word: text, means: means || (tagged ? object.description : ''), insert: quoted(text) });
    }
  }
  return [...known.values()];
}

function quoted(word) {
  return /^[\w-]+$/.test(word) ? word : JSON.stringify(word);
}

export class Completion {
  #found = [];
  #active = -1;

  constructor(area, paper, schema, edited) {
    Object.assign(this, { area, schema, edited });
    this.list = h('ul', { class: 'completions', role: 'listbox', id: 'completions', 'aria-label': 'Suggestions', hidden: true });
    this.status = h('p', { class: 'unseen', 'aria-live': 'polite' });
    paper.append(this.list);
    area.setAttribute('aria-autocomplete', 'list');
    area.addEventListener('keydown', (event) => this.#key(event));
    area.addEventListener('blur', () => this.close());
    area.addEventListener('click', () => this.close());
    // The list must not take the focus from the text.
    this.list.addEventListener('mousedown', (event) => event.preventDefault());
  }

  // `asked`: show what fits even where nothing of the word is written yet.
  suggest(asked) {
    const { area } = this;
    if (area.selectionStart !== area.selectionEnd) return this.close();
    const { place, found } = suggestions(this.schema, area.value, area.selectionStart);
    if (found.length === 0 || (!asked && place.prefix === '' && place.key === null)) return this.close();
    this.place = place;
    this.#found = found;
    this.#active = -1;
    this.list.replaceChildren(...found.map(({ word, means, insert }, index) => h('li', {
      role: 'option', id: `completion-${index}`, 'aria-selected': 'false', onclick: () => this.#take(insert),
    }, h('code', {}, word), means && h('small', {}, means.split('\n')[0]))));
    this.list.hidden = false;
    this.#position();
    this.area.setAttribute('aria-controls', 'completions');
    this.status.textContent = `${plural(found.length, 'suggestion')}: arrow down to choose, tab takes the first`;
  }

  close() {
    this.#found = [];
    this.list.hidden = true;
    this.list.replaceChildren();
    this.area.removeAttribute('aria-activedescendant');
    this.area.removeAttribute('aria-controls');
    this.status.textContent = '';
  }

  #position() {
    const { area, list } = this;
    const lines = area.value.slice(0, area.selectionStart).split('\n');
    const column = lines[lines.length - 1].length - this.place.prefix.length;
    list.style.top = `calc(.5rem + ${lines.length} * var(--row) - ${area.scrollTop}px)`;
    list.style.left = `min(calc(.6rem + ${column}ch - ${area.scrollLeft}px), max(0px, 100% - 18rem))`;
    list.style.fontFamily = getComputedStyle(area).fontFamily;
    list.style.fontSize = getComputedStyle(area).fontSize;
  }

  #key(event) {
    if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      this.suggest(true);
      return;
    }
    if (this.#found.length === 0) return;
    const actions = {
      ArrowDown: () => this.#choose(this.#active + 1),
      ArrowUp: () => this.#choose(this.#active - 1),
      Escape: () => this.close(),
      Tab: () => this.#take(this.#found[Math.max(this.#active, 0)].insert),
      Enter: () => this.#take(this.#found[this.#active].insert),
    };
    // A line break is one, unless a suggestion has been chosen with the arrows.
    const action = event.key === 'Enter' && this.#active < 0 ? null : actions[event.key];
    if (!action || event.shiftKey) return;
    event.preventDefault();
    action();
  }

  #choose(index) {
    this.#active = (index + this.#found.length) % this.#found.length;
    [...this.list.children].forEach((option, at) => {
      option.setAttribute('aria-selected', String(at === this.#active));
      if (at === this.#active) option.scrollIntoView({ block: 'nearest' });
    });
    this.area.setAttribute('aria-activedescendant', `completion-${this.#active}`);
  }

  #take(insert) {
    const { area } = this;
    const end = area.selectionStart;
    area.setRangeText(insert, end - this.place.prefix.length, end, 'end');
    this.close();
    this.edited();
    if (insert.endsWith(': ')) this.suggest(true);
  }
}
