// Numbers as the command line prints them.

const NONE = '–';

export function count(value) {
  return missing(value) ? NONE : Math.round(value).toLocaleString('en');
}

export function number(value) {
  if (missing(value)) return NONE;
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e7 ? value.toExponential(3).replace('e+', 'e') : value.toFixed(size < 1000 ? 4 : 2);
}

// As it stands in a table, without digits that only rounding made.
export function plain(value) {
  return missing(value) ? NONE : String(Number(value.toPrecision(6)));
}

export function percent(value) {
  return missing(value) ? NONE : `${(100 * value).toFixed(2)} %`;
}

export function bytes(value) {
  if (missing(value)) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${rest} B` : `${rest.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
  if (missing(seconds)) return NONE;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function rate(value) {
  return missing(value) ? NONE : `${count(value)} rows/s`;
}

export function epochs(run) {
  return missing(run.epoch) ? NONE : `${count(run.epoch)}/${count(run.epochs)}`;
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function missing(value) {
  return value === null || value === undefined || Number.isNaN(value);
}
