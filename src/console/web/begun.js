// The page of a run that has not come so far that its layers are known: it is starting, or failed before it could.

import { at, get } from './api.js';
import { card, h } from './dom.js';
import { every, notice } from './life.js';
import { logPart, removeButton } from './runparts.js';
import { state } from './runs.js';

const ASK_MILLISECONDS = 500;

// Resolves to the run as soon as its layers are known, or to null when the page was left before.
export async function begun({ page, signal }, name) {
  const first = await get(at`/runs/${name}`, signal);
  if (first.layers.length > 0) return first;
  const box = notice('run-problem');
  const waiting = new AbortController();
  const either = AbortSignal.any([signal, waiting.signal]);
  const heading = h('h1', { 'data-title': name }, `${name} `, state(first));
  const detail = h('div', { class: 'notice', id: 'detail' });
  page.append(
    h('div', { class: 'heading' }, heading, h('div', { class: 'row' }, removeButton(first, box, signal))),
    box, detail,
    card('Layers', {}, h('p', { 'aria-live': 'polite' }, 'Layers, curves and neurons are shown as soon as the run has begun.')),
    logPart(name, either));
  document.title = `${name} - Cuttlefish`;
  const run = await new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(null));
    every(ASK_MILLISECONDS, either, async () => {
      const next = await get(at`/runs/${name}`, signal);
      heading.replaceChildren(`${name} `, state(next));
      detail.textContent = next.detail ?? '';
      if (next.layers.length > 0) resolve(next);
    });
  });
  waiting.abort();
  page.replaceChildren();
  return run;
}
