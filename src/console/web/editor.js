// A text field for a topology file: line numbers, problems under their lines, completion.

import { button, h, unique } from './dom.js';
import { Completion } from './completion.js';
import { plural } from './format.js';

const FEWEST_LINES = 14;
const MOST_LINES = 46;

export class Editor {
  constructor(schema, changed) {
    this.schema = schema;
    this.area = h('textarea', {
      id: 'topology-text', wrap: 'off', spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off',
      'aria-labelledby': 'topology-heading', 'aria-describedby': 'topology-help problems-count',
    });
    this.gutter = h('div', { class: 'gutter', 'aria-hidden': 'true' });
    this.marks = h('div', { class: 'marks', 'aria-hidden': 'true', 'data-testid': 'marks' });
    this.count = h('p', { id: 'problems-count', 'aria-live': 'polite' });
    this.list = h('ul', { class: 'problems', id: 'problems', 'aria-label': 'Problems of the file' });
    const paper = h('div', { class: 'paper' }, this.area, this.marks);
    this.completion = new Completion(this.area, paper, schema, () => this.#edited(changed));
    this.element = h('div', {},
      h('p', { class: 'hint', id: 'topology-help' }, 'Control and space suggest what may stand at the cursor.'),
      h('div', { class: 'editor' }, this.gutter, paper),
      this.completion.status,
      this.count,
      this.list);
    this.area.addEventListener('input', () => {
      this.#edited(changed);
      this.completion.suggest(false);
    });
    this.area.addEventListener('scroll', () => this.#scroll());
    this.#size();
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    if (this.area.value === text) return;
    this.area.value = text;
    this.completion.close();
    this.show([]);
    this.#size();
  }

  #edited(changed) {
    this.#size();
    changed(this.area.value);
  }

  #size() {
    const lines = this.area.value.split('\n').length;
    this.area.rows = Math.min(Math.max(lines + 1, FEWEST_LINES), MOST_LINES);
    if (this.gutter.childElementCount !== lines) {
      this.gutter.replaceChildren(...Array.from({ length: lines }, (_, index) => h('div', {}, index + 1)));
    }
  }

  #scroll() {
    const { scrollTop, scrollLeft } = this.area;
    this.gutter.style.transform = '';
    this.gutter.scrollTop = scrollTop;
    this.marks.style.transform = `translate(${-scrollLeft}px, ${-scrollTop}px)`;
  }

  // Problems under the lines that they are in, and all of them below the file.
  show(problems) {
    const lines = new Map();
    for (const problem of problems) {
      const line = problem.line ?? 1;
      lines.set(line, [...(lines.get(line) ?? []), problem]);
    }
    this.marks.replaceChildren(...[...lines].map(([line, found]) => this.#mark(line, found)));
    this.list.replaceChildren(...problems.map((problem) => this.#item(problem)));
    this.count.textContent = problems.length === 0 ? '' : `${plural(problems.length, 'problem')} in the file`;
    this.area.setAttribute('aria-invalid', String(problems.length > 0));
    this.#scroll();
  }

  #mark(line, problems) {
    const column = Math.min(...problems.map((problem) => problem.column ?? 1));
    const mark = h('div', { class: 'mark', 'data-line': line },
      problems.map((problem) => {
        const under = h('i', {});
        under.style.left = `${(problem.column ?? 1) - column}ch`;
        return under;
      }),
      h('span', {}, problems.map(sentence).join('; ')));
    mark.style.top = `calc(.5rem + ${line - 1} * var(--row))`;
    mark.style.left = `calc(.6rem + ${column - 1}ch)`;
    return mark;
  }

  #item(problem) {
    const place = problem.line === null || problem.line === undefined ? null
      : button(`Line ${problem.line}${problem.column ? `, column ${problem.column}` : ''}`, {
        class: 'plain', onclick: () => this.#go(problem), id: unique('problem'),
      });
    return h('li', {}, place, place && ': ', sentence(problem));
  }

  #go({ line, column }) {
    const before = this.area.value.split('\n').slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const offset = before + (column ?? 1) - 1;
    this.area.focus();
    this.area.setSelectionRange(offset, offset);
  }
}

function sentence(problem) {
  return problem.help ? `${problem.message} (${problem.help})` : problem.message;
}
