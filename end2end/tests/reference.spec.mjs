// Five key pages as pictures, on a desk and on a phone, in light and in dark, held against those in end2end/reference.
// What differs from run to run (moments, ports, ids, hashes, spans of time) is replaced in the page before it is taken, so that a
// picture shows the whole layout. `npm run reference` makes them anew; look at each before it is committed.
import config from "../playwright.config.js";
import { order, post } from "../support/gateway.mjs";
import { LISTENER_SECRET } from "../support/prepare.mjs";
import { run } from "../support/quittance.mjs";
import { Shop } from "../support/shop.mjs";
import { expect, test as base } from "../support/test.mjs";

const test = base.extend({
    /** A second script, which never answers with a receipt. */
    books: async ({ facts }, use) => {
        const books = await Shop.open(facts.merchants["demo-shop"].key);
        books.answers = "ok";
        await use(books);
        await books.close();
    },

    folder: async ({ folder, books }, use) => {
        await run(folder, ["url", "add", books.url("/books"), "--merchant", "demo-shop", "--label", "Book-keeping"]);
        await use(folder);
    },
});

test.use({
    urls: { "Shop script": { path: "/ipn", flags: ["--default", "--algorithms", "md5,sha2-256,sha3-256"] } },
    // The tool puts a style of its own into the page while it looks for animations.
    bypassCSP: true,
    launchOptions: {
        ...config.use.launchOptions,
        // The same outlines whatever a system says about hinting, subpixels and colours of its screen.
        args: [...config.use.launchOptions.args, "--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb"],
    },
});

test.skip(({ javaScriptEnabled }) => !javaScriptEnabled, "the pictures are the same without scripts");

/** The fonts that the set-up of the tests installs; others that a machine has do not matter. */
const FACES = { "--face": '"DejaVu Sans"', "--mono": '"DejaVu Sans Mono"' };

/** Fields of a message, few enough for a picture. */
const FEW = /^(SALEDATE|REFNO|REFNOEXT|ORDERSTATUS|FIRSTNAME|LASTNAME|CUSTOMEREMAIL|CURRENCY|IPN_PID\[\]|IPN_PNAME\[\]|IPN_TOTALGENERAL|IPN_DATE|MESSAGE_ID|MESSAGE_TYPE|TEST_ORDER)$/;

/** In the page: everything that no two runs have in common becomes the same. */
const settle = (faces) => {
    for (const [name, value] of Object.entries(faces)) document.documentElement.style.setProperty(name, value);
    const rules = [
        [/127\.0\.0\.1:\d+/g, "127.0.0.1:8000"],
        [/\b[0-9a-f]{32,64}\b/g, (hash) => "0".repeat(hash.length)],
        [/\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?/g, (moment) => "2026-03-01 12:00:09".slice(0, moment.length)],
        [/\b20\d{12}\b/g, "20260301120009"],
        [/\b2500000\d{5}\b/g, "250000000000"],
        [/\b(SALEDATE=)[^&\s]+/g, "$12026-03-01+12%3A00%3A09"],
        [/\b(Quittance-(?:Delivery|Notification): )\S+/gi, "$10abc0def0ghi"],
        [/\b(Delivery: )\w+/g, "$10abc0def0ghi"],
        [/\b(Date: ).*/g, "$1Sun, 01 Mar 2026 12:00:09 GMT"],
        [/(?<![\w.:-])[\d.,]+ (µs|ms|s)\b/g, "3 ms"],
        [/(after 3 ms), .*/g, "$1"],
        [/\b[0-9a-f]{4}(?: [0-9a-f]{4}){3,}\b/g, (print) => print.replace(/[0-9a-f]/g, "0")],
        [/\b[0-9a-f]{16}\b/g, "0123456789abcdef"],
        [/\bversion \d[\w.+-]*/g, "version 0"],
        [/Quittance\/\d[\w.+-]*/g, "Quittance/0"],
    ];
    const settled = (text) => rules.reduce((text, [pattern, by]) => text.replace(pattern, by), text);
    for (const time of document.querySelectorAll("time")) {
        // Nobody goes on counting.
        delete time.dataset.ago;
        if (!/\d{4}-\d\d-\d\d/.test(time.textContent)) time.textContent = time.closest(".event-time") ? "12:00:09" : "a moment ago";
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) walker.currentNode.data = settled(walker.currentNode.data);
    for (const field of document.querySelectorAll("textarea, input")) if (field.value) field.value = settled(field.value);
    // A name of an hour and a share of a millisecond are another each time.
    for (const text of document.querySelectorAll(".chart text.axis[text-anchor=middle]")) text.textContent = "12:00";
    // Which phases there are depends on whether a connection was still open.
    document.querySelector(".phases")?.closest(".fact").remove();
    // Two scripts are asked in the same moment, and either may be first.
    const isAttempt = (event) => /^Attempt/.test(event?.querySelector(".event-title")?.textContent ?? "");
    for (const event of document.querySelectorAll(".event")) {
        const next = event.nextElementSibling;
        if (isAttempt(event) && isAttempt(next) && event.textContent > next.textContent) next.after(event);
    }
};

