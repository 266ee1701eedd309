// Core NATS and services as nats.js uses them. Usage: node core.mjs URL CASE
import assert from "node:assert/strict";
import { connect, createInbox, deferred, errors, headers, nuid } from "@nats-io/transport-node";
import { Svcm } from "@nats-io/services";

const servers = process.argv[2];
const nc = await connect({ servers, reconnect: false });

async function take(subscription, count) {
  const found = [];
  for await (const m of subscription) {
    found.push(m);
    if (found.length === count) break;
  }
  return found;
}

const cases = {
  async publish_and_subscribe() {
    const wild = nc.subscribe("a.*", { max: 2 });
    const literal = nc.subscribe("a.b", { max: 1 });
    const everything = nc.subscribe("a.>", { max: 3 });
    nc.publish("a.b", "one");
    nc.publish("a.c", new Uint8Array([0, 255, 10, 13]));
    nc.publish("a.b.c");
    assert.deepEqual((await take(wild, 2)).map((m) => m.subject), ["a.b", "a.c"]);
    assert.equal((await take(literal, 1))[0].string(), "one");
    const all = await take(everything, 3);
    assert.deepEqual([...all[1].data], [0, 255, 10, 13]);
    assert.equal(all[2].data.length, 0);
  },

  async headers_of_messages() {
    const subscription = nc.subscribe("h", { max: 1 });
    const sent = headers();
    sent.append("Two", "1");
    sent.append("Two", "2");
    sent.set("Blank", "");
    nc.publish("h", "body", { headers: sent });
    const [message] = await take(subscription, 1);
    assert.deepEqual(message.headers.values("Two"), ["1", "2"]);
    assert.equal(message.headers.get("Blank"), "");
    assert.equal(message.string(), "body");
  },

  async requests() {
    nc.subscribe("double", { callback: (_, m) => m.respond(String(2 * Number(m.string()))) });
    const answers = await Promise.all([1, 2, 3].map((n) => nc.request("double", String(n), { timeout: 5000 })));
    assert.deepEqual(answers.map((m) => m.string()), ["2", "4", "6"]);
    const single = await nc.request("double", "21", { timeout: 5000, noMux: true });
    assert.equal(single.string(), "42");
    await assert.rejects(() => nc.request("nobody", "", { timeout: 5000 }), (e) => e instanceof errors.NoRespondersError || e.cause instanceof errors.NoRespondersError);
    const silent = nc.subscribe("silent");
    await assert.rejects(() => nc.request("silent", "", { timeout: 200 }), errors.TimeoutError);
    silent.unsubscribe();
  },

  async many_answers() {
    for (let n = 0; n < 3; n++) nc.subscribe("poll", { callback: (_, m) => m.respond(String(n)) });
    const found = [];
    for await (const m of await nc.requestMany("poll", "", { strategy: "count", maxMessages: 3, maxWait: 5000 })) {
      found.push(m.string());
    }
    assert.deepEqual(found.sort(), ["0", "1", "2"]);
  },

  async queue_groups() {
    const other = await connect({ servers, reconnect: false });
    const counts = [0, 0];
    nc.subscribe("q", { queue: "workers", callback: () => counts[0]++ });
    other.subscribe("q", { queue: "workers", callback: () => counts[1]++ });
    const watcher = nc.subscribe("q", { max: 400 });
    await Promise.all([nc.flush(), other.flush()]);
    for (let n = 0; n < 400; n++) nc.publish("q");
    await take(watcher, 400);
    await Promise.all([nc.flush(), other.flush()]);
    assert.equal(counts[0] + counts[1], 400);
    assert.ok(counts[0] > 50 && counts[1] > 50, String(counts));
    await other.close();
  },

  async auto_unsubscribe_and_drain() {
    const limited = nc.subscribe("lim", { max: 3 });
    for (let n = 0; n < 6; n++) nc.publish("lim", String(n));
    assert.deepEqual((await take(limited, 9)).map((m) => m.string()), ["0", "1", "2"]);
    const drained = [];
    const subscription = nc.subscribe("drain", { callback: (_, m) => drained.push(m.string()) });
    for (let n = 0; n < 100; n++) nc.publish("drain", String(n));
    await subscription.drain();
    nc.publish("drain", "late");
    await nc.flush();
    assert.equal(drained.length, 100);
    const other = await connect({ servers, reconnect: false });
    let seen = 0;
    other.subscribe("all.>", { callback: () => seen++ });
    await other.flush();
    for (let n = 0; n < 50; n++) nc.publish(`all.${n}`);
    await nc.flush();
    await other.drain();
    assert.equal(seen, 50);
  },

  async no_echo() {
    const quiet = await connect({ servers, reconnect: false, noEcho: true });
    let heard = 0;
    quiet.subscribe("echo", { callback: () => heard++ });
    const there = nc.subscribe("echo", { max: 1 });
    await Promise.all([quiet.flush(), nc.flush()]);
    quiet.publish("echo");
    await take(there, 1);
    await quiet.flush();
    assert.equal(heard, 0);
    await quiet.close();
  },

  async verbose_and_pedantic() {
    const careful = await connect({ servers, reconnect: false, verbose: true, pedantic: true });
    const subscription = careful.subscribe("v", { max: 1 });
    careful.publish("v", "x");
    assert.equal((await take(subscription, 1))[0].string(), "x");
    await careful.flush();
    await careful.close();
  },

  async what_the_server_says_of_itself() {
    assert.equal(nc.info.headers, true);
    assert.equal(nc.info.max_payload, 1024 * 1024);
    assert.ok(nc.info.client_id > 0);
    assert.equal(nc.getServer().split(":")[0], "127.0.0.1");
    assert.ok((await nc.rtt()) >= 0);
    assert.throws(() => nc.publish("big", new Uint8Array(nc.info.max_payload + 1)), /max_payload/);
    const subscription = nc.subscribe("big", { max: 1 });
    nc.publish("big", new Uint8Array(nc.info.max_payload));
    assert.equal((await take(subscription, 1))[0].data.length, nc.info.max_payload);
  },

  async micro_services() {
    const svc = new Svcm(nc);
    const name = `svc${nuid.next()}`;
    const service = await svc.add({ name, version: "1.2.3", description: "adds" });
    const group = service.addGroup("math");
    group.addEndpoint("add", (error, m) => {
      const [a, b] = m.json();
      if (b === undefined) m.respondError(400, "two numbers");
      else m.respond(JSON.stringify(a + b));
    });
    assert.equal((await nc.request("math.add", "[1,2]", { timeout: 5000 })).json(), 3);
    const refused = await nc.request("math.add", "[1]", { timeout: 5000 });
    assert.equal(refused.headers.get("Nats-Service-Error-Code"), "400");
    const client = svc.client();
    const infos = [];
    for await (const info of await client.info(name)) infos.push(info);
    assert.equal(infos[0].endpoints[0].subject, "math.add");
    const stats = [];
    for await (const one of await client.stats(name)) stats.push(one);
    assert.equal(stats[0].endpoints[0].num_requests, 2);
    await service.stop();
  },

  async two_connections_with_one_inbox_prefix() {
    const own = await connect({ servers, reconnect: false, inboxPrefix: "mine" });
    nc.subscribe("where", { callback: (_, m) => m.respond(m.reply) });
    await nc.flush();
    const answer = await own.request("where", "", { timeout: 5000 });
    assert.match(answer.string(), /^mine\./);
    assert.match(createInbox("own"), /^own\./);
    const closed = own.closed();
    await own.close();
    assert.equal(await closed, undefined);
    const pending = deferred();
    pending.resolve();
    await pending;
  },
};

await cases[process.argv[3]]();
await nc.close();
console.log("ok");
