// Takes payment notifications, and answers each with a read receipt once it is stored.
// Needs Node.js 18 or newer and nothing else: node listener.mjs. Behind a web server that speaks HTTPS, with in its environment:
//   IPN_SECRET_KEY      the secret key of your IPN settings
//   IPN_SECRET_KEY_OLD  the key before, only while you change it
//   IPN_STORE           a folder that this program may write to
//   PORT                where it listens on this machine, 8080 by default
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { link, open, unlink } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const ALGORITHM = "md5"; // "md5", "sha256" or "sha3-256", as chosen for this URL
const SIGNATURES = { md5: "HASH", sha256: "SIGNATURE_SHA2_256", "sha3-256": "SIGNATURE_SHA3_256" };
const MAX_BODY = 1048576;

const { IPN_SECRET_KEY, IPN_SECRET_KEY_OLD, IPN_STORE, PORT = "8080" } = process.env;
if (!IPN_SECRET_KEY || !IPN_STORE) throw new Error("set IPN_SECRET_KEY and IPN_STORE");
const keys = [IPN_SECRET_KEY, IPN_SECRET_KEY_OLD].filter(Boolean);

const hmac = (key, text) => createHmac(ALGORITHM, key).update(text).digest("hex");

// Bytes, not strings: a string counts UTF-16 units, and what is no UTF-8 would be lost.
function decoded(text) {
    const bytes = [];
    for (let at = 0; at < text.length; at++) {
        const hex = text[at] === "%" ? /^[0-9a-f]{2}/i.exec(text.slice(at + 1, at + 3)) : null;
        if (hex) at += 2;
        bytes.push(hex ? parseInt(hex[0], 16) : text[at] === "+" ? 32 : text.charCodeAt(at));
    }
    return Buffer.from(bytes);
}

// The fields in the order in which they came. The usual form parsers group arrays or drop empty values.
function fieldsOf(body) {
    return body.toString("latin1").split("&").filter(Boolean).map((pair) => {
        const at = pair.indexOf("=");
        const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
        return { name: decoded(name).toString(), value: decoded(value) };
    });
}

// Each value after its length in bytes.
const prefixed = (values) => Buffer.concat(values.flatMap((value) => [Buffer.from(String(value.length)), value]));

const first = (fields, wanted) => fields.find(({ name }) => name.split("[")[0] === wanted)?.value ?? Buffer.alloc(0);

function isRight(key, source, given) {
    const right = Buffer.from(hmac(key, source));
    return right.length === given.length && timingSafeEqual(right, given);
}

// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
async function store(id, body) {
    const draft = join(IPN_STORE, `draft-${randomBytes(8).toString("hex")}`);
    const file = await open(draft, "wx");
    try {
        await file.writeFile(body);
        await file.sync();
    } finally {
        await file.close();
    }
    try {
        await link(draft, join(IPN_STORE, id));
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
    const fields = fieldsOf(body);
    const names = Object.values(SIGNATURES);
    const source = prefixed(fields.filter(({ name }) => !names.includes(name)).map(({ value }) => value));
    const given = Buffer.from(first(fields, SIGNATURES[ALGORITHM]).toString("latin1").toLowerCase());
    const key = keys.find((key) => isRight(key, source, given));
    if (!key) return [400, "The signature is wrong.\n"];
    await store(createHash("sha256").update(source).digest("hex"), body);
    const date = new Date().toISOString().replace(/[-:T]/g, "").slice(0, 14);
    const signed = ["IPN_PID", "IPN_PNAME", "IPN_DATE"].map((name) => first(fields, name));
    const hash = hmac(key, prefixed([...signed, Buffer.from(date)]));
    const receipt = `<sig algo="${ALGORITHM}" date="${date}">${hash}</sig>`;
    return [200, ALGORITHM === "md5" ? `<EPAYMENT>${date}|${hash}</EPAYMENT>` : receipt];
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
