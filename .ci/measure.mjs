// Measures the release binary: resident memory when idle, time to the first answer, and what a browser loads on its
// first visit of the dashboard: `node .ci/measure.mjs BINARY`. Prints; changes nothing.

import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const binary = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "quittance-measure-"));
const database = `sqlite:${join(folder, "measure.db")}`;
const port = 20000 + (process.pid % 20000);
const base = `http://127.0.0.1:${port}`;
const password = "correct horse battery";

const run = (args, input) => execFileSync(binary, [...args, "--database", database], { input, encoding: "utf8" });
const get = (path, headers = {}) => new Promise((resolve, reject) => {
    const request = http.get(base + path, { headers: { accept: "text/html", "accept-encoding": "br", ...headers } }, (response) => {
        let size = 0;
        const parts = [];
        response.on("data", (part) => { size += part.length; parts.push(part); });
        response.on("end", () => resolve({ response, size, body: Buffer.concat(parts) }));
    });
    request.on("error", reject);
});
const post = (path, form, headers = {}) => new Promise((resolve, reject) => {
    const body = new URLSearchParams(form).toString();
    const request = http.request(base + path, {
        method: "POST",
        headers: { accept: "text/html", "content-type": "application/x-www-form-urlencoded", "content-length": body.length, "sec-fetch-site": "same-origin", ...headers },
    }, (response) => { response.resume(); response.on("end", () => resolve(response)); });
    request.on("error", reject);
    request.end(body);
});
const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
const line = (what, figure) => console.log(`${what.padEnd(52)} ${figure}`);
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

let server;
try {
    run(["merchant", "add", "Shop", "--json"]);
    run(["url", "add", "http://127.0.0.1:9/ipn", "--merchant", "Shop", "--default", "--json"]);
    run(["listener", "add", "--merchant", "Shop", "--gateway", "2checkout", "--secret", "AABBCCDDEEFF", "--json"]);
    run(["user", "add", "admin@example.com", "--role", "admin", "--password-stdin"], `${password}\n`);

    const started = process.hrtime.bigint();
    server = spawn(binary, ["serve", "--listen", `127.0.0.1:${port}`, "--database", database], { stdio: "ignore" });
    for (;;) {
        try { await get("/healthz"); break; } catch { await rest(5); }
    }
    line("start to first answer", `${Number((process.hrtime.bigint() - started) / 1000000n)} ms`);
    await rest(3000);
    line("resident memory, idle after start", `${(resident(server.pid) / 1e6).toFixed(1)} MB`);

    const signedIn = await post("/rpc/sign-in", { email: "admin@example.com", password });
    const cookie = signedIn.headers["set-cookie"].map((value) => value.split(";")[0]).join("; ");
    const page = await get("/m/shop", { cookie });
    const html = (await get("/m/shop", { cookie, "accept-encoding": "identity" })).body.toString();
    const files = [...new Set([...html.matchAll(/\/pkg\/[\w.-]+/g)].map((match) => match[0]))].filter((file) => /\.(js|wasm|css|svg)$/.test(file));
    let total = page.size;
    line(`first visit of the dashboard: page (brotli)`, kilobytes(page.size));
    for (const file of files) {
        const { size, response } = await get(file);
        if (response.statusCode !== 200) throw new Error(`${file}: ${response.statusCode}`);
        total += size;
        line(`  ${file} (${response.headers["content-encoding"] ?? "plain"})`, kilobytes(size));
    }
    line("first visit of the dashboard: everything", kilobytes(total));
    for (const path of ["/m/shop/orders", "/m/shop/settings/urls", "/m/shop/listeners"]) {
        line(`later page ${path}`, kilobytes((await get(path, { cookie })).size));
    }
    await rest(2000);
    line("resident memory after signing in and these pages", `${(resident(server.pid) / 1e6).toFixed(1)} MB`);
    line("release binary", `${(statSync(binary).size / 1e6).toFixed(1)} MB`);
} finally {
    server?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
}
