// Key-value buckets and object stores as nats.js builds them. Usage: node buckets.mjs URL CASE
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";

const nc = await connect({ servers: process.argv[2], reconnect: false });
const text = new TextDecoder();

function stream(bytes, chunk) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + chunk));
      at += chunk;
    },
  });
}

const cases = {
  async keys_and_history() {
    const kv = await new Kvm(nc).create("B", { history: 5 });
    for (let n = 0; n < 20; n++) await kv.put(`k.${n % 4}`, String(n));
    assert.equal((await kv.get("k.1")).string(), "17");
    assert.equal(await kv.get("none"), null);
    await assert.rejects(kv.create("k.1", "x"));
    const revision = await kv.create("new", "1");
    await kv.update("new", "2", revision);
    await assert.rejects(kv.update("new", "3", revision));
    await kv.delete("k.2");
    await kv.purge("k.3");
    const keys = [];
    for await (const key of await kv.keys()) keys.push(key);
    assert.deepEqual(keys.sort(), ["k.0", "k.1", "new"]);
    const history = [];
    for await (const entry of await kv.history({ key: "k.2" })) history.push(entry.operation);
    assert.deepEqual(history, ["PUT", "PUT", "PUT", "PUT", "DEL"]);
    const status = await kv.status();
    assert.equal(status.history, 5);
  },

  async watching() {
    const kv = await new Kvm(nc).create("W");
    await kv.put("a", "1");
    await kv.put("b", "1");
    await kv.put("a", "2");
    const seen = [];
    const watch = await kv.watch();
    const done = (async () => {
      for await (const entry of watch) {
        seen.push(`${entry.key}=${entry.string()} ${entry.isUpdate}`);
        if (entry.key === "c") break;
      }
    })();
    await kv.put("c", "3");
    await done;
    assert.deepEqual(seen, ["b=1 false", "a=2 true", "c=3 true"]);
  },

  async objects() {
    const store = await new Objm(nc).create("O");
    const bytes = new Uint8Array(1_500_000).map((_, n) => n % 251);
    const info = await store.put({ name: "file", options: { max_chunk_size: 65536 } }, stream(bytes, 100_000));
    assert.equal(info.size, bytes.length);
    assert.equal(info.chunks, Math.ceil(bytes.length / 65536));
    const got = await store.getBlob("file");
    assert.deepEqual(Buffer.compare(Buffer.from(got), Buffer.from(bytes)), 0);
    await store.putBlob({ name: "small" }, new TextEncoder().encode("hello"));
    assert.deepEqual((await store.list()).map((o) => o.name).sort(), ["file", "small"]);
    assert.equal(text.decode(await store.getBlob("small")), "hello");
    await store.delete("file");
    assert.equal(await store.getBlob("file"), null);
    assert.equal((await store.list()).length, 1);
  },
};

await cases[process.argv[3]]();
await nc.close();
console.log("ok");
process.exit(0);
