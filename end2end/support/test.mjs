// What every test has at hand: a server of its own, a shop, a gateway, and a page that fails the test when something is
// wrong with it that nobody looked for.
import AxeBuilder from "@axe-core/playwright";
import { expect, test as base } from "@playwright/test";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { order, post, postBody } from "./gateway.mjs";
import { MailSink } from "./mail.mjs";
import { LISTENER_SECRET } from "./prepare.mjs";
import { Quittance, run } from "./quittance.mjs";
import { Shop } from "./shop.mjs";

export { expect };

/** Largest sum of layout shifts of a page; what moves less nobody sees. */
const MOST_SHIFT = 0.01;

const readFacts = async () => JSON.parse(await readFile(join(process.env.QUITTANCE_FURNISHED, "facts.json"), "utf8"));

export const test = base.extend({
    /** Whether the database is furnished (see prepare.mjs) or new. */
    furnished: [true, { option: true }],
    /** Who is signed in: one of PEOPLE, or nobody. */
    as: ["admin", { option: true }],

    /** The demo shop's notification URLs by label, all of them of its one script: `{ path, flags }`. */
    urls: [{}, { option: true }],

    facts: async ({}, use) => use(await readFacts()),

    /** The folder of the database. */
    folder: async ({ furnished }, use) => {
        const folder = await mkdtemp(join(tmpdir(), "quittance-end2end-"));
        if (furnished) await cp(process.env.QUITTANCE_FURNISHED, folder, { recursive: true });
        await use(folder);
        await rm(folder, { recursive: true, force: true });
    },

    /** The script of the demo shop. */
    shop: async ({ facts }, use) => {
        const shop = await Shop.open(facts.merchants["demo-shop"].key);
        await use(shop);
        await shop.close();
    },

    /** Whether the server has a mail server to give mails to. */
    withMail: [false, { option: true }],

    /** That mail server. */
    mail: async ({}, use) => {
        const sink = await MailSink.open();
        await use(sink);
        await sink.close();
    },

    server: async ({ folder, shop, urls, withMail, mail }, use) => {
        for (const [label, { path, flags = [] }] of Object.entries(urls)) {
            await run(folder, ["url", "add", shop.url(path), "--merchant", "demo-shop", "--label", label, ...flags]);
        }
        const args = withMail ? ["--smtp-url", mail.url, "--mail-from", "shop@example.com"] : [];
        const server = await Quittance.serve(folder, { args });
        await use(server);
        await server.stop();
        expect(server.log, "the server's log").not.toMatch(/\b(ERROR|panicked)\b/);
    },

    baseURL: async ({ server }, use) => use(server.url),

    /** Posts the notification of an order to the demo shop's listener, and waits until pages show it. */
    arrives: async ({ server, facts }, use) => {
        let accepted = 0;
        const { name, value } = facts.cookies.admin;
        const shown = async () => {
            const answer = await fetch(`${server.url}/m/demo-shop`, { headers: { cookie: `${name}=${value}` } });
            return Number(/Accepted.*?<dd>([\d,]+)/s.exec(await answer.text())?.[1].replace(",", ""));
        };
        await use(async (reference, status = "COMPLETE", changes = {}) => {
            const { path } = facts.merchants["demo-shop"];
            await post(`${server.url}${path}`, LISTENER_SECRET, order(reference, status, changes));
            const wanted = ++accepted;
            await expect.poll(shown, { intervals: [20, 50, 100, 200] }).toBeGreaterThanOrEqual(wanted);
        });
    },

    /** Posts any body to the demo shop's listener. */
    arrivesRaw: async ({ server, facts }, use) =>
        use((body) => postBody(`${server.url}${facts.merchants["demo-shop"].path}`, body)),

    /** What the browser may complain about in this test. */
    allowed: async ({}, use) => use([]),

    page: async ({ page, context, server, facts, as, furnished, allowed, javaScriptEnabled }, use) => {
        if (furnished && as !== "nobody") await context.addCookies([{ ...facts.cookies[as], url: server.url }]);
        const complaints = watched(page, javaScriptEnabled);
        await use(page);
        silent(complaints, allowed);
    },

    /** Somebody else at a browser of his own, who is not signed in: a page, and what can be done with it. */
    guest: async ({ browser, server, allowed, javaScriptEnabled, isMobile, hasTouch, viewport }, use) => {
        const context = await browser.newContext({ baseURL: server.url, javaScriptEnabled, isMobile, hasTouch, viewport });
        const page = await context.newPage();
        const complaints = watched(page, javaScriptEnabled);
        await use({
            page,
            open: (path) => opened(page, path, javaScriptEnabled),
            sound: (options) => isSound(page, { javaScriptEnabled, isMobile, ...options }),
        });
        silent(complaints, allowed);
        await context.close();
    },

    /** Asks the server for something as somebody else does at the same time, as a script: one of PEOPLE. */
    meanwhile: async ({ server, facts }, use) =>
        use(async (as, path, fields) => {
            const { name, value } = facts.cookies[as];
            const headers = { cookie: `${name}=${value}`, accept: "application/json" };
            const answer = await fetch(`${server.url}${path}`, fields ? { method: "POST", headers, body: new URLSearchParams(fields) } : { headers });
            const text = await answer.text();
            expect(answer.ok, `${path}: ${answer.status} ${text.slice(0, 300)}`).toBe(true);
            return text;
        }),

    /** Opens a page and waits until its scripts, where they run, are awake. */
    open: async ({ page, javaScriptEnabled }, use) => use((path) => opened(page, path, javaScriptEnabled)),

    /**
     * Fails where the page as it stands is wider than the window, jumps while it loads, or shuts somebody out.
     * `hasMoved` says that what happened meanwhile has moved its parts, as it should.
     */
    sound: async ({ page, javaScriptEnabled, isMobile }, use) =>
        use((options) => isSound(page, { javaScriptEnabled, isMobile, ...options })),
});

