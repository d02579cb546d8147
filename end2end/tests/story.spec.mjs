// The story of an order: what happened, attempt by attempt, resends as they happen, and on paper.
import { expect, test } from "../support/test.mjs";

test.use({
    urls: {
        "Shop script": { flags: ["--default", "--algorithms", "md5,sha2-256,sha3-256"] },
        "Book-keeping": { path: `/books/${"long-".repeat(60)}end` },
    },
});

const event = (page, text) => page.locator(".event").filter({ hasText: text });
const script = (page, label) => page.locator(".scripts li").filter({ hasText: label });

/** Two messages of an order, the first of which no script has understood. */
const story = async ({ arrives, shop }, reference) => {
    shop.answers = "ok";
    await arrives(reference, "PAYMENT_AUTHORIZED");
    await expect.poll(() => shop.received.length).toBe(2);
    shop.answers = "confirm";
    await arrives(reference, "COMPLETE");
    await expect.poll(() => shop.received.length).toBe(4);
};

test("an order tells what happened, and whether each script got it", async ({ page, open, sound, arrives, shop }) => {
    await story({ arrives, shop }, "2000001");
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000001", exact: true }).click();
    await expect(async () => {
        await page.reload();
        await expect(event(page, ": confirmed")).toHaveCount(2, { timeout: 500 });
    }).toPass();
    await expect(script(page, "Shop script")).toContainText("Yes: it confirmed the latest message at the first try");
    await expect(script(page, "Shop script")).toContainText("The message before it is not confirmed.");
    await expect(event(page, "IPN received")).toHaveCount(2);
    await expect(event(page, "Status Authorized → Paid.")).toHaveCount(1);
    await expect(event(page, "Attempt 1 to Shop script: No read receipt")).toHaveCount(1);
    await expect(event(page, "Next:")).toHaveCount(0);
    const times = await page.locator(".event-time time").allTextContents();
    expect(times).toEqual([...times].sort());
    await sound();

    await page.getByRole("link", { name: "Newest first" }).click();
    await expect(page).toHaveURL(/order=newest/);
    const backwards = await page.locator(".event-time time").allTextContents();
    expect(backwards).toEqual([...backwards].sort().reverse());
    await expect(page.getByRole("link", { name: "Newest first" })).toHaveAttribute("aria-current", "true");

    await event(page, "No read receipt").first().getByRole("link", { name: "Attempt 1" }).click();
    await expect(page.getByRole("alert")).toContainText("What to do:");
    await sound();
});

test("an attempt is told in full, compared with now, and handed to the developer", async ({ page, open, sound, arrives, shop, isMobile }) => {
    await story({ arrives, shop }, "2000002");
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000002", exact: true }).click();
    await event(page, "Attempt 1 to Book-keeping: No read receipt").getByRole("link", { name: "Attempt 1" }).click();
    await expect(page.getByRole("region", { name: "Then and now" })).toContainText("nothing differs");
    await expect(page.getByText(shop.url(`/books/${"long-".repeat(60)}end`), { exact: true }).first()).toBeVisible();
    const fields = page.locator(".fields");
    await expect(fields.getByRole("row", { name: "REFNO 2000002" })).toBeVisible();
    const raw = page.getByRole("region", { name: "Request" }).locator("pre").last();
    const [left, right] = [await raw.boundingBox(), await fields.boundingBox()];
    if (!isMobile) expect(right.x).toBeGreaterThanOrEqual(left.x + left.width);
    const box = page.getByRole("textbox", { name: "Message for the developer" });
    await expect(box).toHaveValue(/The payment notification of order 2000002 was not confirmed[^]*WHAT IS WRONG[^]*curl /);
    await expect(box).not.toBeEditable();
    await expect(page.locator(".phase-words li")).not.toHaveCount(0);
    await sound();
});

test("a resend for debug shows the answer when it comes", async ({ page, open, sound, arrives, shop }) => {
    await story({ arrives, shop }, "2000003");
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000003", exact: true }).click();
    await page.locator("[data-resend]").last().click();
    await expect(page.getByText("The script may act twice")).toBeVisible();
    await expect(page.getByRole("checkbox", { name: "Book-keeping" })).toBeChecked();
    await page.getByRole("checkbox", { name: "Book-keeping" }).uncheck();
    await sound();
    shop.keepWaiting();
    await page.getByRole("button", { name: "Resend for debug" }).click();
    await expect(page.getByText("Waiting for the answer")).toBeVisible();
    await expect(page.getByRole("region", { name: "Request" })).toContainText("REFNO=2000003");
    await sound();
    await expect.poll(() => shop.received.length).toBe(5);
    shop.answerAll();
    // With scripts the page hears of it; without them it reads itself again after two seconds.
    await expect(page.getByRole("status").filter({ hasText: "Confirmed" })).toContainText("holds a valid read receipt");
    await expect(page.getByText("Waiting for the answer")).toHaveCount(0);
    await sound({ hasMoved: true });
});

