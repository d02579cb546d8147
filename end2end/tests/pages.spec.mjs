// Every page, empty and full: nothing missing, nothing too wide, nothing that jumps when the scripts wake up.
import { order, postBody } from "../support/gateway.mjs";
import { LISTENER_SECRET } from "../support/prepare.mjs";
import { expect, test } from "../support/test.mjs";
import { encoded, signed } from "../support/wire.mjs";

const EMPTY = [
    ["/", "Dashboard"],
    ["/account", "Account"],
    ["/merchants", "Merchants"],
    ["/m/other-shop", "Three steps to the first confirmed notification"],
    ["/m/other-shop/orders", "No orders yet"],
    ["/m/other-shop/orders?text=nothing", "No order fits"],
    ["/m/other-shop/test-order", "There is no URL to send it to"],
    ["/m/other-shop/settings/ipn", "Secret key"],
    ["/m/other-shop/settings/urls", "No notification URLs yet"],
    ["/m/other-shop/settings/urls/new", "Allow concurrent requests"],
    ["/m/other-shop/listeners", "2Checkout (Avangate)"],
    ["/m/other-shop/listeners/new", "Which gateway posts to it?"],
    ["/m/other-shop/listeners/new?text=nothing-like-it", "No gateway fits"],
    ["/m/other-shop/listeners/new?gateway=momo", "Access key"],
];

test("every page is sound before anything has happened", async ({ page, open, sound }) => {
    for (const [path, says] of EMPTY) {
        await test.step(path, async () => {
            expect((await open(path)).status()).toBe(200);
            await expect(page.locator("main").getByText(says).first()).toBeVisible();
            await expect(page).toHaveTitle(/ · Quittance$/);
            await expect(page.getByRole("heading", { level: 1 })).toHaveCount(1);
            await sound();
        });
    }
});

test.describe("with much in it", () => {
    test.use({
        urls: {
            "Shop script": { path: "/ipn", flags: ["--default", "--algorithms", "md5,sha2-256,sha3-256"] },
            "A script with a long name for the bookkeeping of the whole company": { path: `/ipn/${"long/".repeat(30)}`, flags: ["--concurrent"] },
        },
    });

    test("pages stay where they are while scripts wake up slowly", async ({ page, context, open, sound, arrives, arrivesRaw, shop, javaScriptEnabled }) => {
        test.skip(!javaScriptEnabled, "without scripts nothing wakes up");
        for (let at = 1; at <= 12; at++) await arrives(String(6_000_000 + at), at % 3 ? "COMPLETE" : "PENDING", { TEST_ORDER: at % 4 ? "0" : "1" });
        await expect.poll(() => shop.received.length).toBe(24);
        expect(await arrivesRaw(encoded(signed(order("6000100"), "not the key")))).toMatchObject({ status: 403 });
        // Slow enough that a picture of the page is seen before it is awake.
        const devtools = await context.newCDPSession(page);
        await devtools.send("Emulation.setCPUThrottlingRate", { rate: 3 });
        await open("/m/demo-shop/orders");
        const path = await page.getByRole("link", { name: "6000012", exact: true }).getAttribute("href");
        await open("/m/demo-shop/listeners");
        const listener = await page.getByRole("link", { name: "2Checkout (Avangate)" }).getAttribute("href");
        for (const one of ["/", "/m/demo-shop", "/m/demo-shop/orders", path, listener, "/m/demo-shop/settings/urls"]) {
            await page.goto(one);
            const before = await boxes(page);
            await expect(page.locator("body")).toHaveAttribute("data-awake", "");
            await expect(page.locator("main")).toBeVisible();
            expect(await boxes(page), one).toEqual(before);
        }
        await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
        // Slowed down, a page is painted while it still arrives; what counts, its places before and after, was compared.
        await sound({ hasMoved: true });
    });

    test("a listener that nobody has is answered, and changes nothing", { tag: "@once" }, async ({ server, page, open }) => {
        const answer = await postBody(`${server.url}/ipn/0123456789abcdef01234567`, encoded(signed(order("6000200"), LISTENER_SECRET)));
        expect(answer.status).toBe(404);
        await open("/m/demo-shop/orders");
        await expect(page.getByText("No orders yet")).toBeVisible();
    });
});

/** Most bytes on their way of a first visit, and of a later page. */
const [MOST_AT_FIRST, MOST_LATER] = [200_000, 15_000];

test("a browser that comes for the first time loads little, and later less", { tag: "@once" }, async ({ page, context, open, arrives }) => {
    for (let at = 1; at <= 12; at++) await arrives(String(6_100_000 + at));
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    const asked = new Map();
    const loaded = [];
    devtools.on("Network.requestWillBeSent", ({ requestId, request, type }) => asked.set(requestId, { type, url: request.url.split("#")[0] }));
    devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength: bytes }) => loaded.push({ ...asked.get(requestId), bytes }));
    const files = () => loaded.filter(({ url }) => url.includes("/pkg/"));
    const documents = () => loaded.filter(({ type }) => type === "Document");
    const sum = (list) => list.reduce((sum, { bytes }) => sum + bytes, 0);

    await open("/m/demo-shop");
    await page.waitForLoadState("load");
    for (const ending of [".css", ".js", ".wasm", ".svg"]) {
        await expect.poll(() => files().some(({ url }) => url.endsWith(ending)), ending).toBe(true);
    }
    // With the head of each answer, and with whatever scripts load after they woke up.
    expect(documents()).toHaveLength(1);
    expect(sum(loaded), JSON.stringify(loaded)).toBeLessThanOrEqual(MOST_AT_FIRST);
    const others = loaded.filter(({ type, url }) => type !== "Document" && !url.includes("/pkg/") && !url.endsWith("/m/demo-shop"));
    expect(others, "a page, its files, and the page again when something has changed").toEqual([]);

    for (const path of ["/m/demo-shop/orders", "/m/demo-shop/deliveries", "/m/demo-shop/settings/urls", "/m/demo-shop/listeners"]) {
        loaded.length = 0;
        await open(path);
        await page.waitForLoadState("load");
        await expect.poll(() => documents().length).toBe(1);
        const bytes = sum([...documents(), ...files()]);
        expect(bytes, `${path}: ${JSON.stringify(loaded)}`).toBeLessThanOrEqual(MOST_LATER);
    }
});

/** Where the main parts of a page are. */
const boxes = (page) =>
    page.evaluate(() =>
        [...document.querySelectorAll("h1, h2, h3, main section, main table, main form, main .panel, main .notice, main .card, main .tiles, main .table, .rooms")].map((one) => {
            const { x, y, width, height } = one.getBoundingClientRect();
            return [one.tagName, x, y, width, height].join(" ");
        }),
    );
