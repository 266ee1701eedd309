// Consumers as nats.js uses them. Usage: node consumers.mjs URL CASE
import assert from "node:assert/strict";
import { connect, deferred, nanos, nuid } from "@nats-io/transport-node";
import {
  AckPolicy,
  DeliverPolicy,
  RetentionPolicy,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";

const nc = await connect({ servers: process.argv[2], reconnect: false });
const jsm = await jetstreamManager(nc);
const js = jetstream(nc);

async function fill(count, subject = "work.a") {
  await Promise.all(Array.from({ length: count }, (_, n) => js.publish(subject, String(n))));
}

async function sequences(messages, each = (m) => m.ack()) {
  const found = [];
  for await (const m of messages) {
    found.push(m.seq);
    each(m);
  }
  return found;
}

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

// Resolves with the first message that `subject` gets.
async function first(subject, start) {
  const subscription = nc.subscribe(subject, { max: 1 });
  await nc.flush();
  await start();
  for await (const m of subscription) {
    return m.json();
  }
}

const cases = {
  async next_and_fetch() {
    await fill(120);
    await jsm.consumers.add("WORK", { durable_name: "G", ack_policy: AckPolicy.Explicit });
    const consumer = await js.consumers.get("WORK", "G");
    const one = await consumer.next({ expires: 2000 });
    assert.equal(one.seq, 1);
    assert.equal(one.info.pending, 119);
    assert.equal(await one.ackAck(), true);
    assert.deepEqual(await sequences(await consumer.fetch({ max_messages: 100, expires: 2000 })), range(2, 101));
    assert.deepEqual(await sequences(await consumer.fetch({ max_messages: 100, expires: 1000 })), range(102, 120));
    assert.equal(await consumer.next({ expires: 1000 }), null);
    const info = await consumer.info();
    assert.equal(info.num_ack_pending, 0);
    assert.equal(info.ack_floor.stream_seq, 120);
  },

  async fetch_by_bytes() {
    await fill(50);
    await jsm.consumers.add("WORK", { durable_name: "G", ack_policy: AckPolicy.Explicit });
    const consumer = await js.consumers.get("WORK", "G");
    const found = [];
    const read = async () => {
      for await (const m of await consumer.fetch({ max_bytes: 1024, expires: 1000 })) found.push(m.seq);
    };
    await assert.rejects(read, /message size exceeds maxbytes/);
    assert.ok(found.length > 3 && found.length < 50, String(found.length));
  },

  async consume() {
    await jsm.consumers.add("WORK", { durable_name: "G", ack_policy: AckPolicy.Explicit });
    const consumer = await js.consumers.get("WORK", "G");
    const messages = await consumer.consume({ max_messages: 50, expires: 2000 });
    const found = [];
    const done = (async () => {
      for await (const m of messages) {
        found.push(m.seq);
        m.ack();
        if (found.length === 1000) break;
      }
    })();
    await fill(1000);
    await done;
    assert.deepEqual(found, range(1, 1000));
  },

  async redelivery() {
    await fill(3);
    await jsm.consumers.add("WORK", {
      durable_name: "G",
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(500),
      max_deliver: 2,
    });
    const consumer = await js.consumers.get("WORK", "G");
    const advisory = await first("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", async () => {
      assert.deepEqual(await sequences(await consumer.fetch({ max_messages: 3, expires: 1000 }), () => {}), [1, 2, 3]);
      const counts = [];
      const again = await consumer.fetch({ max_messages: 3, expires: 2000 });
      await sequences(again, (m) => {
        counts.push(m.info.deliveryCount);
        if (m.seq > 1) m.ack();
      });
      assert.deepEqual(counts, [2, 2, 2]);
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.equal(await consumer.next({ expires: 1000 }), null);
    });
    assert.equal(advisory.stream_seq, 1);
    assert.equal(advisory.deliveries, 2);
  },

  async nak_term_working() {
    await fill(3);
    await jsm.consumers.add("WORK", { durable_name: "G", ack_policy: AckPolicy.Explicit, ack_wait: nanos(700) });
    const consumer = await js.consumers.get("WORK", "G");
    const [a, b, c] = [await consumer.next(), await consumer.next(), await consumer.next()];
    const started = Date.now();
    a.nak(300);
    b.term("not needed");
    const beat = setInterval(() => c.working(), 200);
    const again = await consumer.next({ expires: 2000 });
    assert.equal(again.seq, 1);
    assert.ok(Date.now() - started >= 290);
    again.ack();
    await new Promise((resolve) => setTimeout(resolve, 900));
    assert.equal((await consumer.info()).num_redelivered, 0);
    clearInterval(beat);
    const late = await consumer.next({ expires: 2000 });
    assert.deepEqual([late.seq, late.info.deliveryCount], [3, 2]);
  },

  async ordered() {
    await fill(500);
    await fill(10, "work.b");
    const consumer = await js.consumers.get("WORK", { filter_subjects: ["work.a"] });
    const messages = await consumer.consume({ max_messages: 100, expires: 2000 });
    const found = [];
    for await (const m of messages) {
      found.push(m.seq);
      if (found.length === 250) {
        // The client notices that its consumer is gone, and makes a new one behind the last message.
        const [info] = await jsm.consumers.list("WORK").next();
        await jsm.consumers.delete("WORK", info.name);
      }
      if (found.length === 500) break;
    }
    assert.deepEqual(found, range(1, 500));
  },

  async push() {
    await jsm.consumers.add("WORK", {
      durable_name: "P",
      ack_policy: AckPolicy.Explicit,
      deliver_subject: nuid.next(),
      idle_heartbeat: nanos(500),
      flow_control: true,
    });
    const consumer = await js.consumers.getPushConsumer("WORK", "P");
    const messages = await consumer.consume();
    const beat = deferred();
    (async () => {
      for await (const s of messages.status()) if (s.type === "heartbeat") beat.resolve();
    })();
    await fill(300);
    const found = [];
    for await (const m of messages) {
      found.push(m.seq);
      m.ack();
      if (found.length === 300) break;
    }
    assert.deepEqual(found, range(1, 300));
  },

  async pinned() {
    await jsm.consumers.add("WORK", {
      durable_name: "G",
      ack_policy: AckPolicy.Explicit,
      priority_groups: ["a"],
      priority_policy: "pinned_client",
      priority_timeout: nanos(2000),
    });
    const consumer = await js.consumers.get("WORK", "G");
    const found = { one: [], two: [] };
    const readers = {};
    for (const name of ["one", "two"]) {
      readers[name] = await consumer.consume({ group: "a", max_messages: 10, expires: 1000 });
      (async () => {
        for await (const m of readers[name]) {
          found[name].push(m.seq);
          m.ack();
        }
      })();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await fill(40);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(found, { one: range(1, 40), two: [] });
    await readers.one.close();
    await jsm.consumers.unpin("WORK", "G", "a");
    await fill(10);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(found.two, range(41, 50));
  },

  async overflow() {
    await jsm.consumers.add("WORK", {
      durable_name: "G",
      ack_policy: AckPolicy.Explicit,
      priority_groups: ["a"],
      priority_policy: "overflow",
    });
    const consumer = await js.consumers.get("WORK", "G");
    await fill(5);
    const none = await consumer.fetch({ max_messages: 5, expires: 1000, group: "a", min_pending: 10 });
    assert.deepEqual(await sequences(none), []);
    await fill(10);
    const some = await consumer.fetch({ max_messages: 5, expires: 1000, group: "a", min_pending: 10 });
    assert.deepEqual(await sequences(some), range(1, 5));
  },

  async pausing() {
    await fill(3);
    await jsm.consumers.add("WORK", { durable_name: "G", ack_policy: AckPolicy.Explicit });
    const until = new Date(Date.now() + 1500);
    assert.equal((await jsm.consumers.pause("WORK", "G", until)).paused, true);
    const consumer = await js.consumers.get("WORK", "G");
    assert.equal((await consumer.info()).paused, true);
    const m = await consumer.next({ expires: 4000 });
    assert.equal(m.seq, 1);
    assert.ok(Date.now() >= until.getTime());
    await jsm.consumers.pause("WORK", "G", new Date(Date.now() + 60000));
    assert.equal((await jsm.consumers.resume("WORK", "G")).paused, false);
    assert.equal((await consumer.next({ expires: 2000 })).seq, 2);
  },

  async work_queue() {
    await jsm.streams.add({ name: "QUEUE", subjects: ["q.>"], retention: RetentionPolicy.Workqueue });
    await jsm.consumers.add("QUEUE", { durable_name: "A", ack_policy: AckPolicy.Explicit, filter_subject: "q.a" });
    await jsm.consumers.add("QUEUE", { durable_name: "B", ack_policy: AckPolicy.Explicit, filter_subject: "q.b" });
    await assert.rejects(
      jsm.consumers.add("QUEUE", { durable_name: "C", ack_policy: AckPolicy.Explicit, filter_subject: "q.*" }),
      (error) => error.code === 10100,
    );
    await fill(10, "q.a");
    await fill(5, "q.b");
    const a = await js.consumers.get("QUEUE", "A");
    for await (const m of await a.fetch({ max_messages: 10, expires: 1000 })) await m.ackAck();
    assert.equal((await jsm.streams.info("QUEUE")).state.messages, 5);
  },

  async last_per_subject() {
    for (const subject of ["work.a", "work.b", "work.a", "work.c", "work.b"]) await js.publish(subject);
    await jsm.consumers.add("WORK", {
      name: "L",
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subjects: ["work.a", "work.b"],
    });
    const consumer = await js.consumers.get("WORK", "L");
    assert.equal((await consumer.info()).num_pending, 2);
    assert.deepEqual(await sequences(await consumer.fetch({ max_messages: 5, expires: 1000 }), () => {}), [3, 5]);
  },
};

await jsm.streams.add({ name: "WORK", subjects: ["work.>"] });
await cases[process.argv[3]]();
await nc.close();
console.log("ok");
process.exit(0);
