// A topology as a form: name, layers, and how it is trained. It edits the value of the file in place.

import { button, h, labelled, select } from './dom.js';
import { become, control, controls, variant } from './form.js';
import { plural } from './format.js';

// What a layer shows at once; the rest of its keys are behind "more".
const FIRST = ['name', 'units', 'filters', 'kernel_size', 'activation', 'rate', 'pool_size', 'target_shape'];

export class TopologyForm {
  #spec = null;

  constructor(schema, changed) {
    Object.assign(this, { schema, changed });
    this.fields = h('fieldset', { id: 'topology-form', disabled: true }, h('legend', { class: 'unseen' }, 'The topology as a form'));
    this.state = h('p', { class: 'hint', 'aria-live': 'polite' });
    this.element = h('div', {}, this.state, this.fields);
  }

  get spec() {
    return this.#spec;
  }

  set spec(spec) {
    this.#spec = spec;
    this.locked = false;
    this.#draw();
  }

  // A file with mistakes is not a value that a form could show.
  set locked(locked) {
    this.fields.disabled = locked;
    this.state.textContent = locked ? 'The form follows as soon as the file has no problems.' : 'What has no field here stays as it is in the file.';
  }

  #draw() {
    const focused = document.activeElement?.id;
    const open = [...this.fields.querySelectorAll('details[open]')].map((details) => details.id);
    this.fields.replaceChildren(
      h('legend', { class: 'unseen' }, 'The topology as a form'),
      this.#general(),
      h('h3', {}, 'Layers'),
      h('div', { id: 'layers' }, this.#layers().map((_, index) => this.#layer(index))),
      h('div', { class: 'row' }, button('Add a layer', { id: 'add-layer', onclick: () => this.#add() })),
      h('h3', {}, 'Training'),
      ...this.#training());
    for (const id of open) document.getElementById(id)?.setAttribute('open', '');
    if (focused && this.fields.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused).focus();
  }

  #layers() {
    return this.#spec.network.layers;
  }

  #restructured = () => {
    this.#draw();
    this.changed(this.#spec);
  };

  #edited = () => this.changed(this.#spec);

  #general() {
    const { schema } = this;
    const { properties } = schema.root;
    const network = schema.plain(properties.network);
    return h('div', { class: 'fields' },
      control(schema, 'name', properties.name, this.#spec, 'form-name', this.#edited),
      control(schema, 'seed', properties.seed, this.#spec, 'form-seed', this.#edited),
      control(schema, 'loss', network.properties.loss, this.#spec.network, 'form-loss', this.#edited));
  }

  #entry() {
    const network = this.schema.plain(this.schema.root.properties.network);
    return network.properties.layers.items;
  }

  #layer(index) {
    const layer = this.#layers()[index];
    const kinds = this.schema.objects(this.#entry()).filter((object) => object.properties.type);
    const heading = h('div', { class: 'heading' },
      h('strong', {}, `${index + 1}. ${layer.name ?? layer.type ?? 'block'}`),
      h('div', { class: 'row' },
        this.#move('↑', 'up', index, -1), this.#move('↓', 'down', index, 1),
        button('Remove', {
          class: 'small', id: `layer-${index}-remove`, 'aria-label': `Remove layer ${index + 1}`,
          onclick: () => {
            this.#layers().splice(index, 1);
            this.#restructured();
            document.getElementById('add-layer').focus();
          },
        })));
    return h('div', { class: 'layer', role: 'group', 'aria-label': `Layer ${index + 1}`, 'data-testid': 'layer' }, heading,
      'repeat' in layer ? repeated(layer) : this.#fields(layer, index, kinds));
  }

  #move(sign, way, index, by) {
    const last = this.#layers().length - 1;
    return button(sign, {
      class: 'small',
      id: `layer-${index}-${way}`,
      'aria-label': `Move layer ${index + 1} ${way}`,
      disabled: index + by < 0 || index + by > last,
      onclick: () => {
        const layers = this.#layers();
        [layers[index], layers[index + by]] = [layers[index + by], layers[index]];
        this.#restructured();
        const moved = document.getElementById(`layer-${index + by}-${way}`);
        (moved.disabled ? document.getElementById(`layer-${index + by}-remove`) : moved).focus();
      },
    });
  }

  #fields(layer, index, kinds) {
    const prefix = `layer-${index}`;
    const kind = kinds.find((object) => object.properties.type.const === layer.type);
    const type = select({
      id: `${prefix}-type`,
      onchange: (event) => {
        become(this.schema, kinds, layer, 'type', event.target.value);
        this.#restructured();
      },
    }, kinds.map((object) => object.properties.type.const), layer.type);
    const rest = Object.keys(kind.properties).filter((key) => !FIRST.includes(key));
    const first = Object.keys(kind.properties).filter((key) => FIRST.includes(key));
    const more = controls(this.schema, kind, layer, prefix, this.#edited, { without: first });
    return [
      h('div', { class: 'fields' }, labelled('type', type), controls(this.schema, kind, layer, prefix, this.#edited, { without: rest })),
      more.length > 0 && h('details', { id: `${prefix}-more` }, h('summary', {}, 'more'), h('div', { class: 'fields' }, more)),
    ];
  }

  // A new layer is put before the last one, which answers.
  #add() {
    const layers = this.#layers();
    const at = Math.max(layers.length - 1, 0);
    layers.splice(at, 0, { type: 'dense', units: 32, activation: 'relu', kernel_initializer: 'he_normal' });
    this.#restructured();
    document.getElementById(`layer-${at}-type`).focus();
  }

  #training() {
    const { schema } = this;
    const node = schema.plain(schema.root.properties.training);
    const training = (this.#spec.training ??= {});
    const optimizer = (training.optimizer ??= structuredClone(schema.plain(node.properties.optimizer).default));
    const schedule = (training.learning_rate_schedule ??= structuredClone(schema.plain(node.properties.learning_rate_schedule).default));
    return [
      h('div', { class: 'fields' }, controls(schema, node, training, 'training', this.#edited, { without: ['optimizer', 'learning_rate_schedule'] })),
      h('div', { class: 'fields' }, variant(schema, node.properties.optimizer, optimizer, 'optimizer', 'optimizer', this.#edited, this.#restructured)),
      h('div', { class: 'fields' }, variant(schema, node.properties.learning_rate_schedule, schedule, 'schedule', 'learning rate schedule', this.#edited, this.#restructured)),
    ];
  }
}

function repeated(block) {
  return h('p', { class: 'hint' }, `A block of ${plural(block.layers.length, 'layer')}, there ${plural(block.repeat, 'time')}. It is edited in the file.`);
}
