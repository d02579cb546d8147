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

test("of 64 KiB in a field the beginning is shown, and all of it on demand", async ({ page, open, sound, arrives, shop, isMobile }) => {
    const [begin, end] = ["beginning ", ` ${MARK}${BACKWARDS} the end`];
    const value = `${begin}${"W".repeat(65_536 - begin.length - end.length)}${end}`;
    await arrives("1000003", "COMPLETE", { FIRSTNAME: value, ADDRESS1: value });
    await expect.poll(() => shop.received.length).toBe(1);
    await open("/m/demo-shop/orders");
    expect((await page.locator("tbody tr").innerText()).length).toBeLessThan(2_000);
    await sound();
    await page.locator("tbody tr").getByRole("link").click();
    await sound();
    await page.getByRole("link", { name: "as received" }).click();
    await page.getByText("fields, decoded").click();

    const row = page.locator(".fields tr").filter({ has: page.getByRole("rowheader", { name: "ADDRESS1", exact: true }) });
    const all = row.getByText("Show all 65,536 characters");
    const whole = row.locator("details > bdi");
    await expect(row).toContainText(begin);
    await expect(whole).toBeHidden();
    await sound({ hasMoved: true });
    await all.click();
    await expect(whole).toBeVisible();
    expect(await whole.evaluate((one) => one.textContent)).toBe(value);
    await nothingRan(page);
    await sound({ hasMoved: true });
    await fitsEverywhere(page, isMobile);
    await all.click();
    await expect(whole).toBeHidden();

    // The body, byte for byte: what does not fit into the first box stands in a second one.
    const boxes = page.locator(".octets").filter({ hasText: "Body" }).locator("pre");
    await expect(boxes.first()).toBeVisible();
    await expect(boxes.last()).toBeHidden();
    await page.getByText(/^Show all: [\d,]+ bytes more$/).click();
    await expect(boxes.last()).toBeVisible();
    const body = (await boxes.allTextContents()).join("");
    expect(new URLSearchParams(body).get("ADDRESS1")).toBe(value);
    await nothingRan(page);
    await sound({ hasMoved: true });
});

test("bytes that are no text are shown as what they are", { tag: "@once" }, async ({ page, open, sound, arrivesRaw }) => {
    const body = Buffer.concat([Buffer.from("REFNO=1000004&FIRSTNAME=Ren"), Buffer.from([0xe9, 0xff, 0xfe]), Buffer.from("&LASTNAME=%FF%FE")]);
    expect((await arrivesRaw(body)).status).toBe(403);
    const row = page.locator("tbody tr");
    await expect(async () => {
        await open("/m/demo-shop/inbound?outcome=refused");
        await expect(row).toHaveCount(1, { timeout: 300 });
    }).toPass();
    await row.getByRole("link").first().click();
    await expect(page.getByRole("heading", { name: "Refused message" })).toBeVisible();
    await expect(page.locator("pre").last()).toHaveText(String.raw`REFNO=1000004&FIRSTNAME=Ren\xE9\xFF\xFE&LASTNAME=%FF%FE`);
    await page.getByText("fields, decoded").click();
    await expect(page.getByRole("row", { name: /^FIRSTNAME/ })).toContainText(String.raw`Ren\xE9\xFF\xFE`);
    await expect(page.getByRole("row", { name: /^LASTNAME/ })).toContainText(String.raw`\xFF\xFE`);
    await sound({ hasMoved: true });
});