/** What the browser complains about on a page from now on. */
const watched = (page, javaScriptEnabled) => {
    const complaints = [];
    page.on("console", (message) => {
        // Without scripts what was loaded for them is not used.
        if (!javaScriptEnabled && /preloaded using link preload/.test(message.text())) return;
        if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => {
        // The browser's own word for a change of pages that it shows without its fade, because it was in a hurry.
        if (/^Transition was (aborted|skipped)/.test(error.message)) return;
        complaints.push(`error: ${error.message}`);
    });
    page.on("requestfailed", (request) => {
        // Leaving a page ends what it still loads and its stream of live events; without scripts none is loaded.
        const reason = request.failure()?.errorText;
        const isExpected = reason === "net::ERR_ABORTED" || request.url().includes("/live") || !javaScriptEnabled;
        if (!isExpected) complaints.push(`failed: ${request.url()} ${reason}`);
    });
    return complaints;
};

const silent = (complaints, allowed) => {
    const wrong = complaints.filter((complaint) => !allowed.some((pattern) => pattern.test(complaint)));
    expect(wrong, "what the browser complained about").toEqual([]);
};

const opened = async (page, path, javaScriptEnabled) => {
    const answer = await page.goto(path);
    if (javaScriptEnabled) await awake(page);
    return answer;
};

const isSound = async (page, { javaScriptEnabled, isMobile, hasMoved = false }) => {
    if (javaScriptEnabled) await awake(page);
    await fits(page);
    if (!javaScriptEnabled) return;
    if (!hasMoved) expect(await shifts(page), "layout shift").toBeLessThanOrEqual(MOST_SHIFT);
    await accessible(page, isMobile);
};

export const awake = (page) => expect(page.locator("body")).toHaveAttribute("data-awake", "");

/** The document does not scroll sideways. */
export const fits = async (page) => {
    // Not the page's own inner width: a phone's grows with what does not fit.
    const room = page.viewportSize().width;
    const { wide, culprit } = await page.evaluate((room) => {
        const wide = document.documentElement.scrollWidth;
        const over = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > room + 0.5);
        const culprit = over.slice(-3).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 60)}`);
        return { wide, culprit };
    }, room);
    expect(wide, `the page is wider than the window: ${culprit.join(" | ")}`).toBeLessThanOrEqual(room);
};

/** The sum of layout shifts since the page began to load. */
export const shifts = (page) =>
    page.evaluate(
        () =>
            new Promise((resolve) => {
                let sum = 0;
                const add = (list) => {
                    for (const shift of list) if (!shift.hadRecentInput) sum += shift.value;
                };
                const observer = new PerformanceObserver((list) => add(list.getEntries()));
                observer.observe({ type: "layout-shift", buffered: true });
                requestAnimationFrame(() =>
                    requestAnimationFrame(() =>
                        setTimeout(() => {
                            add(observer.takeRecords());
                            resolve(sum);
                        }),
                    ),
                );
            }),
    );

const told = ({ violations }) =>
    violations
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`);

/** Nobody is shut out, in light and in dark; the colours of a phone are those of a desk. */
const accessible = async (page, isMobile) => {
    const axe = () => new AxeBuilder({ page }).setLegacyMode(true);
    expect(told(await axe().analyze()), "accessibility").toEqual([]);
    if (isMobile) return;
    await page.emulateMedia({ colorScheme: "dark" });
    expect(told(await axe().withRules(["color-contrast"]).analyze()), "contrast in the dark").toEqual([]);
    await page.emulateMedia({ colorScheme: "light" });
};
