// What others write is what the page of slipring view reads: random messages of types with every kind
// of field, written by npm's rosmsg2-serialization and decoded by subscribers/view/page/cdr.mjs.
//
// usage: cdr-compare.mjs MODULES CDR-MJS SEED COUNT
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert";

const [modules, file, seed, count] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { parse: parseTheirs } = require("@foxglove/rosmsg");
const { MessageWriter } = require("@foxglove/rosmsg2-serialization");
const { decode, getter, leaves, parse } = await import(pathToFileURL(file));

const KINDS = ["bool", "byte", "char", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
  "float32", "float64", "string", "builtin_interfaces/Time", "builtin_interfaces/Duration"];
const RANGES = {
  byte: [0, 2 ** 8], char: [0, 2 ** 8], int8: [-(2 ** 7), 2 ** 8], uint8: [0, 2 ** 8], int16: [-(2 ** 15), 2 ** 16],
  uint16: [0, 2 ** 16], int32: [-(2 ** 31), 2 ** 32], uint32: [0, 2 ** 32],
};

let state = Number(seed);
function random(below) {
  state = (state * 1103515245 + 12345) % 2 ** 31;
  return Math.floor((state / 2 ** 31) * below);
}

function one(kind, inner) {
  if (kind === "bool") {
    return random(2) === 1;
  }
  if (kind in RANGES) {
    return RANGES[kind][0] + random(RANGES[kind][1]);
  }
  if (kind === "int64" || kind === "uint64") {
    const bits = (BigInt(random(2 ** 31)) << 33n) | BigInt(random(2 ** 31));
    return kind === "int64" ? BigInt.asIntN(64, bits) : bits;
  }
  if (kind === "float32" || kind === "float64") {
    return (random(2 ** 20) - 2 ** 19) / 8;
  }
  if (kind === "string") {
    // Their writer counts UTF-16 units where bytes are meant; what is no ASCII is tested below.
    return "some words!".slice(0, random(12));
  }
  // Their names for the two parts of a time are not those of the message.
  return kind.startsWith("builtin") ? { sec: random(2 ** 31), nsec: random(10 ** 9) } : inner();
}

