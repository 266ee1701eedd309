// A producer and a durable subscription of node-nats-streaming while servers are taken down:
// under_fire.mjs URLS CLUSTER COUNT. A message is published again until it is acknowledged. Whoever runs this
// reads "progress N" lines, and at the end one line of JSON.
import stan from "node-nats-streaming";

const [urls, cluster, count] = [process.argv[2].split(","), process.argv[3], Number(process.argv[4])];
const deadline = Date.now() + 90_000;
const got = new Set();
let client = null;
let timesLost = 0;

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function connectOnce() {
  return new Promise((resolve, reject) => {
    const made = stan.connect(cluster, "fire", {
      servers: urls, maxReconnectAttempts: -1, reconnectTimeWait: 200, connectTimeout: 5000,
      stanPingInterval: 1000, stanMaxPingOut: 5,
    });
    made.on("error", reject);
    made.on("connect", () => {
      const options = made.subscriptionOptions().setDurableName("kept").setAckWait(5000);
      const subscription = made.subscribe("fire", options.setDeliverAllAvailable());
      subscription.on("message", (message) => got.add(message.getData()));
      subscription.on("error", reject);
      subscription.on("ready", () => resolve(made));
    });
    made.on("connection_lost", async () => {
      timesLost += 1;
      client = null;
      await connect();
    });
  });
}

async function connect() {
  while (Date.now() < deadline) {
    try {
      client = await connectOnce();
      return;
    } catch {
      await sleep(300);
    }
  }
}

function publishOnce(text) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 3000);
    try {
      client.publish("fire", text, (error) => {
        clearTimeout(timer);
        resolve(!error);
      });
    } catch {
      clearTimeout(timer);
      resolve(false);
    }
  });
}

await connect();
for (let number = 0; number < count; number += 1) {
  while (Date.now() < deadline && !(client && (await publishOnce(`m${number}`)))) await sleep(200);
  if (number % 50 === 0) console.log(`progress ${number}`);
}
while (got.size < count && Date.now() < deadline) await sleep(100);
const missing = [...Array(count).keys()].filter((number) => !got.has(`m${number}`));
console.log(JSON.stringify({ missing, lost: timesLost }));
process.exit(0);
