// Every run of the runs directory.

import { get } from './api.js';
import { h, table } from './dom.js';
import { every } from './life.js';
import { count, epochs, number, percent } from './format.js';

const COLUMNS = ['Run', 'State', 'Epoch', 'Tick', 'Loss', 'Accuracy', 'Validation loss', 'Validation accuracy', 'Target'];

export function showRuns({ page, signal }) {
  const list = h('div', { id: 'runs', 'data-testid': 'runs' }, h('p', {}, 'Reading the runs…'));
  page.append(
    h('div', { class: 'heading' }, h('h1', {}, 'Runs'), h('a', { class: 'button primary', href: '#/new', id: 'new-run' }, 'New run')),
    list,
  );
  let shown = '';
  every(2000, signal, async () => {
    const { runs } = await get('/runs', signal);
    // A table that is written anew loses the focus in it, so it is only where something has changed.
    const content = JSON.stringify(runs);
    if (content === shown) return;
    shown = content;
    const focused = document.activeElement?.dataset.run;
    list.replaceChildren(runs.length === 0 ? none() : table('Runs', COLUMNS, runs.map(row)));
    if (focused) list.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
  });
}

function none() {
  return h('div', { class: 'card' },
    h('p', {}, 'There are no runs yet. A run is a network that learns: its data, its layers and how they are trained are in one file.'),
    h('p', {}, h('a', { href: '#/new' }, 'Train a first network')));
}

function row(run) {
  return [
    h('a', { href: `#/run/${encodeURIComponent(run.name)}`, 'data-run': run.name }, run.name),
    state(run),
    epochs(run),
    count(run.tick),
    number(run.loss),
    percent(run.accuracy),
    number(run.validation_loss),
    percent(run.validation_accuracy),
    run.target,
  ];
}

const TONES = {
  starting: 'calm', running: 'good', stopped: 'calm', complete: 'good', failed: 'bad', unreadable: 'bad',
};

export function isActive(run) {
  return ['starting', 'running'].includes(run.state);
}

// One whose state could be read, so that it can go on.
export function isResumable(run) {
  return !isActive(run) && run.state !== 'unreadable';
}

export function state(run) {
  return h('span', { class: `status ${TONES[run.state] ?? 'calm'}`, 'data-testid': 'state', title: run.detail }, run.state);
}
