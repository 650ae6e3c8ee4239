// The server: requests, its problem documents, its event streams, and whether it can be reached.

const BASE = '/api/v1';
const PROBE_MILLISECONDS = 1000;

// Announces `lost` and `back`.
export const server = new EventTarget();

let reachable = true;

// What the server refused, in the words of the command line.
export class Problem extends Error {
  constructor(status, content) {
    super(content.detail ?? content.title ?? `the server answered ${status}`);
    this.name = 'Problem';
    this.status = status;
    this.problems = content.problems ?? [];
  }
}

export class Unreachable extends Error {
  constructor(text = 'The server cannot be reached. Try again when it is back.') {
    super(text);
    this.name = 'Unreachable';
  }
}

// A path whose variable parts are encoded: at`/runs/${name}/stop`.
export function at(parts, ...names) {
  return String.raw({ raw: parts }, ...names.map(encodeURIComponent));
}

export function address(path) {
  return BASE + path;
}

export async function request(path, { signal, ...options } = {}) {
  let response;
  try {
    response = await fetch(BASE + path, { credentials: 'same-origin', cache: 'no-store', signal, ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    lose();
    throw new Unreachable();
  }
  if (!response.ok) throw await problem(response);
  return response;
}

async function problem(response) {
  const content = await response.json().catch(() => ({}));
  if (response.status === 401) server.dispatchEvent(new Event('token'));
  return new Problem(response.status, content);
}

export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

export async function text(path, signal) {
  return (await request(path, { signal })).text();
}

export async function post(path, value, { signal, headers } = {}) {
  const response = await request(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(value ?? {}),
    signal,
  });
  const content = await response.text();
  return content === '' ? null : JSON.parse(content);
}

export async function postText(path, type, body, signal) {
  return (await request(path, { method: 'POST', headers: { 'Content-Type': type }, body, signal })).json();
}

export function remove(path, signal) {
  return request(path, { method: 'DELETE', signal });
}

// `fetch` does not say how much of a body has gone out, so files are sent by XMLHttpRequest.
export function upload(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open('PUT', BASE + path);
    sending.setRequestHeader('Content-Type', 'application/octet-stream');
    sending.upload.addEventListener('progress', (event) => progress(event.loaded, event.total));
    sending.addEventListener('load', () => {
      const content = parsed(sending.responseText);
      if (sending.status < 300) resolve(content);
      else reject(new Problem(sending.status, content));
    });
    sending.addEventListener('error', () => {
      lose();
      reject(new Unreachable(`The connection was lost while ${file.name} was sent.`));
    });
    sending.addEventListener('abort', () => reject(new DOMException('left the page', 'AbortError')));
    signal.addEventListener('abort', () => sending.abort());
    sending.send(file);
  });
}

function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    return {};
  }
}

// An event stream that is open while `open` was called last and the page is visible: browsers allow six connections to
// a host, and pages in the background would use them up.
export class Stream {
  #source = null;
  #wanted = false;
  #retry = null;

  // `opened` is called whenever a connection stands, since what was sent before may have been missed, and `refused` when
  // the server will have none.
  constructor(path, handlers, signal, { opened, refused }) {
    Object.assign(this, { path, handlers, opened, refused });
    document.addEventListener('visibilitychange', () => this.#follow(), { signal });
    signal.addEventListener('abort', () => this.close());
  }

  open() {
    this.#wanted = true;
    this.#follow();
  }

  close() {
    this.#wanted = false;
    this.#follow();
  }

  #follow() {
    clearTimeout(this.#retry);
    if (!this.#wanted || document.hidden) {
      this.#source?.close();
      this.#source = null;
    } else if (this.#source === null) {
      this.#connect();
    }
  }

  #connect() {
    const source = new EventSource(BASE + this.path);
    this.#source = source;
    for (const [name, handle] of Object.entries(this.handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    source.addEventListener('open', () => this.opened());
    source.addEventListener('error', () => {
      probe();
      // A refusal ends an EventSource for good, unlike a broken connection, which it mends itself.
      if (source.readyState === EventSource.CLOSED && source === this.#source) {
        this.#source = null;
        this.refused();
        this.#retry = setTimeout(() => this.#follow(), 2 * PROBE_MILLISECONDS);
      }
    });
  }
}

function lose() {
  if (!reachable) return;
  reachable = false;
  server.dispatchEvent(new Event('lost'));
  setTimeout(probe, PROBE_MILLISECONDS);
}

async function probe() {
  try {
    await fetch(`${BASE}/info`, { cache: 'no-store' });
  } catch {
    if (reachable) lose();
    else setTimeout(probe, PROBE_MILLISECONDS);
    return;
  }
  if (reachable) return;
  reachable = true;
  server.dispatchEvent(new Event('back'));
}
