/** screenshots.mjs - the pictures of the README: what one sees first, on a desk and on a phone */
import {join} from "node:path";
import {launch, visit} from "./browser.mjs";

/** @type {{site: string, shots: string}} */
const given = JSON.parse(process.env.CONSOLE ?? "{}");
const ROW = {MedInc: 8.3252, HouseAge: 41, AveRooms: 6.9841, AveBedrms: 1.02381, Population: 322, AveOccup: 2.5556, Latitude: 37.88, Longitude: -122.23};

const browser = await launch();
for (const [name, width, height] of /** @type {[string, number, number][]} */ ([["console", 1200, 850], ["console-narrow", 390, 844]])) {
    const {page} = await visit(browser, given.site, {width, height});
    for (const [feature, value] of Object.entries(ROW))
        await page.locator(`[data-feature="${feature}"] .number`).fill(String(value));
    await page.locator('#waterfall tr[data-by="1.3103864"]').waitFor();
    await page.evaluate(() => {
        /** @type {HTMLElement} */ (document.activeElement).blur();
        scrollTo(0, 0);
    });
    await page.waitForTimeout(2500); // the pill has looked twice
    await page.screenshot({path: join(given.shots, `${name}.png`)});
    await page.context().close();
}
await browser.close();
