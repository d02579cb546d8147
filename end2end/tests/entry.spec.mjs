// The way in: the first run, signing in and out.
import { PASSWORD, PEOPLE } from "../support/prepare.mjs";
import { expect, test } from "../support/test.mjs";

test.describe("the first run", () => {
    test.use({ furnished: false });

    test("the one-time link makes the administrator, and works once", async ({ page, server, open, sound }) => {
        await open("/");
        await expect(page).toHaveURL(/\/sign-in$/);
        await expect(page.getByText("There is no administrator yet")).toBeVisible();
        await sound();

        await open(server.firstRunPath);
        await expect(page.getByRole("heading", { name: "Welcome" })).toBeVisible();
        await expect(page.getByLabel("E-mail address")).toBeFocused();
        await sound();
        await page.getByLabel("E-mail address").fill("first@example.com");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Create administrator" }).click();

        await expect(page).toHaveURL(/\/merchants$/);
        await expect(page.getByRole("status").filter({ hasText: "Welcome." })).toBeVisible();
        await expect(page.getByText("No merchants yet")).toBeVisible();
        await sound();

        await open("/");
        await expect(page.getByRole("link", { name: "Add a merchant" })).toBeVisible();
        await sound();

        await open(server.firstRunPath);
        await expect(page.getByRole("heading", { name: "This link is not valid any more" })).toBeVisible();
        await sound();
    });

    test("a password that is too short is named, and the e-mail address stays", async ({ page, server, open, sound }) => {
        await open(server.firstRunPath);
        await page.getByLabel("E-mail address").fill("first@example.com");
        await page.getByLabel("Password").fill("short");
        await page.getByRole("button", { name: "Create administrator" }).click();
        await expect(page.getByText("Choose a password of at least 12 characters")).toBeVisible();
        await expect(page.getByLabel("E-mail address")).toHaveValue("first@example.com");
        await expect(page.getByLabel("Password")).toBeFocused();
        await expect(page.getByLabel("Password")).toHaveValue("");
        await sound();
    });

    test("a link that was guessed does not open the first run", { tag: "@once" }, async ({ page, open, sound }) => {
        await open("/setup?token=0123456789abcdef");
        await expect(page.getByRole("heading", { name: "This link is not valid any more" })).toBeVisible();
        await sound();
    });
});

test.describe("signing in", () => {
    test.use({ as: "nobody" });

    test("a wrong password is refused in words, the right one leads to the page that was asked for", async ({ page, open, sound }) => {
        await open("/m/demo-shop/orders?text=abc");
        await expect(page).toHaveURL(/\/sign-in\?next=/);
        await sound();
        await page.getByLabel("E-mail address").fill(PEOPLE.admin.email);
        await page.getByLabel("Password").fill("not the right words");
        await page.getByRole("button", { name: "Sign in" }).click();
        await expect(page.getByRole("alert")).toHaveText("The e-mail address or the password is wrong.");
        await expect(page.getByLabel("E-mail address")).toHaveValue(PEOPLE.admin.email);
        await sound();

        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Sign in" }).click();
        await expect(page).toHaveURL(/\/m\/demo-shop\/orders\?text=abc$/);
        await expect(page.getByRole("heading", { name: "Orders & Reports" })).toBeVisible();
    });

    test("an unknown address gets the same answer as a wrong password", { tag: "@once" }, async ({ page, open }) => {
        await open("/sign-in");
        await page.getByLabel("E-mail address").fill("nobody@example.com");
        await page.getByLabel("Password").fill("not the right words");
        await page.getByRole("button", { name: "Sign in" }).click();
        await expect(page.getByRole("alert")).toHaveText("The e-mail address or the password is wrong.");
    });

    test("a link cannot make the sign-in lead to another site", { tag: "@once" }, async ({ page, open }) => {
        await open("/sign-in?next=//elsewhere.example/");
        await page.getByLabel("E-mail address").fill(PEOPLE.merchant.email);
        await page.getByLabel("Password").fill(PASSWORD);
        await page.getByRole("button", { name: "Sign in" }).click();
        await expect(page).toHaveURL(/\/m\/demo-shop$/);
    });
});

test("signing out ends the session", async ({ page, open, sound, isMobile }) => {
    await open("/account");
    await sound();
    if (isMobile) await page.getByText("Menu", { exact: true }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page).toHaveURL(/\/sign-in$/);
    await expect(page.getByText("You are signed out.")).toBeVisible();
    await sound();
    await open("/account");
    await expect(page).toHaveURL(/\/sign-in\?next=%2Faccount$/);
});

test("a new password replaces the old one", async ({ page, open, sound }) => {
    await open("/account");
    await page.getByLabel("Current password").fill("not the right words");
    await page.getByLabel("New password").fill("other words in a row");
    await page.getByRole("button", { name: "Change password" }).click();
    await expect(page.getByText("This is not your current password.")).toBeVisible();
    await expect(page.getByLabel("Current password")).toBeFocused();
    await sound();
    await page.getByLabel("Current password").fill(PASSWORD);
    await page.getByLabel("New password").fill("other words in a row");
    await page.getByRole("button", { name: "Change password" }).click();
    await expect(page.getByText("Your password is changed.")).toBeVisible();
    await sound();
});
