// Light and dark, and the narrow window.
import { expect, test } from "../support/test.mjs";

const background = (page) => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

test("the look that was chosen stays, whatever the system prefers", async ({ page, open, sound }) => {
    await open("/account");
    const light = await background(page);
    await page.getByRole("button", { name: "Dark" }).click();
    await expect(page.getByRole("button", { name: "Dark" })).toHaveAttribute("aria-pressed", "true");
    const dark = await background(page);
    expect(dark).not.toBe(light);
    await sound();
    await open("/m/demo-shop/orders");
    expect(await background(page)).toBe(dark);
    await open("/account");
    await page.getByRole("button", { name: "Light" }).click();
    await expect(page.getByRole("button", { name: "Light" })).toHaveAttribute("aria-pressed", "true");
    await page.emulateMedia({ colorScheme: "dark" });
    await open("/m/demo-shop/orders");
    expect(await background(page)).toBe(light);
    await open("/account");
    await page.getByRole("button", { name: "As the system" }).click();
    await expect(page.getByRole("button", { name: "As the system" })).toHaveAttribute("aria-pressed", "true");
    expect(await background(page)).toBe(dark);
});

test("the menu of a phone opens without scripts, too", async ({ page, open, sound, isMobile }) => {
    test.skip(!isMobile, "a desk shows the navigation at once");
    await open("/m/demo-shop");
    const orders = page.getByRole("link", { name: "Orders & Reports" });
    await expect(orders).toBeHidden();
    await page.getByText("Menu", { exact: true }).click();
    await expect(orders).toBeVisible();
    await sound();
    await orders.click();
    await expect(page.getByRole("heading", { name: "Orders & Reports" })).toBeVisible();
});

test("another merchant is chosen in the navigation", async ({ page, open, sound, isMobile }) => {
    await open("/m/demo-shop/orders");
    if (isMobile) await page.getByText("Menu", { exact: true }).click();
    await page.locator(".switch > summary").click();
    await sound();
    await page.locator(".switch").getByRole("link", { name: "Other Shop" }).click();
    await expect(page).toHaveURL(/\/m\/other-shop$/);
    await expect(page).toHaveTitle("Dashboard · Other Shop · Quittance");
});
