// A field to draw a picture in, with a pointer or by keyboard.

import { h } from './dom.js';
import { paint } from './palette.js';

// Each pixel is the share of ink in a square of this many points, as the digits of the data sets were made.
const FINE = 4;

export class Pencil {
  #pen = null;

  constructor(height, width, drawn) {
    Object.assign(this, { height, width, drawn });
    this.fine = new Uint8Array(height * width * FINE * FINE);
    this.radius = (Math.max(1, width / 12) * FINE) / 2;
    this.cursor = [Math.floor(height / 2), Math.floor(width / 2)];
    this.element = h('canvas', {
      class: 'drawing', id: 'drawing', tabindex: '0', role: 'img', 'aria-describedby': 'drawing-keys',
      'aria-label': 'An empty field to draw in',
    });
    this.#listen();
    this.clear();
  }

  clear() {
    this.fine.fill(0);
    this.#show();
  }

  get values() {
    const values = new Array(this.height * this.width).fill(0);
    this.fine.forEach((ink, point) => {
      const row = Math.floor(point / (this.width * FINE) / FINE);
      const column = Math.floor((point % (this.width * FINE)) / FINE);
      values[row * this.width + column] += ink / (FINE * FINE);
    });
    return values;
  }

  #listen() {
    const { element } = this;
    element.addEventListener('pointerdown', (event) => {
      element.setPointerCapture(event.pointerId);
      this.#pen = this.#point(event);
      this.#stroke(this.#pen, this.#pen);
    });
    element.addEventListener('pointermove', (event) => {
      if (!this.#pen) return;
      const next = this.#point(event);
      this.#stroke(this.#pen, next);
      this.#pen = next;
    });
    for (const name of ['pointerup', 'pointercancel']) {
      element.addEventListener(name, () => {
        this.#pen = null;
      });
    }
    element.addEventListener('keydown', (event) => this.#key(event));
    element.addEventListener('focus', () => this.#show());
    element.addEventListener('blur', () => this.#show());
  }

  #point(event) {
    const place = this.element.getBoundingClientRect();
    return [((event.clientY - place.top) / place.height) * this.height * FINE, ((event.clientX - place.left) / place.width) * this.width * FINE];
  }

  #key(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step && event.key !== ' ') return;
    event.preventDefault();
    const before = this.#middle();
    if (step) {
      this.cursor = [
        Math.min(Math.max(this.cursor[0] + step[0], 0), this.height - 1),
        Math.min(Math.max(this.cursor[1] + step[1], 0), this.width - 1),
      ];
    }
    if (event.key === ' ' || event.shiftKey) this.#stroke(before, this.#middle());
    else this.#show();
  }

  #middle() {
    return this.cursor.map((place) => (place + 0.5) * FINE);
  }

  #stroke(from, to) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 0; step <= steps; step += 1) {
      const share = step / steps;
      this.#dot(from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share);
    }
    this.#show();
    this.drawn(this.values);
  }

  #dot(row, column) {
    const { radius } = this;
    for (let y = Math.max(0, Math.floor(row - radius)); y < Math.min(this.height * FINE, row + radius); y += 1) {
      for (let x = Math.max(0, Math.floor(column - radius)); x < Math.min(this.width * FINE, column + radius); x += 1) {
        if (Math.hypot(y + 0.5 - row, x + 0.5 - column) <= radius) this.fine[y * this.width * FINE + x] = 1;
      }
    }
  }

  #show() {
    const { values } = this;
    paint(this.element, values, [this.height, this.width], { most: 1 });
    if (document.activeElement === this.element && this.#pen === null) {
      const context = this.element.getContext('2d');
      context.fillStyle = 'rgb(234 88 12 / .7)';
      context.fillRect(this.cursor[1], this.cursor[0], 1, 1);
    }
    const ink = values.reduce((sum, value) => sum + value, 0);
    this.element.setAttribute('aria-label', ink === 0 ? 'An empty field to draw in' : `A drawing of ${Math.round(ink)} pixels of ink, pen at row ${this.cursor[0] + 1}, column ${this.cursor[1] + 1}`);
  }
}
