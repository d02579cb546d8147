import { chromium } from "@playwright/test";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:http";
import config from "./playwright.config.js";
import { Quittance } from "./support/quittance.mjs";
const out = "/tmp/dshots";
const folder = await mkdtemp(join(tmpdir(), "look-"));
const gone = createServer((q, r) => { r.statusCode = q.method === "POST" ? 410 : 200; q.resume(); q.on("end", () => r.end("")); }).listen(0, "127.0.0.1");
const later = createServer((q, r) => { r.statusCode = q.method === "POST" ? 429 : 200; r.setHeader("Retry-After", "1800"); q.resume(); q.on("end", () => r.end("")); }).listen(0, "127.0.0.1");
const server = await Quittance.serve(folder, { args: ["--demo"] });
const [, email, password] = /Sign in\s+(\S+) with the password (\S+)/.exec(server.banner);
const browser = await chromium.launch(config.use.launchOptions);
const sign = async (page) => {
    await page.goto(`${server.url}/sign-in`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/\/m\//);
};
const setup = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
await sign(setup);
const base = `${server.url}/m/demo-shop`;
const add = async (label, url, more = async () => {}) => {
    await setup.goto(`${base}/settings/urls/new`);
    await setup.getByLabel("Name").fill(label);
    await setup.locator("#url").fill(url);
    await more();
    await setup.getByRole("button", { name: "Check and save" }).click();
    const anyway = setup.getByRole("button", { name: "Save all the same" });
    if (await anyway.count()) await anyway.click();
};
await add("Warehouse", "http://127.0.0.1:9/ipn");
await add("Old script", `http://127.0.0.1:${gone.address().port}/ipn`);
await add("Limited", `http://127.0.0.1:${later.address().port}/ipn`);
await add("New shop (trial)", "http://127.0.0.1:9/new", async () => {
    await setup.locator("summary").filter({ hasText: "Advanced" }).click();
    await setup.getByLabel("Shadow").check();
    await setup.getByLabel("Allow concurrent requests").check();
    await setup.getByLabel("Requests at a time").fill("8");
    await setup.getByLabel("Requests a second").fill("20");
    await setup.locator("#retries").selectOption("own");
    await setup.getByLabel("Own list of delays").fill("1m, 5m, 1h, 6h");
});
// Mistakes.
await setup.goto(`${base}/settings/urls/new`);
await setup.locator("#url").fill("https://shop.example.com/ipn");
await setup.locator("summary").filter({ hasText: "Advanced" }).click();
await setup.locator("#retries").selectOption("own");
await setup.getByLabel("Own list of delays").fill("soon");
await setup.getByLabel("Requests at a time").fill("900");
await setup.getByLabel("Certificates of a private").fill("</textarea><script>alert(1)</script>");
await setup.getByRole("button", { name: "Check and save" }).click();
await setup.setViewportSize({ width: 1280, height: 900 });
await setup.screenshot({ path: `${out}/form-errors.png`, fullPage: true });
await new Promise((done) => setTimeout(done, Number(process.argv[2] ?? 60) * 1000));
for (const [name, width] of [["desktop", 1280], ["phone", 390]]) {
    for (const scheme of ["light", "dark"]) {
        const page = await (await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, timezoneId: "UTC" })).newPage();
        await sign(page);
        const take = async (what, address) => {
            await page.goto(address);
            await page.screenshot({ path: `${out}/${what}-${name}-${scheme}.png`, fullPage: true });
        };
        await take("dashboard", base);
        await take("urls", `${base}/settings/urls`);
        await page.goto(`${base}/settings/urls`);
        const edit = await page.getByRole("link", { name: "New shop (trial)" }).getAttribute("href");
        await take("form", `${server.url}${edit}`);
        const held = await page.goto(`${base}/settings/urls`).then(() => page.getByRole("link", { name: "Old script" }).getAttribute("href"));
        await take("held-form", `${server.url}${held}`);
        await page.goto(`${base}/orders`);
        const order = await page.locator("tbody a").first().getAttribute("href");
        await take("order", `${server.url}${order}`);
        await page.goto(`${server.url}${order}`);
        const delivery = await page.locator("tr[id^=delivery] a").first().getAttribute("href");
        await take("delivery", `${server.url}${delivery}`);
        await page.goto(`${server.url}${delivery}`);
        const attempt = page.locator("tr[id^=attempt] a").first();
        if (await attempt.count()) await take("attempt", `${server.url}${await attempt.getAttribute("href")}`);
        await page.context().close();
    }
}
await browser.close(); await server.stop(); gone.close(); later.close(); process.exit(0);
