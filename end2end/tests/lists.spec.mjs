// Finding things: the search over everything, what came in, saved views, files, and the dashboard's figures.
import { readFile } from "node:fs/promises";
import { expect, test } from "../support/test.mjs";

const rows = (page) => page.locator("main tbody tr");

test.use({ urls: { "Shop script": { flags: ["--default"] } } });

test("the dashboard draws the day and tells what else needs somebody", async ({ page, open, sound, arrives, arrivesRaw, shop, isMobile }) => {
    await arrives("7000001");
    await expect.poll(() => shop.received.length).toBe(1);
    await arrivesRaw("REFNO=1&ORDERSTATUS=COMPLETE");
    await expect(async () => {
        await open("/m/demo-shop");
        await expect(page.locator(".matter")).toContainText("refused 1 message", { timeout: 500 });
    }).toPass();
    await expect(page.getByRole("img", { name: /The last 24 hours. Accepted notifications: 1\./ })).toBeVisible();
    await page.getByText("The same as a table").click();
    await expect(page.getByRole("columnheader", { name: "Hour from" })).toBeVisible();
    await sound({ hasMoved: true });
    await page.locator(".matter").getByRole("link", { name: "Show them" }).click();
    await expect(page).toHaveURL(/\/m\/demo-shop\/inbound\?outcome=refused&listener=/);
    await expect(rows(page)).toHaveCount(1);
    await sound();
    await rows(page).first().getByRole("link").first().click();
    await expect(page.getByRole("heading", { name: "Refused message" })).toBeVisible();
});

test("what came in is filtered by its address, kept as a view, and taken along", async ({ page, open, sound, arrives, arrivesRaw }) => {
    for (const reference of ["7100001", "7100002"]) await arrives(reference);
    await arrivesRaw("REFNO=1&ORDERSTATUS=COMPLETE");
    await open("/m/demo-shop/inbound");
    await expect(async () => {
        await page.reload();
        await expect(rows(page)).toHaveCount(3, { timeout: 500 });
    }).toPass();
    await expect(page).toHaveTitle("Inbound · Demo Shop · Quittance");
    await sound();
    await page.getByLabel("Outcome").selectOption("Accepted");
    await page.locator("form.filter").getByRole("button", { name: "Search" }).click();
    await expect(page).toHaveURL(/outcome=accepted/);
    await expect(rows(page)).toHaveCount(2);
    await page.getByText("Keep this view…").click();
    await page.getByLabel("Name of the view").fill("Taken");
    await page.getByRole("button", { name: "Keep it" }).click();
    await expect(page.getByRole("link", { name: "Taken", exact: true })).toHaveAttribute("aria-current", "true");
    await sound({ hasMoved: true });
    await page.getByText("Export", { exact: true }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "CSV", exact: true }).click();
    const text = await readFile(await (await download).path(), "utf8");
    expect(text.trimEnd().split("\r\n")).toHaveLength(3);
    await page.getByRole("button", { name: "Remove the view Taken" }).click();
    await expect(page.getByRole("link", { name: "Taken", exact: true })).toHaveCount(0);
});

test("a view of the orders keeps what was typed last", async ({ page, open, arrives, sound, javaScriptEnabled }) => {
    for (const reference of ["7300001", "7400001"]) await arrives(reference);
    await open("/m/demo-shop/orders");
    await page.getByRole("searchbox", { name: "Search", exact: true }).fill("7300");
    if (!javaScriptEnabled) await page.keyboard.press("Enter");
    await expect(rows(page)).toHaveCount(1);
    await page.getByText("Keep this view…").click();
    await page.getByLabel("Name of the view").fill("Those of 73");
    await page.getByRole("button", { name: "Keep it" }).click();
    await expect(page).toHaveURL(/\/orders\?text=7300$/);
    await expect(page.getByRole("link", { name: "Those of 73", exact: true })).toHaveAttribute("aria-current", "true");
    await expect(rows(page)).toHaveCount(1);
    await sound({ hasMoved: true });
});

test("the search over everything lists what fits, and opens the only hit", async ({ page, open, sound, arrives }) => {
    for (const reference of ["7200001", "7200002"]) await arrives(reference);
    await open("/m/demo-shop");
    await page.getByLabel("Find anything").fill("72000");
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/\/search\?text=72000$/);
    await expect(page.getByRole("heading", { name: "Orders", exact: true })).toBeVisible();
    await expect(rows(page)).toHaveCount(2);
    await expect(page).toHaveTitle("Search: 72000 · Quittance");
    await sound();
    await page.getByLabel("Look for").fill("customer-7200002@");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: "Order 7200002" })).toBeVisible();
});

test("times are told in the zone of the merchant", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/time-zone");
    await page.getByLabel("Time zone", { exact: true }).fill("Asia/Ho_Chi_Minh");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Times are told in Asia/Ho_Chi_Minh now.")).toBeVisible();
    await expect(page.locator("main time")).toContainText("+07:00");
    await sound();
});

test("an address that names nothing leads on", async ({ page, open, sound, allowed }) => {
    allowed.push(/status of 404/);
    await open("/m/demo-shop/orders/0000000000001");
    await expect(page.getByRole("heading", { name: "Nothing here" })).toBeVisible();
    await expect(page.getByLabel("Find anything")).toBeVisible();
    await sound();
});

test.describe("with scripts", () => {
    test.skip(({ javaScriptEnabled }) => !javaScriptEnabled, "keys of our own need scripts");

    test("keys: / finds, f filters, g and a letter lead to a section", async ({ page, open, arrives }) => {
        await arrives("7300001");
        await open("/m/demo-shop");
        await page.keyboard.press("/");
        await expect(page.getByLabel("Find anything")).toBeFocused();
        await page.getByLabel("Find anything").blur();
        for (const [key, address] of [["i", "inbound"], ["e", "deliveries"], ["o", "orders"], ["l", "listeners"]]) {
            await page.keyboard.press("g");
            await page.keyboard.press(key);
            await expect(page).toHaveURL(new RegExp(`/m/demo-shop/${address}$`));
            await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        }
        await open("/m/demo-shop/inbound");
        await page.keyboard.press("f");
        await expect(page.getByLabel("Order or message")).toBeFocused();
        await page.getByLabel("Order or message").blur();
        await page.keyboard.press("j");
        await page.keyboard.press("Enter");
        await expect(page.getByRole("heading", { name: /^Notification/ })).toBeVisible();
    });
});
