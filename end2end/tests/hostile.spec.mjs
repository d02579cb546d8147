// Whatever a message says is text: it runs nowhere, hides nothing, and breaks no page.
import { expect, fits, test } from "../support/test.mjs";

const MARK = "<script>document.title='ran';window.ran=1</script>";
const IMAGE = `"'><img src=x onerror="window.ran=1">`;
const TITLE = "</title></textarea></pre><script>window.ran=1</script>";
const BACKWARDS = "\u202Egnp.exe\u2066\u200F";
const LONG = "W".repeat(190);

const HOSTILE = {
    REFNO: `${TITLE}-1`,
    REFNOEXT: `${IMAGE}`,
    FIRSTNAME: `${MARK}${BACKWARDS}`,
    LASTNAME: LONG,
    CUSTOMEREMAIL: `${LONG.toLowerCase()}@example.com`,
    MESSAGE_ID: IMAGE,
    "IPN_PNAME[]": `${MARK}${LONG}`,
    ADDRESS1: "line one\r\nline two\u0000\u001b[31m",
};

test.use({ urls: { [`<b>Script</b> "quoted" ${LONG.slice(0, 50)}`]: { path: `/ipn?${LONG}=<script>`, flags: ["--default"] } } });

const nothingRan = async (page) => {
    expect(await page.evaluate(() => window.ran)).toBeUndefined();
    await expect(page).toHaveTitle(/ · Quittance$/);
    await expect(page.locator("main img, main b, main script:not([nonce])")).toHaveCount(0);
};

/** Between the desk and the phone there are other windows. */
const fitsEverywhere = async (page, isMobile) => {
    if (isMobile) return;
    const usual = page.viewportSize();
    for (const width of [320, 780, 910, 1150]) {
        await page.setViewportSize({ width, height: usual.height });
        await fits(page);
    }
    await page.setViewportSize(usual);
};

test("hostile text is shown as text on every page that has it", async ({ page, open, sound, arrives, shop, isMobile }) => {
    await arrives("unused", `<i>STATUS</i>${LONG}`, HOSTILE);
    await expect.poll(() => shop.received.length).toBe(1);
    await open("/m/demo-shop/orders");
    const row = page.locator("tbody tr");
    await expect(row).toContainText(MARK);
    await expect(row).toContainText(`${TITLE}-1`);
    await expect(row).toContainText(IMAGE);
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);

    await row.getByRole("link").click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`Order ${TITLE}-1`);
    await expect(page).toHaveTitle(`Order ${TITLE}-1 · Demo Shop · Quittance`);
    await expect(page.locator(".facts").first()).toContainText(IMAGE);
    await expect(page.locator(".story")).toContainText("<i>STATUS</i>");
    await expect(page.locator(".story")).toContainText(`<b>Script</b> "quoted"`);
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);
    const order = page.url();

    await page.locator("[data-resend]").click();
    await expect(page.getByRole("heading", { name: "Resend a notification" })).toBeVisible();
    await sound();
    await page.getByRole("button", { name: "Resend for debug" }).click();
    await expect(page.getByRole("region", { name: "Request" })).toBeVisible();
    await nothingRan(page);
    await page.getByRole("link", { name: "Attempt in full" }).click();
    await expect(page.getByRole("heading", { name: "For the developer" })).toBeVisible();
    await expect(page.locator(".fields")).toContainText(MARK);
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);

    await open(new URL(order).pathname);
    await page.getByRole("link", { name: "as received" }).click();
    await page.getByText("fields, decoded").click();
    await expect(page.locator(".fields")).toContainText(IMAGE);
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);

    await open(new URL(order).pathname);
    await page.locator(".scripts a").first().click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText("<b>Script</b>");
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);

    for (const path of ["/m/demo-shop", "/", "/m/demo-shop/settings/urls", "/m/demo-shop/settings/ipn"]) {
        await open(path);
        await nothingRan(page);
        await sound();
        await fitsEverywhere(page, isMobile);
    }
    await open("/m/demo-shop/listeners");
    await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
    await expect(page.getByRole("row").filter({ hasText: TITLE })).toBeVisible();
    await nothingRan(page);
    await sound();
    await fitsEverywhere(page, isMobile);
});

test("a name that is written backwards turns nothing around but itself", { tag: "@once" }, async ({ page, open, arrives }) => {
    await arrives("1000001", "COMPLETE", { FIRSTNAME: BACKWARDS, LASTNAME: "", REFNO: `${BACKWARDS}1` });
    await open("/m/demo-shop/orders");
    await page.locator("tbody tr").getByRole("link").click();
    // In the title of the page the word before the reference stays before it.
    const heading = page.getByRole("heading", { level: 1 });
    const [word, reference] = await heading.evaluate((one) => {
        const text = document.createTreeWalker(one, NodeFilter.SHOW_TEXT).nextNode();
        const box = (from, to) => {
            const range = document.createRange();
            range.setStart(text, from);
            range.setEnd(text, to);
            return range.getBoundingClientRect().left;
        };
        return [box(0, 5), box(6, 8)];
    });
    expect(word).toBeLessThan(reference);
});

test("a search for hostile text finds nothing and runs nothing", async ({ page, open, sound }) => {
    await open(`/m/demo-shop/orders?text=${encodeURIComponent(`${IMAGE}${TITLE}`)}&status=%22%3E&from=x&after=%3Cscript%3E`);
    await expect(page.getByRole("searchbox", { name: "Search" })).toHaveValue(`${IMAGE}${TITLE}`);
    await expect(page.getByText("No order fits")).toBeVisible();
    await nothingRan(page);
    await sound();
});

test("what a script answers is shown as text, however hostile and long", async ({ page, open, sound, arrives, shop }) => {
    shop.answers = "hostile";
    await arrives("1000002");
    await expect.poll(() => shop.received.length).toBe(1);
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "1000002", exact: true }).click();
    await page.locator(".scripts a").first().click();
    await page.getByRole("link", { name: "Attempt 1" }).click();
    const answer = page.getByRole("region", { name: "Answer" });
    await expect(answer).toContainText("</pre><script>window.ran=1</script>");
    await nothingRan(page);
    await sound();
    await open("/m/demo-shop");
    await nothingRan(page);
    await sound();
});
