/* Programs with the unmodified memphis-dev: `sdk.cjs HOST PORT NATS_URL CASE…`; each case asserts for itself.

   The cases run side by side, each on stations of its own, and one line of JSON for each says how it went.
   What an SDK can not do, the window's part, is asked for over a plain NATS connection. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const nats = require('nats');
const { createMemphisInstance } = require('memphis-dev');

const [HOST, PORT, NATS_URL, ...NAMES] = process.argv.slice(2);
const DEADLINE = 45000;
const codec = nats.JSONCodec();

const connect = (options = {}) => createMemphisInstance().connect({
  host: HOST, port: Number(PORT), username: 'root', suppressLogs: true,
  ...(options.connectionToken ? {} : { password: 'memphis' }), ...options,
});
const text = (message) => message.getData().toString();

async function until(condition, what) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < end, `${what} did not come`);
    await sleep(50);
  }
}

async function texts(consumer, count, options = {}) {
  const found = [];
  const end = Date.now() + DEADLINE;
  while (found.length < count) {
    for (const message of await consumer.fetch({ batchSize: 10, ...options })) {
      found.push(text(message));
      message.ack();
    }
    assert.ok(Date.now() < end, `only ${found} came`);
  }
  return found;
}

const range = (first, count) => Array.from({ length: count }, (_, index) => String(first + index));
const produce = (producer, message, options = {}) => producer.produce({
  message: Buffer.from(message), asyncProduce: false, ...options,
});

async function managing() {
  const client = await nats.connect({ servers: NATS_URL });
  return {
    client,
    jsm: await client.jetstreamManager(),
    async ask(request, body) {
      const answer = await client.request(`$memphis_manage.${request}`, codec.encode({ username: 'ada', ...body }),
        { timeout: 20000 });
      const document = codec.decode(answer.data);
      assert.ok(!document.error, JSON.stringify(document));
      return document.result;
    },
    async records(bucket) {
      const kv = await client.jetstream().views.kv(bucket);
      const [keys, found] = [[], []];
      for await (const key of await kv.keys()) keys.push(key);
      for (const key of keys) {
        const entry = await kv.get(key);
        if (entry && entry.operation === 'PUT') found.push(entry.json());
      }
      return found;
    },
    async letters(station) {
      return (await this.records('memphis_dead_letters')).filter((each) => each.station === station);
    },
  };
}

const cases = {
  async connects_by_password_and_by_token() {
    const memphis = await connect();
    assert.ok(memphis.isConnected());
    await memphis.close();
    const other = await connect({ connectionToken: 'memphis' });
    await other.station({ name: 'n-token' });
    await other.close();
  },

  async refuses_a_wrong_login() {
    await assert.rejects(connect({ password: 'wrong' }), /Authorization Violation/);
    await assert.rejects(connect({ connectionToken: 'wrong' }), /Authorization Violation/);
  },

  async makes_stations_and_refuses_bad_ones() {
    const memphis = await connect();
    const manager = await managing();
    await memphis.station({ name: 'N.Age', retentionType: memphis.retentionTypes.MAX_MESSAGE_AGE_SECONDS, retentionValue: 600,
      partitionsNumber: 2, idempotencyWindowMs: 5000 });
    await memphis.station({ name: 'n-count', retentionType: memphis.retentionTypes.MESSAGES, retentionValue: 7,
      storageType: memphis.storageTypes.MEMORY });
    await memphis.station({ name: 'n-bytes', retentionType: memphis.retentionTypes.BYTES, retentionValue: 4096 });
    await memphis.station({ name: 'n-acks', retentionType: memphis.retentionTypes.ACK_BASED });
    const config = async (stream) => (await manager.jsm.streams.info(stream)).config;
    assert.equal((await config('n#age$2')).max_age, 600e9);
    assert.equal((await config('n#age$2')).duplicate_window, 5e9);
    assert.deepEqual([(await config('n-count$1')).max_msgs, (await config('n-count$1')).storage], [7, 'memory']);
    assert.equal((await config('n-bytes$1')).max_bytes, 4096);
    assert.equal((await config('n-acks$1')).retention, 'interest');
    await assert.rejects(memphis.station({ name: 'bad name' }), /Only alphanumeric and the '_', '-', '.'/);
    await assert.rejects(memphis.station({ name: 'n-r5', replicas: 5 }), /larger than the cluster size/);
    await assert.rejects(memphis.station({ name: 'n-sch', schemaName: 'none' }), /Schema none does not exist/);
    const station = await memphis.station({ name: 'n.age' });
    await station.destroy();
    await station.destroy();
    await assert.rejects(config('n#age$1'), /stream not found/);
    await memphis.close();
    await manager.client.close();
  },

  async produces_and_consumes_every_way() {
    const memphis = await connect();
    await memphis.station({ name: 'n-ways' });
    const producer = await memphis.producer({ stationName: 'n-ways', producerName: 'p' });
    const headers = memphis.headers();
    headers.add('Key', 'Value');
    await produce(producer, 'first', { headers });
    await producer.produce({ message: { a: 1 }, asyncProduce: false });
    await memphis.produce({ stationName: 'n-ways', producerName: 'p2', message: Buffer.from('third'), asyncProduce: false });
    for (const body of range(0, 5)) producer.produce({ message: Buffer.from(body) }); // acknowledged in the background
    const consumer = await memphis.consumer({ stationName: 'n-ways', consumerName: 'c' });
    const found = [];
    while (found.length < 8) {
      for (const message of await consumer.fetch({ batchSize: 4 })) { found.push(message); message.ack(); }
    }
    assert.deepEqual(found.map(text), ['first', '{"a":1}', 'third', ...range(0, 5)]);
    assert.deepEqual(found[0].getHeaders(), { Key: 'Value' });
    assert.deepEqual(found.map((each) => each.getSequenceNumber()), [1, 2, 3, 4, 5, 6, 7, 8]);
    const seen = [];
    const listener = await memphis.consumer({ stationName: 'n-ways', consumerName: 'c2', pullIntervalMs: 200, batchSize: 3 });
    listener.on('error', () => {}); // a request that waits when the consumer is destroyed is told so
    listener.setContext({ key: 'value' });
    listener.on('message', (message, context) => { seen.push([text(message), context.key]); message.ack(); });
    await until(() => seen.length === 8, 'eight messages by callback');
    assert.deepEqual(seen[0], ['first', 'value']);
    await listener.destroy();
    await memphis.close();
  },

  async keeps_a_message_id_once() {
    const memphis = await connect();
    await memphis.station({ name: 'n-ids' });
    const producer = await memphis.producer({ stationName: 'n-ids', producerName: 'p' });
    for (const [body, msgId] of [['a', '1'], ['b', '2'], ['again', '1'], ['c', '3']]) await produce(producer, body, { msgId });
    const consumer = await memphis.consumer({ stationName: 'n-ids', consumerName: 'c' });
    assert.deepEqual(await texts(consumer, 3), ['a', 'b', 'c']);
    await memphis.close();
  },

  async chooses_partitions() {
    const memphis = await connect();
    await memphis.station({ name: 'n-parts', partitionsNumber: 3 });
    const producer = await memphis.producer({ stationName: 'n-parts', producerName: 'p' });
    await produce(producer, 'two', { producerPartitionNumber: 2 });
    for (const body of range(0, 3)) await produce(producer, body);
    const consumer = await memphis.consumer({ stationName: 'n-parts', consumerName: 'c' });
    const second = await texts(consumer, 2, { consumerPartitionNumber: 2 });
    assert.equal(second[0], 'two');
    const rest = [...await texts(consumer, 1, { consumerPartitionNumber: 1 }),
      ...await texts(consumer, 1, { consumerPartitionNumber: 3 })];
    assert.deepEqual([second[1], ...rest].sort(), range(0, 3));
    await memphis.close();
  },

  async every_partition_key_reaches_a_partition() {
    const memphis = await connect();
    await memphis.station({ name: 'n-keys', partitionsNumber: 3 });
    const producer = await memphis.producer({ stationName: 'n-keys', producerName: 'p' });
    const keys = [...range(0, 12), ...range(0, 12)];
    for (const producerPartitionKey of keys) await produce(producer, producerPartitionKey, { producerPartitionKey });
    const consumer = await memphis.consumer({ stationName: 'n-keys', consumerName: 'c' });
    const partitions = [[], [], []];
    for (const consumerPartitionNumber of [1, 2, 3]) {
      let more;
      do {
        more = await consumer.fetch({ batchSize: 24, consumerPartitionNumber });
        for (const message of more) { partitions[consumerPartitionNumber - 1].push(text(message)); message.ack(); }
      } while (more.length > 0);
    }
    assert.deepEqual(partitions.flat().sort(), keys.sort());
    for (const found of partitions) for (const key of found) assert.equal(found.filter((one) => one === key).length, 2);
    assert.ok(partitions.every((found) => found.length > 0));
    await memphis.close();
  },

  async shares_within_a_group_and_starts_where_asked() {
    const [memphis, other] = [await connect(), await connect()];
    await memphis.station({ name: 'n-group' });
    const producer = await memphis.producer({ stationName: 'n-group', producerName: 'p' });
    for (const body of range(1, 20)) await produce(producer, body);
    const members = [
      await memphis.consumer({ stationName: 'n-group', consumerName: 'm1', consumerGroup: 'team' }),
      await other.consumer({ stationName: 'n-group', consumerName: 'm2', consumerGroup: 'team' }),
    ];
    const seen = [[], []];
    while (seen[0].length + seen[1].length < 20) {
      for (const index of [0, 1]) seen[index].push(...await texts(members[index], 5, { batchSize: 5 }));
    }
    const numbers = [...seen[0], ...seen[1]].map(Number).sort((a, b) => a - b).map(String);
    assert.deepEqual(numbers, range(1, 20));
    const from = await memphis.consumer({ stationName: 'n-group', consumerName: 's', startConsumeFromSequence: 18 });
    assert.deepEqual(await texts(from, 3), ['18', '19', '20']);
    const last = await memphis.consumer({ stationName: 'n-group', consumerName: 'l', lastMessages: 2 });
    assert.deepEqual(await texts(last, 2), ['19', '20']);
    await assert.rejects(memphis.consumer({ stationName: 'n-group', consumerName: 'b', startConsumeFromSequence: 2,
      lastMessages: 2 }), /can't contain both/);
    await memphis.close();
    await other.close();
  },

  async redelivers() {
    const memphis = await connect();
    await memphis.station({ name: 'n-again' });
    const producer = await memphis.producer({ stationName: 'n-again', producerName: 'p' });
    const consumer = await memphis.consumer({ stationName: 'n-again', consumerName: 'c', maxAckTimeMs: 1000, maxMsgDeliveries: 5 });
    const one = async () => (await until(async () => {
      const found = await consumer.fetch({ batchSize: 1 });
      return found.length && found;
    }, 'a message'))[0];
    await produce(producer, 'late');
    await one(); // not acked in time
    (await one()).nack();
    const begun = Date.now();
    (await one()).delay(800);
    const message = await one();
    assert.ok(Date.now() - begun > 700);
    message.ack();
    await memphis.close();
  },

  async keeps_dead_letters_with_the_reason_and_resends_them() {
    const memphis = await connect();
    const manager = await managing();
    await memphis.station({ name: 'n-dead' });
    const producer = await memphis.producer({ stationName: 'n-dead', producerName: 'p' });
    const consumer = await memphis.consumer({ stationName: 'n-dead', consumerName: 'c', consumerGroup: 'G.1' });
    await produce(producer, 'no use');
    const [message] = await consumer.fetch({ batchSize: 1 });
    message.deadLetter('it is no use');
    const [letter] = await until(async () => {
      const found = await manager.letters('n-dead');
      return found.length && found[0].groups[0].reason && found;
    }, 'the dead letter');
    assert.deepEqual([letter.producer, letter.sequence, letter.groups[0].name], ['p', 1, 'g.1']);
    assert.equal(letter.groups[0].reason, 'it is no use');
    assert.equal(letter.groups.length, 1);
    const result = await manager.ask('dead_letters.resend', { station: 'n-dead', ids: [letter.id], group: 'g.1' });
    assert.deepEqual(result, { sent: 1, failed: {} });
    await until(() => consumer.dlsMessages.length, 'the letter sent again');
    const [again] = await consumer.fetch({ batchSize: 5 });
    assert.equal(text(again), 'no use');
    again.ack();
    await until(async () => !(await manager.letters('n-dead')).length, 'its removal');
    await memphis.close();
    await manager.client.close();
  },

  async checks_by_schema() {
    const memphis = await connect();
    const manager = await managing();
    await memphis.station({ name: 'n-typed' });
    fs.writeFileSync('node-schema.json', JSON.stringify({ type: 'object', properties: { a: { type: 'number' } }, required: ['a'] }));
    await memphis.createSchema({ schemaName: 'n-schema', schemaType: 'json', schemaFilePath: 'node-schema.json' });
    await memphis.enforceSchema({ name: 'n-schema', stationName: 'n-typed' });
    const producer = await memphis.producer({ stationName: 'n-typed', producerName: 'p' });
    await producer.produce({ message: { a: 1 }, asyncProduce: false });
    await assert.rejects(producer.produce({ message: { a: 'x' }, asyncProduce: false }), /Schema validation has failed/);
    const [letter] = await until(async () => {
      const found = await manager.letters('n-typed');
      return found.length && found;
    }, 'the dead letter');
    assert.deepEqual([letter.kind, letter.producer], ['schema', 'p']);
    await memphis.detachSchema({ stationName: 'n-typed' });
    await until(async () => {
      await sleep(50);
      return producer.produce({ message: { a: 'x' }, asyncProduce: false }).then(() => true, () => false);
    }, 'word of the detached schema');
    await memphis.close();
    await manager.client.close();
  },

  async is_known_while_it_is_there() {
    const memphis = await connect();
    const manager = await managing();
    const producer = await memphis.producer({ stationName: 'n-known', producerName: 'p' });
    const consumer = await memphis.consumer({ stationName: 'n-known', consumerName: 'c' });
    const rows = async (bucket) => (await manager.records(bucket)).filter((each) => each.station === 'n-known');
    const known = async () => [
      ...(await rows('memphis_producers')).map((each) => `${each.name} ${each.sdk}`),
      ...(await rows('memphis_consumers')).map((each) => `${each.group} ${each.sdk}`),
    ].join();
    await until(async () => await known() === 'p node.js,c node.js', 'both rows');
    await producer.destroy();
    await consumer.destroy();
    await until(async () => await known() === '', 'their removal');
    await memphis.close();
    await manager.client.close();
  },
};

async function run(name) {
  let failure = '';
  const begun = Date.now();
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('took too long')), 90000); });
  try {
    await Promise.race([cases[name](), late]);
  } catch (error) {
    failure = String(error.stack || error);
  }
  clearTimeout(timer);
  console.log(JSON.stringify({ case: name, failure, seconds: (Date.now() - begun) / 1000 }));
}

Promise.all(NAMES.map(run)).then(() => process.exit(0));
