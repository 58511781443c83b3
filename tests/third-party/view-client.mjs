// A viewer made of other people's packages: what slipring view sends is decoded by them and has to
// be what they encode, and what they encode is published.
//
// usage: view-client.mjs MODULES URL TOPIC COUNT          prints COUNT samples, a line of JSON each
//        view-client.mjs MODULES URL TOPIC < MESSAGES     publishes a line of JSON each
//
// MODULES is a directory with node_modules in it. 64-bit integers are strings in JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, url, topic, count] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { FoxgloveClient } = require("@foxglove/ws-protocol");
const { parse } = require("@foxglove/rosmsg");
const { MessageReader, MessageWriter } = require("@foxglove/rosmsg2-serialization");
const WebSocket = require("ws");

function fail(what) {
  process.stderr.write(`view-client: ${what}\n`);
  process.exit(1);
}

function plain(key, value) {
  if (typeof value === "bigint") {
    return String(value);
  }
  return ArrayBuffer.isView(value) ? Array.from(value) : value;
}

const protocol = process.env.PROTOCOL ?? FoxgloveClient.SUPPORTED_SUBPROTOCOL;
const client = new FoxgloveClient({ ws: new WebSocket(url, [protocol]) });
let info;
client.on("serverInfo", (event) => (info = event));
client.on("error", (error) => fail(error.message ?? error));
client.on("status", (status) => {
  if (status.level > 1) {
    fail(status.message);
  }
});

const channel = await new Promise((resolve) => {
  client.on("advertise", (channels) => {
    const found = channels.find((one) => one.topic === topic);
    if (found) {
      resolve(found);
    }
  });
});
if (!info?.sessionId || !info.capabilities.includes("clientPublish")) {
  fail("no server info before the channels");
}
const definitions = parse(channel.schema, { ros2: true });

if (count) {
  const reader = new MessageReader(definitions);
  const writer = new MessageWriter(definitions);
  let left = Number(count);
  client.on("message", (event) => {
    const message = reader.readMessage(event.data);
    if (reader.lastReadHadTrailingBytes()) {
      fail("the message is longer than its schema");
    }
    const { buffer, byteOffset, byteLength } = event.data;
    if (Buffer.compare(writer.writeMessage(message), Buffer.from(buffer, byteOffset, byteLength))) {
      fail("the message is encoded in another way");
    }
    process.stdout.write(
      JSON.stringify({ subscription: event.subscriptionId, time: event.timestamp, message }, plain) + "\n",
      () => {
        left -= 1;
        if (left === 0) {
          process.exit(0);
        }
      },
    );
  });
  client.subscribe(channel.id);
} else {
  const writer = new MessageWriter(definitions);
  const id = client.advertise({ topic, encoding: "cdr", schemaName: channel.schemaName });
  for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
    const message = JSON.parse(line, (key, value) =>
      typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : value,
    );
    client.sendMessage(id, writer.writeMessage(message));
  }
  // Until somebody has seen that it arrived.
  process.stdout.write("sent\n");
}
