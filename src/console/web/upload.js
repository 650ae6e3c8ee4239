// Files from the person's machine become a data set.

import { at, upload } from './api.js';
import { button, h, labelled } from './dom.js';
import { bytes, plural } from './format.js';
import { acting, notice } from './life.js';

// A place to drop files at. `done` is called with the data set.
export function uploader(signal, done) {
  const box = notice('upload-problem');
  const files = h('input', { type: 'file', id: 'upload-files', multiple: true });
  const name = h('input', { type: 'text', id: 'upload-name', autocomplete: 'off', maxlength: '40' });
  const chosen = h('p', { 'aria-live': 'polite', id: 'upload-chosen' });
  const meter = h('progress', { id: 'upload-progress', hidden: true, 'aria-label': 'Sent', max: '1', value: 0 });
  const send = button('Upload', { id: 'upload-send' });
  let list = [];
  let named = false;

  function choose(next) {
    list = [...next];
    chosen.textContent = list.map((file) => `${file.name} (${bytes(file.size)})`).join(', ');
    if (!named || name.value === '') name.value = list.length > 0 ? nameFor(list[0].name) : '';
  }

  name.addEventListener('input', () => {
    named = true;
  });
  files.addEventListener('change', () => choose(files.files));
  acting(send, box, async () => {
    if (list.length === 0) throw new Error('Choose a file first.');
    const total = list.reduce((sum, file) => sum + file.size, 0);
    let before = 0;
    let dataset = null;
    meter.hidden = false;
    try {
      for (const file of list) {
        dataset = await upload(at`/datasets/${name.value}/files/${file.name}`, file, (sent) => {
          meter.value = total === 0 ? 1 : (before + sent) / total;
        }, signal);
        before += file.size;
      }
    } finally {
      meter.hidden = true;
    }
    chosen.textContent = `Uploaded ${plural(list.length, 'file')} as ${dataset.name}.`;
    files.value = '';
    list = [];
    named = false;
    done(dataset);
  });

  const place = h('div', { class: 'drop', id: 'drop' },
    h('p', {}, 'Drop a CSV file here, or a pair of IDX files, or an npz file of NumPy.'),
    h('div', { class: 'row' }, labelled('Files', files), labelled('Name of the data set', name), send),
    chosen, meter, box);
  place.addEventListener('dragover', (event) => {
    event.preventDefault();
    place.classList.add('over');
  });
  place.addEventListener('dragleave', () => place.classList.remove('over'));
  place.addEventListener('drop', (event) => {
    event.preventDefault();
    place.classList.remove('over');
    choose(event.dataTransfer.files);
  });
  return place;
}

function nameFor(file) {
  const plain = file.toLowerCase().replace(/\.gz$/, '').replace(/\.[^.]*$/, '');
  return plain.replace(/[^a-z0-9]+/g, '-').slice(0, 40).replace(/^-+|-+$/g, '') || 'data';
}