// { text, make }: a definition of up to 8 fields and a message of it.
function type(depth, parts) {
  const fields = [];
  for (let i = 0, fieldCount = 1 + random(8); i < fieldCount; i++) {
    let kind = KINDS[random(KINDS.length)];
    let make = () => one(kind);
    if (depth > 0 && random(4) === 0) {
      const inner = type(depth - 1, parts);
      kind = `random_msgs/T${parts.length}`;
      parts.push(`MSG: ${kind}\n${inner.text}`);
      make = inner.make;
    }
    const length = random(5);
    const array = ["", "", `[${length + 1}]`, "[]", `[<=${length + 1}]`][random(5)];
    const elements = () => (/^\[\d/.test(array) ? length + 1 : random(length + 1));
    fields.push({ name: `f${i}`, text: `${kind}${array} f${i}  # unit: m/s`,
      make: () => (array === "" ? make() : Array.from({ length: elements() }, make)) });
  }
  return {
    text: `# a comment\nuint8 CONSTANT=3\n${fields.map((field) => field.text).join("\n")}\n`,
    make: () => Object.fromEntries(fields.map((field) => [field.name, field.make()])),
  };
}

// With plain arrays and their names, to compare.
function plain(value) {
  if (value === null || typeof value !== "object") {
    return value;
  }
  if (typeof value.at === "function") {
    return Array.from({ length: value.length }, (_, i) => plain(value.at(i)));
  }
  if ("nanosec" in value) {
    return { sec: value.sec, nsec: value.nanosec };
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

for (let i = 0; i < Number(count); i++) {
  const parts = [];
  const root = type(3, parts);
  const text = [root.text, ...parts].join(`${"=".repeat(80)}\n`);
  const sent = root.make();
  const bytes = new MessageWriter(parseTheirs(text, { ros2: true })).writeMessage(sent);
  const definition = parse("random_msgs/msg/Root", text);
  const got = decode(definition, bytes);
  assert.deepStrictEqual(plain(got), plain(sent), `message ${i} of\n${text}`);
  // What is listed can be plotted by its path, with the same number.
  for (const leaf of leaves(definition, got)) {
    assert.strictEqual(getter(leaf.path)(got), leaf.number, `${leaf.path} of\n${text}`);
  }
  // Cut off anywhere it is an error, or all of it was read; never something else.
  const cut = random(bytes.length);
  try {
    decode(definition, bytes.subarray(0, cut));
    assert.fail(`${cut} of ${bytes.length} bytes are a message of\n${text}`);
  } catch (error) {
    assert.ok(error instanceof RangeError, `${error} at ${cut} of\n${text}`);
  }
}

// By hand: UTF-8 and UTF-16, the other byte order, and texts and bytes that are none.
const words = parse("a/msg/Words", "uint8 first\nstring utf8\nwstring utf16\nstring[] more");
const littleEndian = [0, 1, 0, 0, 9, 0, 0, 0, 6, 0, 0, 0, 0x67, 0xc3, 0xbc, 0xe6, 0xbc, 0, 0, 0, 2, 0, 0, 0,
  0xfc, 0, 0x22, 0x6f, 0, 0, 0, 0];
assert.deepStrictEqual(plain(decode(words, Uint8Array.from(littleEndian))),
  { first: 9, utf8: "gü\ufffd", utf16: "ü漢", more: [] });
const pair = parse("a/msg/Pair", "int16 one\nfloat64[1] two");
assert.deepStrictEqual(plain(decode(pair, Uint8Array.from([0, 0, 0, 0, 255, 254, 0, 0, 0, 0, 0, 0, 0x3f, 0xf8, 0, 0, 0,
  0, 0, 0]))), { one: -2, two: [1.5] });
for (const [bytes, reason] of [[[], /plain CDR/], [[0, 7, 0, 0, 1, 1], /plain CDR/], [[0, 1, 0, 0, 1], /ends at byte 1/]]) {
  assert.throws(() => decode(pair, Uint8Array.from(bytes)), reason);
}
for (const [text, reason] of [["int16", /no field/], ["Gone gone", /a\/Gone is not defined/], ["int8 x\n===\nint8 y", /no name/],
  ["Bad bad\n===\nMSG: a/Bad\nint8[ x", /no field/], ["Loop loop\n===\nMSG: a/Loop\nLoop again", /holds itself/]]) {
  assert.throws(() => parse("a/msg/Bad", text), reason, text);
}
// Of a long array the part that is asked for; bytes with the unit "text" as one.
const lists = parse("a/msg/Lists", "uint8[4] name\nuint16[5] many\nInner[2] inner\n===\nMSG: a/Inner\nuint8[3] name");
const listed = decode(lists, Uint8Array.from([0, 1, 0, 0, 0x67, 0xc3, 0xbc, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0,
  0x61, 0, 0x62, 0, 0, 0]));
const lines = leaves(lists, listed, {
  span: (path, length, ofMessages) => (length > 3 && !ofMessages ? { from: 3, to: 9 } : null),
  unit: (path) => (/name$/.test(path) ? "text" : "m"),
});
assert.deepStrictEqual(lines.map((leaf) => [leaf.path, leaf.value]), [["name", "gü"], ["many[]", [10, 11, 12]],
  ["many[3]", 13], ["many[4]", 14], ["inner[0].name", "a"], ["inner[1].name", ""]]);
assert.deepStrictEqual([lines[1].length, lines[1].from, lines[1].to, lines[1].number], [5, 3, 9, null]);
assert.deepStrictEqual(leaves(words, decode(words, Uint8Array.from(littleEndian))).map((leaf) => leaf.path),
  ["first", "utf8", "utf16", "more[]"]);
// A field may be called as what every object has.
assert.strictEqual(getter("constructor")({}), null);
process.stdout.write(`${count} messages alike\n`);
