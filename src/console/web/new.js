// A new run: data, topology as a form and as a file, plan, and the button that trains it.

import { get, post } from './api.js';
import { card, h, labelled, select } from './dom.js';
import { Editor } from './editor.js';
import { TopologyForm } from './layers.js';
import { attempt, debounced, notice } from './life.js';
import { PlanPanel } from './plan.js';
import { loadSchema } from './schema.js';
import { starter, withData, withOptions } from './starter.js';
import { columnsTable, preview, tableOptions } from './table.js';
import { uploader } from './upload.js';

const PAUSE_MILLISECONDS = 300;
const NO_OPTIONS = { target: '', decimal: '', thousands: '', encoding: '', dates: [] };

export async function showNew({ page, signal }, wished) {
  const [schema, { topologies }, info] = await Promise.all([
    loadSchema(), get('/topologies', signal), get('/info', signal),
  ]);
  const box = notice('new-problem');
  const plan = new PlanPanel(info.targets, signal);
  const editor = new Editor(schema, written);
  const form = new TopologyForm(schema, formed);
  const about = h('div', { id: 'table', 'aria-live': 'polite' });
  const sources = select({ id: 'data-choice', onchange: () => choose(sources.value) }, []);
  let datasets = [];
  let dataset = null;
  let options = NO_OPTIONS;
  // A file that only the page has written may be replaced; what a person wrote is kept as far as it can be.
  let touched = false;

  const check = debounced(PAUSE_MILLISECONDS, signal, async (follow, own) => {
    const { valid, problems, spec } = await post('/topologies/validate', { topology: editor.text }, { signal: own });
    editor.show(problems);
    if (follow && valid) form.spec = spec;
    else if (follow) form.locked = true;
    if (!valid) return plan.unavailable('The plan follows as soon as the file has no problems.');
    editor.show(await plan.draw(editor.text, own));
  });

  const format = debounced(PAUSE_MILLISECONDS, signal, async (spec, own) => {
    box.replaceChildren();
    try {
      const { topology } = await post('/topologies/format', { spec }, { signal: own });
      editor.text = topology;
      check(false);
    } catch (error) {
      if (error.name !== 'Problem') throw error;
      box.replaceChildren(error.message);
      plan.unavailable('The form has a mistake.');
    }
  });

  function written() {
    touched = true;
    plan.stale();
    check(true);
  }

  function formed(spec) {
    touched = true;
    plan.stale();
    format(spec);
  }

  function load(text) {
    editor.text = text;
    plan.stale();
    check(true);
  }

  async function refresh(chosen) {
    ({ datasets } = await get('/datasets', signal));
    const names = datasets.map(({ name, kind }) => [name, kind === 'built_in' ? `${name} (built in)` : name]);
    sources.replaceChildren(...[['', 'Choose a data set'], ...names].map(([value, words]) => h('option', { value }, words)));
    sources.value = chosen;
  }

  async function choose(name) {
    dataset = datasets.find((found) => found.name === name) ?? null;
    options = NO_OPTIONS;
    about.replaceChildren();
    if (dataset === null) return;
    if (dataset.kind === 'csv') await look(null);
    else compose(null);
  }

  // Shows the table as the options read it. `focused` is the control that was changed.
  async function look(focused) {
    const found = await attempt(box, () => preview(dataset.name, options, signal));
    if (found) {
      const columns = found.columns;
      about.replaceChildren(tableOptions(schema, columns, () => options, reread), columnsTable(found));
    } else if (about.childElementCount === 0) {
      about.replaceChildren(tableOptions(schema, [], () => options, reread));
    }
    if (focused) document.getElementById(focused)?.focus();
    compose(found?.task ?? null);
  }

  function reread(next) {
    options = next;
    return look(document.activeElement?.id);
  }

  function compose(task) {
    const example = topologies.find(({ topology }) => topology.includes(`source: ${dataset.name}\n`));
    if (dataset.kind === 'built_in' && example && !touched) load(example.topology);
    else if (touched && dataset.data) load(changed(editor.text));
    else if (dataset.data) load(starter(dataset.name, dataset.data, options, task));
    else box.replaceChildren(`${dataset.name} has no files that a topology could read: it needs a CSV file, a pair of IDX files, or an npz file.`);
  }

  function changed(text) {
    const same = dataset.data.trimEnd().split('\n').every((line) => text.includes(line));
    return same ? withOptions(text, options) : withData(text, dataset.data, options);
  }

  const examples = select({
    id: 'example',
    onchange: () => {
      const found = topologies.find(({ name }) => name === examples.value);
      if (!found) return;
      touched = false;
      load(found.topology);
    },
  }, [['', 'Choose an example'], ...topologies.map(({ name, description }) => [name, `${name}: ${description}`])]);

  page.append(
    h('h1', {}, 'New run'),
    box,
    card('Data', {},
      h('div', { class: 'row' }, labelled('Data set', sources), labelled('Or an example, data and all', examples)),
      h('details', { id: 'upload' }, h('summary', {}, 'Upload files'), uploader(signal, async (uploaded) => {
        await refresh(uploaded.name);
        await choose(uploaded.name);
      })),
      about),
    h('div', { class: 'columns' },
      card('Form', {}, form.element),
      h('section', { class: 'card', 'aria-labelledby': 'topology-heading' }, h('h2', { id: 'topology-heading' }, 'File'), editor.element)),
    plan.element);

  plan.bind({ text: () => editor.text, redraw: () => check(false) });
  await refresh(wished ?? '');
  if (wished && datasets.some(({ name }) => name === wished)) await choose(wished);
  else load(topologies[0]?.topology ?? '');
}
