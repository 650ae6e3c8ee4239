// Topology files to begin with, and small changes in their text that keep everything else, comments too.

// A file for a data set. `data` is the text of its section, `options` what the person has said about the table.
export function starter(name, data, options, task) {
  const classes = /^(\d+) classes$/.exec(task ?? '');
  const regression = task === 'regression';
  const answer = regression
    ? '    - {type: dense, name: answer, units: 1}'
    : `    - {type: dense, name: answer, units: ${classes ? classes[1] : 10}, activation: softmax}`;
  const text = [
    `name: ${name}`,
    'seed: 7',
    'data:',
    ...data.trimEnd().split('\n').map((line) => `  ${line}`),
    'network:',
    '  layers:',
    '    - {type: dense, name: hidden, units: 32, activation: relu, kernel_initializer: he_normal}',
    answer,
    `  loss: ${regression ? 'mean_squared_error' : 'sparse_categorical_crossentropy'}`,
    'training:',
    '  epochs: 30',
    '  batch_size: 32',
    '  optimizer: {type: adam, learning_rate: 0.01}',
    '',
  ].join('\n');
  return withOptions(text, options);
}

// Puts another data set into a file.
export function withData(text, data, options) {
  const [start, end] = section(text, 'data');
  const lines = text.split('\n');
  lines.splice(start, end - start, 'data:', ...data.trimEnd().split('\n').map((line) => `  ${line}`));
  return withOptions(lines.join('\n'), options);
}

// Writes what the person has said about a table into `data`; an empty value takes its key away.
export function withOptions(text, options) {
  return Object.entries(options).reduce((written, [key, value]) => withKey(written, key, value), text);
}

function withKey(text, key, value) {
  const [start, end] = section(text, 'data');
  const lines = text.split('\n');
  const own = lines.findIndex((line, index) => index > start && index < end && line.startsWith(`  ${key}:`));
  const line = `  ${key}: ${scalar(value)}`;
  const empty = value === '' || value === null || value.length === 0;
  if (own >= 0) lines.splice(own, 1, ...(empty ? [] : [line]));
  else if (!empty) lines.splice(end, 0, line);
  return lines.join('\n');
}

// The lines of a section of the file: from its key to the next key that is as far out, without blank lines at the end.
function section(text, name) {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`${name}:`));
  if (start < 0) return [lines.length, lines.length];
  let end = start + 1;
  while (end < lines.length && !/^[^\s#]/.test(lines[end])) end += 1;
  while (end > start + 1 && /^\s*(#.*)?$/.test(lines[end - 1])) end -= 1;
  return [start, end];
}

// JSON strings are YAML strings; plain words need no quotes unless YAML would read them as something else.
function scalar(value) {
  if (Array.isArray(value)) return `[${value.map(scalar).join(', ')}]`;
  const plain = /^[A-Za-z_][\w -]*\w$/.test(value) && !/^(true|false|null|yes|no|on|off)$/i.test(value);
  return plain ? value : JSON.stringify(value);
}
