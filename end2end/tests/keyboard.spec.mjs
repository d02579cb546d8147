// Everything without a mouse.
import { expect, test } from "../support/test.mjs";

test("the first stop is the way past the navigation", async ({ page, open }) => {
    await open("/m/demo-shop");
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: "Skip to the content" });
    await expect(skip).toBeFocused();
    await expect(skip).toBeInViewport();
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(/#content$/);
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name: "Place TEST order" }).first()).toBeFocused();
});

test("the tab key walks a form from top to bottom", async ({ page, open }) => {
    await open("/m/demo-shop/settings/urls/new");
    const order = [];
    await page.getByLabel("Name").focus();
    for (let step = 0; step < 11; step++) {
        order.push(await page.evaluate(() => document.activeElement.name || document.activeElement.textContent));
        await page.keyboard.press("Tab");
    }
    expect(order).toEqual(["label", "url", "format", "md5", "sha2", "sha3", "concurrent", "order_in_order", "held", "Advanced", "Check and save"]);
});

test("a dialog takes the focus, Escape closes it and gives the focus back", async ({ page, open }) => {
    await open("/m/demo-shop/settings/key");
    const button = page.getByRole("button", { name: "Generate a new key" });
    await button.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Generate a new secret key?" });
    await expect(dialog).toBeVisible();
    await page.keyboard.press("Tab");
    await expect(dialog.getByLabel("The old key stays valid")).toBeFocused();
    await page.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await expect(button).toBeFocused();
});

test.describe("with scripts", () => {
    test.skip(({ javaScriptEnabled }) => !javaScriptEnabled, "keys of our own need scripts");
    test.use({ urls: { "Shop script": { flags: ["--default"] } } });

    test("r resends the newest message of an order, or the one that has the focus", async ({ page, open, arrives, shop }) => {
        await arrives("1100001", "PENDING");
        await arrives("1100001", "COMPLETE");
        await expect.poll(() => shop.received.length).toBe(2);
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1100001", exact: true }).click();
        const links = page.locator("[data-resend]");
        await expect(links).toHaveCount(2);
        const [older, newer] = (await links.evaluateAll((links) => links.map((link) => link.dataset.resend))).sort();
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        await page.keyboard.press("r");
        await expect(page).toHaveURL(new RegExp(`/notifications/${newer}/resend$`));
        await page.goBack();
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        await page.locator(`.event:has([data-resend="${older}"]) a`).first().focus();
        await page.keyboard.press("r");
        await expect(page).toHaveURL(new RegExp(`/notifications/${older}/resend$`));
        // From an attempt to the form of its message, where there are more choices than its own two buttons.
        await page.goBack();
        await page.getByRole("link", { name: "Attempt 1" }).first().click();
        await expect(page.getByRole("heading", { name: /^Attempt 1/ })).toBeVisible();
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        await page.keyboard.press("r");
        await expect(page).toHaveURL(/\/notifications\/[^/]+\/resend$/);
    });

    test("keys lead through the orders: f filters, j and k choose, Enter opens, r resends, Escape closes", async ({ page, open, arrives, shop }) => {
        for (const reference of ["1000001", "1000002", "1000003"]) await arrives(reference);
        await expect.poll(() => shop.received.length).toBe(3);
        await open("/m/demo-shop/orders");
        await page.keyboard.press("f");
        const field = page.getByRole("searchbox", { name: "Search" });
        await expect(field).toBeFocused();
        // Keys are letters while typing.
        await page.keyboard.type("jk/?");
        await expect(field).toHaveValue("jk/?");
        await field.fill("");
        await expect(page.locator("tbody tr")).toHaveCount(3);
        await field.blur();
        const link = (reference) => page.getByRole("link", { name: reference, exact: true });
        await page.keyboard.press("j");
        await expect(link("1000003")).toBeFocused();
        await page.keyboard.press("j");
        await expect(link("1000002")).toBeFocused();
        await page.keyboard.press("k");
        await expect(link("1000003")).toBeFocused();
        await page.keyboard.press("j");
        await page.keyboard.press("Enter");
        await expect(page.getByRole("heading", { name: "Order 1000002" })).toBeVisible();
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");

        await page.keyboard.press("r");
        await expect(page.getByRole("heading", { name: "Resend a notification" })).toBeVisible();
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        await page.keyboard.press("?");
        const dialog = page.getByRole("dialog", { name: "Keys" });
        await expect(dialog).toBeVisible();
        await page.keyboard.press("Escape");
        await expect(dialog).toBeHidden();
        await page.keyboard.press("d");
        await expect(page).toHaveURL(/\/m\/demo-shop$/);
        await expect(page.locator("body")).toHaveAttribute("data-awake", "");
        await page.keyboard.press("/");
        await expect(page.getByRole("searchbox", { name: "Find anything" })).toBeFocused();
    });

    test("the row that was chosen stays chosen when new ones arrive above it", async ({ page, open, arrives }) => {
        await arrives("1000001");
        await open("/m/demo-shop/orders");
        const link = page.getByRole("link", { name: "1000001", exact: true });
        await expect(link).toBeVisible();
        await page.keyboard.press("j");
        await expect(link).toBeFocused();
        await arrives("1000002");
        await expect(page.locator("tbody tr")).toHaveCount(2);
        await expect(link).toBeFocused();
    });

    test("? shows the keys, Escape puts them away", async ({ page, open, sound }) => {
        await open("/m/demo-shop");
        await page.keyboard.press("?");
        const keys = page.getByRole("dialog", { name: "Keys" });
        await expect(keys).toBeVisible();
        await expect(keys).toContainText("Find anything");
        await sound();
        await page.keyboard.press("Escape");
        await expect(keys).toBeHidden();
    });
});
