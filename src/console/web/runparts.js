// Parts of the page of a run that stand by themselves.

import { address, at, remove, text } from './api.js';
import { button, card, confirmed, h } from './dom.js';
import { attempt, every } from './life.js';

const LOG_MILLISECONDS = 3000;

export function removeButton({ name, target }, box, signal) {
  const what = target === 'local' ? 'Its weights, curves and log' : 'Its containers, weights and curves';
  return button('Remove…', {
    class: 'danger',
    id: 'remove',
    onclick: async () => {
      if (!await confirmed(`Remove ${name}?`, `${what} will be gone.`, 'Remove')) return;
      if (await attempt(box, () => remove(at`/runs/${name}`, signal))) location.hash = '#/';
    },
  });
}

export function samplePart(run) {
  return card('One sample', {},
    h('p', {}, 'See what every layer makes of one row, and what the network answers', run.image ? ', or draw a picture and ask.' : '.'),
    h('p', {}, h('a', { class: 'button', href: at`#/run/${run.name}/sample`, id: 'open-sample' }, 'Look at one sample')));
}

export function downloads(name) {
  const link = (id, query, words) => h('li', {}, h('a', { href: address(at`/runs/${name}/export` + query), download: true, id }, words));
  return card('Downloads', {}, h('ul', { id: 'downloads' },
    link('download-safetensors', '?format=safetensors&layout=keras', 'Weights as safetensors, as Keras lays them out'),
    link('download-torch', '?format=safetensors&layout=torch', 'Weights as safetensors, as PyTorch lays them out'),
    link('download-npz', '?format=npz&layout=keras', 'Weights as npz of NumPy'),
    h('li', {}, h('a', { href: address(at`/runs/${name}/topology`), download: `${name}.yaml`, id: 'download-topology' }, 'The topology file'))));
}

export function logPart(name, signal) {
  const output = h('pre', { class: 'output', tabindex: '0', id: 'log', 'aria-label': 'Log' });
  const details = h('details', { id: 'log-part', ontoggle: () => look() }, h('summary', {}, 'What the command that trains it has printed'), output);
  const look = every(LOG_MILLISECONDS, signal, async () => {
    if (!details.open) return;
    const found = await text(at`/runs/${name}/log`, signal);
    if (found === output.textContent) return;
    const end = output.scrollTop + output.clientHeight >= output.scrollHeight - 4;
    output.textContent = found;
    if (end) output.scrollTop = output.scrollHeight;
  });
  return card('Log', {}, details);
}
