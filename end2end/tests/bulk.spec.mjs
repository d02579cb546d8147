// A script that was broken for longer than its schedule lasts: what was given up is found, sent again, and can be called off.
import { expect, test } from "../support/test.mjs";

/** The page changes by itself where scripts run; without them it is read again. */
const eventually = (page, javaScriptEnabled, check) =>
    expect(async () => {
        if (!javaScriptEnabled) await page.reload();
        await check({ timeout: javaScriptEnabled ? 5_000 : 100 });
    }).toPass({ timeout: 30_000 });

const rows = (page) => page.locator("tbody tr");

// Given up after the second attempt.
test.use({ urls: { "Shop script": { flags: ["--default", "--algorithms", "md5", "--retries", "5s"] } } });

const giveUp = async ({ page, open, arrives, shop, javaScriptEnabled }, references) => {
    // No receipt, but an answer: the URL is not left alone for it.
    shop.answers = "ok";
    for (const reference of references) await arrives(reference);
    await open("/m/demo-shop/deliveries?state=expired");
    await eventually(page, javaScriptEnabled, (options) => expect(rows(page)).toHaveCount(references.length, options));
};

test("what was given up is found from the dashboard, counted, sent again and confirmed", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
    await giveUp({ page, open, arrives, shop, javaScriptEnabled }, ["4000001", "4000002", "4000003"]);
    await open("/m/demo-shop");
    const trouble = page.locator(".trouble");
    await expect(trouble).toContainText("Shop script");
    await sound({ hasMoved: true });
    await trouble.getByRole("link", { name: "3", exact: true }).click();
    await expect(page).toHaveURL(/\/m\/demo-shop\/deliveries\?state=expired&url=/);
    await expect(rows(page)).toHaveCount(3);
    await expect(rows(page).first()).toContainText("Expired");
    await expect(page.getByText("3 deliveries fit")).toBeVisible();
    await sound();

    const before = shop.received.length;
    shop.answers = "confirm";
    await page.getByRole("link", { name: "Resend these 3 deliveries…" }).click();
    await expect(page.getByRole("heading", { name: "Resend deliveries" })).toBeVisible();
    await expect(page.getByText("The merchant's script gets each of them again")).toBeVisible();
    await expect(page.locator(".choice").first()).toContainText("3 deliveries");
    await expect(page.locator(".choice").first()).toContainText("3 to Shop script");
    await sound();
    await page.getByRole("button", { name: "Resend them" }).click();
    await expect(page).toHaveURL(/\/m\/demo-shop\/resends\/[0-9a-z]+$/);
    await expect(page.getByRole("button", { name: "Stop it" })).toBeVisible();
    await eventually(page, javaScriptEnabled, (options) => expect(page.getByText("3 deliveries are confirmed")).toBeVisible(options));
    expect(shop.received.slice(before).map((fields) => new Map(fields).get("REFNO")).sort()).toEqual(["4000001", "4000002", "4000003"]);
    await sound({ hasMoved: true });

    await page.getByRole("link", { name: "Bulk actions" }).last().click();
    await expect(rows(page)).toHaveCount(1);
    await expect(rows(page).first()).toContainText("admin@example.com");
    await expect(rows(page).first()).toContainText("3 of 3");
    await sound();
    await open("/m/demo-shop/resends/new?state=expired");
    await expect(page.getByText("Nothing to resend")).toBeVisible();
    await expect(page.getByText("3 are confirmed by their URL already")).toBeVisible();
    await sound();
});

test("a bulk resend is cancelled in the middle", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
    await giveUp({ page, open, arrives, shop, javaScriptEnabled }, ["4000011", "4000012", "4000013", "4000014"]);
    shop.answers = "confirm";
    shop.keepWaiting();
    const before = shop.received.length;
    await page.getByRole("link", { name: "Recover what failed…" }).click();
    await expect(page.locator(".choice").first()).toContainText("4 deliveries");
    await page.getByRole("button", { name: "Resend them" }).click();
    // One request at a time: the first is at the script.
    await expect.poll(() => shop.received.length, { timeout: 25_000 }).toBe(before + 1);
    await eventually(page, javaScriptEnabled, (options) => expect(page.locator(".tile").filter({ hasText: "Made" }).locator("dd")).toHaveText("4 of 4", options));
    await page.getByRole("button", { name: "Cancel…" }).click();
    const dialog = page.getByRole("dialog", { name: "Cancel this bulk resend?" });
    await expect(dialog).toContainText("what was not sent yet is cancelled");
    await sound({ hasMoved: true });
    await dialog.getByRole("button", { name: "Cancel it" }).click();
    await expect(page.getByText("nothing more of it is sent")).toBeVisible();
    shop.answerAll();
    await eventually(page, javaScriptEnabled, (options) => expect(page.getByText("1 delivery was sent before that")).toBeVisible(options));
    await expect(page.getByText("3 that were made are not sent any more")).toBeVisible();
    await expect(page.getByRole("button", { name: "Cancel…" })).toHaveCount(0);
    await sound({ hasMoved: true });
    expect(shop.received.length).toBe(before + 1);
});

