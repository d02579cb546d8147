// Merchants and their secret key.
import { expect, test } from "../support/test.mjs";

test("a merchant is added, and its secret key is shown once", async ({ page, open, sound }) => {
    await open("/merchants");
    await expect(page.getByRole("link", { name: "Demo Shop", exact: true }).last()).toBeVisible();
    await sound();
    await page.getByLabel("Name").fill("Third Shop");
    await page.getByRole("button", { name: "Add merchant" }).click();

    await expect(page).toHaveURL(/\/m\/third-shop\/settings\/ipn$/);
    await expect(page.getByText("Merchant added.")).toBeVisible();
    const key = await page.locator(".secret .code").innerText();
    expect(key).toMatch(/^[0-9A-Za-z]{32}$/);
    await expect(page.getByText(`…${key.slice(-4)}`)).toBeVisible();
    await sound();

    await page.reload();
    await expect(page.getByRole("heading", { name: "Secret key" })).toBeVisible();
    expect(await page.content()).not.toContain(key);
});

test("a merchant without a name is not added", async ({ page, open, sound }) => {
    await open("/merchants");
    await page.getByLabel("Name").fill("  ");
    await page.getByRole("button", { name: "Add merchant" }).click();
    await expect(page.getByText("Nothing was saved.")).toBeVisible();
    await expect(page.getByLabel("Name")).toBeFocused();
    await sound();
});

test("a new secret key is made after the consequence was read, and shown once", async ({ page, open, sound, facts }) => {
    await open("/m/demo-shop/settings/key");
    await page.getByRole("button", { name: "Generate a new key" }).click();
    const dialog = page.getByRole("dialog", { name: "Generate a new secret key?" });
    await expect(dialog).toContainText("The new key is shown once.");
    await sound();
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await expect(dialog).toBeHidden();
    await page.getByRole("button", { name: "Generate a new key" }).click();
    await dialog.getByRole("button", { name: "Generate a new key" }).click();
    await expect(page.getByText("The secret key was changed.")).toBeVisible();
    const key = await page.locator(".secret .code").innerText();
    expect(key).not.toBe(facts.merchants["demo-shop"].key);
    await sound();
    await page.reload();
    await expect(page.locator(".secret")).toHaveCount(0);
});

test("a secret key that is too long is named", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/key");
    await page.getByLabel("Own secret key").fill("x".repeat(2_000));
    await page.getByRole("button", { name: "Use this key" }).click();
    await expect(page.getByText("Nothing was saved.")).toBeVisible();
    await expect(page.getByLabel("Own secret key")).toBeFocused();
    await expect(page.getByLabel("Own secret key")).toHaveValue("");
    await sound();
});
