/**
 * browser.mjs - Debian's Chromium, and pages in it that are watched: whatever a page complains of in its console is kept
 *
 * @typedef {import("playwright-core").Browser} Browser
 * @typedef {import("playwright-core").Page} Page
 * @typedef {{url?: string, width?: number, height?: number, dark?: boolean, still?: boolean, ready?: boolean}} Look
 */
import {chromium} from "playwright-core";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"];

/** A fresh profile each time, as launch() has it. */
export function launch() {
    return chromium.launch({executablePath: "/usr/bin/chromium", args: FLAGS});
}

/** A page of its own profile, and what it complained of. */
export class Visit {
    /** @type {string[]} */
    complaints = [];

    /** @param {Page} page */
    constructor(page) {
        this.page = page;
        page.on("console", (message) => {
            if (["error", "warning"].includes(message.type()))
                this.complaints.push(`${message.text()} (${message.location().url})`);
        });
        page.on("pageerror", (error) => this.complaints.push(String(error.stack)));
    }

    /** Everything but answers that a test has asked for: a status that a request may have. @param {RegExp} [expected] */
    unexpected(expected) {
        return this.complaints.filter((line) => !expected?.test(line));
    }
}

/** @param {Browser} browser @param {string} url @param {Look} [look] */
export async function visit(browser, url, look = {}) {
    const context = await browser.newContext({
        viewport: {width: look.width ?? 1280, height: look.height ?? 900}, colorScheme: look.dark ? "dark" : "light",
        reducedMotion: look.still ? "reduce" : "no-preference", acceptDownloads: true,
    });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    const seen = new Visit(page);
    await page.goto(url);
    if (look.ready !== false)
        await page.locator("#waterfall tr.margin").waitFor();
    return seen;
}
