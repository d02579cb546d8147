// What an open page shows is removed meanwhile, by somebody else or because it was decided: the page says so.
import { createServer } from "node:http";
import { postBody } from "../support/gateway.mjs";
import { run } from "../support/quittance.mjs";
import { expect, test } from "../support/test.mjs";

test.use({
    allowed: [/status of 404/],
    urls: { "Shop script": { flags: ["--default"] }, "Book-keeping": { path: "/books" } },
});

/** The id at the end of an address. */
const id = (address) => address.split("/").pop();

/** Without scripts a page is read again by whoever looks at it. */
const looksAgain = async (page, javaScriptEnabled) => {
    if (!javaScriptEnabled) await page.reload();
};

const saysSo = async (page, sound) => {
    await expect(page.getByRole("heading", { level: 1, name: "Nothing here" })).toBeVisible();
    await expect(page.getByLabel("Find anything")).toBeVisible();
    await expect(page.getByRole("link", { name: "To the dashboard" })).toBeVisible();
    await sound();
};

test("a message that was being verified is gone from its page once it is decided", async ({ page, folder, server, open, sound, meanwhile, javaScriptEnabled }) => {
    let says = [503, "not now"];
    const gateway = createServer((request, response) => request.resume().on("end", () => response.writeHead(says[0]).end(says[1])));
    await new Promise((resolve) => gateway.listen(0, "127.0.0.1", resolve));
    const options = ["--option", "receiver=shop@example.com", "--option", `confirm-base=http://127.0.0.1:${gateway.address().port}`];
    const { path } = await run(folder, ["listener", "add", "--merchant", "demo-shop", "--gateway", "paypal", ...options]);
    const body = "txn_id=8800001&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=shop%40example.com";
    await expect.poll(async () => (await postBody(`${server.url}${path}`, body)).status).toBe(200);
    const row = page.getByRole("row").filter({ hasText: "8800001" });
    await expect(async () => {
        await open("/m/demo-shop/inbound?outcome=verifying");
        await expect(row).toHaveCount(1, { timeout: 300 });
    }).toPass();
    await row.getByRole("link").first().click();
    await expect(page.getByRole("heading", { level: 1, name: "Message being verified" })).toBeVisible();
    await expect(page.locator("pre").last()).toHaveText(body);

    says = [200, "VERIFIED"];
    await meanwhile("merchant", "/rpc/inbound/ask", { merchant: "demo-shop", verifying: id(page.url()) });
    await expect(async () => expect(await meanwhile("merchant", "/m/demo-shop/orders?text=8800001")).toContain("8800001")).toPass();
    // It is an order a moment before it is verified no more.
    await expect(async () => {
        await looksAgain(page, javaScriptEnabled);
        await expect(page.getByRole("heading", { level: 1, name: "Nothing here" })).toBeVisible({ timeout: javaScriptEnabled ? 5_000 : 300 });
    }).toPass();
    await saysSo(page, sound);
    await page.getByLabel("Find anything").fill("8800001");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { level: 1, name: "Order 8800001" })).toBeVisible();
    await new Promise((resolve) => gateway.close(resolve).closeAllConnections());
});

test("a URL that somebody else removes is told where it is shown, and its form saves nothing", async ({ page, open, sound, meanwhile, arrives, shop, javaScriptEnabled }) => {
    await arrives("8800002");
    await expect.poll(() => shop.received.length).toBe(2);
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "8800002", exact: true }).click();
    const script = page.locator(".scripts li").filter({ hasText: "Book-keeping" });
    await expect(async () => {
        await looksAgain(page, javaScriptEnabled);
        await expect(script).toContainText("Yes", { timeout: javaScriptEnabled ? 5_000 : 300 });
    }).toPass();
    const order = new URL(page.url()).pathname;
    await open("/m/demo-shop/settings/urls");
    await page.getByRole("row").filter({ hasText: "Book-keeping" }).getByRole("link", { name: "Edit" }).click();
    const settings = new URL(page.url()).pathname;
    await page.getByLabel("Name").fill("Book-keeping of mine");

    const before = (await meanwhile("admin", "/m/demo-shop/settings/urls")).match(/settings\/urls\/\w+\/kit/g).length;
    await meanwhile("merchant", "/rpc/urls/remove", { merchant: "demo-shop", id: id(settings) });
    await page.getByRole("button", { name: "Check and save" }).click();
    await saysSo(page, sound);
    const after = (await meanwhile("admin", "/m/demo-shop/settings/urls")).match(/settings\/urls\/\w+\/kit/g).length;
    expect(after).toBe(before - 1);
    await open(`${settings}/kit`);
    await saysSo(page, sound);
    await open(order);
    await expect(script).toContainText("The URL was removed from the settings.");
    await sound();
});

test("an open page of an order tells that a URL was removed", { tag: "@once" }, async ({ page, open, sound, meanwhile, arrives, shop }) => {
    await arrives("8800003");
    await expect.poll(() => shop.received.length).toBe(2);
    const url = /settings\/urls\/(\w+)\/kit/g;
    const ids = [...(await meanwhile("admin", "/m/demo-shop/settings/urls")).matchAll(url)].map(([, id]) => id);
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "8800003", exact: true }).click();
    await expect(page.locator(".scripts li")).toHaveCount(2);
    for (const id of ids) await meanwhile("merchant", "/rpc/urls/remove", { merchant: "demo-shop", id });
    await expect(page.getByText("The URL was removed from the settings.")).toHaveCount(2);
    await expect(page.locator("[data-resend]")).toHaveCount(0);
    await sound({ hasMoved: true });
});

test("a saved view that is gone in another window is told", async ({ page, open, sound, meanwhile }) => {
    const view = { merchant: "demo-shop", list: "deliveries" };
    await meanwhile("admin", "/rpc/views/save", { ...view, name: "Late ones", query: "?state=expired" });
    await open("/m/demo-shop/deliveries?state=expired");
    const remove = page.getByRole("button", { name: "Remove the view Late ones" });
    await expect(remove).toBeVisible();
    const shown = await page.locator('form[action="/rpc/views/remove"] input[name="view"]').getAttribute("value");
    await meanwhile("admin", "/rpc/views/remove", { ...view, view: shown });
    await remove.click();
    await expect(page.getByText("There is nothing here. It may have been removed")).toBeVisible();
    await expect(page.getByRole("link", { name: "Late ones" })).toHaveCount(0);
    await sound();
});

test("an invitation that somebody else withdraws is gone from its page, and from its link", { tag: "@once" }, async ({ page, open, sound, meanwhile, guest }) => {
    await open("/people");
    await page.getByLabel("E-mail address").fill("soon-gone@example.com");
    await page.getByLabel("Role").selectOption("support");
    await page.getByRole("button", { name: "Make invitation link" }).click();
    const link = await page.locator(".secret .code").innerText();
    await page.getByRole("link", { name: "soon-gone@example.com" }).click();
    await guest.open(link);
    await expect(guest.page.getByRole("heading", { name: "Welcome" })).toBeVisible();
    await guest.page.getByLabel("Password").fill("a few other words in a row");

    await meanwhile("admin", "/rpc/users/withdraw", { user: id(page.url()) });
    await guest.page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(guest.page.getByRole("heading", { name: "This link does not work any more" })).toBeVisible();
    await guest.sound();
    await page.getByRole("button", { name: "Save" }).click();
    await saysSo(page, sound);
});
