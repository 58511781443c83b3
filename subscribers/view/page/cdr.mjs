// Messages as they come over the wire: a type from its text as ros2msg, and a message from its bytes
// as plain CDR. Every kind of field that ROS 2 has.

const SCALARS = {
  bool: { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 },
  int8: { bytes: 1, read: (view, at) => view.getInt8(at) },
  uint8: { bytes: 1, read: (view, at) => view.getUint8(at) },
  int16: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  uint16: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  int32: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  uint32: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  int64: { bytes: 8, read: (view, at, little) => view.getBigInt64(at, little) },
  uint64: { bytes: 8, read: (view, at, little) => view.getBigUint64(at, little) },
  float32: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  float64: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
};
SCALARS.byte = SCALARS.uint8;
SCALARS.char = SCALARS.uint8;

// Time and Duration may stand in a text without being defined there.
const SECONDS = "sec nanosec";
const BUILTIN = {
  "builtin_interfaces/Time": "int32 sec\nuint32 nanosec",
  "builtin_interfaces/Duration": "int32 sec\nuint32 nanosec",
};

const FIELD = /^([\w/]+)(<=\d+)?(\[(<=)?(\d*)\])?\s+(\w+)\s*(=?)/;

function normal(name, inPackage) {
  const parts = name.split("/");
  const last = parts[parts.length - 1];
  if (parts.length > 1) {
    return `${parts[0]}/${last}`;
  }
  if (name === "time" || name === "duration") {
    return name === "time" ? "builtin_interfaces/Time" : "builtin_interfaces/Duration";
  }
  return `${inPackage}/${name}`;
}

function fieldOf(line, inPackage) {
  const [text, ...comment] = line.split("#");
  const match = FIELD.exec(text.trim());
  if (!match) {
    throw new Error(`'${line}' is no field of a message`);
  }
  const [, type, , array, bounded, count, name, constant] = match;
  if (constant) {
    return null;
  }
  const field = { name, type, comment: comment.join("#").trim(), count: null, sequence: false };
  if (array) {
    field.sequence = bounded !== undefined || count === "";
    field.count = field.sequence ? null : Number(count);
  }
  field.scalar = SCALARS[type] ?? null;
  if (!field.scalar && type !== "string" && type !== "wstring") {
    field.message = normal(type, inPackage);
  }
  return field;
}

