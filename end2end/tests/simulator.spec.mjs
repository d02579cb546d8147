// A listener's simulator: messages as a gateway would send them, and what becomes of them.
import { run } from "../support/quittance.mjs";
import { expect, test } from "../support/test.mjs";

test.use({ urls: { Shop: { path: "/ipn", flags: ["--default"] } } });

const add = (folder, gateway, more = []) =>
    run(folder, ["listener", "add", "--merchant", "demo-shop", "--gateway", gateway, ...more]);

/** Opens the simulator of the listener with a name. */
const simulator = async (page, open, name) => {
    await expect(async () => {
        await open("/m/demo-shop/listeners");
        await page.getByRole("link", { name, exact: true }).click({ timeout: 1_000 });
    }).toPass();
    await page.getByRole("link", { name: "Simulate a message" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Simulate a message" })).toBeVisible();
};

test("a payment and its refund are simulated and followed to the script", async ({ page, open, sound, shop }) => {
    await simulator(page, open, "2Checkout (Avangate)");
    await sound();
    await page.getByLabel("Status").selectOption("Paid");
    await page.getByLabel("Amount").fill("19.90");
    await page.getByLabel("Currency").fill("EUR");
    await page.getByRole("button", { name: "Sign and post it" }).click();
    await expect(page.getByText("Accepted, and acknowledged with 200")).toBeVisible();
    await expect(page.locator("#sent pre").last()).toContainText("<sig algo=");
    await sound();
    const number = await page.getByLabel("Order's number").inputValue();
    expect(number).toMatch(/^\d+$/);
    await expect.poll(() => shop.received.length).toBe(1);

    // What comes next is about the same order, and a reload sends nothing.
    await page.reload();
    await expect(page.getByLabel("Order's number")).toHaveValue(number);
    await page.getByLabel("Status").selectOption("Refunded");
    await page.getByRole("button", { name: "Sign and post it" }).click();
    await expect.poll(() => shop.received.length).toBe(2);
    await page.getByRole("link", { name: "the order", exact: true }).click();
    await expect(page.getByRole("heading", { level: 1 })).toContainText(number);
    await expect(page.locator(".badge").filter({ hasText: "TEST" }).first()).toBeVisible();
    await expect(page.getByText("Refunded").first()).toBeVisible();

    await open("/m/demo-shop/audit");
    await expect(page.locator("strong").filter({ hasText: "Simulated a gateway's message" }).first()).toBeVisible();
});

test("what is wrong with a message is refused and explained", async ({ page, folder, server, open, sound }) => {
    expect(server.url).toBeTruthy();
    await add(folder, "vnpay", ["--secret", "vnpay secret", "--option", "terminal=DEMO", "--allow-from", "203.0.113.0/24"]);
    await simulator(page, open, "VNPAY");
    await expect(page.getByLabel("Sent from")).toHaveValue("203.0.113.0");
    await page.getByLabel("Amount").fill("a lot");
    await page.getByRole("button", { name: "Sign and post it" }).click();
    await expect(page.getByText("This is no amount of VND")).toBeVisible();
    await expect(page.getByLabel("Amount")).toHaveValue("a lot");
    await sound();
    await page.getByLabel("Amount").fill("50000");
    await page.getByLabel("What is wrong with it").selectOption("Wrong signature, of the right length");
    await page.getByRole("button", { name: "Sign and post it" }).click();
    await expect(page.getByText("Refused, and answered with 200: Wrong signature")).toBeVisible();
    await expect(page.locator("#sent pre").last()).toContainText('"RspCode":"97"');
    await sound();
    await page.getByLabel("What is wrong with it").selectOption("Nothing");
    await page.getByLabel("Sent from").fill("198.51.100.9");
    await page.getByRole("button", { name: "Sign and post it" }).click();
    await page.getByRole("link", { name: "See the refused message" }).click();
    await expect(page.getByText("198.51.100.9 (simulated)")).toBeVisible();
    await sound();
});

test("of a gateway that is asked back it says what will happen", async ({ page, folder, server, open, sound }) => {
    expect(server.url).toBeTruthy();
    await add(folder, "paypal", ["--option", "receiver=shop@example.com"]);
    await simulator(page, open, "PayPal (IPN)");
    await expect(page.getByText("PayPal (IPN) is asked before a message counts")).toBeVisible();
    await expect(page.getByText("https://ipnpb.paypal.com is asked, and does not know")).toBeVisible();
    await sound();
});

test.describe("support", () => {
    test.use({ as: "support" });

    test("simulates nothing @once", async ({ page, open }) => {
        await open("/m/demo-shop/listeners");
        await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
        await expect(page.getByRole("heading", { name: "Its address" })).toBeVisible();
        await expect(page.getByRole("link", { name: "Simulate a message" })).toHaveCount(0);
    });
});
