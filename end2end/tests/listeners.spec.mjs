// Listeners: where gateways post.
import { order, post, postBody } from "../support/gateway.mjs";
import { LISTENER_SECRET } from "../support/prepare.mjs";
import { expect, test } from "../support/test.mjs";
import { encoded, signed } from "../support/wire.mjs";

test("a listener is made, its address copied, and a gateway posts to it", async ({ page, context, server, open, sound, javaScriptEnabled }) => {
    await open("/m/other-shop/listeners");
    await sound();
    await page.getByRole("link", { name: "New listener" }).click();
    await sound();
    await page.getByLabel("Which gateway posts to it?").fill("avangate");
    await page.getByRole("button", { name: "Look for it" }).click();
    await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
    await sound();
    await page.getByRole("textbox", { name: /^Name/ }).fill("Second account");
    await page.getByLabel("Secret key").fill("another key");
    await page.getByRole("button", { name: "Create listener" }).click();
    await expect(page.getByText("Created. What to enter where")).toBeVisible();
    await expect(page.locator(".guide")).toContainText("/ipn/");
    const address = await page.locator(".secret .code").innerText();
    expect(address).toMatch(new RegExp(`^${server.url}/ipn/[0-9a-f]{16,}$`));
    await expect(page.getByText("Nothing received yet")).toBeVisible();
    await sound();

    const copy = page.getByRole("button", { name: "Copy address" });
    if (javaScriptEnabled) {
        await context.grantPermissions(["clipboard-read", "clipboard-write"]);
        await copy.click();
        await expect(page.locator("#said")).toHaveText("Copied");
        expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(address);
    } else {
        await expect(copy).toBeHidden();
    }

    await post(address, "another key", order("2000001"));
    // What was just accepted is in the lists a moment later.
    await expect(async () => {
        if (!javaScriptEnabled) await page.reload();
        const row = page.getByRole("row").filter({ hasText: "2000001" });
        await expect(row).toContainText("Paid", { timeout: javaScriptEnabled ? 5_000 : 100 });
    }).toPass();
    await sound({ hasMoved: true });
});

test("what a listener refuses shows there with the reason and the cure", async ({ page, open, sound, arrivesRaw, facts, javaScriptEnabled }) => {
    await open("/m/demo-shop/listeners");
    const label = "2Checkout (Avangate)";
    await page.getByRole("link", { name: label }).click();
    await expect(page.getByText("Nothing refused")).toBeVisible();
    await sound();

    const body = encoded(signed(order("3000001"), "not the key", ["sha3"]));
    expect(await arrivesRaw(body)).toMatchObject({ status: 403 });
    if (!javaScriptEnabled) await page.reload();
    const row = page.getByRole("row").filter({ hasText: "Wrong signature" });
    await expect(row).toContainText("SIGNATURE_SHA3_256");
    await sound({ hasMoved: true });

    await row.getByRole("link").click();
    await expect(page.getByRole("heading", { name: "Refused message" })).toBeVisible();
    await expect(page.getByRole("alert")).toContainText("What to do:");
    await expect(page.locator("pre").last()).toHaveText(body);
    await page.getByText("fields, decoded").click();
    await expect(page.getByRole("row", { name: "REFNO 3000001" })).toBeVisible();
    await sound();
    expect(facts.merchants["demo-shop"].path).toBeTruthy();
});

test("a listener that is switched off refuses, and its settings show what is wrong", async ({ page, open, sound, arrivesRaw }) => {
    await open("/m/demo-shop/listeners");
    await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
    await page.getByText("Settings of this listener").click();
    for (const name of ["MD5", "SHA2", "SHA3"]) await page.getByLabel(name).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Nothing was saved.")).toBeVisible();
    await expect(page.getByLabel("MD5")).toBeFocused();
    await sound();
    await page.getByLabel("SHA3").check();
    await page.getByLabel("Open").uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved.")).toBeVisible();
    await expect(page.getByText("Switched off").first()).toBeVisible();
    await expect(page.getByText("Required: SHA3.")).toBeVisible();
    const body = encoded(signed(order("3000002"), LISTENER_SECRET));
    expect(await arrivesRaw(body)).toMatchObject({ status: 403 });
});

test("a listener of a gateway with further secrets asks for them and keeps what was typed", async ({ page, open, sound }) => {
    await open("/m/other-shop/listeners/new");
    await page.getByRole("link", { name: "MoMo" }).click();
    await page.getByLabel("Secret key", { exact: false }).first().fill("a secret");
    await page.getByLabel("Partner code").fill("MOMO1");
    await page.getByLabel("Access key").fill("a\u0001b");
    await page.getByRole("button", { name: "Create listener" }).click();
    await expect(page.getByText("Nothing was saved.")).toBeVisible();
    await expect(page.getByLabel("Partner code")).toHaveValue("MOMO1");
    await expect(page.getByLabel("Access key")).toHaveValue("");
    await sound();
    await page.getByLabel("Secret key", { exact: false }).first().fill("a secret");
    await page.getByLabel("Access key").fill("an access key");
    await page.getByRole("button", { name: "Create listener" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "MoMo" })).toBeVisible();
    await expect(page.locator(".guide li").first()).toContainText("M4B");
    await page.getByText("More about this gateway").click();
    await expect(page.getByText("HMAC-SHA256")).toBeVisible();
    await sound();
});

test("what came to an address that no listener has is found and read, whatever stands in it", async ({ page, server, open, sound }) => {
    await open("/unknown");
    await expect(page.getByText("Nothing came to an unknown address")).toBeVisible();
    await sound();

    const mark = "<script>window.ran=1</script><img src=x onerror='window.ran=1'>\u202E";
    const fields = order("3000009", "COMPLETE", { FIRSTNAME: mark, LASTNAME: "W".repeat(5_000) });
    const body = encoded(signed(fields, "some key"));
    const path = `/ipn/0123456789abcdef${encodeURIComponent(mark)}${"long-".repeat(40)}`;
    expect((await postBody(`${server.url}${path}`, body)).status).toBe(404);
    const row = page.locator("tbody tr");
    await expect(async () => {
        await open("/unknown");
        await expect(row).toHaveCount(1, { timeout: 300 });
    }).toPass();
    await expect(row).toContainText("127.0.0.1");
    await sound();

    await row.getByRole("link").click();
    await expect(page.getByRole("heading", { level: 1, name: "Message to an unknown address" })).toBeVisible();
    await expect(page.getByText("What to do:")).toBeVisible();
    await expect(page.locator("pre").first()).toContainText("POST /ipn/0123456789abcdef");
    await expect(page.locator("pre").last()).toHaveText(body);
    await page.getByText("fields, decoded").click();
    await expect(page.getByRole("row", { name: "REFNO 3000009" })).toBeVisible();
    await expect(page.locator(".fields")).toContainText(mark);
    await page.getByText("Show all 5,000 characters").click();
    expect(await page.evaluate(() => window.ran)).toBeUndefined();
    await expect(page.locator("main img, main script:not([nonce])")).toHaveCount(0);
    await sound({ hasMoved: true });
    await page.getByRole("navigation", { name: "Way to this page" }).getByRole("link", { name: "Unknown addresses" }).click();
    await expect(row).toHaveCount(1);
});

test.describe("a merchant", () => {
    test.use({ as: "merchant" });

    test("sees nothing of what came to unknown addresses", { tag: "@once" }, async ({ page, open, allowed }) => {
        allowed.push(/status of 403/);
        expect((await open("/unknown")).status()).toBe(403);
        await expect(page.getByRole("link", { name: "Unknown addresses" })).toHaveCount(0);
    });
});