test("the list is filtered by its address and says what does not fit @once", async ({ page, open, sound, arrives, shop }) => {
    await open("/m/demo-shop/deliveries");
    await expect(page.getByText("No deliveries yet")).toBeVisible();
    await sound();
    await arrives("4000021");
    await arrives("4000022");
    await expect.poll(() => shop.received.length).toBe(2);
    await expect(rows(page)).toHaveCount(2);
    await page.getByRole("searchbox", { name: "Order" }).fill("4000022");
    await page.getByRole("button", { name: "Search" }).click();
    await expect(page).toHaveURL(/text=4000022/);
    await expect(rows(page)).toHaveCount(1);
    await page.getByLabel("State").selectOption("Held");
    await page.getByRole("button", { name: "Search" }).click();
    await expect(page.getByText("No delivery fits")).toBeVisible();
    await sound();
    await page.getByRole("link", { name: "Clear" }).click();
    await expect(rows(page)).toHaveCount(2);
    await open("/m/demo-shop/deliveries?state=nonsense");
    await expect(page.getByText("There is no such state")).toBeVisible();
    await open("/m/demo-shop/resends");
    await expect(page.getByText("No bulk actions yet")).toBeVisible();
    await sound();
    await open("/m/demo-shop/resends/new");
    await expect(page.getByText("Choose what is to be sent again")).toBeVisible();
    await sound();
});

test("what is outstanding is cancelled, undone, and cancelled for good", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
    // One request at a time: the first is at the script, the others wait.
    shop.keepWaiting();
    for (const reference of ["4000031", "4000032", "4000033"]) await arrives(reference);
    await expect.poll(() => shop.received.length, { timeout: 25_000 }).toBe(1);
    await open("/m/demo-shop/deliveries?state=queued");
    await eventually(page, javaScriptEnabled, (options) => expect(rows(page)).toHaveCount(3, options));
    await page.getByRole("link", { name: "Cancel these 3 deliveries…" }).click();
    await expect(page.getByRole("heading", { name: "Cancel deliveries" })).toBeVisible();
    await expect(page.getByText("The scripts will not be told of these notifications")).toBeVisible();
    await expect(page.getByText("3 queued")).toBeVisible();
    await expect(page.getByText("3 to Shop script")).toBeVisible();
    await sound();
    await page.getByRole("button", { name: "Cancel them" }).click();
    await expect(page).toHaveURL(/\/m\/demo-shop\/resends\/[0-9a-z]+$/);
    await expect(page.getByText("Starts in")).toBeVisible();
    await sound({ hasMoved: true });
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(page.getByText("Undone: nothing was cancelled.")).toBeVisible();
    await expect(page.getByText("the deliveries go on as they were")).toBeVisible();
    await sound({ hasMoved: true });

    await open("/m/demo-shop/resends/cancel?state=queued");
    await page.getByRole("button", { name: "Cancel them" }).click();
    await eventually(page, javaScriptEnabled, (options) => expect(page.getByText("3 deliveries are cancelled")).toBeVisible(options));
    await expect(page.locator(".tile").filter({ hasText: "of the list" }).locator("dd")).toHaveText("3 of 3");
    // What had reached the script is confirmed by it; nothing else is sent.
    shop.answerAll();
    await eventually(page, javaScriptEnabled, (options) => expect(page.getByText("The request of 1 was on its way")).toBeVisible(options));
    await sound({ hasMoved: true });
    expect(shop.received.length).toBe(1);
    await page.getByRole("link", { name: "Bulk actions" }).last().click();
    await expect(rows(page)).toHaveCount(2);
    await expect(rows(page).first()).toContainText("cancelled, not sent");
    await expect(rows(page).last()).toContainText("Stopped");
    await sound();
    await open("/m/demo-shop/resends/cancel?state=queued");
    await expect(page.getByText("Nothing to cancel")).toBeVisible();
    await sound();
});
