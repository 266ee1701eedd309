// Programs written with the unmodified node-nats-streaming client: cases.mjs URL CLUSTER.
// All cases run at once; each asserts for itself, and "ok NAME" is printed at its end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import stan from "node-nats-streaming";

const [url, cluster] = process.argv.slice(2);
const PATIENCE = 30_000;

function within(what, promise) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what} in time`)), PATIENCE).unref()),
  ]);
}

function once(emitter, event, failure = "error") {
  return within(event, new Promise((resolve, reject) => {
    emitter.once(event, resolve);
    if (failure) emitter.once(failure, reject);
  }));
}

async function connect(id, options = {}) {
  const client = stan.connect(cluster, id, { url, connectTimeout: PATIENCE, ...options });
  await once(client, "connect");
  return client;
}

async function close(client) {
  client.close();
  const error = await once(client, "close");
  assert.ok(!error, `${error}`);
}

function publish(client, channel, data) {
  return within("publish ack", new Promise((resolve, reject) => {
    client.publish(channel, data, (error, guid) => (error ? reject(new Error(`${error}`)) : resolve(guid)));
  }));
}

// Subscribe and collect: { subscription, messages, wait(count) }.
async function subscribe(client, channel, group, change = (options) => options) {
  const options = change(client.subscriptionOptions());
  const subscription = client.subscribe(channel, group, options);
  const inbox = { subscription, messages: [], listeners: [] };
  subscription.on("message", (message) => {
    inbox.messages.push(message);
    inbox.listeners.forEach((listener) => listener());
  });
  inbox.wait = (count) => within(`${count} messages on ${channel}`, new Promise((resolve) => {
    const look = () => inbox.messages.length >= count && resolve();
    inbox.listeners.push(look);
    look();
  }));
  inbox.sequences = () => inbox.messages.map((message) => message.getSequence());
  await once(subscription, "ready");
  return inbox;
}

const refused = async (subscription) => (await once(subscription, "error", null)).message;

const cases = {
  async publishes_and_subscribes() {
    const client = await connect("node-pub-sub");
    const data = randomBytes(2000);
    const begin = Date.now();
    for (let number = 1; number <= 20; number++) await publish(client, "Node.Orders", `order ${number}`);
    await publish(client, "Node.Orders", data);
    const inbox = await subscribe(client, "Node.Orders", undefined, (o) => o.setDeliverAllAvailable());
    await inbox.wait(21);
    assert.deepEqual(inbox.sequences(), Array.from({ length: 21 }, (_, index) => index + 1));
    assert.equal(inbox.messages[4].getData(), "order 5");
    assert.deepEqual(inbox.messages[20].getRawData(), data);
    assert.equal(inbox.messages[0].getSubject(), "Node.Orders");
    assert.ok(Math.abs(inbox.messages[0].getTimestamp().valueOf() - begin) < 60_000);
    inbox.subscription.unsubscribe();
    await once(inbox.subscription, "unsubscribed");
    await close(client);
  },

  async publishes_many_at_once() {
    const client = await connect("node-many");
    const acks = await Promise.all(
      Array.from({ length: 2000 }, (_, number) => publish(client, "node-many", `${number}`)),
    );
    assert.equal(new Set(acks).size, 2000);
    const inbox = await subscribe(client, "node-many", undefined, (o) => o.setDeliverAllAvailable());
    await inbox.wait(2000);
    assert.deepEqual(inbox.messages.map((m) => Number(m.getData())), Array.from({ length: 2000 }, (_, i) => i));
    await close(client);
  },

  async starts_where_it_was_told() {
    const client = await connect("node-positions");
    for (const text of "abc") await publish(client, "node-positions", text);
    await new Promise((resolve) => setTimeout(resolve, 600));
    for (const text of "de") await publish(client, "node-positions", text);
    const starts = {
      news: [(o) => o, [6]],
      last: [(o) => o.setStartWithLastReceived(), [5, 6]],
      sequence: [(o) => o.setStartAtSequence(3), [3, 4, 5, 6]],
      delta: [(o) => o.setStartAtTimeDelta(3_600_000), [1, 2, 3, 4, 5, 6]],
      time: [(o) => o.setStartTime(new Date(Date.now() - 3_600_000)), [1, 2, 3, 4, 5, 6]],
      all: [(o) => o.setDeliverAllAvailable(), [1, 2, 3, 4, 5, 6]],
    };
    const inboxes = {};
    for (const [key, [change]] of Object.entries(starts)) {
      inboxes[key] = await subscribe(client, "node-positions", undefined, change);
    }
    await publish(client, "node-positions", "f");
    for (const [key, [, expected]] of Object.entries(starts)) {
      await inboxes[key].wait(expected.length);
      assert.deepEqual(inboxes[key].sequences(), expected, key);
    }
    await close(client);
  },

  async redelivers_what_is_not_acknowledged() {
    const client = await connect("node-manual");
    await publish(client, "node-manual", "a");
    const inbox = await subscribe(client, "node-manual", undefined, (o) =>
      o.setDeliverAllAvailable().setManualAckMode(true).setAckWait(1000).setMaxInFlight(1));
    await inbox.wait(3);
    assert.deepEqual(inbox.messages.map((m) => m.isRedelivered()), [false, true, true]);
    assert.deepEqual(inbox.messages.map((m) => m.getRedeliveryCount()), [0, 1, 2]);
    await publish(client, "node-manual", "b");
    inbox.messages[0].ack();
    await inbox.wait(4);
    while (inbox.sequences().at(-1) !== 2) await inbox.wait(inbox.messages.length + 1);
    await close(client);
  },

  async keeps_durable_positions() {
    let client = await connect("node-durable");
    const durable = (o) => o.setDurableName("mine").setDeliverAllAvailable();
    for (const text of "abc") await publish(client, "node-durable", text);
    let inbox = await subscribe(client, "node-durable", undefined, durable);
    await inbox.wait(3);
    const second = client.subscribe("node-durable", durable(client.subscriptionOptions()));
    assert.equal(await refused(second), "stan: duplicate durable registration");
    inbox.subscription.close();
    await once(inbox.subscription, "closed");
    await close(client);

    client = await connect("node-durable");
    await publish(client, "node-durable", "d");
    inbox = await subscribe(client, "node-durable", undefined, durable);
    await inbox.wait(1);
    assert.deepEqual(inbox.sequences(), [4]);
    inbox.subscription.unsubscribe();
    await once(inbox.subscription, "unsubscribed");
    inbox = await subscribe(client, "node-durable", undefined, durable);
    await inbox.wait(4);
    assert.deepEqual(inbox.sequences(), [1, 2, 3, 4]);
    await close(client);
  },

  async shares_work_in_queue_groups() {
    const clients = [await connect("node-queue-1"), await connect("node-queue-2")];
    const inboxes = [];
    for (const client of clients) inboxes.push(await subscribe(client, "node-work", "workers"));
    await Promise.all(Array.from({ length: 100 }, (_, n) => publish(clients[0], "node-work", `${n}`)));
    const end = Date.now() + PATIENCE;
    while (inboxes[0].messages.length + inboxes[1].messages.length < 100) {
      assert.ok(Date.now() < end);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const all = [...inboxes[0].sequences(), ...inboxes[1].sequences()].sort((a, b) => a - b);
    assert.deepEqual(all, Array.from({ length: 100 }, (_, index) => index + 1));
    assert.ok(inboxes[0].messages.length > 0 && inboxes[1].messages.length > 0);
    for (const client of clients) await close(client);
  },

  async keeps_durable_queue_groups() {
    const client = await connect("node-jobs");
    const durable = (o) => o.setDurableName("kept").setDeliverAllAvailable();
    await publish(client, "node-jobs", "a");
    let inbox = await subscribe(client, "node-jobs", "workers", durable);
    await inbox.wait(1);
    inbox.subscription.close();
    await once(inbox.subscription, "closed");
    await publish(client, "node-jobs", "b");
    inbox = await subscribe(client, "node-jobs", "workers", durable);
    await inbox.wait(1);
    assert.deepEqual(inbox.sequences(), [2]);
    await close(client);
  },

  async refuses_in_the_servers_words() {
    const first = await connect("node-errors");
    const again = stan.connect(cluster, "node-errors", { url, connectTimeout: PATIENCE });
    assert.equal(`${await once(again, "error", null)}`, "stan: clientID already registered");
    const bad = stan.connect(cluster, "no such id!", { url, connectTimeout: PATIENCE });
    assert.match(`${await once(bad, "error", null)}`, /^stan: invalid clientID: only alphanumeric/);
    const lost = stan.connect("another-cluster", "x", { url, connectTimeout: 300 });
    assert.match((await once(lost, "error", null)).message, /connect request timeout/);
    assert.equal(await refused(first.subscribe("a..b")), "stan: invalid subject");
    await assert.rejects(publish(first, "a/b", ""), /stan: invalid publish request/);
    await close(first);
  },

  async tells_a_replaced_client() {
    const first = await connect("node-replaced", { stanPingInterval: 1000 });
    first.nc.unsubscribe(first.hbSubscription); // as if its machine had gone
    const lost = once(first, "connection_lost", null);
    const second = await connect("node-replaced");
    await publish(second, "node-replaced", "a");
    assert.equal(`${await lost}`, "client has been replaced or is no longer registered");
    await close(second);
  },
};

await Promise.all(Object.entries(cases).map(async ([name, run]) => {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.error(`${name}:`, error);
    process.exitCode = 1;
  }
}));
process.exit();
