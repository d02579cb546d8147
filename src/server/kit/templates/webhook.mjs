// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// Needs Node.js 18 or newer and nothing else: node webhook.mjs. Behind a web server that speaks HTTPS, with in its environment:
//   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//   WEBHOOK_SECRET_OLD  the secret before, only while you change it
//   WEBHOOK_STORE       a folder that this program may write to
//   PORT                where it listens on this machine, 8080 by default
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const MAX_BODY = 1048576;
const MAX_AGE = 300; // seconds that the clock of the sender may differ

const { WEBHOOK_SECRET, WEBHOOK_SECRET_OLD, WEBHOOK_STORE, PORT = "8080" } = process.env;
const keys = [WEBHOOK_SECRET, WEBHOOK_SECRET_OLD]
    .filter((secret) => secret?.startsWith("whsec_"))
    .map((secret) => Buffer.from(secret.slice("whsec_".length), "base64"))
    .filter((key) => key.length > 0); // with an empty key anybody can sign
if (keys.length === 0 || !WEBHOOK_STORE) throw new Error("set WEBHOOK_SECRET (whsec_…) and WEBHOOK_STORE");

// Whether one of the signatures is ours. There are two while the sender changes its key.
function isRight(id, seconds, body, signatures) {
    if (!/^[0-9]+$/.test(seconds) || Math.abs(Date.now() / 1000 - Number(seconds)) > MAX_AGE) return false;
    const given = signatures.split(" ").map((text) => Buffer.from(text));
    return keys.some((key) => {
        const mac = createHmac("sha256", key).update(`${id}.${seconds}.`).update(body).digest("base64");
        const wanted = Buffer.from(`v1,${mac}`);
        return given.some((text) => text.length === wanted.length && timingSafeEqual(text, wanted));
    });
}

// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
async function store(id, body) {
    const draft = join(WEBHOOK_STORE, `draft-${randomBytes(8).toString("hex")}`);
    const file = await open(draft, "wx");
    try {
        await file.writeFile(body);
        await file.sync();
    } finally {
        await file.close();
    }
    try {
        await link(draft, join(WEBHOOK_STORE, id));
    } catch (error) {
        if (error.code !== "EEXIST") throw error;
    } finally {
        await unlink(draft);
    }
}

async function read(request) {
    const parts = [];
    let size = 0;
    for await (const part of request) {
        size += part.length;
        if (size > MAX_BODY) return null;
        parts.push(part);
    }
    return Buffer.concat(parts);
}

async function answer(request) {
    if (["GET", "HEAD"].includes(request.method)) return [200, ""]; // It is asked so when the URL is saved.
    if (request.method !== "POST") return [405, "Only POST is taken here.\n"];
    const body = await read(request);
    if (!body) return [413, "The message is too large.\n"];
    const header = (name) => request.headers[name] ?? "";
    const id = header("webhook-id");
    if (!isRight(id, header("webhook-timestamp"), body, header("webhook-signature"))) return [400, "The signature is wrong.\n"];
    const { order } = JSON.parse(body).data; // reference, status, amount: {"minor": 52900, "currency": "USD", "exponent": 2}
    await store(createHash("sha256").update(id).digest("hex"), body);
    console.log(`order ${order.reference} is ${order.status}`);
    return [204, ""];
}

createServer((request, response) => {
    answer(request)
        .catch((error) => {
            console.error("payment notification:", error.message);
            return [500, "Not stored. Please send it again.\n"];
        })
        .then(([status, text]) => {
            response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...(status === 405 && { Allow: "GET, POST" }) });
            response.end(text);
        });
}).listen(Number(PORT), "127.0.0.1");