function fieldsOf(text, inPackage) {
  return text
    .split("\n")
    .filter((line) => line.replace(/#.*/, "").trim() !== "")
    .map((line) => fieldOf(line, inPackage))
    .filter((field) => field !== null);
}

// The type `name` ("package/msg/Type") that the text defines, with those that it is made of.
// Throws an Error that says what is wrong with it.
export function parse(name, text) {
  const texts = new Map(Object.entries(BUILTIN));
  const [root, ...others] = text.split(/^=+[ \t]*$/m);
  texts.set(normal(name), root);
  for (const other of others) {
    const head = /^\s*MSG:\s*([\w/]+)[^\n]*\n?/.exec(other);
    if (!head) {
      throw new Error("a part of the type's text has no name");
    }
    texts.set(normal(head[1]), other.slice(head[0].length));
  }
  const types = new Map();
  const resolve = (full) => {
    const known = types.get(full);
    if (known) {
      if (!known.whole) {
        throw new Error(`the type ${full} holds itself`);
      }
      return known;
    }
    if (!texts.has(full)) {
      throw new Error(`the type ${full} is not defined`);
    }
    const type = { name: full, fields: fieldsOf(texts.get(full), full.split("/")[0]) };
    type.seconds = type.fields.map((field) => field.name).join(" ") === SECONDS;
    types.set(full, type);
    for (const field of type.fields) {
      field.definition = field.message ? resolve(field.message) : null;
    }
    type.whole = true;
    return type;
  };
  return resolve(normal(name));
}

class Reader {
  constructor(bytes, little) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = little;
    this.at = 0;
  }

  // Where the next `bytes` start, which are looked at together. CDR aligns from the encapsulation on.
  take(bytes, alignment) {
    const start = Math.ceil(this.at / alignment) * alignment;
    if (start + bytes > this.view.byteLength) {
      throw new RangeError(`the message ends at byte ${this.view.byteLength}, within a field`);
    }
    this.at = start + bytes;
    return start;
  }

  length() {
    return this.view.getUint32(this.take(4, 4), this.little);
  }

  text(wide) {
    const count = this.length();
    if (!wide) {
      const start = this.take(count, 1);
      // The NUL at the end is counted.
      const bytes = new Uint8Array(this.view.buffer, this.view.byteOffset + start, Math.max(count - 1, 0));
      return new TextDecoder().decode(bytes);
    }
    const start = this.take(2 * count, 1);
    let text = "";
    for (let i = 0; i < count; i++) {
      text += String.fromCharCode(this.view.getUint16(start + 2 * i, this.little));
    }
    return text;
  }

  one(field) {
    if (field.scalar) {
      return field.scalar.read(this.view, this.take(field.scalar.bytes, field.scalar.bytes), this.little);
    }
    return field.definition ? this.message(field.definition) : this.text(field.type === "wstring");
  }

  // An array of scalars is not made of objects until somebody looks at an element: it may be an image.
  scalars(field, count) {
    const { bytes, read } = field.scalar;
    const start = count > 0 ? this.take(count * bytes, bytes) : 0;
    return { length: count, at: (index) => read(this.view, start + index * bytes, this.little) };
  }

  field(field) {
    if (field.count === null && !field.sequence) {
      return this.one(field);
    }
    const count = field.sequence ? this.length() : field.count;
    if (field.scalar) {
      return this.scalars(field, count);
    }
    const values = [];
    for (let i = 0; i < count; i++) {
      values.push(this.one(field));
    }
    return values;
  }

  message(type) {
    const values = {};
    for (const field of type.fields) {
      values[field.name] = this.field(field);
    }
    return values;
  }
}

// The message in `bytes`, which begin with the encapsulation. Arrays have length and at(index).
// Throws a RangeError where the bytes end too early.
export function decode(type, bytes) {
  if (bytes.byteLength < 4 || bytes[0] !== 0 || bytes[1] > 1) {
    throw new RangeError("the message is no plain CDR");
  }
  return new Reader(bytes.subarray(4), bytes[1] === 1).message(type);
}

// Padding, which slipring's types name, and whose names are no one else's there.
function isPad(field) {
  return /^pad\d+$/.test(field.name) && field.type === "uint8" && field.count !== null;
}

// As decimals have it: of two seconds before zero and half a second after that, the text is -1.500000000.
function secondsText({ sec, nanosec }) {
  const total = BigInt(sec) * 1000000000n + BigInt(nanosec);
  const digits = String(total < 0n ? -total : total).padStart(10, "0");
  return `${total < 0n ? "-" : ""}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

function addValue(list, path, parent, field, value, options) {
  if (field.definition && !field.definition.seconds) {
    addLeaves(list, path, field.definition, value, options);
    return;
  }
  let shown = value;
  let number = null;
  if (field.definition) {
    number = value.sec + value.nanosec * 1e-9;
    shown = secondsText(value);
  } else if (field.scalar) {
    number = Number(value);
  }
  list.push({ path, parent, value: shown, number, comment: field.comment });
}

// Bytes up to the first zero, which slipring's unit "text" marks.
function textOf(value) {
  const bytes = [];
  for (let i = 0; i < value.length && value.at(i) !== 0; i++) {
    bytes.push(value.at(i));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

function addArray(list, path, field, value, options) {
  const span = options.span?.(path, value.length, Boolean(field.definition)) ?? null;
  if (span) {
    const first = Array.from({ length: Math.min(value.length, 3) }, (_, i) => value.at(i));
    list.push({ path: `${path}[]`, parent: path, array: path, length: value.length, ...span,
      value: field.definition ? null : first, number: null, comment: field.comment });
  }
  if (value.length === 0) {
    list.push({ path: `${path}[]`, parent: path, value: "no elements", number: null, comment: field.comment });
  }
  const { from, to } = span ?? { from: 0, to: value.length };
  for (let i = from; i < Math.min(to, value.length); i++) {
    addValue(list, `${path}[${i}]`, path, field, value.at(i), options);
  }
}

function addLeaves(list, parent, type, message, options) {
  for (const field of type.fields) {
    if (isPad(field)) {
      continue;
    }
    const path = parent === "" ? field.name : `${parent}.${field.name}`;
    const value = message[field.name];
    if (field.count === null && !field.sequence) {
      addValue(list, path, parent, field, value, options);
    } else if (field.type === "uint8" && options.unit?.(path) === "text") {
      list.push({ path, parent, value: textOf(value), number: null, comment: field.comment });
    } else {
      addArray(list, path, field, value, options);
    }
  }
}

// The message's values one by one: { path, parent, value, number, comment }. `number` is null for what
// no plot can show. Of an array, unless it is empty, all elements are listed, but where span(path, length, ofMessages) gives a
// part, { from, to }: then a leaf of the array itself comes first, with `array`, `length`, that part and
// its first values. unit(path) is that of a field.
export function leaves(type, message, options = {}) {
  const list = [];
  addLeaves(list, "", type, message, options);
  return list;
}

// A function from a message to the number at a path that leaves() named, null if there is none.
export function getter(path) {
  const steps = path.match(/[^.[\]]+/g) ?? [];
  return (message) => {
    let value = message;
    for (const step of steps) {
      if (value === undefined || value === null) {
        return null;
      }
      if (typeof value.at === "function" && typeof value !== "string") {
        value = Number(step) < value.length ? value.at(Number(step)) : null;
      } else {
        value = Object.hasOwn(Object(value), step) ? value[step] : null;
      }
    }
    if (value !== null && typeof value === "object" && "sec" in value && "nanosec" in value) {
      return value.sec + value.nanosec * 1e-9;
    }
    const kind = typeof value;
    return kind === "number" || kind === "bigint" || kind === "boolean" ? Number(value) : null;
  };
}
