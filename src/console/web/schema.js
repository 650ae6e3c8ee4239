// The JSON Schema of a topology file: what may stand where. The form and the completion both read it.

import { get } from './api.js';

let loading = null;

export function loadSchema() {
  loading ??= get('/topologies/schema').then((root) => new Schema(root)).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

export class Schema {
  constructor(root) {
    this.root = root;
  }

  // A node without references and without the `null` that says that a key may be left out. What a reference adds, a
  // default for example, is kept.
  plain(node) {
    let found = node;
    while (found.$ref) {
      const { $ref, ...own } = found;
      found = { ...this.#lookUp($ref), ...own };
    }
    if (found.anyOf) {
      const kinds = found.anyOf.filter((kind) => kind.type !== 'null');
      if (kinds.length === 1) {
        const { anyOf, ...own } = found;
        return { ...this.plain(kinds[0]), ...own, optional: kinds.length < anyOf.length };
      }
    }
    if (Array.isArray(found.type) && found.type.includes('null')) {
      const kinds = found.type.filter((kind) => kind !== 'null');
      return { ...found, type: kinds.length === 1 ? kinds[0] : kinds, optional: true };
    }
    return found;
  }

  #lookUp(reference) {
    return reference.slice(2).split('/').reduce((node, name) => node[name], this.root);
  }

  // The words that a value is one of, with what each means; null where it is free.
  words(node) {
    const plain = this.plain(node);
    const kinds = plain.oneOf?.map((kind) => this.plain(kind)) ?? [];
    if (kinds.length > 0 && kinds.every((kind) => 'const' in kind)) {
      return kinds.map((kind) => ({ word: kind.const, means: kind.description ?? '' }));
    }
    if ('const' in plain) return [{ word: plain.const, means: plain.description ?? '' }];
    if (plain.type === 'boolean') return ['true', 'false'].map((word) => ({ word, means: '' }));
    return null;
  }

  // The objects that a node may be: one, or several that a key such as `type` tells apart.
  objects(node) {
    const plain = this.plain(node);
    const kinds = plain.oneOf ?? plain.anyOf;
    if (kinds) return kinds.flatMap((kind) => this.objects(kind));
    return plain.properties ? [plain] : [];
  }

  // The key that tells the objects of a node apart.
  tag(node) {
    const objects = this.objects(node);
    if (objects.length < 2) return null;
    return ['type', 'source'].find((key) => objects.some((object) => object.properties[key])) ?? null;
  }

  // The object of a node that fits what is written so far.
  chosen(node, written) {
    const objects = this.objects(node);
    const tag = this.tag(node);
    return objects.find((object) => tag && written?.[tag] !== undefined && object.properties[tag]?.const === written[tag]) ?? null;
  }
}
