// What a neuron can be coloured by.

import { bytes, count, number, percent } from './format.js';

// `of` gives the values of one layer; `signed` figures have their zero in the middle of the scale.
export const FIGURES = [
  { key: 'weight_norm', text: 'weight norm', write: number, of: ({ layer }) => layer.weight_norm },
  { key: 'activation_mean', text: 'mean activation', write: number, signed: true, of: ({ layer }) => layer.activation_mean },
  { key: 'delta_norm', text: 'gradient norm', write: number, of: ({ layer }) => layer.delta_norm },
  { key: 'zeros_ratio', text: 'share of zeros', write: percent, least: 0, most: 1, of: ({ layer }) => layer.zeros_ratio },
  { key: 'bias', text: 'bias', write: number, signed: true, of: ({ layer }) => layer.bias },
  { key: 'lag', text: 'tick lag', write: count, of: ({ layer, newest }) => layer.tick.map((tick) => (tick === null ? null : newest - tick)) },
  { key: 'memory', text: 'memory of its unit', write: bytes, of: ({ units }) => units.map((unit) => unit?.memory_bytes ?? null) },
  { key: 'queue', text: 'queue depth of its unit', write: count, of: ({ units }) => units.map((unit) => unit?.queued_messages ?? null) },
  { key: 'state', text: 'state', write: (value) => value, of: ({ states }) => states },
];

// How bad a state is; the worse of what a neuron and its unit say is shown.
const STATES = ['committed', 'running', 'restoring', 'blank', 'unreachable', 'restarting', 'dead'];

// What targets call the states of their containers and tasks.
const STATES_OF_TARGETS = { exited: 'dead', missing: 'dead', created: 'restarting', paused: 'unreachable' };

// States of neurons of which nothing needs to be marked: `committed` is one that is read from the store.
export const CALM_STATES = STATES.slice(0, 2);

export const OTHER_STATES = STATES.slice(2);

// The neurons of a run with the units that host them, as one list a layer.
export function joined(data, actors) {
  const newest = Math.max(data.tick ?? 0, ...data.layers.map((layer) => layer.tick.reduce((most, tick) => Math.max(most, tick ?? 0), 0)));
  return data.layers.map((layer) => {
    const units = new Array(layer.neurons).fill(null);
    for (const actor of actors) {
      if (actor.kind !== 'unit' || actor.layer !== layer.name) continue;
      units.fill(actor, actor.first ?? 0, (actor.first ?? 0) + (actor.neurons ?? layer.neurons));
    }
    // Units of a run that is over are gone, which says nothing about what was committed.
    const states = data.live ? layer.state.map((state, index) => worse(state, units[index]?.state)) : layer.state;
    return { layer, units, states, newest };
  });
}

function worse(one, word) {
  const other = STATES_OF_TARGETS[word] ?? word;
  return STATES.indexOf(other) > STATES.indexOf(one) ? other : one;
}

// The values of a figure, all layers, with the ends of their scale.
export function measured(figure, layers) {
  const values = layers.map((layer) => figure.of(layer));
  let least = Infinity;
  let most = -Infinity;
  if (figure.key !== 'state') {
    for (const list of values) {
      for (const value of list) {
        if (value === null || value === undefined) continue;
        if (value < least) least = value;
        if (value > most) most = value;
      }
    }
  }
  if (least > most) return { values, least: null, most: null };
  if (figure.signed) {
    most = Math.max(Math.abs(least), Math.abs(most));
    return { values, least: -most, most };
  }
  return { values, least: figure.least ?? least, most: figure.most ?? most };
}
