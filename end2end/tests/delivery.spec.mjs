// From the gateway's message to the merchant's receipt, and what shows when it does not come.
import { expect, test } from "../support/test.mjs";

/** The page changes by itself where scripts run; without them it is read again. */
const later = async (page, javaScriptEnabled) => {
    if (!javaScriptEnabled) await page.reload();
};

const mark = (page) => page.evaluate(() => (window.sameDocument = true));
const isMarked = (page) => page.evaluate(() => window.sameDocument === true);

const tile = (page, name) => page.locator(".tile").filter({ hasText: name }).locator("dd");

test.describe("with a script", () => {
    test.use({ urls: { "Shop script": { flags: ["--default", "--algorithms", "md5,sha2-256,sha3-256"] } } });

    test("a notification shows as confirmed on the dashboard, without the page being loaded again", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
        await open("/m/demo-shop");
        await expect(tile(page, "Confirmed")).toHaveText("0");
        await sound();
        await mark(page);
        await arrives("1000001");
        await expect.poll(() => shop.received.length).toBe(1);
        if (!javaScriptEnabled) {
            await expect(async () => {
                await page.reload();
                await expect(tile(page, "Confirmed")).toHaveText("1", { timeout: 100 });
            }).toPass();
        } else {
            await expect(tile(page, "Confirmed")).toHaveText("1");
            await expect(tile(page, "Accepted")).toHaveText("1");
            expect(await isMarked(page)).toBe(true);
        }
        await expect(page.getByText("Everything is delivered")).toBeVisible();
        await expect(page.getByRole("row").filter({ hasText: "Shop script" })).toContainText("Confirming");
        await sound({ hasMoved: true });
    });

    test("an order's page follows its delivery from queued to confirmed, and its next status", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
        shop.keepWaiting();
        await arrives("1000002", "PAYMENT_AUTHORIZED");
        await expect.poll(() => shop.received.length).toBe(1);
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000002", exact: true }).click();
        await expect(page.getByRole("heading", { name: "Order 1000002" })).toBeVisible();
        const script = page.locator(".scripts li").filter({ hasText: "Shop script" });
        await expect(script).toContainText("Not yet");
        await sound();
        await mark(page);

        shop.answerAll();
        await expect(async () => {
            await later(page, javaScriptEnabled);
            await expect(script).toContainText("Confirmed", { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await arrives("1000002", "COMPLETE");
        await expect(async () => {
            await later(page, javaScriptEnabled);
            await expect(page.locator(".facts").getByText("Paid")).toBeVisible({ timeout: javaScriptEnabled ? 5_000 : 100 });
            await expect(page.locator(".event").filter({ hasText: "IPN received" })).toHaveCount(2, { timeout: 100 });
            const confirmed = page.locator(".event").filter({ hasText: /: confirmed/ });
            await expect(confirmed).toHaveCount(2, { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        if (javaScriptEnabled) expect(await isMarked(page)).toBe(true);
        await sound({ hasMoved: true });

        await page.getByRole("link", { name: "as received" }).last().click();
        await expect(page.getByRole("heading", { name: "Notification as received" })).toBeVisible();
        await expect(page.locator("pre").last()).toContainText("ORDERSTATUS=COMPLETE");
        await sound();
    });

    test("what has the focus keeps it while the page changes under it", async ({ page, open, arrives, javaScriptEnabled }) => {
        test.skip(!javaScriptEnabled, "without scripts pages do not change by themselves");
        await arrives("1000003", "PAYMENT_AUTHORIZED");
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000003", exact: true }).click();
        const link = page.locator("[data-resend]").first();
        await link.focus();
        await arrives("1000003", "COMPLETE");
        await expect(page.locator(".event").filter({ hasText: "IPN received" })).toHaveCount(2);
        await expect(link).toBeFocused();
    });

    test("a failing URL shows on the dashboard with cause and cure, and recovers", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
        shop.answers = "ok";
        await open("/m/demo-shop");
        await arrives("1000004");
        const trouble = page.locator(".trouble");
        await expect(async () => {
            await later(page, javaScriptEnabled);
            await expect(trouble).toContainText("What to do:", { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await expect(trouble).toContainText("receipt");
        await expect(trouble).toContainText("Next try");
        await expect(page.getByRole("alert")).toContainText("1 URL cannot be delivered to");
        await sound({ hasMoved: true });
        await open("/");
        await expect(page.locator(".trouble")).toContainText("Demo Shop");
        await sound();

        shop.answers = "confirm";
        await open("/m/demo-shop/orders");
        await expect(page.getByRole("row").filter({ hasText: "1000004" })).toContainText("Retrying");
        await page.getByRole("link", { name: "1000004", exact: true }).click();
        const row = page.locator(".scripts li").filter({ hasText: "Shop script" });
        await expect(row).toContainText("Retrying");
        await row.getByRole("link").click();
        await expect(page.getByRole("heading", { name: "Delivery to Shop script" })).toBeVisible();
        await expect(page.getByText("What to do:")).toBeVisible();
        await sound();
        await page.getByRole("button", { name: "Resend" }).click();
        await expect(page.getByText("Resent to one URL.")).toBeVisible();
        await expect.poll(() => shop.received.length).toBe(2);

        // The first delivery still waits for its next try, and the dashboard says so. A URL that was on hold sends at
        // once what it kept.
        await open("/m/demo-shop/settings/urls");
        await page.getByRole("button", { name: "Hold" }).click();
        await open("/m/demo-shop");
        const held = page.locator(".tile").filter({ hasText: "Held" }).locator("dd");
        await expect(async () => {
            await later(page, javaScriptEnabled);
            await expect(held).toHaveText("1", { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await open("/m/demo-shop/settings/urls");
        await page.getByRole("button", { name: "Release" }).click();
        await open("/m/demo-shop");
        await expect(async () => {
            await later(page, javaScriptEnabled);
            await expect(page.getByText("No URL has a delivery error.")).toBeVisible({ timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await expect(trouble).toHaveCount(0);
    });

    test("a notification is resent from its order", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
        await arrives("1000005");
        await expect.poll(() => shop.received.length).toBe(1);
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000005", exact: true }).click();
        await page.locator("[data-resend]").click();
        await expect(page.getByText("The script may act twice")).toBeVisible();
        await sound();
        await page.getByRole("link", { name: "Leave it" }).click();
        await page.locator("[data-resend]").click();
        // An impatient hand makes one resend.
        await page.getByRole("button", { name: "Resend", exact: true }).dblclick();
        await expect(page.getByText("Resent to one URL.")).toBeVisible();
        await expect.poll(() => shop.received.length).toBe(2);
        await expect(async () => {
            await later(page, javaScriptEnabled);
            const confirmed = page.locator(".event").filter({ hasText: /: confirmed/ });
            await expect(confirmed).toHaveCount(2, { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await expect(page.getByText("Resent by admin@example.com")).toBeVisible();
        await sound({ hasMoved: true });
    });

    test("a resend for debug shows request and answer side by side", async ({ page, open, sound, arrives, shop, isMobile }) => {
        await arrives("1000006");
        await expect.poll(() => shop.received.length).toBe(1);
        shop.answers = "error";
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000006", exact: true }).click();
        await page.locator("[data-resend]").click();
        await page.getByRole("button", { name: "Resend for debug" }).click();
        await expect(page.getByRole("heading", { name: "Resent for debug" })).toBeVisible();
        await expect(page.getByRole("alert")).toContainText("What to do:");
        const request = page.getByRole("region", { name: "Request" });
        const answer = page.getByRole("region", { name: "Answer" });
        await expect(request).toContainText("POST /ipn HTTP/1.1");
        await expect(request).toContainText("REFNO=1000006");
        await expect(answer).toContainText("500 Internal Server Error");
        await expect(answer).toContainText("<h1>Database error</h1>");
        const [left, right] = [await request.boundingBox(), await answer.boundingBox()];
        if (isMobile) expect(right.y).toBeGreaterThanOrEqual(left.y + left.height);
        else expect(right.x).toBeGreaterThanOrEqual(left.x + left.width);
        await sound();

        shop.answers = "confirm";
        const received = shop.received.length;
        await page.getByRole("button", { name: "Debug" }).click();
        const question = page.getByRole("dialog", { name: "Send to Shop script at once?" });
        await expect(question).toContainText("may ship or book a second time");
        expect(shop.received.length, "nothing goes before the answer").toBe(received);
        await sound();
        await question.getByRole("button", { name: "Send it" }).click();
        await expect(page.getByRole("status").filter({ hasText: "Confirmed" })).toContainText("holds a valid read receipt.");
        await expect(answer).toContainText("sha3-256");
        await page.getByRole("link", { name: "Attempt in full" }).click();
        await expect(page.getByRole("heading", { name: "Attempt 1 for debug to Shop script" })).toBeVisible();
        await expect(page.getByRole("row", { name: "REFNO 1000006" })).toBeVisible();
        await sound();
    });

    test("a TEST order is placed and confirmed", async ({ page, open, sound, shop, javaScriptEnabled }) => {
        await open("/m/demo-shop");
        await page.getByRole("link", { name: "Place TEST order" }).click();
        await expect(page.getByText("sends it to your 1 URL")).toBeVisible();
        await sound();
        await page.getByLabel("Amount").fill("a lot");
        await page.getByLabel("Product", { exact: true }).fill("Demo product");
        await page.getByRole("button", { name: "Place TEST order" }).click();
        await expect(page.getByLabel("Amount")).toBeFocused();
        await expect(page.getByLabel("Amount")).toHaveValue("a lot");
        await expect(page.getByLabel("Product", { exact: true })).toHaveValue("Demo product");
        await sound();
        await page.getByLabel("Amount").fill("12.50");
        await page.getByRole("button", { name: "Place TEST order" }).click();
        await expect(page.getByText("TEST order placed")).toBeVisible();
        await expect(async () => {
            await later(page, javaScriptEnabled);
            const row = page.locator(".scripts li").filter({ hasText: "Shop script" });
            await expect(row).toContainText("Confirmed", { timeout: javaScriptEnabled ? 5_000 : 100 });
        }).toPass();
        await expect(page.locator(".badge.test").first()).toBeVisible();
        expect(shop.received[0]).toContainEqual(["TEST_ORDER", "1"]);
        expect(shop.received[0]).toContainEqual(["IPN_PNAME[]", "Demo product"]);
        await sound({ hasMoved: true });
    });
});

test.describe("with two scripts", () => {
    test.use({ urls: { "First script": { path: "/first" }, "Second script": { path: "/second" } } });

    test("a notification is resent to all of them, or for debug to the one that was chosen", async ({ page, open, sound, arrives, shop }) => {
        await arrives("1000007");
        await expect.poll(() => shop.received.length).toBe(2);
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000007", exact: true }).click();
        await page.locator("[data-resend]").click();
        const choice = (label) => page.getByRole("checkbox", { name: label });
        await choice("First script").uncheck();
        await choice("Second script").uncheck();
        await page.getByRole("button", { name: "Resend for debug" }).click();
        await expect(page.getByText("Choose at least one URL to resend to.")).toBeVisible();
        await expect(page.locator("fieldset.choices").first()).toHaveAccessibleDescription("Choose at least one URL to resend to.");
        await expect(page.getByRole("checkbox").first()).toBeFocused();
        await sound();
        await choice("First script").check();
        await choice("Second script").check();
        await page.getByRole("button", { name: "Resend", exact: true }).click();
        await expect(page.getByText("Resent to 2 URLs.")).toBeVisible();
        await expect.poll(() => shop.received.length).toBe(4);
        await page.locator("[data-resend]").click();
        await choice("First script").uncheck();
        await page.getByRole("button", { name: "Resend for debug" }).click();
        await expect(page.getByRole("heading", { name: "Resent for debug" })).toBeVisible();
        await expect(page.getByRole("heading", { name: "Second script" })).toBeVisible();
        await expect(page.getByRole("heading", { name: "First script" })).toHaveCount(0);
    });
});

test("the way to the first confirmed notification is shown until it is done", async ({ page, open, sound }) => {
    await open("/m/other-shop");
    await expect(page.getByText("Three steps to the first confirmed notification")).toBeVisible();
    await expect(page.getByRole("listitem").filter({ hasText: "Create a listener" })).toContainText("done");
    await sound();
    await page.getByRole("link", { name: "Place a TEST order" }).click();
    await expect(page.getByText("There is no URL to send it to")).toBeVisible();
    await sound();
});
