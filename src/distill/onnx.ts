/**
 * Writes ONNX models: the few messages of onnx.proto3 that a graph without stored weights needs.
 *
 * Names are given by the graph itself, so that whoever builds one thinks in values, not in strings.
 */
import { InternalError } from "../errors.ts";

/** ONNX's element types (TensorProto.DataType). */
const ELEMENT = { float32: 1, int64: 7, bool: 9 } as const;
export type ElementType = keyof typeof ELEMENT;

/** A number stands for an INT attribute, a list for INTS, `{ float }` for FLOAT, a string for STRING. */
export type Attribute = number | readonly number[] | { readonly float: number } | string;

const OPSET = 20;
const IR_VERSION = 9;
/** AttributeProto.AttributeType. */
const KIND = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** A graph under construction. Every method that makes a value returns its name. */
export class Graph {
  readonly #nodes: Node[] = [];
  /** Values that became outputs, by their former name. */
  readonly #renamed = new Map<string, string>();
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  readonly #initializers: Message[] = [];
  readonly #constants = new Map<string, string>();
  #count = 0;

  /** Declares an input; a dimension is a size, or a name where it varies. */
  input(name: string, type: ElementType, shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /**
   * Makes a node's value an output under this name; the node writes it there, without a copy.
   * @throws an Error when it is no node's value, or an output already.
   */
  output(name: string, value: string, type: ElementType, shape: readonly (number | string)[]): void {
    if (this.#renamed.has(value) || !this.#nodes.some((one) => one.outputs.includes(value))) {
      throw new InternalError(`${value} cannot become the output ${name}: it is no node's value, or an output already`);
    }
    this.#renamed.set(value, name);
    this.#outputs.push(valueInfo(name, type, shape));
  }

  hasOutput(name: string): boolean {
    return [...this.#renamed.values()].includes(name);
  }

  /** The one output of an operator. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.nodes(op, inputs, 1, attributes)[0];
  }

  /** All outputs of an operator. An empty input name leaves an optional input out. */
  nodes(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => `${op}_${this.#count++}`);
    this.#nodes.push({ op, inputs, outputs: names, attributes });
    return names;
  }

  /** A float constant: a scalar, or a vector. */
  floats(values: number | readonly number[]): string {
    return this.#constant("float32", values);
  }

  /** An integer constant: a scalar, or a vector. */
  ints(values: number | readonly number[]): string {
    return this.#constant("int64", values);
  }

  /** The model in its file format. Nodes that no output depends on are left out. */
  encode(): Uint8Array {
    const graph = new Message();
    for (const one of this.#needed()) graph.message(1, encodeNode(one, this.#renamed));
    graph.text(2, "program");
    for (const one of this.#initializers) graph.message(5, one);
    for (const one of this.#inputs) graph.message(11, one);
    for (const one of this.#outputs) graph.message(12, one);
    const opset = new Message().text(1, "").int(2, OPSET);
    return new Message().int(1, IR_VERSION).text(2, "mpcformer").message(7, graph).message(8, opset).bytes();
  }

  /** The nodes that outputs depend on, in their order. */
  #needed(): readonly Node[] {
    const wanted = new Set(this.#renamed.keys());
    const needed: Node[] = [];
    for (const one of [...this.#nodes].reverse()) {
      if (!one.outputs.some((name) => wanted.has(name))) continue;
      for (const name of one.inputs) wanted.add(name);
      needed.push(one);
    }
    return needed.reverse();
  }

  #constant(type: "float32" | "int64", values: number | readonly number[]): string {
    const key = `${type}:${JSON.stringify(values)}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `constant_${this.#count++}`;
    const list = typeof values === "number" ? [values] : values;
    const tensor = new Message();
    if (typeof values !== "number") tensor.int(1, list.length);
    tensor.int(2, ELEMENT[type]).text(8, name).raw(9, rawData(type, list));
    this.#initializers.push(tensor);
    this.#constants.set(key, name);
    return name;
  }
}

interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

function encodeNode({ op, inputs, outputs, attributes }: Node, renamed: ReadonlyMap<string, string>): Message {
  const message = new Message();
  for (const name of inputs) message.text(1, renamed.get(name) ?? name);
  for (const name of outputs) message.text(2, renamed.get(name) ?? name);
  message.text(4, op);
  for (const [name, value] of Object.entries(attributes)) message.message(5, attribute(name, value));
  return message;
}

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === "number") return message.int(3, value).int(20, KIND.int);
  if (typeof value === "string") return message.text(4, value).int(20, KIND.string);
  if ("float" in value) return message.float(2, value.float).int(20, KIND.float);
  for (const one of value) message.int(8, one);
  return message.int(20, KIND.ints);
}

function valueInfo(name: string, type: ElementType, shape: readonly (number | string)[]): Message {
  const dimensions = new Message();
  for (const size of shape) {
    dimensions.message(1, typeof size === "number" ? new Message().int(1, size) : new Message().text(2, size));
  }
  const tensor = new Message().int(1, ELEMENT[type]).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

function rawData(type: "float32" | "int64", values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * (type === "float32" ? 4 : 8)));
  values.forEach((value, i) => {
    if (type === "float32") view.setFloat32(i * 4, value, true);
    else {
      view.setInt32(i * 8, value | 0, true);
      view.setInt32(i * 8 + 4, Math.floor(value / 2 ** 32), true);
    }
  });
  return new Uint8Array(view.buffer);
}

/** A protocol buffers message: fields are appended in the order of the calls. */
class Message {
  readonly #parts: Uint8Array[] = [];

  int(field: number, value: number): this {
    this.#parts.push(varint(field << 3), varint(value));
    return this;
  }

  float(field: number, value: number): this {
    this.#parts.push(varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  raw(field: number, bytes: Uint8Array): this {
    this.#parts.push(varint((field << 3) | 2), varint(bytes.length), bytes);
    return this;
  }

  text(field: number, value: string): this {
    return this.raw(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.raw(field, value.bytes());
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

/** Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): Uint8Array {
  let [low, high] = [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
  const out: number[] = [];
  while (high !== 0 || low > 127) {
    out.push((low & 127) | 128);
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  out.push(low);
  return Uint8Array.from(out);
}
