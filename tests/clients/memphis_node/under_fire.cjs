/* A producer and two consumers of memphis-dev at work while servers are taken down.

   `under_fire.cjs HOST PORT COUNT REPLICAS`: as under_fire.py of memphis-py, with the same output. */

const { setTimeout: sleep } = require('node:timers/promises');
const { createMemphisInstance } = require('memphis-dev');

const [HOST, PORT, COUNT, REPLICAS] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const STATION = 'under-fire';
const TRIES = 200;
const end = Date.now() + 80000;

const connect = () => createMemphisInstance().connect({
  host: HOST, port: PORT, username: 'root', password: 'memphis', suppressLogs: true,
});
const group = { pullIntervalMs: 50, maxAckTimeMs: 5000, maxMsgDeliveries: 10 };
const done = (got) => Date.now() > end || new Set(got).size >= COUNT;

async function produce(memphis, acknowledged, failures) {
  const producer = await memphis.producer({ stationName: STATION, producerName: 'p' });
  for (let number = 0; number < COUNT; number++) {
    let tries = 0;
    for (;;) {
      try {
        const message = Buffer.from(`m${number}`);
        await producer.produce({ message, msgId: `id-${number}`, ackWaitSec: 3, asyncProduce: false });
        break;
      } catch (error) {
        failures.push(String(error));
        if (++tries >= TRIES || Date.now() > end) return;
        await sleep(200);
      }
    }
    acknowledged.push(`m${number}`);
    if (number % 50 === 0) console.log(`progress ${number}`);
  }
}

async function fetch(memphis, got) {
  const consumer = await memphis.consumer({ stationName: STATION, consumerName: 'fetching', ...group });
  while (!done(got)) {
    try {
      for (const message of await consumer.fetch({ batchSize: 50 })) {
        got.push(message.getData().toString());
        message.ack();
      }
    } catch {
      await sleep(200);
    }
  }
}

async function callBack(memphis, got) {
  const consumer = await memphis.consumer({ stationName: STATION, consumerName: 'calling', ...group });
  consumer.on('message', (message) => {
    got.push(message.getData().toString());
    message.ack();
  });
  consumer.on('error', () => {});
}

const sorted = (got) => [...new Set(got)].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));

async function main() {
  process.on('unhandledRejection', () => {}); // of the SDK's own background work
  const [maker, fetcher, listener] = [await connect(), await connect(), await connect()];
  await maker.station({ name: STATION, replicas: REPLICAS });
  const [acknowledged, failures, fetched, called] = [[], [], [], []];
  await callBack(listener, called);
  const fetching = fetch(fetcher, fetched);
  await produce(maker, acknowledged, failures);
  await fetching;
  while (!done(called)) await sleep(100);
  const result = { acknowledged: acknowledged.length, failures, fetched: sorted(fetched), called: sorted(called) };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

main();
