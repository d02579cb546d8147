// Customer mail: templates with their preview, a test, what was given up; and an installation that sends none.
import { expect, test } from "../support/test.mjs";

test.describe("with a mail server", () => {
    test.use({ withMail: true });

    test("a template is written, looked at, tried and mailed", async ({ page, open, sound, mail, arrives, javaScriptEnabled }) => {
        await open("/m/demo-shop/settings/mail");
        await page.getByRole("link", { name: "Refunded", exact: true }).click();
        await expect(page.getByRole("heading", { name: "Mail for the status Refunded" })).toBeVisible();
        await page.getByRole("link", { name: "Paid", exact: true }).click();
        await sound();

        const preview = page.locator("#previewed");
        await page.getByLabel("Subject").fill("Thank you for {order} & <b>more</b>");
        await page.getByLabel("Text", { exact: true }).fill("Dear {name},\n\nyou paid {amount}.\n");
        if (!javaScriptEnabled) await page.getByRole("button", { name: "Preview" }).click();
        await expect(preview.getByText("Thank you for 211153389 & <b>more</b>")).toBeVisible();
        await expect(preview.locator("pre").first()).toContainText("Dear Ana Smith,\n\nyou paid 49.90 USD.");
        await sound({ hasMoved: true });

        // What stands for nothing is named, and not saved.
        await page.getByLabel("Text", { exact: true }).fill("Dear {nmae}");
        if (!javaScriptEnabled) await page.getByRole("button", { name: "Preview" }).click();
        await expect(preview.getByText("{nmae} would stand in the mail as written.")).toBeVisible();
        await page.getByRole("button", { name: "Save" }).last().click();
        await expect(page.getByText("{nmae} stands for nothing.")).toBeVisible();
        await expect(page.getByLabel("Text", { exact: true })).toHaveValue("Dear {nmae}");
        await sound();

        await page.getByLabel("Text", { exact: true }).fill("Dear {name}, thank you.");
        await page.getByLabel("Mail customers about this status").check();
        await page.getByRole("button", { name: "Save" }).last().click();
        await expect(page.getByText("Saved. Customers are mailed about it from now on.")).toBeVisible();
        await page.getByRole("button", { name: "Send a test to me" }).click();
        await expect(page.getByText("The mail server has taken a test for admin@example.com.")).toBeVisible();
        expect(mail.taken[0].to).toBe("admin@example.com");
        expect(mail.taken[0].text).toContain("Subject: [TEST] Thank you for 211153389");

        await arrives("4000001");
        await expect.poll(() => mail.taken.length).toBe(2);
        expect(mail.taken[1].to).toBe("customer-4000001@example.com");
        expect(mail.taken[1].text).toContain("Dear Demo Customer, thank you.");
    });

    test("what a mail server refuses is named with the cure, and tried again", async ({ page, open, sound, mail, arrives, javaScriptEnabled }) => {
        await open("/m/demo-shop/settings/mail?status=paid");
        await page.getByLabel("Mail customers about this status").check();
        await page.getByRole("button", { name: "Save" }).last().click();
        await expect(page.getByText("Saved. Customers are mailed")).toBeVisible();
        mail.refusal = "550 5.1.1 nobody of that name";
        await page.getByRole("button", { name: "Send a test to me" }).click();
        await expect(page.getByText("550 5.1.1 nobody of that name").first()).toBeVisible();
        await arrives("4000002");
        const row = page.getByRole("row").filter({ hasText: "4000002" });
        await expect(async () => {
            await open("/m/demo-shop/settings/mail");
            await expect(row).toContainText("The mail server refuses the mail", { timeout: 300 });
        }).toPass();
        await expect(row).toContainText("customer-4000002@example.com");
        await sound();
        mail.refusal = undefined;
        await row.getByRole("button", { name: "Try again" }).click();
        await expect(page.getByText("It is tried again now.")).toBeVisible();
        await expect.poll(() => mail.taken.length).toBe(1);
        expect(javaScriptEnabled).toBeDefined();
    });
});

test("without a mail server the page says so, and a sender's address is checked", async ({ page, open, sound }) => {
    await open("/m/demo-shop/settings/mail");
    await expect(page.getByText("This installation sends no mail yet")).toBeVisible();
    await expect(page.getByRole("button", { name: "Send a test to me" })).toHaveCount(0);
    await sound();
    await page.getByLabel("Sender's address").evaluate((field) => (field.type = "text"));
    await page.getByLabel("Sender's address").fill("no address");
    await page.getByRole("button", { name: "Save" }).first().click();
    await expect(page.getByText("Enter an e-mail address such as shop@example.com")).toBeVisible();
    await expect(page.getByLabel("Sender's address")).toHaveValue("no address");
    await sound();
});
