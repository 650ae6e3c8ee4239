// Work that belongs to a page and ends with it.

import { h } from './dom.js';
import { server } from './api.js';

// Runs `work` at once and then `milliseconds` after it ended, while the page is visible. Returns a function that runs it
// out of turn.
export function every(milliseconds, signal, work) {
  let timer = null;
  let busy = false;
  let again = false;

  async function turn() {
    clearTimeout(timer);
    if (signal.aborted || document.hidden) return;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await work();
    } catch (error) {
      // What failed now is asked again; a lost connection says so on its own.
      if (!['AbortError', 'Problem', 'Unreachable'].includes(error.name)) throw error;
    } finally {
      busy = false;
    }
    if (signal.aborted) return;
    timer = setTimeout(turn, again ? 0 : milliseconds);
    again = false;
  }

  document.addEventListener('visibilitychange', turn, { signal });
  server.addEventListener('back', turn, { signal });
  signal.addEventListener('abort', () => clearTimeout(timer));
  turn();
  return turn;
}

// Waits for a pause in the calls and then runs the last of them. A newer call aborts the older one, so no stale answer
// arrives.
export function debounced(milliseconds, signal, work) {
  let timer = null;
  let running = new AbortController();
  const stop = () => {
    clearTimeout(timer);
    running.abort();
  };
  signal.addEventListener('abort', stop);
  return (...values) => {
    stop();
    running = new AbortController();
    const own = running.signal;
    timer = setTimeout(async () => {
      try {
        await work(...values, own);
      } catch (error) {
        if (!['AbortError', 'Unreachable'].includes(error.name)) throw error;
      }
    }, milliseconds);
  };
}

// Runs `work` once for all calls within a time, so that what happens often costs no more than what happens now and then.
export function gathered(milliseconds, signal, work) {
  let timer = null;
  signal.addEventListener('abort', () => clearTimeout(timer));
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      if (!signal.aborted) work();
    }, milliseconds);
  };
}

// Where an action says what went wrong.
export function notice(id) {
  return h('div', { class: 'notice', role: 'alert', id });
}

// Runs an action of a person; says its failure in `box`. Returns undefined where it failed.
export async function attempt(box, work) {
  box.replaceChildren();
  try {
    return await work();
  } catch (error) {
    if (error.name !== 'AbortError') box.replaceChildren(error.message);
    return undefined;
  }
}

// A button that cannot be pressed again before its action has ended.
export function acting(control, box, work) {
  control.addEventListener('click', async () => {
    control.disabled = true;
    await attempt(box, work);
    control.disabled = false;
  });
  return control;
}

// Text for screen readers, changed at most once in `milliseconds`.
export function announcer(milliseconds, signal) {
  const region = h('p', { class: 'unseen', 'aria-live': 'polite' });
  let next = null;
  let timer = null;
  const say = () => {
    timer = null;
    if (next === null || region.textContent === next) return;
    region.textContent = next;
    next = null;
    timer = setTimeout(say, milliseconds);
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  return {
    region,
    say(text) {
      next = text;
      if (timer === null) say();
    },
  };
}
