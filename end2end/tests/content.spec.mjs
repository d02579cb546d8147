// IPN settings beyond the URLs: what is sent, the secret key, alerts; trying URLs out; the receiver kit.
import { expect, test } from "../support/test.mjs";

test.use({ urls: { Shop: { path: "/ipn", flags: ["--default", "--algorithms", "md5,sha3-256"] } } });

test("triggers and response tags are chosen", async ({ page, open, sound, shop, arrives }) => {
    await open("/m/demo-shop/settings/ipn");
    await page.getByRole("link", { name: "What is sent" }).click();
    await expect(page.getByRole("checkbox", { name: "COMPLETE paid and fulfilled" })).toBeChecked();
    await sound();
    await page.getByRole("checkbox", { name: "PENDING placed, waiting for the bank" }).uncheck();
    await page.getByText("Only those ticked below").click();
    await page.locator("summary").filter({ hasText: "Billing" }).click();
    await page.getByLabel("CUSTOMEREMAIL", { exact: true }).uncheck();
    await page.getByLabel("More fields, by name").fill("a=b");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("is no name of a field")).toBeVisible();
    await expect(page.getByRole("checkbox", { name: "PENDING placed, waiting for the bank" })).not.toBeChecked();
    await sound();
    await page.getByLabel("More fields, by name").fill("MY_FIELD");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved. It holds for everything that is sent from now on.")).toBeVisible();
    await expect(page.getByLabel("More fields, by name")).toHaveValue("MY_FIELD");
    await sound();

    await arrives("3000001", "PENDING");
    await arrives("3000002");
    await expect.poll(() => shop.received.length).toBe(1);
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "3000001" }).click();
    await expect(page.getByText("whose triggers take PENDING")).toBeVisible();
    await sound();
});

test("the secret key is changed with an overlap", async ({ page, open, sound, shop, arrives }) => {
    await open("/m/demo-shop/settings/key");
    await sound();
    await page.getByRole("button", { name: "Generate a new key" }).click();
    const dialog = page.getByRole("dialog", { name: "Generate a new secret key?" });
    await dialog.getByLabel("The old key stays valid").selectOption("7 days");
    await dialog.getByRole("button", { name: "Generate a new key" }).click();
    await expect(page.getByText("Copy the secret key now")).toBeVisible();
    await expect(page.getByText("Two keys are valid: the old one ends in")).toBeVisible();
    await expect(page.getByText("Old key, or not seen yet")).toBeVisible();
    await sound();
    // The script still has the old one, and is believed.
    await arrives("3000003");
    await expect.poll(() => shop.received.length).toBe(1);
    await open("/m/demo-shop/settings/key");
    await page.getByRole("button", { name: "End the old key now" }).click();
    const end = page.getByRole("dialog", { name: "End the old key now?" });
    await expect(end).toContainText("0 of 1 URLs have answered with the new key");
    await end.getByRole("button", { name: "End it now" }).click();
    await expect(page.getByText("The old key has ended.")).toBeVisible();
    await page.getByRole("button", { name: "Show the key" }).click();
    await page.getByRole("dialog", { name: "Show the secret key?" }).getByRole("button", { name: "Show it" }).click();
    await expect(page.getByText("Copy the secret key now")).toBeVisible();
    await sound();
});

test("alerts go to an address", async ({ page, open, sound, shop }) => {
    await open("/m/demo-shop/settings/alerts");
    await expect(page.getByText("No alert was sent yet")).toBeVisible();
    await sound();
    await page.getByLabel("Address for alerts").fill("alerts.example.com");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByLabel("Address for alerts")).toBeFocused();
    await page.getByLabel("Address for alerts").fill(shop.url("/alerts"));
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Send a test" }).click();
    await expect(page.getByText(/The test arrived|The test did not arrive/)).toBeVisible();
    await sound();
});

test("a URL is tested with a sample, and request and answer are shown", async ({ page, open, sound, shop }) => {
    await open("/m/demo-shop/settings/urls");
    await sound();
    await page.getByRole("link", { name: "Test this URL" }).click();
    await page.getByRole("link", { name: "Several products" }).click();
    await expect(page.getByLabel("More products")).toHaveValue(/Second product/);
    await expect(page.getByLabel("Send it to")).toHaveValue(/^url-/);
    await sound();
    await page.getByRole("button", { name: "Show its bytes" }).click();
    await expect(page.getByRole("heading", { name: "What would be sent now" })).toBeVisible();
    await expect(page.getByText(/^Expected receipt/).first()).toBeVisible();
    expect(shop.received).toHaveLength(0);
    await sound();
    await page.getByRole("button", { name: "Place TEST order" }).click();
    await expect(page.getByText("It went to this URL alone.")).toBeVisible();
    await expect(page.getByRole("heading", { name: "Request", exact: true })).toBeVisible();
    await expect(page.getByRole("heading", { name: "Answer", exact: true })).toBeVisible();
    expect(shop.received).toHaveLength(1);
    await sound();
});

