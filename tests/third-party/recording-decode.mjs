// A recording, opened with @mcap/core and decoded with @foxglove/rosmsg2-serialization by the
// schemas that stand in it: a line of JSON a message, in the order of log time.
//
// usage: recording-decode.mjs MODULES FILE
//
// {topic, schema, sequence, logTime, publishTime, names: [...], kinds: [...], values: [...]}: a name
// for each number and each text, as in "wheels[1].slips[0]", its type, and its value as text without a
// digit lost. names and kinds only where they are others than those of the topic's message before.
import { createRequire } from "node:module";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const [modules, file] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { McapIndexedReader } = require("@mcap/core");
const { parse } = require("@foxglove/rosmsg");
const { MessageReader, MessageWriter } = require("@foxglove/rosmsg2-serialization");
const zstd = require("@foxglove/wasm-zstd");
const lz4 = require("@foxglove/wasm-lz4");

function check(what, value, wanted) {
  if (value !== wanted) {
    throw new Error(`${what}: ${value} instead of ${wanted}`);
  }
}

const handle = openSync(file);
const readable = {
  size: async () => BigInt(fstatSync(handle).size),
  read: async (offset, size) => {
    const buffer = new Uint8Array(Number(size));
    check("read", readSync(handle, buffer, 0, buffer.length, Number(offset)), buffer.length);
    return buffer;
  },
};

// Shortest text that is this number again; a zero keeps its sign.
function text(value) {
  return Object.is(value, -0) ? "-0" : String(value);
}

function flatten(definitions, definition, message, path, out) {
  for (const field of definition.definitions.filter((one) => one.isConstant !== true)) {
    const nested = field.isComplex === true && definitions.find((one) => one.name === field.type);
    check(`${field.type} is in the schema`, field.isComplex === true && !nested, false);
    const one = (value, name) => {
      if (nested) {
        flatten(definitions, nested, value, `${name}.`, out);
      } else if (field.type === "time" || field.type === "duration") {
        out.push([`${name}.sec`, "int32", text(value.sec)],
          [`${name}.nanosec`, "uint32", text(value.nanosec ?? value.nsec)]);
      } else {
        out.push([name, field.type, text(value)]);
      }
    };
    const value = message[field.name];
    if (field.isArray === true) {
      for (let i = 0; i < value.length; i++) {
        one(value[i], `${path}${field.name}[${i}]`);
      }
    } else {
      one(value, path + field.name);
    }
  }
}

await zstd.isLoaded;
await lz4.isLoaded;
const reader = await McapIndexedReader.Initialize({
  readable,
  decompressHandlers: {
    zstd: (data, size) => zstd.decompress(data, Number(size)),
    lz4: (data, size) => lz4(data, Number(size)),
  },
});
const channels = new Map();
let count = 0;
for await (const message of reader.readMessages({ validateCrcs: true })) {
  const channel = reader.channelsById.get(message.channelId);
  const schema = reader.schemasById.get(channel.schemaId);
  check("encoding", channel.messageEncoding, "cdr");
  check("schema encoding", schema.encoding, "ros2msg");
  if (!channels.has(channel.id)) {
    const definitions = parse(Buffer.from(schema.data).toString(), { ros2: true });
    channels.set(channel.id, {
      definitions,
      root: definitions.find((one) => one.name == undefined || one.name === schema.name),
      reader: new MessageReader(definitions),
      writer: new MessageWriter(definitions),
      head: "",
    });
  }
  const its = channels.get(channel.id);
  const decoded = its.reader.readMessage(message.data);
  check("a message longer than its schema", its.reader.lastReadHadTrailingBytes(), false);
  check("written again by them, the bytes",
    Buffer.compare(its.writer.writeMessage(decoded), Buffer.from(message.data)), 0);
  const out = [];
  flatten(its.definitions, its.root, decoded, "", out);
  const line = {
    topic: channel.topic, schema: schema.name, sequence: message.sequence,
    logTime: String(message.logTime), publishTime: String(message.publishTime),
    values: out.map((one) => one[2]),
  };
  const names = out.map((one) => one[0]), kinds = out.map((one) => one[1]);
  const head = names.join() + kinds.join();
  if (head !== its.head) {
    its.head = head;
    Object.assign(line, { names, kinds });
  }
  process.stdout.write(JSON.stringify(line) + "\n");
  count++;
}
check("statistics", Number(reader.statistics.messageCount), count);
for await (const metadata of reader.readMetadata()) {
  check("metadata", metadata.name, "slipring");
}
closeSync(handle);
