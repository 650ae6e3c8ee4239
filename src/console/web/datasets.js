// The data sets that topologies can read.

import { at, get, remove } from './api.js';
import { button, card, confirmed, h, table } from './dom.js';
import { bytes, plural } from './format.js';
import { attempt, notice } from './life.js';
import { columnsTable, preview } from './table.js';
import { uploader } from './upload.js';

const KINDS = { csv: 'table', idx: 'IDX', npz: 'npz', unknown: 'not known', built_in: 'built in' };
const NO_OPTIONS = { target: '', decimal: '', thousands: '', encoding: '', dates: [] };

export async function showDatasets({ page, signal }) {
  const box = notice('datasets-problem');
  const list = h('div', { id: 'datasets' });
  const about = h('div', { 'aria-live': 'polite' });
  page.append(
    h('h1', {}, 'Data sets'),
    card('Add one', {}, uploader(signal, refresh)),
    box, list, about);

  async function refresh() {
    const { datasets } = await get('/datasets', signal);
    list.replaceChildren(table('Data sets', ['Name', 'Kind', 'Size', 'Files', 'Actions'], datasets.map(row), { class: 'texts' }));
  }

  function row(dataset) {
    const own = dataset.kind !== 'built_in';
    return [
      dataset.name,
      KINDS[dataset.kind],
      own ? bytes(dataset.bytes) : '',
      dataset.files.map((file) => file.name).join(', '),
      h('div', { class: 'row' },
        own && button('Look', { class: 'small', 'aria-label': `Look into ${dataset.name}`, 'data-look': dataset.name, onclick: () => look(dataset) }),
        h('a', { class: 'button small', href: `#/new/${encodeURIComponent(dataset.name)}`, 'aria-label': `Learn from ${dataset.name}` }, 'Learn from it'),
        own && button('Delete', { class: 'small danger', 'aria-label': `Delete ${dataset.name}`, 'data-delete': dataset.name, onclick: () => discard(dataset) })),
    ];
  }

  async function look(dataset) {
    const digests = table('Files', ['File', 'Size', 'SHA-256'], dataset.files.map((file) => [file.name, bytes(file.bytes), h('code', {}, file.sha256)]), { class: 'texts' });
    const columns = await preview(dataset.name, NO_OPTIONS, signal).then(columnsTable, (error) => h('p', { class: 'hint' }, error.message));
    about.replaceChildren(card(dataset.name, { id: 'dataset' }, columns, h('h3', {}, 'Files'), digests));
  }

  async function discard(dataset) {
    const text = `${plural(dataset.files.length, 'file')} (${bytes(dataset.bytes)}) will be gone. Runs that learned from it keep their weights, but cannot go on.`;
    if (!await confirmed(`Delete ${dataset.name}?`, text, 'Delete')) return;
    await attempt(box, () => remove(at`/datasets/${dataset.name}`, signal));
    about.replaceChildren();
    await refresh();
  }

  await refresh();
}
