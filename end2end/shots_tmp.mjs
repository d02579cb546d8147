import { chromium } from "@playwright/test";
import config from "./playwright.config.js";
const [,, url, email, password, mode="desktop-light", ...only] = process.argv;
const [dev, scheme] = mode.split("-");
const browser = await chromium.launch(config.use.launchOptions);
const ctx = await browser.newContext({ viewport: dev === "phone" ? { width: 390, height: 844 } : { width: 1280, height: 800 }, colorScheme: scheme, isMobile: dev === "phone", hasTouch: dev==="phone", reducedMotion: "reduce", timezoneId: "UTC", locale: "en-GB" });
const page = await ctx.newPage();
await page.goto(`${url}/sign-in`);
await page.getByLabel("E-mail address").fill(email);
await page.getByLabel("Password").fill(password);
await page.getByRole("button", { name: "Sign in" }).click();
await page.waitForURL(u => !u.pathname.includes("sign-in"));
const M = "/m/shop".length ? new URL(page.url()).pathname.match(/\/m\/[^/]+/)?.[0] ?? "/m/demo-shop" : "";
const list = { dashboard: M, orders: `${M}/orders`, deliveries: `${M}/deliveries`, inbound: `${M}/inbound`, bulk: `${M}/bulk`, test: `${M}/orders/test`, urls: `${M}/settings/urls`, ipn: `${M}/settings/ipn`, key: `${M}/settings/key`, content: `${M}/settings/content`, alerts: `${M}/settings/alerts`, urlnew: `${M}/settings/urls/new`, listeners: `${M}/listeners`, listenernew: `${M}/listeners/new`, audit: `${M}/audit`, people: `/people`, roles: `/roles`, account: `/account`, search: `/search?q=a`, check: `${M}/check`, tz: `${M}/settings/time-zone`, merchants: `/merchants`, unknown: `/unknown` };
for (const [name, path] of Object.entries(list)) {
  if (only.length && !only.includes(name)) continue;
  const r = await page.goto(url + path);
  await page.waitForTimeout(150);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.screenshot({ path: `/tmp/shots/${name}-${mode}.png`, fullPage: true });
  console.log(name, path, r.status(), over > 0 ? `OVERFLOW ${over}` : "");
}
const hrefs = await page.evaluate(() => [...document.querySelectorAll("nav a")].map(a => a.getAttribute("href")));
if (!only.length) console.log(hrefs.join(" "));
await browser.close();
