// Where in a YAML file the cursor is: enough of YAML to know the keys above it, in block and in flow style.

// `path` are the keys from the root, with 0 for an item of a list; `written` what stands beside the cursor in the same
// map; `key` the key whose value is being written, or null; `prefix` what is written of the word.
export function placeAt(text, offset) {
  const before = text.slice(0, offset);
  const lines = before.split('\n');
  const current = lines.pop();
  const block = blockPath(lines, current);
  const flow = flowPath(current, block);
  return { ...(flow ?? plain(block, current)), ...around(text, offset, flow === null) };
}

const KEY = /^([A-Za-z_][\w-]*)\s*:(?:\s+|$)/;

function indentation(line) {
  return line.length - line.trimStart().length;
}

// The keys above a line, by indentation. A dash opens a map that is as far in as what follows it.
function blockPath(lines, current) {
  const path = [];
  let limit = current.trim() === '' ? current.length : indentation(current);
  if (/^\s*- /.test(current)) path.unshift(0);
  for (let index = lines.length - 1; index >= 0 && limit > 0; index -= 1) {
    const line = lines[index];
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const depth = indentation(line);
    const item = /^\s*-\s+/.exec(line);
    if (item && item[0].length <= limit && depth < limit) {
      path.unshift(0);
      limit = depth;
      continue;
    }
    const key = KEY.exec(line.trimStart());
    const opens = key && line.trimStart().slice(key[0].length).replace(/#.*/, '').trim() === '';
    // The items of a list may stand as far in as the key that they belong to.
    const under = depth < limit || (depth === limit && path[0] === 0 && !item);
    if (opens && under) {
      path.unshift(key[1]);
      limit = depth;
    }
  }
  return path;
}

function plain(path, current) {
  const rest = current.trimStart().replace(/^-\s+/, '');
  const key = KEY.exec(rest);
  if (key) return { path, key: key[1], prefix: rest.slice(key[0].length) };
  return { path, key: null, prefix: rest.trim() };
}

// Inside of braces on the line of the cursor: the keys before each brace that is still open.
function flowPath(current, block) {
  const path = [...block];
  let depth = 0;
  let start = 0;
  const starts = [];
  for (let index = 0; index < current.length; index += 1) {
    const letter = current[index];
    if (letter === '{') {
      const key = /([A-Za-z_][\w-]*)\s*:\s*$/.exec(current.slice(start, index));
      if (key) path.push(key[1]);
      starts.push([start, Boolean(key)]);
      depth += 1;
      start = index + 1;
    } else if (letter === '}' && depth > 0) {
      const [outer, named] = starts.pop();
      if (named) path.pop();
      depth -= 1;
      start = outer;
    } else if (letter === ',' && depth > 0) {
      start = index + 1;
    }
  }
  if (depth === 0) return null;
  const word = current.slice(start).trimStart();
  const key = KEY.exec(word);
  return key ? { path, key: key[1], prefix: word.slice(key[0].length) } : { path, key: null, prefix: word };
}

// The simple values in the same map, before and after the cursor.
function around(text, offset, block) {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  const line = text.slice(start, end < 0 ? undefined : end);
  if (!block) {
    const left = line.lastIndexOf('{', offset - start - 1) + 1;
    const right = line.indexOf('}', offset - start);
    return { written: pairs(line.slice(left, right < 0 ? undefined : right).split(',')) };
  }
  const lines = text.split('\n');
  const here = text.slice(0, offset).split('\n').length - 1;
  const depth = inner(line);
  const beside = [line];
  for (let index = here - 1; index >= 0 && !starts(lines[index + 1], depth) && inner(lines[index]) >= depth; index -= 1) {
    if (inner(lines[index]) === depth) beside.push(lines[index]);
  }
  for (let index = here + 1; index < lines.length && inner(lines[index]) >= depth && !starts(lines[index], depth); index += 1) {
    if (inner(lines[index]) === depth) beside.push(lines[index]);
  }
  return { written: pairs(beside.map((text) => text.trimStart().replace(/^-\s+/, ''))) };
}

// How far in the map of a line is, after its dash.
function inner(line) {
  if (line.trim() === '') return line.length;
  return /^\s*(-\s+)?/.exec(line)[0].length;
}

function starts(line, depth) {
  return /^\s*-\s/.test(line) && inner(line) === depth;
}

function pairs(parts) {
  const written = {};
  for (const part of parts) {
    const key = KEY.exec(part.trim());
    if (key) written[key[1]] = part.trim().slice(key[0].length).replace(/\s+#.*/, '').trim();
  }
  return written;
}
