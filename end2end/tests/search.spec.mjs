// Finding orders: as you type with scripts, with the button without them. The address names the search either way.
import { expect, test } from "../support/test.mjs";

/** Types into the search line and, without scripts, presses its button. */
const searcher = (page, javaScriptEnabled) => async (fill) => {
    await fill();
    if (!javaScriptEnabled) await page.getByRole("button", { name: "Search" }).click();
};

const rows = (page) => page.locator("tbody tr");

test("orders are found by reference, external reference and e-mail address", async ({ page, open, sound, arrives, javaScriptEnabled }) => {
    await arrives("7100001");
    await arrives("7100002");
    await arrives("8200001", "PENDING", { CUSTOMEREMAIL: "Someone+shop@example.org", REFNOEXT: "cart&77=ä" });
    await open("/m/demo-shop/orders");
    await expect(rows(page)).toHaveCount(3);
    await sound();
    const search = searcher(page, javaScriptEnabled);
    const field = page.getByRole("searchbox", { name: "Search" });
    for (const [text, found, address] of [
        ["710000", 2, "?text=710000"],
        ["7100002", 1, "?text=7100002"],
        ["web-71", 2, "?text=web-71"],
        ["cart&77=ä", 1, "?text=cart%2677%3D%C3%A4"],
        ["someone+shop@", 1, "?text=someone%2Bshop%40"],
        ["customer-7100001@example.com", 1, "?text=customer-7100001%40example.com"],
    ]) {
        await search(() => field.fill(text));
        await expect(rows(page)).toHaveCount(found);
        await expect(field).toHaveValue(text);
        // A form writes the empty fields, too.
        if (javaScriptEnabled) await expect.poll(() => new URL(page.url()).search).toBe(address);
        else expect(new URL(page.url()).searchParams.get("text")).toBe(text);
        // Who gets the address sent sees the same.
        await open(page.url().slice(new URL(page.url()).origin.length));
        await expect(rows(page)).toHaveCount(found);
        await expect(field).toHaveValue(text);
    }
    await search(() => field.fill("no such order"));
    await expect(page.getByText("No order fits")).toBeVisible();
    await sound({ hasMoved: true });
    await page.getByRole("link", { name: "Clear" }).click();
    await expect(rows(page)).toHaveCount(3);
});

test("the list changes while typing, and the field keeps the focus", async ({ page, open, arrives, javaScriptEnabled }) => {
    test.skip(!javaScriptEnabled, "without scripts the button searches");
    await arrives("7100001");
    await arrives("8200001");
    await open("/m/demo-shop/orders");
    await expect(rows(page)).toHaveCount(2);
    await page.evaluate(() => (window.sameDocument = true));
    const field = page.getByRole("searchbox", { name: "Search" });
    await field.pressSequentially("82");
    await expect(rows(page)).toHaveCount(1);
    await expect(field).toBeFocused();
    await field.press("Backspace");
    await field.press("Backspace");
    await expect(rows(page)).toHaveCount(2);
    expect(new URL(page.url()).search).toBe("");
    // What arrives while a search stands shows only where it fits.
    await field.pressSequentially("82");
    await expect(rows(page)).toHaveCount(1);
    await arrives("8200002");
    await expect(rows(page)).toHaveCount(2);
    await arrives("7100002");
    await arrives("8200003");
    await expect(rows(page)).toHaveCount(3);
    expect(await page.evaluate(() => window.sameDocument)).toBe(true);
});

test("the answer to what was typed before changes nothing", async ({ page, open, arrives, javaScriptEnabled }) => {
    test.skip(!javaScriptEnabled, "without scripts the button searches");
    await arrives("7100001");
    await open("/m/demo-shop/orders");
    await expect(rows(page)).toHaveCount(1);
    let ready, release;
    const isReady = new Promise((resolve) => (ready = resolve));
    const released = new Promise((resolve) => (release = resolve));
    await page.route(/text=zzz/, async (route) => {
        const response = await route.fetch();
        ready();
        await released;
        await route.fulfill({ response });
    });
    await page.evaluate(() => (window.row = document.querySelector("tbody tr")));
    const field = page.getByRole("searchbox", { name: "Search" });
    await field.fill("zzz");
    await isReady;
    const answers = [page.waitForResponse(/text=zzz/), page.waitForResponse(/orders$/)];
    // The answer comes before the rest after typing is over.
    await field.fill("");
    release();
    await Promise.all(answers);
    await expect(rows(page)).toHaveCount(1);
    expect(await page.evaluate(() => window.row.isConnected), "the row is the one that was there").toBe(true);
});

test("status, kind and dates narrow the list", async ({ page, open, sound, arrives, javaScriptEnabled }) => {
    await arrives("7100001", "COMPLETE");
    await arrives("7100002", "PENDING");
    await arrives("7100003", "REFUND", { TEST_ORDER: "1" });
    await open("/m/demo-shop/orders");
    const search = searcher(page, javaScriptEnabled);
    await search(() => page.getByLabel("Status").selectOption("Refunded"));
    await expect(rows(page)).toHaveCount(1);
    await expect(rows(page)).toContainText("7100003");
    await expect(page).toHaveURL(/[?&]status=refunded/);
    await search(() => page.getByLabel("Status").selectOption("Any"));
    await expect(rows(page)).toHaveCount(3);
    await search(() => page.getByLabel("Kind").selectOption("TEST only"));
    await expect(rows(page)).toHaveCount(1);
    await expect(rows(page)).toContainText("TEST");
    await expect(page).toHaveURL(/[?&]test=only/);
    await search(() => page.getByLabel("Kind").selectOption("Real only"));
    await expect(rows(page)).toHaveCount(2);
    await search(() => page.getByLabel("From").fill("2099-01-01"));
    await expect(page.getByText("No order fits")).toBeVisible();
    await expect(page).toHaveURL(/[?&]from=2099-01-01/);
    await sound({ hasMoved: true });
    await open("/m/demo-shop/orders?test=none&status=pending");
    await expect(rows(page)).toHaveCount(1);
    await expect(page.getByLabel("Status")).toHaveValue("pending");
    await expect(page.getByLabel("Kind")).toHaveValue("none");
});

test("older orders are a page further", async ({ page, open, sound, arrives }) => {
    for (let at = 0; at < 60; at += 10) {
        await Promise.all([...Array(10).keys()].map((one) => arrives(String(9_000_000 + at + one))));
    }
    await open("/m/demo-shop/orders");
    await expect(rows(page)).toHaveCount(50);
    await sound();
    await page.getByRole("link", { name: "Older orders" }).click();
    await expect(rows(page)).toHaveCount(10);
    await expect(page).toHaveURL(/[?&]after=/);
    await sound();
    await page.getByRole("link", { name: "Newest orders" }).click();
    await expect(rows(page)).toHaveCount(50);
    await expect(page).not.toHaveURL(/after=/);
});