/** Differences that nobody sees: a picture differs where more than one pixel of two thousand does, beyond smoothed edges. */
const NEAR = { threshold: 0.08, maxDiffPixelRatio: 0.0005, animations: "disabled", fullPage: true };
/** So much of a page, from its top: pixels. */
const MOST = 1_200;

test("five key pages look as they did", async ({ page, open, server, facts, shop, books, isMobile }) => {
    test.slow();
    const { path } = facts.merchants["demo-shop"];
    let sent = 0;
    const arrives = async (reference, status, changes = {}) => {
        const fields = order(reference, status, changes).filter(([name]) => FEW.test(name));
        await post(`${server.url}${path}`, LISTENER_SECRET, fields);
        sent += 1;
        // One after the other, so that what happened has one order.
        await expect.poll(() => [shop.received.length, books.received.length]).toEqual([sent, sent]);
        await open("/m/demo-shop/deliveries?state=retrying");
        await expect(async () => {
            await page.reload();
            await expect(page.locator("tbody tr")).toHaveCount(sent, { timeout: 200 });
        }).toPass();
    };
    await arrives("3000001", "COMPLETE", { FIRSTNAME: "Zoë", LASTNAME: "Nguyễn", IPN_TOTALGENERAL: "1249.90" });
    await arrives("3000002", "PENDING");
    await arrives("3000003", "REFUND", { IPN_TOTALGENERAL: "-39.00" });
    await arrives("3000004", "PAYMENT_AUTHORIZED");
    await arrives("3000004", "COMPLETE");

    await open("/m/demo-shop/settings/urls");
    await page.getByRole("row").filter({ hasText: "Book-keeping" }).getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("URL", { exact: true }).fill(books.url("/books/v2"));
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page).toHaveURL(/\/settings\/urls$/);

    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "3000004", exact: true }).click();
    await expect(page.getByRole("heading", { name: "Order 3000004" })).toBeVisible();
    const story = new URL(page.url()).pathname;
    const failed = page.locator(".event").filter({ hasText: "Attempt 1 to Book-keeping" }).last();
    const attempt = await failed.getByRole("link", { name: "Attempt 1" }).getAttribute("href");
    const resend = await page.locator("[data-resend]").last().getAttribute("href");
    const pages = {
        dashboard: "/m/demo-shop",
        order: story,
        attempt,
        resend,
        urls: "/m/demo-shop/settings/urls",
    };
    for (const [name, address] of Object.entries(pages)) {
        for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
            await open(address);
            await page.evaluate(settle, FACES);
            const picture = `${name}-${isMobile ? "phone" : "desktop"}-${colorScheme}.png`;
            const { width, height } = await page.evaluate(() => document.documentElement.getBoundingClientRect());
            const clip = { x: 0, y: 0, width, height: Math.min(Math.ceil(height), MOST) };
            await expect.soft(page).toHaveScreenshot(picture, { ...NEAR, clip });
        }
    }
});
