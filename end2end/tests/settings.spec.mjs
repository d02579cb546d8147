// System settings › IPN settings: the default IPN URL and the notification URLs.
import { expect, test } from "../support/test.mjs";

test("the default IPN URL is checked and saved", async ({ page, open, sound, shop }) => {
    await open("/m/demo-shop/settings/ipn");
    await sound();
    await page.getByLabel("URL", { exact: true }).fill(shop.url());
    await page.getByLabel("SHA3").check();
    await page.getByLabel("Allow concurrent requests").check();
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page.getByText("Saved. The URL answered 200, as it should.")).toBeVisible();
    await expect(page.getByLabel("URL", { exact: true })).toHaveValue(shop.url());
    await expect(page.getByLabel("MD5")).toBeChecked();
    await expect(page.getByLabel("SHA2")).not.toBeChecked();
    await expect(page.getByLabel("SHA3")).toBeChecked();
    await expect(page.getByLabel("Allow concurrent requests")).toBeChecked();
    await sound();

    await page.getByRole("link", { name: "Notification URLs" }).click();
    const row = page.getByRole("row").filter({ hasText: shop.url() });
    await expect(row).toContainText("default");
    await expect(row).toContainText("MD5, SHA3");
    await expect(row).toContainText("Check: answered");
    await sound();
});

test("a URL that does not answer 200 is explained, and can be saved all the same", async ({ page, open, sound, shop }) => {
    shop.answers = "gone";
    await open("/m/demo-shop/settings/ipn");
    await page.getByLabel("URL", { exact: true }).fill(shop.url("/old-ipn"));
    await page.getByLabel("Keep each order in order").check();
    await page.getByRole("button", { name: "Check and save" }).click();
    const warning = page.getByRole("status").filter({ hasText: "Not saved yet" });
    await expect(warning).toContainText("404");
    await expect(warning).toContainText("What to do:");
    await expect(page.getByLabel("URL", { exact: true })).toHaveValue(shop.url("/old-ipn"));
    await expect(page.getByLabel("Keep each order in order")).toBeChecked();
    await sound();

    await page.getByRole("button", { name: "Save all the same" }).click();
    await expect(page.getByText("Saved, although the URL did not answer 200.")).toBeVisible();
    await open("/m/demo-shop/settings/ipn");
    await expect(page.getByLabel("URL", { exact: true })).toHaveValue(shop.url("/old-ipn"));
});

test("a URL that nobody listens at, or that is private, is explained", { tag: "@once" }, async ({ page, open }) => {
    await open("/m/demo-shop/settings/ipn");
    const warning = page.getByRole("status").filter({ hasText: "Not saved yet" });
    for (const url of ["http://127.0.0.1:1/ipn", "http://10.0.0.1/ipn", "http://shop.invalid/ipn"]) {
        await page.getByLabel("URL", { exact: true }).fill(url);
        await page.getByRole("button", { name: /^Check/ }).click();
        await expect(warning).toContainText("What to do:");
        await expect(page.getByLabel("URL", { exact: true })).toHaveValue(url);
    }
});

test("wrong input names the field, keeps what was typed, and leads to the first wrong field", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/urls/new");
    await expect(page.getByLabel("URL", { exact: true })).toBeFocused();
    await sound();
    await page.getByLabel("Name").fill("Accounting");
    await page.getByLabel("URL", { exact: true }).fill("ftp://shop.example.com/ipn");
    await page.getByLabel("MD5").uncheck();
    await page.getByLabel("On hold").check();
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page.getByText("Please correct what is marked below. Nothing was saved.")).toBeVisible();
    const field = page.getByLabel("URL", { exact: true });
    await expect(field).toBeFocused();
    await expect(field).toHaveAttribute("aria-invalid", "true");
    await expect(field).toHaveAccessibleDescription(/http/);
    await expect(field).toHaveValue("ftp://shop.example.com/ipn");
    await expect(page.getByLabel("Name")).toHaveValue("Accounting");
    await expect(page.getByLabel("On hold")).toBeChecked();
    await expect(page.getByText("Choose at least one algorithm")).toBeVisible();
    await sound();
});

test("no algorithm at all is named, and the boxes have the focus", async ({ page, open, shop }) => {
    await open("/m/demo-shop/settings/urls/new");
    await page.getByLabel("URL", { exact: true }).fill(shop.url());
    await page.getByLabel("MD5").uncheck();
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page.getByRole("group", { name: "Signed with" })).toHaveAccessibleDescription(/Choose at least one algorithm/);
    await expect(page.getByLabel("MD5")).not.toBeChecked();
    await expect(page.getByLabel("MD5")).toBeFocused();
});

test("a notification URL is made, changed, put on hold, released and removed", async ({ page, open, sound, shop, arrives }) => {
    await open("/m/demo-shop/settings/urls");
    await expect(page.getByText("No notification URLs yet")).toBeVisible();
    await sound();
    await page.getByRole("link", { name: "New URL configuration" }).click();
    await page.getByLabel("Name").fill("Accounting");
    await page.getByLabel("URL", { exact: true }).fill(shop.url("/accounting"));
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page).toHaveURL(/\/settings\/urls$/);
    const row = page.getByRole("row").filter({ hasText: shop.url("/accounting") });
    await expect(row).toContainText("Accounting");
    await expect(row).toContainText("Active");
    await sound();

    await row.getByRole("link", { name: "Edit" }).click();
    await expect(page.getByRole("heading", { name: "Edit Accounting" })).toBeVisible();
    await sound();
    await page.getByLabel("Name").fill("Bookkeeping");
    await page.getByLabel("SHA2").check();
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(row).toContainText("Bookkeeping");
    await expect(row).toContainText("MD5, SHA2");

    await row.getByRole("button", { name: "Hold" }).click();
    await expect(page.getByText("On hold. What arrives is kept until you release it.")).toBeVisible();
    await expect(row).toContainText("On hold");
    await arrives("1000001");
    await page.reload();
    await expect(row.getByRole("cell").nth(3)).toHaveText("1");
    expect(shop.received).toHaveLength(0);
    await sound();

    await row.getByRole("button", { name: "Release" }).click();
    await expect(page.getByText("Released.")).toBeVisible();
    await expect.poll(() => shop.received.length).toBe(1);

    await row.getByRole("button", { name: "Remove" }).click();
    const dialog = page.getByRole("dialog", { name: "Remove Bookkeeping?" });
    await expect(dialog).toContainText("What was delivered stays in the orders.");
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await expect(dialog).toBeHidden();
    await row.getByRole("button", { name: "Remove" }).click();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await expect(page.getByText("Removed.")).toBeVisible();
    await expect(page.getByText("No notification URLs yet")).toBeVisible();
});
