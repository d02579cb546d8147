// Messages that wait for their gateway's word, and listeners that do not take messages from everybody.
import { createServer } from "node:http";
import { postBody } from "../support/gateway.mjs";
import { run } from "../support/quittance.mjs";
import { expect, test } from "../support/test.mjs";

/** A stand-in for a gateway: says what it is told to say. */
const standIn = async () => {
    const said = { status: 503, text: "not now", asked: 0 };
    const server = createServer((request, response) => {
        said.asked += 1;
        request.resume().on("end", () => response.writeHead(said.status).end(said.text));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    said.url = `http://127.0.0.1:${server.address().port}`;
    said.close = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
    return said;
};

/** Opens the page of the listener with a name. */
const listener = async (page, open, name) => {
    await expect(async () => {
        await open("/m/demo-shop/listeners");
        await page.getByRole("link", { name, exact: true }).click({ timeout: 1_000 });
    }).toPass();
};

test("a message is verified, and its page says why it still waits", async ({ page, folder, server, open, sound, javaScriptEnabled }) => {
    const gateway = await standIn();
    const options = ["--option", "receiver=shop@example.com", "--option", `confirm-base=${gateway.url}`];
    const { path } = await run(folder, ["listener", "add", "--merchant", "demo-shop", "--gateway", "paypal", ...options]);
    await listener(page, open, "PayPal (IPN)");
    const body = "txn_id=61E67681CH3238416&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=shop%40example.com";
    expect(await postBody(`${server.url}${path}`, body)).toEqual({ status: 200, body: "" });
    await expect.poll(() => gateway.asked).toBeGreaterThan(0);

    await open("/m/demo-shop/inbound?outcome=verifying");
    await page.getByRole("row").filter({ hasText: "61E67681CH3238416" }).getByRole("link").first().click();
    await expect(page.getByRole("heading", { level: 1, name: "Message being verified" })).toBeVisible();
    await expect(page.getByText("nothing of it counts and nothing is delivered")).toBeVisible();
    await expect(async () => {
        if (!javaScriptEnabled) await page.reload();
        await expect(page.getByText("503").first()).toBeVisible({ timeout: javaScriptEnabled ? 5_000 : 100 });
    }).toPass();
    await expect(page.getByText(gateway.url)).toBeVisible();
    await expect(page.locator("pre").last()).toHaveText(body);
    await sound({ hasMoved: true });

    Object.assign(gateway, { status: 200, text: "VERIFIED" });
    await page.getByRole("button", { name: "Ask now" }).click();
    await expect(async () => {
        await open("/m/demo-shop/orders");
        await expect(page.getByRole("row").filter({ hasText: "61E67681CH3238416" })).toContainText("Paid", { timeout: 300 });
    }).toPass();
    await gateway.close();
});

test("a listener is narrowed to networks and a password", async ({ page, open, sound, arrivesRaw }) => {
    await open("/m/demo-shop/listeners");
    await page.getByRole("link", { name: "2Checkout (Avangate)" }).click();
    await page.getByText("Settings of this listener").click();
    await page.getByText("Who may post").click();
    await page.getByLabel("Networks that may post").fill("203.0.113.0/33");
    await page.getByLabel("User name").fill("gate");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText('"203.0.113.0/33" is no network')).toBeVisible();
    await expect(page.getByText("Enter the password that goes with the user name.")).toBeVisible();
    await expect(page.getByLabel("Networks that may post")).toHaveValue("203.0.113.0/33");
    await sound();
    await page.getByLabel("Networks that may post").fill("203.0.113.7, 2001:db8::/32");
    await page.getByLabel("Password").fill("open sesame");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved.")).toBeVisible();
    await page.getByText("Settings of this listener").click();
    await expect(page.getByLabel("Networks that may post")).toHaveValue("203.0.113.7/32, 2001:db8::/32");
    await expect(page.getByLabel("Password")).toHaveValue("");
    await sound({ hasMoved: true });

    expect(await arrivesRaw("REFNO=5000001")).toEqual({ status: 403, body: "Refused.\n" });
    await page.reload();
    await expect(page.getByRole("row").filter({ hasText: "127.0.0.1" })).toContainText("ddress");
    await page.getByText("Settings of this listener").click();
    await page.getByLabel("Networks that may post").fill("");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved.")).toBeVisible();
    expect((await arrivesRaw("REFNO=5000001")).status).toBe(401);
    await page.reload();
    await expect(page.getByRole("row").filter({ hasText: "Wrong user name or password" })).toBeVisible();
    await sound({ hasMoved: true });
});
