// Colours of figures: from little to much, and from negative over zero to positive.

const STEPS = 64;
const SEQUENTIAL = {
  light: ['#e4ecfb', '#9dbdf7', '#3f7bea', '#1d45a8', '#0f1f4d'],
  dark: ['#202b3f', '#26468a', '#3f7bea', '#93b8ff', '#eaf1ff'],
};
const DIVERGING = {
  light: ['#172554', '#2563eb', '#93b8fb', '#f4f5f7', '#fbbd7e', '#ea580c', '#5c1d09'],
  dark: ['#bcd3ff', '#5a91ff', '#2450a8', '#252a33', '#a3460f', '#fb923c', '#ffe0bf'],
};

const darkness = matchMedia('(prefers-color-scheme: dark)');
const tables = new Map();
const styles = new Map();

export function dark() {
  return darkness.matches;
}

export function whenColoursChange(signal, work) {
  darkness.addEventListener('change', work, { signal });
}

// `share` is from 0 to 1.
export function sequential(share) {
  return pick(SEQUENTIAL, 's', share);
}

// `share` is from -1 to 1.
export function diverging(share) {
  return pick(DIVERGING, 'd', (share + 1) / 2);
}

function pick(stops, kind, share) {
  const name = kind + (dark() ? 'dark' : 'light');
  if (!tables.has(name)) tables.set(name, blend(stops[dark() ? 'dark' : 'light']));
  const index = Math.round(Math.min(Math.max(share, 0), 1) * (STEPS - 1));
  return tables.get(name)[index];
}

function blend(stops) {
  return Array.from({ length: STEPS }, (_, step) => {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const index = Math.min(Math.floor(place), stops.length - 2);
    const [from, to] = [channels(stops[index]), channels(stops[index + 1])];
    const mixed = from.map((value, channel) => Math.round(value + (to[channel] - value) * (place - index)));
    return `rgb(${mixed.join(' ')})`;
  });
}

function channels(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

// The scale itself, from its lower end to its upper one.
export function bar(signed) {
  const canvas = document.createElement('canvas');
  canvas.width = STEPS;
  canvas.height = 1;
  canvas.setAttribute('aria-hidden', 'true');
  const context = canvas.getContext('2d');
  for (let step = 0; step < STEPS; step += 1) {
    context.fillStyle = pick(signed ? DIVERGING : SEQUENTIAL, signed ? 'd' : 's', step / (STEPS - 1));
    context.fillRect(step, 0, 1, 1);
  }
  return canvas;
}

// A colour of the style sheet.
export function named(name) {
  const key = name + dark();
  if (!styles.has(key)) styles.set(key, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return styles.get(key);
}

// Values as one square each, on a canvas that the style sheet enlarges. Grey for images, with `signed` for weights.
export function paint(canvas, values, [height, width], { signed = false, channels: depth = 1, most } = {}) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const limit = most ?? values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) ?? 0;
  for (let place = 0; place < height * width; place += 1) {
    const own = values.slice(place * depth, (place + 1) * depth).map((value) => (limit > 0 ? value / limit : 0));
    context.fillStyle = signed ? diverging(own[0]) : grey(own);
    context.fillRect(place % width, Math.floor(place / width), 1, 1);
  }
  return canvas;
}

function grey(shares) {
  const bytes = shares.map((share) => Math.round(255 * Math.min(Math.max(share, 0), 1)));
  const [red, green, blue] = bytes.length === 3 ? bytes : [bytes[0], bytes[0], bytes[0]];
  return `rgb(${red} ${green} ${blue})`;
}
