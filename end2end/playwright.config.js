// The panel in a real browser: Debian's Chromium, on a desk and on a phone, with scripts and without.
import { defineConfig } from "@playwright/test";

const desk = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const withoutScripts = { javaScriptEnabled: false };

export default defineConfig({
    testDir: "tests",
    outputDir: "test-results",
    // The pictures of reference.spec.mjs.
    snapshotPathTemplate: "reference/{arg}{ext}",
    fullyParallel: true,
    workers: 2,
    forbidOnly: Boolean(process.env.CI),
    // On a loaded machine a browser may stall; what passes only the second time is named as flaky at the end.
    retries: process.env.CI ? 1 : 0,
    reporter: [["list"]],
    timeout: 60_000,
    expect: { timeout: 10_000 },
    globalSetup: "./support/prepare.mjs",
    use: {
        browserName: "chromium",
        launchOptions: {
            executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
            args: [
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        },
        locale: "en-GB",
        timezoneId: "UTC",
        colorScheme: "light",
        actionTimeout: 10_000,
        navigationTimeout: 20_000,
        // Traces cost as much time as the tests: TRACE=1 where one is wanted.
        trace: process.env.TRACE ? "retain-on-failure" : "off",
        screenshot: "only-on-failure",
    },
    projects: [
        { name: "desktop", use: desk },
        // What does not depend on the window or on scripts is tested once.
        { name: "phone", use: phone, grepInvert: /@once/ },
        { name: "desktop without scripts", use: { ...desk, ...withoutScripts }, grepInvert: /@once/ },
        { name: "phone without scripts", use: { ...phone, ...withoutScripts }, grepInvert: /@once/ },
    ],
});