test("two clicks on a resend are one, though the page was read again between them", { tag: "@once" }, async ({ page, open, arrives, shop }) => {
    await story({ arrives, shop }, "2000008");
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000008", exact: true }).click();
    await page.locator("[data-resend]").last().click();
    await page.getByRole("checkbox", { name: "Book-keeping" }).uncheck();
    await page.getByRole("button", { name: "Resend for debug" }).click();
    await expect(page.getByRole("status").filter({ hasText: "Confirmed" })).toBeVisible();
    await expect.poll(() => shop.received.length).toBe(5);
    const key = page.locator('form[data-resend] input[name="request_key"]');
    const before = await key.inputValue();

    // What no page from the server has goes with the next reading.
    await page.locator("#live").evaluate((live) => live.setAttribute("data-old", ""));
    // The first click arrives, and its answer is lost.
    await page.route("**/rpc/orders/resend", async (route) => {
        await route.fetch({ maxRedirects: 0 });
        await route.fulfill({ status: 204 });
    }, { times: 1 });
    const again = page.getByRole("button", { name: "Resend", exact: true });
    await again.click({ noWaitAfter: true });
    await expect.poll(() => shop.received.length).toBe(6);
    await expect(page.locator("#live")).not.toHaveAttribute("data-old");
    expect(await key.inputValue()).toBe(before);
    await again.click();
    await expect(page.getByText("Resent to one URL.")).toBeVisible();
    await expect(event(page, "Resent by admin@example.com to Shop script")).toHaveCount(1);
    expect(shop.received.length).toBe(6);
});

test("a notification goes to the address of then, or of now", async ({ page, open, sound, arrives, shop }) => {
    await story({ arrives, shop }, "2000006");
    await open("/m/demo-shop/settings/urls");
    await page.getByRole("row").filter({ hasText: "Book-keeping" }).getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("URL", { exact: true }).fill(shop.url("/books/v2"));
    await page.getByRole("button", { name: "Check and save" }).click();
    await expect(page).toHaveURL(/\/settings\/urls$/);

    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000006", exact: true }).click();
    await page.locator("[data-resend]").last().click();
    const books = page.getByRole("group", { name: "Which address of Book-keeping" });
    await expect(books.getByRole("radio", { name: "To its address of now" })).toBeChecked();
    await expect(books).toContainText(shop.url("/books/v2"));
    await expect(page.getByRole("group", { name: "Which address of Shop script" })).toHaveCount(0);
    await books.getByRole("radio", { name: "To its address of then" }).check();
    await page.getByRole("checkbox", { name: "Shop script" }).uncheck();
    await sound();
    await page.getByRole("button", { name: "Resend", exact: true }).click();
    await expect(page.getByText("Resent to one URL.")).toBeVisible();
    await expect.poll(() => shop.received.length).toBe(5);
    await expect(event(page, "Resent to the address of then by admin@example.com")).toHaveCount(1);
    await page.reload();
    await event(page, "Attempt 1 to Book-keeping: confirmed").last().getByRole("link", { name: "Attempt 1" }).click();
    await expect(page.locator("dl.facts.panel")).toContainText("/books/long-");
    await expect(page.getByRole("region", { name: "Then and now" })).toContainText("It can also be resent to the address of then");
    await sound();
});

test("on paper there is nothing to press, and everything is told in full", async ({ page, open, arrives, shop }) => {
    await story({ arrives, shop }, "2000004");
    await open("/m/demo-shop/orders");
    await page.getByRole("link", { name: "2000004", exact: true }).click();
    await expect(page.getByRole("heading", { name: "Order 2000004" })).toBeVisible();
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    for (const part of [".bar", ".turns", "[data-resend]", ".copy"]) await expect(page.locator(part).first()).toBeHidden();
    await expect(page.getByText(shop.url(`/books/${"long-".repeat(60)}end`)).first()).toBeVisible();
    const shown = (selector, style, part) =>
        page.locator(selector).first().evaluate((one, [style, part]) => getComputedStyle(one, part)[style], [style, part]);
    expect(await shown("body", "backgroundColor")).toBe("rgb(255, 255, 255)");
    expect(await shown(".event-title", "color")).toBe("rgb(0, 0, 0)");
    expect(await shown(".event", "breakInside")).toBe("avoid");
    expect(await shown("time[data-ago]", "content", "::after")).toMatch(/^"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} UTC"$/);
});

test.describe("what has gone", () => {
    test.use({ allowed: [/status of 404/] });

    test("an open page says so when what it showed has gone @once", async ({ page, open, arrives, shop }) => {
        await story({ arrives, shop }, "2000005");
        await open("/m/demo-shop/orders");
        await page.getByRole("link", { name: "2000005", exact: true }).click();
        await expect(script(page, "Shop script")).toContainText("Yes");
        // The next reading of the page is told that it is not there any more, as after retention.
        await page.route(/\/orders\/[0-9a-z]+$/, (route) =>
            route.fulfill({ status: 404, contentType: "text/html", body: "<!DOCTYPE html><html lang=en><title>Gone</title><main><h1>Nothing here</h1></main></html>" }),
        );
        await arrives("2000005", "REFUND");
        await expect(page.getByRole("heading", { name: "Nothing here" })).toBeVisible();
    });
});
