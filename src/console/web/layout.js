// Where the cells of a network are: a block a layer, from left to right where there is room, else from top to bottom.

const WIDEST_GAP = 260;
const LONGEST_COLUMN = 12;
const NARROWEST_CELL = 2;
const TITLE = 20;
const GAP = 28;
const LEAST_HEIGHT = 400;
const MOST_HEIGHT = 760;
const CELLS_HIGH = 17;
const ROOM_FOR_COLUMNS = 620;

// Blocks are { name, neurons }. Returns their places and sizes in pixels of the style sheet.
export function arrange(blocks, width) {
  return width >= ROOM_FOR_COLUMNS && blocks.length <= 12 ? besides(blocks, width) : below(blocks, width);
}

// How high the picture is to be, and how large a cell is at most.
function extent(width) {
  const height = Math.min(Math.max(LEAST_HEIGHT, width * 0.25), MOST_HEIGHT);
  return [height, Math.floor(height / CELLS_HIGH)];
}

function besides(blocks, width) {
  const [high, widest] = extent(width);
  const least = (block) => Math.max(1, Math.ceil(block.name.length * 7.2));
  let size = widest;
  let widths;
  for (; size > NARROWEST_CELL; size -= 1) {
    const rows = Math.floor(high / size);
    widths = blocks.map((block) => Math.max(columnsOf(block, rows) * size, least(block)));
    if (sum(widths) + (blocks.length - 1) * GAP <= width) break;
  }
  const rows = Math.floor(high / size);
  const free = width - sum(widths);
  const gap = blocks.length > 1 ? Math.min(free / (blocks.length - 1), WIDEST_GAP) : 0;
  let left = Math.max(0, (free - gap * (blocks.length - 1)) / 2);
  const placed = blocks.map((block, index) => {
    const columns = columnsOf(block, rows);
    const found = { ...block, x: left, y: TITLE, columns, rows: Math.ceil(block.neurons / columns), size };
    left += widths[index] + gap;
    return found;
  });
  const height = Math.max(...placed.map((block) => block.rows)) * size;
  for (const block of placed) block.y = TITLE + (height - block.rows * size) / 2;
  return { width, height: height + TITLE + 2, blocks: placed };
}

// Few neurons are one column; many are rather a rectangle than a long line.
function columnsOf({ neurons }, rows) {
  const shapely = neurons <= LONGEST_COLUMN ? 1 : Math.ceil(Math.sqrt(neurons / 2));
  return Math.max(Math.ceil(neurons / rows), shapely);
}

function below(blocks, width) {
  const [high, widest] = extent(width);
  const tall = Math.max(high, blocks.length * (TITLE + 16));
  let size = widest;
  let heights;
  for (; size > NARROWEST_CELL; size -= 1) {
    const columns = Math.floor(width / size);
    heights = blocks.map((block) => Math.ceil(block.neurons / columns) * size);
    if (sum(heights) + blocks.length * (TITLE + 10) <= tall) break;
  }
  let top = 0;
  const placed = blocks.map((block, index) => {
    const columns = Math.min(Math.floor(width / size), block.neurons);
    const found = { ...block, x: 0, y: top + TITLE, columns, rows: Math.ceil(block.neurons / columns), size };
    top += TITLE + heights[index] + 10;
    return found;
  });
  return { width, height: top, blocks: placed };
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

export function corner(block, index) {
  return [block.x + (index % block.columns) * block.size, block.y + Math.floor(index / block.columns) * block.size];
}

export function middle(block, index) {
  const [x, y] = corner(block, index);
  return [x + block.size / 2, y + block.size / 2];
}

// The neuron at a point, as [block, index], or null.
export function hit(layout, x, y) {
  for (let at = 0; at < layout.blocks.length; at += 1) {
    const block = layout.blocks[at];
    const column = Math.floor((x - block.x) / block.size);
    const row = Math.floor((y - block.y) / block.size);
    const index = row * block.columns + column;
    if (column >= 0 && column < block.columns && row >= 0 && index < block.neurons) return [at, index];
  }
  return null;
}
