// The frame around the pages: which one is shown, and whether the server can be reached.

import { get, server } from './api.js';
import { h } from './dom.js';
import { showDatasets } from './datasets.js';
import { showNew } from './new.js';
import { showNeuron } from './neuron.js';
import { showRun } from './run.js';
import { showRuns } from './runs.js';
import { showSample } from './sample.js';

const ROUTES = [
  [/^#?\/?$/, showRuns, 'nav-runs'],
  [/^#\/new$/, showNew, 'nav-new'],
  [/^#\/new\/([^/]+)$/, showNew, 'nav-new'],
  [/^#\/datasets$/, showDatasets, 'nav-datasets'],
  [/^#\/run\/([^/]+)$/, showRun, 'nav-runs'],
  [/^#\/run\/([^/]+)\/sample$/, showSample, 'nav-runs'],
  [/^#\/run\/([^/]+)\/([^/]+)\/(\d+)$/, showNeuron, 'nav-runs'],
];

const main = document.getElementById('main');
const connection = document.getElementById('connection');
let leaving = new AbortController();

async function route(focus) {
  if (location.hash === '#main') return;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [names, show, section] = found();
  mark(section);
  const page = h('div', { class: 'page' });
  main.replaceChildren(page);
  try {
    await show({ page, signal }, ...names);
  } catch (error) {
    if (signal.aborted) return;
    page.replaceChildren(h('h1', {}, 'This cannot be shown'), h('p', { class: 'notice', role: 'alert' }, error.message));
    // What failed because the server was away is shown when it is back.
    if (error.name === 'Unreachable') server.addEventListener('back', () => route(false), { signal, once: true });
  }
  if (signal.aborted) return;
  const heading = page.querySelector('h1');
  document.title = heading ? `${heading.dataset.title ?? heading.textContent} - Cuttlefish` : 'Cuttlefish';
  if (focus) focusOn(heading);
}

function found() {
  for (const [pattern, show, section] of ROUTES) {
    const match = pattern.exec(location.hash);
    if (match) return [match.slice(1).map(decodeURIComponent), show, section];
  }
  return [[], showNothing, null];
}

function showNothing({ page }) {
  page.append(h('h1', {}, 'No such page'), h('p', {}, h('a', { href: '#/' }, 'The runs'), ' are where everything begins.'));
}

function mark(section) {
  for (const link of document.querySelectorAll('header nav a')) {
    if (link.id === section) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function focusOn(heading) {
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

server.addEventListener('lost', () => {
  connection.textContent = 'Connection lost: the console does not answer. Runs go on without it; this page comes back by itself.';
});
server.addEventListener('back', () => {
  connection.textContent = '';
});
server.addEventListener('token', () => {
  connection.textContent = 'The console asks for its token: open the link that `cuttlefish console` printed.';
});

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener('hashchange', () => route(true));
route(false);

get('/info').then((info) => {
  document.getElementById('about').textContent = `cuttlefish ${info.version}, runs in ${info.runs_dir}`;
}, () => {});
