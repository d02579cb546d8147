// The panel in Vietnamese: signing in, the dashboard, an order, the settings, and choosing another language.
import { PASSWORD, PEOPLE } from "../support/prepare.mjs";
import { expect, test } from "../support/test.mjs";

const language = (page) => page.locator("html").getAttribute("lang");

test.describe("a Vietnamese browser", () => {
    test.use({ locale: "vi-VN" });

    test.describe("before signing in", () => {
        test.use({ as: "nobody" });

        test("signs in, and goes back to English and again to Vietnamese", async ({ page, open, sound }) => {
            await open("/sign-in");
            expect(await language(page)).toBe("vi");
            await expect(page.getByRole("heading", { name: "Đăng nhập" })).toBeVisible();
            await sound();
            await page.getByRole("button", { name: "English" }).click();
            await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
            expect(await language(page)).toBe("en");
            await page.getByRole("button", { name: "Tiếng Việt" }).click();
            await page.getByLabel("Địa chỉ e-mail").fill(PEOPLE.admin.email);
            await page.getByLabel("Mật khẩu").fill("a wrong password");
            await page.getByRole("button", { name: "Đăng nhập" }).click();
            await expect(page.getByText("Địa chỉ e-mail hoặc mật khẩu không đúng.")).toBeVisible();
            await sound();
            await page.getByLabel("Mật khẩu").fill(PASSWORD);
            await page.getByRole("button", { name: "Đăng nhập" }).click();
            await expect(page.getByRole("heading", { name: "Tổng quan" })).toBeVisible();
            await sound();
        });
    });

    test.describe("with a script that fails", () => {
        test.use({ urls: { "Shop script": { path: "/ipn", flags: ["--default"] } } });

        test("follows an order from the dashboard to its attempt", async ({ page, open, sound, arrives, shop, javaScriptEnabled }) => {
            shop.answers = "error";
            await open("/m/demo-shop");
            await arrives("2000001");
            await expect.poll(() => shop.received.length).toBeGreaterThan(0);
            // What is read again by itself comes in the same language.
            await expect(async () => {
                if (!javaScriptEnabled) await page.reload();
                await expect(page.getByRole("heading", { name: "Cần xử lý ngay" })).toBeVisible({ timeout: 2_000 });
            }).toPass();
            await expect(page.getByRole("heading", { name: "Lỗi máy chủ" })).toBeVisible();
            await sound({ hasMoved: true });
            await open("/m/demo-shop/orders");
            await sound();
            await page.getByRole("link", { name: "2000001" }).click();
            await expect(page.getByRole("heading", { name: "Đơn hàng 2000001" })).toBeVisible();
            await expect(page.getByText("Script đã nhận được chưa?")).toBeVisible();
            await sound();
            await page.getByRole("link", { name: "Lần thử 1" }).first().click();
            await expect(page.getByText("Cách khắc phục:")).toBeVisible();
            await expect(page.getByText("Máy chủ phản hồi với trạng thái 500.").first()).toBeVisible();
            await sound();
            await open("/m/demo-shop/deliveries");
            await sound();
            await open("/m/demo-shop/inbound");
            await sound();
        });
    });

    test("goes through the settings", async ({ page, open, sound }) => {
        for (const [path, heading] of [
            ["/m/demo-shop/settings/ipn", "URL IPN mặc định"],
            ["/m/demo-shop/settings/urls/new", "Cấu hình URL mới"],
            ["/m/demo-shop/settings/content", "Điều kiện gửi"],
            ["/m/demo-shop/settings/key", "Khóa bí mật"],
            ["/m/demo-shop/settings/alerts", "Cảnh báo"],
            ["/m/demo-shop/settings/time-zone", "Múi giờ"],
            ["/m/demo-shop/listeners/new?gateway=vnpay", "Điểm nhận mới: VNPAY"],
            ["/people", "Người dùng"],
            ["/roles", "Ai được làm gì"],
            ["/account", "Tài khoản"],
        ]) {
            await open(path);
            await expect(page.getByRole("heading", { name: heading, exact: true }).first()).toBeVisible();
            await sound();
        }
        await open("/m/demo-shop/settings/urls/new");
        await page.getByLabel("URL", { exact: true }).fill("http://shop.example.com/#part");
        await page.getByRole("button", { name: "Kiểm tra và lưu" }).click();
        await expect(page.getByText("Hãy bỏ phần từ # trở đi khỏi URL")).toBeVisible();
        await sound();
    });
});

test("somebody chooses Vietnamese for himself", async ({ page, open, sound }) => {
    await open("/account");
    await expect(page.getByRole("button", { name: "As the browser" })).toHaveAttribute("aria-pressed", "true");
    await page.getByRole("button", { name: "Tiếng Việt" }).click();
    await expect(page.getByRole("heading", { name: "Tài khoản" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Tiếng Việt" })).toHaveAttribute("aria-pressed", "true");
    await sound();
    await open("/m/demo-shop");
    expect(await language(page)).toBe("vi");
    await open("/account");
    await page.getByRole("button", { name: "Theo trình duyệt" }).click();
    await expect(page.getByRole("heading", { name: "Account" })).toBeVisible();
});

test("the keys and moments of a page are told in its language @once", async ({ page, open, javaScriptEnabled }) => {
    test.skip(!javaScriptEnabled, "without scripts there are no keys");
    await open("/account");
    await page.getByRole("button", { name: "Tiếng Việt" }).click();
    await expect(page.locator("body")).toHaveAttribute("data-awake", "");
    await page.keyboard.press("?");
    await expect(page.getByRole("dialog", { name: "Phím tắt" })).toBeVisible();
    await expect(page.getByText("Dòng kế tiếp hoặc dòng trước")).toBeVisible();
    await page.keyboard.press("Escape");
    // Ticked by the browser, and still Vietnamese.
    await expect(page.locator("time[data-ago]").first()).toHaveText(/trước$/, { timeout: 20_000 });
});
