// Draws the cells of a network and what leads into one of them.

import { CALM_STATES } from './figures.js';
import { corner, middle } from './layout.js';
import { diverging, named, sequential } from './palette.js';

const MOST_EDGES = 400;

export function drawNetwork(context, layout, view) {
  const { measured, figure, layers, chosen, edges } = view;
  context.clearRect(0, 0, layout.width, layout.height);
  if (edges) drawEdges(context, layout, chosen, edges);
  const ink = named('--ink');
  const empty = named('--line');
  context.font = '13px system-ui, sans-serif';
  layout.blocks.forEach((block, at) => {
    context.fillStyle = ink;
    context.fillText(block.name, block.x, block.y - 6);
    const gap = block.size >= 6 ? 1 : 0;
    const values = measured.values[at];
    for (let index = 0; index < block.neurons; index += 1) {
      const [x, y] = corner(block, index);
      context.fillStyle = colour(figure, measured, values[index]) ?? empty;
      context.fillRect(x, y, block.size - gap, block.size - gap);
      const state = layers[at].states[index];
      if (!CALM_STATES.includes(state)) drawState(context, state, x, y, block.size - gap);
    }
  });
  if (chosen) outline(context, layout.blocks[chosen[0]], chosen[1], ink);
}

function colour(figure, { least, most }, value) {
  if (figure.key === 'state') return CALM_STATES.includes(value) ? sequential(0.45) : null;
  if (value === null || value === undefined || most === null) return null;
  if (figure.signed) return diverging(most > 0 ? value / most : 0);
  return sequential(most > least ? (value - least) / (most - least) : 0);
}

// States are told apart by shape as well as by colour.
export function drawState(context, state, x, y, size) {
  const bad = named('--bad');
  const card = named('--card');
  context.save();
  context.translate(x, y);
  context.fillStyle = state === 'dead' ? bad : card;
  context.strokeStyle = state === 'dead' ? card : bad;
  context.lineWidth = Math.max(1, size / 7);
  context.fillRect(0, 0, size, size);
  if (size >= 5) {
    const edge = context.lineWidth / 2;
    context.beginPath();
    if (state === 'dead') {
      context.moveTo(size * 0.2, size * 0.2);
      context.lineTo(size * 0.8, size * 0.8);
      context.moveTo(size * 0.8, size * 0.2);
      context.lineTo(size * 0.2, size * 0.8);
    } else if (state === 'restarting') {
      context.arc(size / 2, size / 2, size * 0.32, 0, 1.6 * Math.PI);
    } else if (state === 'unreachable') {
      context.moveTo(size * 0.2, size / 2);
      context.lineTo(size * 0.8, size / 2);
    } else {
      context.strokeStyle = named('--edge');
      context.rect(edge, edge, size - 2 * edge, size - 2 * edge);
      if (state === 'restoring') {
        context.moveTo(0, size);
        context.lineTo(size, 0);
      }
    }
    context.stroke();
  }
  context.restore();
}

function outline(context, block, index, ink) {
  const [x, y] = corner(block, index);
  context.strokeStyle = named('--card');
  context.lineWidth = 5;
  context.strokeRect(x - 2, y - 2, block.size + 3, block.size + 3);
  context.strokeStyle = ink;
  context.lineWidth = 2.5;
  context.strokeRect(x - 2, y - 2, block.size + 3, block.size + 3);
}

// `edges` is one weight for each neuron of the block before; only the largest are drawn.
function drawEdges(context, layout, [at, index], edges) {
  const from = layout.blocks[at - 1];
  const [right, below] = middle(layout.blocks[at], index);
  const order = edges.map((weight, place) => [Math.abs(weight), place]).sort((one, other) => one[0] - other[0]).slice(-MOST_EDGES);
  const largest = order.at(-1)?.[0] || 1;
  for (const [size, place] of order) {
    const [x, y] = middle(from, place);
    context.strokeStyle = diverging(Math.sign(edges[place]) * (0.25 + 0.75 * (size / largest)));
    context.lineWidth = 0.4 + 2.2 * (size / largest);
    context.globalAlpha = 0.25 + 0.75 * (size / largest);
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(x + (right - x) * 0.4, y + (below - y) * 0.2, x + (right - x) * 0.6, y + (below - y) * 0.8, right, below);
    context.stroke();
  }
  context.globalAlpha = 1;
}

// Weights by the neuron that they come from: behind maps and filters a neuron has many of each, of which the norm is
// shown. Null where they cannot be told apart.
export function edgesFrom(weights, neurons) {
  if (weights.length === neurons) return weights;
  if (weights.length % neurons !== 0) return null;
  const squares = new Array(neurons).fill(0);
  weights.forEach((weight, index) => {
    squares[index % neurons] += weight * weight;
  });
  return squares.map(Math.sqrt);
}
