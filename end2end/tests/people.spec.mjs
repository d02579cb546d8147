// People: invitations, rights, masked values, the audit log, two who edit the same.
import { PASSWORD } from "../support/prepare.mjs";
import { expect, test } from "../support/test.mjs";

const NEW_PASSWORD = "other words in a row";

test("somebody is invited, chooses a password, and is disabled again", async ({ page, open, sound, server, guest }) => {
    await open("/people");
    await sound();
    await page.getByLabel("E-mail address").fill("new@example.com");
    await page.getByLabel("Role").selectOption("merchant");
    await page.getByRole("button", { name: "Make invitation link" }).click();
    await expect(page.getByText("Choose at least one merchant")).toBeVisible();
    await expect(page.getByLabel("E-mail address")).toHaveValue("new@example.com");
    await sound();
    await page.getByRole("checkbox", { name: "Demo Shop" }).check();
    await page.getByRole("button", { name: "Make invitation link" }).click();
    await expect(page.getByText("Copy the link for new@example.com now")).toBeVisible();
    const link = await page.locator(".secret .code").innerText();
    expect(link).toMatch(new RegExp(`^${server.url}/join\\?token=[0-9a-f]{64}$`));
    await sound();

    await guest.open(link);
    await expect(guest.page.getByRole("heading", { name: "Welcome" })).toBeVisible();
    await expect(guest.page.getByLabel("E-mail address")).toHaveValue("new@example.com");
    await guest.sound();
    await guest.page.getByLabel("Password").fill("short");
    await guest.page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(guest.page.getByText("at least 12 characters; a few words in a row are fine").first()).toBeVisible();
    await expect(guest.page.getByLabel("Password")).toBeFocused();
    await guest.sound();
    await guest.page.getByLabel("Password").fill(NEW_PASSWORD);
    await guest.page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(guest.page).toHaveURL(/\/m\/demo-shop$|\/$/);
    await guest.sound();
    await guest.open(link);
    await expect(guest.page.getByRole("heading", { name: "This link does not work any more" })).toBeVisible();
    await guest.sound();

    await open("/people?text=new");
    await page.getByRole("link", { name: "new@example.com" }).click();
    await sound();
    await page.getByRole("button", { name: "Disable" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await expect(page.getByText("Disabled. All sessions have ended.")).toBeVisible();
    await guest.open("/account");
    await expect(guest.page).toHaveURL(/\/sign-in/);
});

test("a forgotten password is replaced by a link", { tag: "@once" }, async ({ page, open, guest }) => {
    await open("/people?text=support");
    await page.getByRole("link", { name: "support@example.com" }).click();
    await page.getByRole("button", { name: "Make a link for a new password" }).click();
    const link = await page.locator(".secret .code").innerText();
    await guest.open(link);
    await expect(guest.page.getByRole("heading", { name: "A new password" })).toBeVisible();
    await guest.sound();
    await guest.page.getByLabel("Password").fill(NEW_PASSWORD);
    await guest.page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(guest.page).toHaveURL(/\/m\/demo-shop$/);
});

test("the table of rights says who may what", async ({ page, open, sound }) => {
    await open("/people");
    await page.getByRole("link", { name: "Who may what" }).click();
    await expect(page.getByRole("heading", { name: "Who may what" })).toBeVisible();
    await expect(page.getByText("Reveal one masked value")).toBeVisible();
    await sound();
});

test.describe("support", () => {
    test.use({ as: "support", urls: { "Shop script": { flags: ["--default"] } } });

    test("sees masked values, and reveals one", async ({ page, open, sound, arrives, shop }) => {
        await arrives("1000001", "COMPLETE", { CUSTOMEREMAIL: "zacharias.quill@mail.example", FIRSTNAME: "Zacharias", LASTNAME: "Quill" });
        await expect.poll(() => shop.received.length).toBe(1);
        await open("/m/demo-shop/orders");
        await expect(page.getByText("z••@mail.example")).toBeVisible();
        await sound({ hasMoved: true });
        await page.getByRole("link", { name: "1000001", exact: true }).click();
        expect(await page.content()).not.toContain("zacharias.quill");
        await page.getByRole("button", { name: "Reveal email" }).click();
        await expect(page.getByText("Revealed: email")).toBeVisible();
        await expect(page.getByText("zacharias.quill@mail.example")).toBeVisible();
        await sound();
        await page.getByRole("link", { name: "as received" }).first().click();
        await expect(page.getByText("masked for your role")).toBeVisible();
        expect(await page.content()).not.toContain("zacharias.quill");
        await page.getByRole("button", { name: "Reveal FIRSTNAME", exact: true }).click();
        await expect(page.getByText("Zacharias", { exact: true })).toBeVisible();
        await sound();
    });
});

test("what was done stands in the audit log, and the filter is the address", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/key");
    await page.getByLabel("Own secret key").fill("a key of my own");
    await page.getByRole("button", { name: "Use this key" }).click();
    await expect(page.getByText("The secret key was changed.")).toBeVisible();
    await open("/m/demo-shop/audit");
    const row = page.getByRole("row").filter({ hasText: "Changed the secret key" });
    await expect(row).toContainText("admin@example.com");
    await expect(row).toContainText("127.0.0.1");
    await expect(page.getByText("a key of my own")).toHaveCount(0);
    await sound();
    await page.getByLabel("Act").selectOption("listener.add");
    await page.getByRole("button", { name: "Filter" }).click();
    await expect(page).toHaveURL(/action=listener\.add/);
    await expect(page.getByRole("row").filter({ hasText: "Changed the secret key" })).toHaveCount(0);
    await open("/audit");
    await expect(page.getByRole("row").filter({ hasText: "Signed in" }).first()).toBeVisible();
    await sound();
});

test("who is second to save is told, and nothing typed is lost", async ({ page, open, sound, server, facts }) => {
    await open("/m/demo-shop/listeners");
    await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
    await page.getByText("Settings of this listener").click();
    const id = new URL(page.url()).pathname.split("/").pop();
    const form = { merchant: "demo-shop", id, gateway: "2checkout", label: "Theirs", md5: "true", enabled: "true" };
    const { name, value } = facts.cookies.merchant;
    const headers = { cookie: `${name}=${value}`, accept: "application/json", "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(`${server.url}/rpc/listeners/save`, { method: "POST", headers, body: new URLSearchParams(form) });
    expect(answer.status).toBe(200);
    await page.getByRole("textbox", { name: /^Name/ }).fill("Mine");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Not saved: somebody else has changed this meanwhile")).toBeVisible();
    await expect(page.getByText("merchant@example.com")).toBeVisible();
    await expect(page.getByRole("textbox", { name: /^Name/ })).toHaveValue("Mine");
    await sound();
    await page.getByRole("button", { name: "Save mine over it" }).click();
    await expect(page.getByRole("heading", { name: "Mine" })).toBeVisible();
});

test("one's other sessions are shown and ended", { tag: "@once" }, async ({ page, open, sound, server }) => {
    const body = new URLSearchParams({ email: "admin@example.com", password: PASSWORD });
    await fetch(`${server.url}/rpc/sign-in`, { method: "POST", body, headers: { accept: "text/html" }, redirect: "manual" });
    await open("/account");
    await expect(page.getByRole("heading", { name: "Where you are signed in" })).toBeVisible();
    await sound();
    await page.getByRole("button", { name: "Sign out everywhere else" }).click();
    await expect(page.getByText(/Your (other session has|\d+ other sessions have) ended/)).toBeVisible();
    await expect(page.getByRole("button", { name: "Sign out everywhere else" })).toHaveCount(0);
});
