// Makes the picture of the README: `node screenshots.mjs BINARY`. Starts the demonstration on a database of its own,
// waits until its dashboard shows what it is there for, and takes it into docs/dashboard.png.
import { chromium, expect } from "@playwright/test";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import config from "./playwright.config.js";
import { Quittance } from "./support/quittance.mjs";

const binary = process.argv[2];
if (!binary) throw new Error("usage: node screenshots.mjs BINARY");
const picture = new URL("../docs/dashboard.png", import.meta.url).pathname;
/** Long enough for the pretend gateway's first orders and the first error. */
const PATIENCE = 90_000;
/** A README should load fast. */
const MOST_BYTES = 200_000;

const folder = await mkdtemp(join(tmpdir(), "quittance-picture-"));
let server;
let browser;
try {
    server = await Quittance.serve(folder, { binary: resolve(binary), args: ["--demo"] });
    const [, email, password] = /Sign in\s+(\S+) with the password (\S+)/.exec(server.banner);
    browser = await chromium.launch(config.use.launchOptions);
    const page = await browser.newPage({
        viewport: { width: 1280, height: 800 },
        deviceScaleFactor: 1,
        colorScheme: "light",
        reducedMotion: "reduce",
        locale: "en-GB",
        timezoneId: "UTC",
    });
    await page.goto(`${server.url}/sign-in`);
    await page.getByLabel("E-mail address").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { name: "Dashboard" })).toBeVisible();
    await expect(page.locator(".trouble")).toContainText("What to do:", { timeout: PATIENCE });
    await expect(async () => {
        const confirmed = page.locator(".tile").filter({ hasText: "Confirmed" }).locator("dd");
        expect(Number((await confirmed.innerText()).replace(/\D/g, ""))).toBeGreaterThanOrEqual(20);
    }).toPass({ timeout: PATIENCE });
    await mkdir(new URL("../docs/", import.meta.url), { recursive: true });
    await page.screenshot({ path: picture });
    const { size } = await stat(picture);
    if (size > MOST_BYTES) throw new Error(`${picture} has ${size} bytes, more than ${MOST_BYTES}`);
    console.log(`${picture}: ${size} bytes`);
} finally {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
}
