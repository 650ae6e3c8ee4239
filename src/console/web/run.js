// One run: how far it is, its curves, its network, and everything that can be done with it.

import { Stream, at, get, post } from './api.js';
import { begun } from './begun.js';
import { button, card, h, labelled, tile } from './dom.js';
import { confusionTable } from './confusion.js';
import { Curves, spark } from './curves.js';
import { count, duration, epochs, number, percent, rate } from './format.js';
import { acting, announcer, attempt, every, gathered, notice } from './life.js';
import { NetworkPanel } from './network.js';
import { predictPart } from './predict.js';
import { evaluatePart } from './evaluate.js';
import { downloads, logPart, removeButton, samplePart } from './runparts.js';
import { isActive, isResumable, state } from './runs.js';

const NEURONS_MILLISECONDS = 500;
const SPEEDS = 150;
const DRAW_MILLISECONDS = 250;

export async function showRun({ page, signal }, name) {
  let run = await begun({ page, signal }, name);
  if (run === null) return;
  let status = null;
  let settled = false;
  const notes = new Map();
  const rewinds = new Map();
  const actors = new Map();
  const speeds = [];
  const box = notice('run-problem');
  const speech = announcer(10000, signal);
  const heading = h('h1', { 'data-title': name }, `${name} `);
  const summary = h('dl', { class: 'tiles', id: 'summary' });
  const detail = h('div', { class: 'notice', id: 'detail' });
  const speed = h('div', { id: 'throughput' });
  const noteList = h('ul', { class: 'notes', id: 'notes', tabindex: '0', 'aria-label': 'Notes' });
  const test = h('div', { id: 'test' });
  const curves = new Curves(signal);
  const inContainers = run.target !== 'local';
  const network = new NetworkPanel(name, signal, inContainers ? kill : null);

  // Epochs of a small run end faster than anybody can look.
  const drawEpochs = gathered(DRAW_MILLISECONDS, signal, () => {
    drawSummary();
    drawCurves();
  });

  const stop = acting(button('Stop', { id: 'stop' }), box, async () => changed(await post(at`/runs/${name}/stop`, {}, { signal })));
  const more = h('input', { type: 'number', min: '1', id: 'resume-epochs', placeholder: String(run.epochs ?? '') });
  const resume = acting(button('Resume', { id: 'resume' }), box, async () => {
    const wanted = Number(more.value);
    changed(await post(at`/runs/${name}/resume`, { epochs: wanted > 0 ? wanted : null }, { signal }));
    stream.open();
  });
  const going = h('div', { class: 'row' }, labelled('Epochs in all', more), resume);

  page.append(
    h('div', { class: 'heading' }, heading, h('div', { class: 'row' }, stop, going, removeButton(run, box, signal))),
    box, detail, speech.region, summary,
    h('ol', { class: 'chain', 'aria-label': 'Layers' }, run.layers.map((layer) => h('li', {}, h('b', {}, layer.name), ` ${count(layer.neurons)} ${layer.type} ${layer.activation ?? ''}`))),
    curves.element, network.element,
    h('div', { class: 'columns' },
      card('Throughput', {}, speed),
      card('Rewinds and notes', {}, noteList)),
    card('Test rows', {}, test),
    h('div', { class: 'columns' },
      h('div', { class: 'stack' }, samplePart(run), evaluatePart(run, signal), downloads(name)),
      predictPart(run, signal)),
    logPart(name, signal));

  const stream = new Stream(at`/runs/${name}/events`, {
    run: changed,
    status: (event) => {
      status = event;
      if (Number.isFinite(event.samples_per_second)) speeds.push(event.samples_per_second);
      if (speeds.length > SPEEDS) speeds.shift();
      drawSummary();
    },
    epoch: (row) => {
      insert(run.history, row);
      run = { ...run, ...row };
      drawEpochs();
      speech.say(`Epoch ${row.epoch} of ${run.epochs}: loss ${number(row.loss)}${row.accuracy === null ? '' : `, accuracy ${percent(row.accuracy)}`}`);
    },
    note: (note) => remember(notes, { ...note, kind: 'note' }),
    rewound: (rewound) => {
      rewinds.set(`${rewound.commit} ${rewound.at}`, rewound);
      remember(notes, { at: rewound.at, text: `rewound to commit ${rewound.commit}, tick ${rewound.tick}: ${rewound.reason}`, kind: 'rewound' });
      drawCurves();
    },
    actors: (event) => {
      for (const actor of event.actors) actors.set(actor.name, actor);
      network.actors([...actors.values()]);
    },
    end: async () => {
      status = null;
      await look();
    },
  }, signal, { opened: look, refused: look });

  // A stream that begins anew tells again what it has told.
  function remember(map, note) {
    map.set(`${note.at} ${note.text}`, note);
    const items = [...map.values()].sort((one, other) => other.at - one.at);
    noteList.replaceChildren(...items.map(({ at: seconds, text: words, kind }) => h('li', { class: kind },
      h('span', { class: 'time' }, duration(seconds)), words)));
  }

  function changed(next) {
    if (!next) return;
    run = { ...run, ...next };
    drawSummary();
  }

  async function refresh() {
    changed(await get(at`/runs/${name}`, signal));
    drawCurves();
    drawTest();
    settled = false;
    pollNeurons();
  }

  // Asks for everything anew. What fails here is asked again with the next connection, unless the run is gone.
  async function look() {
    try {
      await refresh();
    } catch (error) {
      if (error.status !== 404) return;
      stream.close();
      detail.textContent = `There is no run ${name} any more.`;
    }
  }

  function drawSummary() {
    const shown = heading.querySelector('.status');
    if (shown?.textContent !== run.state) heading.replaceChildren(`${name} `, state(run));
    const active = isActive(run);
    stop.hidden = !active;
    going.hidden = !isResumable(run);
    detail.textContent = run.detail ?? '';
    const now = active ? status : null;
    const loss = now?.loss ?? run.loss;
    const tiles = [
      tile('epoch', epochs(now ?? run), now ? `${now.part} ${count(now.index)} of ${count(now.batches)}` : null),
      tile('loss', number(loss), run.validation_loss === null ? null : `validation ${number(run.validation_loss)}`),
      tile('tick', count(now?.tick ?? run.tick), `on ${run.target}`),
      tile('parameters', count(run.parameters)),
      tile('rewinds', count(Math.max(run.rewinds ?? 0, rewinds.size))),
      active && tile('left', duration(now?.remaining_seconds)),
    ];
    const accuracy = now?.accuracy ?? run.accuracy;
    if (accuracy !== null && accuracy !== undefined) {
      tiles.splice(2, 0, tile('accuracy', percent(accuracy), run.validation_accuracy === null ? null : `validation ${percent(run.validation_accuracy)}`));
    }
    summary.replaceChildren(...tiles.filter(Boolean));
    const fast = now?.samples_per_second ?? run.samples_per_second;
    speed.replaceChildren(h('p', {}, h('strong', {}, rate(fast))), speeds.length > 1 ? spark(speeds, `The last ${speeds.length} measurements`) : '');
  }

  function drawCurves() {
    curves.draw(run.history, [...rewinds.values()].map(({ tick }) => epochOf(tick)).filter(Number.isFinite));
  }

  // Epochs have equal numbers of ticks, so the ticks so far tell where in the epochs one was.
  function epochOf(tick) {
    if (Number.isFinite(status?.tick)) return tick / (status.tick / (status.epoch - 1 + status.index / status.batches));
    return run.tick > 0 ? tick / (run.tick / run.epoch) : NaN;
  }

  function drawTest() {
    if (!run.test) return test.replaceChildren(h('p', { class: 'hint' }, 'The test rows are asked when training has ended.'));
    const names = run.task.kind === 'classes' ? run.task.names : [];
    return test.replaceChildren(
      h('dl', { class: 'facts' },
        h('div', {}, h('dt', {}, 'loss'), h('dd', {}, number(run.test.loss))),
        run.test.accuracy !== null && h('div', {}, h('dt', {}, 'accuracy'), h('dd', {}, percent(run.test.accuracy))),
        run.weights_sha256 && h('div', { class: 'long' }, h('dt', {}, 'weights sha256'), h('dd', {}, h('code', { id: 'weights-sha256' }, run.weights_sha256)))),
      run.test.confusion ? confusionTable(run.test.confusion, names) : '');
  }

  async function kill(actor) {
    await attempt(box, () => post(at`/runs/${name}/actors/${actor}/kill`, {}, { signal }));
  }

  // A run that does not train shows its last commit once; the stream tells when that changes.
  const pollNeurons = every(NEURONS_MILLISECONDS, signal, async () => {
    const active = isActive(run);
    if (settled && !active) return;
    const found = await get(at`/runs/${name}/neurons`, signal);
    settled = !active;
    network.neurons(found);
  });

  drawSummary();
  drawCurves();
  drawTest();
  get(at`/runs/${name}/actors`, signal).then((found) => {
    for (const actor of found.actors) actors.set(actor.name, actor);
    network.actors([...actors.values()]);
  }, () => {});
  stream.open();
}

// Puts the row of an epoch where it belongs, in place of what was there: near the end, as a rule.
function insert(history, row) {
  let place = history.length;
  while (place > 0 && history[place - 1].epoch >= row.epoch) place -= 1;
  history.splice(place, history[place]?.epoch === row.epoch ? 1 : 0, row);
}