test("a message comes in through a listener as the gateway would post it", async ({ page, open, shop }) => {
    await open("/m/demo-shop/test-order?sample=letters");
    const through = page.getByLabel("Send it to").locator("option").filter({ hasText: "In through the listener" });
    await page.getByLabel("Send it to").selectOption(await through.getAttribute("value"));
    await page.getByRole("button", { name: "Place TEST order" }).click();
    await expect(page.getByText("The listener took it, and answered the gateway")).toBeVisible();
    await expect.poll(() => shop.received.length).toBe(1);
});

test("a wrong answer leads to the kit and to the box for developers", async ({ page, open, sound, shop, arrives }) => {
    shop.answers = "ok";
    await arrives("3000004");
    await open("/m/demo-shop/deliveries");
    await page.getByRole("row").filter({ hasText: "3000004" }).getByRole("link").first().click();
    const attempt = page.getByRole("link", { name: /Attempt 1/ }).first();
    const box = page.getByRole("link", { name: "Try answers to this message" });
    // The answer of the script may be written down a moment after it was given.
    await expect(async () => {
        await page.reload();
        await expect(attempt.or(box).first()).toBeVisible({ timeout: 500 });
    }).toPass();
    if (await attempt.isVisible()) await attempt.click();
    await box.click();
    await expect(page.getByLabel("Received body")).not.toHaveValue("");
    await sound();
    await page.getByRole("button", { name: "Check it" }).click();
    await expect(page.getByRole("heading", { name: "What was found" })).toBeVisible();
    await expect(page.getByText("HASH (MD5) is right")).toBeVisible();
    await sound();
    await page.getByLabel("Received body").fill("");
    await page.getByRole("button", { name: "Check it" }).click();
    await expect(page.getByLabel("Received body")).toBeFocused();
});

test("the receiver kit is there in every language", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/urls");
    await page.getByRole("link", { name: "Receiver kit" }).click();
    await expect(page.getByText("const ALGORITHM = 'sha3-256'")).toBeVisible();
    await sound();
    const languages = page.getByRole("navigation", { name: "Languages" });
    for (const name of ["Node.js", "Python", "Ruby", "Java", "C#", "Go", "Rust"]) {
        await languages.getByRole("link", { name, exact: true }).click();
        await expect(languages.getByRole("link", { name, exact: true })).toHaveAttribute("aria-current", "page");
        await expect(page.locator("pre").first()).toContainText("sha3-256");
    }
    await sound();
});

test.describe("for a URL that gets JSON", () => {
    test.use({ urls: { "Web shop": { path: "/hook", flags: ["--format", "json"] } } });

    test("the receiver kit is there in its languages, with the signing secret behind a question", async ({ page, open, sound }) => {
        await open("/m/demo-shop/settings/urls");
        await page.getByRole("link", { name: "Receiver kit" }).click();
        await expect(page.getByRole("heading", { level: 1, name: "Receiver kit for Web shop" })).toBeVisible();
        await expect(page.getByText("Standard Webhooks, version 1")).toBeVisible();
        await expect(page.locator("pre").first()).toContainText("WEBHOOK_SECRET");
        await expect(page.getByRole("link", { name: "Check a message or receipt" })).toBeVisible();
        await sound();
        const languages = page.getByRole("navigation", { name: "Languages" });
        const names = await languages.getByRole("link").allTextContents();
        expect(names).toEqual(["PHP", "Node.js", "Python", "Ruby", "Java", "C#", "Go", "Rust"]);
        for (const name of names) {
            await languages.getByRole("link", { name, exact: true }).click();
            await expect(languages.getByRole("link", { name, exact: true })).toHaveAttribute("aria-current", "page");
            await expect(page.locator("pre").first()).toContainText("WEBHOOK_SECRET_OLD");
        }
        await sound();
        expect(await page.content()).not.toMatch(/whsec_[A-Za-z0-9+/]{20}/);
        await page.getByRole("button", { name: "Show the signing secret" }).click();
        const question = page.getByRole("dialog", { name: "Show the signing secret of this URL?" });
        await question.getByRole("button", { name: "Show it" }).click();
        await expect(page.locator(".secret .code")).toHaveText(/^whsec_[A-Za-z0-9+/]+=*$/);
        await sound();
        await page.reload();
        await expect(page.locator(".secret")).toHaveCount(0);
        const kit = new URL(page.url()).pathname;
        await page.getByRole("link", { name: "Check a message or receipt" }).click();
        await expect(page.getByLabel("For the URL").locator("option:checked")).toContainText("Web shop");
        await expect(page.getByLabel("Head of the request")).toBeVisible();
        await sound();
        await open(kit);
        await page.getByRole("link", { name: "Test this URL" }).click();
        await expect(page.getByLabel("Send it to")).toHaveValue(/^url-/);
        await page.getByRole("button", { name: "Show its bytes" }).click();
        await expect(page.getByText("Any answer with a status from 200 to 299 confirms it.")).toBeVisible();
        await sound();
    });

    test.describe("support", () => {
        test.use({ as: "support" });

        test("reads the kit and is told who may see the secret", { tag: "@once" }, async ({ page, open, sound }) => {
            await open("/m/demo-shop/settings/urls");
            await page.getByRole("link", { name: "Receiver kit" }).click();
            await expect(page.getByText("Somebody who may change settings can show it here.")).toBeVisible();
            await expect(page.getByRole("button", { name: "Show the signing secret" })).toHaveCount(0);
            await sound();
        });
    });
});
