// @mcap/core as a program; prints each message of a file as a line, in the order of log time.
//
// usage: node mcap-core.cjs MODULES write FILE none|zstd|unchunked|unindexed
//        node mcap-core.cjs MODULES indexed|streaming|recording FILE
'use strict';
const fs = require('fs');
const path = require('path');
const {createRequire} = require('module');

const [modules, verb, file, kind] = process.argv.slice(2);
const load = createRequire(path.join(path.resolve(modules), 'package.json'));
const {McapIndexedReader, McapStreamReader, McapWriter} = load('@mcap/core');
const zstd = load('@foxglove/wasm-zstd');
const lz4 = load('@foxglove/wasm-lz4');

const decompressHandlers = {
  zstd: (data, size) => zstd.decompress(data, Number(size)),
  lz4: (data, size) => lz4(data, Number(size)),
};

function line(topic, schema, message) {
  return `${topic} ${schema} ${message.sequence} ${message.logTime} ${message.publishTime} ` +
    Buffer.from(message.data).toString('hex');
}

function check(what, value, wanted) {
  if (value !== wanted) {
    throw new Error(`${what}: ${value} instead of ${wanted}`);
  }
}

async function open() {
  const handle = fs.openSync(file);
  const readable = {
    size: async () => BigInt(fs.fstatSync(handle).size),
    read: async (offset, size) => {
      const buffer = new Uint8Array(Number(size));
      check('read', fs.readSync(handle, buffer, 0, buffer.length, Number(offset)), buffer.length);
      return buffer;
    },
  };
  return McapIndexedReader.Initialize({readable, decompressHandlers});
}

// Of slipring record: each message, as many as the file says, and what was missed.
async function recording() {
  const reader = await open(), lines = [];
  for await (const message of reader.readMessages({validateCrcs: true})) {
    const channel = reader.channelsById.get(message.channelId);
    const schema = reader.schemasById.get(channel.schemaId);
    lines.push(line(channel.topic, schema.name, message));
    check('encoding', channel.messageEncoding, 'cdr');
    check('schema encoding', schema.encoding, 'ros2msg');
  }
  check('statistics', Number(reader.statistics.messageCount), lines.length);
  for (const channel of reader.channelsById.values()) {
    const hash = channel.metadata.get('topic_type_hash');
    check('type hash', /^RIHS01_[0-9a-f]{64}$/.test(hash), true);
  }
  for await (const metadata of reader.readMetadata()) {
    check('metadata', metadata.name, 'slipring');
    check('bus', metadata.metadata.has('bus'), true);
  }
  return lines;
}

async function indexed() {
  const reader = await open(), lines = [];
  for await (const message of reader.readMessages({validateCrcs: true})) {
    const channel = reader.channelsById.get(message.channelId);
    lines.push(line(channel.topic, reader.schemasById.get(channel.schemaId).name, message));
    check('encoding', channel.messageEncoding, 'cdr');
    check('unit', channel.metadata.get('unit'), 'm/s');
  }
  check('statistics', Number(reader.statistics.messageCount), lines.length);
  check('summary offsets', reader.summaryOffsetsByOpcode.size, 6);
  // By time and topic: what a seek in a viewer does.
  const middle = BigInt(lines[350].split(' ')[3]);
  let later = 0;
  for await (const message of reader.readMessages({
    topics: ['/topic_1'], startTime: middle, validateCrcs: true,
  })) {
    check('in time', message.logTime >= middle, true);
    later++;
  }
  check('a seek', later, lines.filter((text) =>
    text.startsWith('/topic_1 ') && BigInt(text.split(' ')[3]) >= middle).length);
  for await (const metadata of reader.readMetadata()) {
    check('metadata', metadata.metadata.get('name'), 'rover');
  }
  let attachments = 0;
  for await (const attachment of reader.readAttachments({validateCrcs: true})) {
    check('attachment', Buffer.from(attachment.data).toString(), 'bus: rover\n');
    attachments++;
  }
  check('attachments', attachments, 1);
  return lines;
}

function streaming() {
  const reader = new McapStreamReader({decompressHandlers, validateCrcs: true});
  const schemas = new Map(), channels = new Map(), found = [];
  reader.append(fs.readFileSync(file));
  for (let record; (record = reader.nextRecord());) {
    if (record.type === 'Schema') {
      schemas.set(record.id, record);
    } else if (record.type === 'Channel') {
      channels.set(record.id, record);
    } else if (record.type === 'Message') {
      const channel = channels.get(record.channelId);
      found.push([record.logTime, line(channel.topic, schemas.get(channel.schemaId).name, record)]);
    }
  }
  check('done', reader.done(), true);
  return found.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map((entry) => entry[1]);
}

async function write() {
  const out = fs.openSync(file, 'wx');
  let position = 0n;
  const compressors = {
    zstd: (data) => ({compression: 'zstd', compressedData: zstd.compress(data, 3)}),
  };
  const writer = new McapWriter({
    writable: {
      position: () => position,
      write: async (data) => {
        fs.writeSync(out, data);
        position += BigInt(data.length);
      },
    },
    useChunks: kind !== 'unchunked',
    useChunkIndex: kind !== 'unindexed',
    useMessageIndex: kind !== 'unindexed',
    chunkSize: 8192,
    compressChunk: compressors[kind],
  });
  const found = [];
  await writer.start({profile: '', library: 'peer'});
  const schemaId = await writer.registerSchema(
    {name: 'peer_msgs/msg/Text', encoding: 'ros2msg', data: Buffer.from('string text\n')});
  const channelIds = [];
  for (const topic of ['/a', '/b']) {
    channelIds.push(await writer.registerChannel(
      {topic, schemaId, messageEncoding: 'cdr', metadata: new Map([['key', 'value']])}));
  }
  await writer.addMetadata({name: 'any', metadata: new Map([['a', 'b']])});
  for (let i = 0; i < 500; i++) {
    const message = {
      channelId: channelIds[i % 2],
      sequence: i,
      logTime: 1700000000000000000n + BigInt(i * 1000003) - (i % 40 === 39 ? 60000000n : 0n),
      publishTime: BigInt(i),
      data: Buffer.from(`message ${i} `.repeat(i % 17)),
    };
    await writer.addMessage(message);
    found.push([message.logTime, line('/' + 'ab'[i % 2], 'peer_msgs/msg/Text', message)]);
  }
  await writer.end();
  return found.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map((entry) => entry[1]);
}

(async () => {
  await zstd.isLoaded;
  await lz4.isLoaded;
  const lines = await {indexed, streaming, recording, write}[verb]();
  process.stdout.write(lines.map((text) => text + '\n').join(''));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
