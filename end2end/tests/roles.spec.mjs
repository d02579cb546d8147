// Who may see and do what.
import { expect, test } from "../support/test.mjs";

test.describe("support staff", () => {
    test.use({ as: "support", urls: { "Shop script": { flags: ["--default"] } } });

    test("read the settings, see no form to change them, and are told so where they try", async ({ page, open, sound, facts, allowed }) => {
        allowed.push(/status of 403/);
        await open("/m/demo-shop/settings/ipn");
        await expect(page.getByText("Signed with MD5. One request at a time.")).toBeVisible();
        await expect(page.locator("main form")).toHaveCount(0);
        expect(await page.content()).not.toContain(facts.merchants["demo-shop"].key);
        await sound();
        await open("/m/demo-shop/settings/urls");
        await expect(page.getByRole("row").filter({ hasText: "Shop script" })).toBeVisible();
        await expect(page.locator("main form")).toHaveCount(0);
        await expect(page.getByRole("link", { name: "New URL configuration" })).toHaveCount(0);
        await sound();
        await open("/m/demo-shop/listeners");
        await expect(page.getByRole("link", { name: "New listener" })).toHaveCount(0);
        await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
        await expect(page.getByRole("heading", { name: "Its address" })).toBeVisible();
        await expect(page.locator("main form")).toHaveCount(0);
        await sound();
        for (const path of ["/merchants", "/m/demo-shop/settings/urls/new", "/m/demo-shop/listeners/new", "/m/demo-shop/test-order"]) {
            const answer = await open(path);
            expect(answer.status()).toBe(403);
            await expect(page.getByRole("heading", { name: "Not allowed" })).toBeVisible();
            await expect(page.getByText("Your role does not allow this.")).toBeVisible();
        }
        await sound();
    });

    test("cannot change settings with a form of their own making either", { tag: "@once" }, async ({ page, open, folder, server, shop }) => {
        await open("/m/demo-shop");
        const forms = [
            ["/rpc/urls/save", { url: shop.url("/own"), md5: "true", anyway: "true" }],
            ["/rpc/settings/key", { secret_key: "a key of my own" }],
            ["/rpc/listeners/save", { gateway: "2checkout", secret: "mine", md5: "true", enabled: "true" }],
            ["/rpc/orders/test", { status: "COMPLETE", product: "x", amount: "1", currency: "EUR", email: "a@example.com" }],
        ];
        for (const [path, fields] of forms) {
            const form = { merchant: "demo-shop", ...fields };
            const headers = { origin: server.url, accept: "application/json" };
            const answer = await page.request.post(path, { form, headers });
            expect(answer.status(), path).toBeGreaterThanOrEqual(400);
            expect(await answer.text(), path).toContain("forbidden");
        }
        expect(folder).toBeTruthy();
    });

    test("search and resend", async ({ page, open, arrives, shop }) => {
        await arrives("1000001");
        await expect.poll(() => shop.received.length).toBe(1);
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "1000001", exact: true }).click();
        await page.locator("[data-resend]").click();
        await page.getByRole("button", { name: "Resend", exact: true }).click();
        await expect(page.getByText("Resent to one URL.")).toBeVisible();
        await expect(page.getByText("Resent by support@example.com")).toBeVisible();
    });
});

test.describe("a merchant", () => {
    test.use({ as: "merchant" });

    test("sees his own shop only; another's is as if it did not exist", async ({ page, open, sound, server, allowed }) => {
        allowed.push(/status of (403|404)/);
        await open("/");
        await expect(page).toHaveURL(/\/m\/demo-shop$/);
        expect(await page.content()).not.toContain("Other Shop");
        for (const path of ["/m/other-shop", "/m/other-shop/orders", "/m/other-shop/settings/ipn", "/m/other-shop/listeners", "/m/no-such-shop"]) {
            const answer = await open(path);
            expect(answer.status()).toBe(404);
            await expect(page.getByRole("heading", { name: "Nothing here" })).toBeVisible();
        }
        await sound();
        expect((await open("/merchants")).status()).toBe(403);
        const headers = { origin: server.url, accept: "application/json" };
        const form = { merchant: "other-shop", secret_key: "a key of my own" };
        const answer = await page.request.post("/rpc/settings/key", { form, headers });
        expect(await answer.text()).toContain("not-found");
    });

    test("changes his own settings", { tag: "@once" }, async ({ page, open, shop }) => {
        await open("/m/demo-shop/settings/ipn");
        await page.getByLabel("URL", { exact: true }).fill(shop.url());
        await page.getByRole("button", { name: "Check and save" }).click();
        await expect(page.getByText("Saved. The URL answered 200, as it should.")).toBeVisible();
    });

    test("an order of another merchant is not shown under his own name", { tag: "@once" }, async ({ page, open, arrives, allowed, context, facts, server }) => {
        allowed.push(/status of 404/);
        await arrives("1000001");
        // The administrator learns the address of the order …
        await context.addCookies([{ ...facts.cookies.admin, url: server.url }]);
        await open("/m/demo-shop/orders");
        const path = await page.getByRole("link", { name: "1000001", exact: true }).getAttribute("href");
        // … which names nothing under the other shop.
        const answer = await open(path.replace("demo-shop", "other-shop"));
        expect(answer.status()).toBe(404);
    });
});

test("a request that another site makes the browser send is refused", { tag: "@once" }, async ({ page, open, server }) => {
    await open("/account");
    const headers = { origin: "https://elsewhere.example", "sec-fetch-site": "cross-site" };
    const answer = await page.request.post(`${server.url}/rpc/sign-out`, { headers });
    expect(answer.status()).toBe(403);
    await open("/account");
    await expect(page.getByRole("heading", { name: "Account" })).toBeVisible();
});

test("an address that names nothing says so", async ({ page, open, sound, allowed }) => {
    allowed.push(/status of 404/);
    for (const path of ["/nothing", "/m/demo-shop/orders/nonsense", "/m/demo-shop/deliveries/1/2", "/m/demo-shop/refused/1"]) {
        const answer = await open(path);
        expect(answer.status(), path).toBe(404);
        await expect(page.getByRole("heading", { name: "Nothing here" })).toBeVisible();
    }
    await sound();
});
