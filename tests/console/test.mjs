/**
 * test.mjs - what a person does with the console, done in Chromium; what it shows is compared with what the server answers
 *
 * @typedef {import("playwright-core").Page} Page
 * @typedef {import("./browser.mjs").Look} Look
 * @typedef {{site: string, apache: string, small: string, locked: string | null, key: string, store: string, futaie: string, place: string, shots: string}} Given
 */
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {mkdirSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {launch, visit} from "./browser.mjs";
import {runAll, test} from "./tap.mjs";

/** @type {Given} */
const given = JSON.parse(process.env.CONSOLE ?? "{}");
const axe = readFileSync(join(given.place, "node_modules/axe-core/axe.min.js"), "utf8");
const browser = await launch();

const CALIFORNIA = `${given.site}/?model=california-housing`;
const FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"];
const EXAMPLE = [8.3252, 41, 6.9841, 1.02381, 322, 2.5556, 37.88, -122.23];
const QUIET = /status of 404.*\/status\)$/;        // of servers that have no /status

/**
 * A test with a page; whatever the page complains of fails it, but for what is expected.
 * @param {string} name @param {Look} look @param {(page: Page) => Promise<void | string>} run @param {RegExp} [expected]
 */
function onPage(name, look, run, expected) {
    test(name, async () => {
        const seen = await visit(browser, look.url ?? CALIFORNIA, look);
        try {
            const skipped = await run(seen.page);
            assert.deepEqual(seen.unexpected(expected).filter((line) => !QUIET.test(line)), [], "the page complains");
            return skipped;
        } finally {
            await seen.page.context().close();
        }
    });
}

/** @param {string} path @param {unknown} body @param {string} [type] @returns {Promise<any>} */
async function ask(path, body, type = "application/json") {
    const answer = await fetch(given.site + path, {method: "POST", headers: {"Content-Type": type}, body: typeof body === "string" ? body : JSON.stringify(body)});
    return answer.json();
}

/** @param {Page} page @param {string} name */
const field = (page, name) => page.locator(`[data-feature="${name}"]`);

/** What the page shows as the prediction, once it is this. @param {Page} page @param {unknown} prediction */
async function shows(page, prediction) {
    const wanted = JSON.stringify(prediction);
    await page.locator(`#answer:not([aria-busy]) #value[data-exact="${wanted}"]`).waitFor({state: "attached"}).catch(async () => {
        assert.equal(await page.locator("#value").getAttribute("data-exact"), wanted);
    });
}

/** @param {Page} page @param {number[]} row */
async function type(page, row) {
    for (const [i, name] of FEATURES.entries())
        await field(page, name).locator(".number").fill(String(row[i]));
}

/** Contributions as the waterfall has them, and where it begins and ends. @param {Page} page */
function waterfall(page) {
    return page.evaluate(() => ({
        base: Number(document.querySelector("#waterfall .base")?.getAttribute("data-total")),
        margin: Number(document.querySelector("#waterfall .margin")?.getAttribute("data-total")),
        steps: [...document.querySelectorAll("#waterfall tr[data-by]")].map((row) => ({
            name: row.querySelector(".name")?.textContent ?? "", by: Number(row.getAttribute("data-by")),
            width: Number(row.querySelector("rect")?.getAttribute("width")) - 2,
        })),
    }));
}

/** @param {Page} page @param {string} text */
async function predictCsv(page, text) {
    await page.locator("#csv").fill(text);
    await page.locator("#run").click();
}

/** @param {Page} page @returns {Promise<string>} */
async function downloaded(page) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
    return readFileSync(await download.path(), "utf8");
}

/** Rows around the example, each another one. @param {number} n */
function rows(n) {
    return Array.from({length: n}, (_, i) => EXAMPLE.map((value, k) => Number((value * (1 + ((i * 7 + k * 3) % 11 - 5) / 40)).toFixed(4))));
}

/** @param {(string | number)[][]} lines @param {string} [between] */
const csv = (lines, between = ",") => lines.map((line) => line.join(between)).join("\n") + "\n";

/** @param {Page} page */
const scrollsSideways = (page) => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

/** @param {Page} page */
async function findings(page) {
    await page.evaluate(axe);
    return page.evaluate(async () => {
        const {violations} = await /** @type {any} */ (window).axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]});
        return violations.map((/** @type {any} */ each) => `${each.impact}: ${each.id}: ${each.nodes.map((/** @type {any} */ node) => node.target).join(", ")}`);
    });
}

// --- the sources ----------------------------------------------------------------------------------------------------

test("the compiler finds no wrong type in the modules, nor in these tests", async () => {
    execFileSync(join(given.place, "node_modules/.bin/tsc"), ["--project", given.place], {encoding: "utf8"});
});

onPage("CSV is read by RFC 4180: quotes, line ends of three kinds, a byte order mark, and what is no CSV is refused by line", {}, async (page) => {
    const read = (/** @type {string} */ text) => page.evaluate(async (given) => {
        const {records} = await import(/** @type {any} */ ("/static/js/csv.js"));
        try {
            return [...records(given)].map(({cells, line, start, end}) => [line, ...cells, given.slice(start, end)]);
        } catch (error) {
            return String(error);
        }
    }, text);
    assert.deepEqual(await read("a,b\n1,2\n"), [[1, "a", "b", "a,b"], [2, "1", "2", "1,2"]]);
    assert.deepEqual(await read("\ufeffa,b\r\n1,2\r3,4\n\n5,6"), [[1, "a", "b", "a,b"], [2, "1", "2", "1,2"], [3, "3", "4", "3,4"], [5, "5", "6", "5,6"]]);
    assert.deepEqual(await read('"a ""b""","c,d",\n"line\nbreak",,x\n7'), [[1, 'a "b"', "c,d", "", '"a ""b""","c,d",'], [2, "line\nbreak", "", "x", '"line\nbreak",,x'], [4, "7", "7"]]);
    assert.match(String(await read('a,b\n1,"2')), /line 2.*closing quote/);
    assert.match(String(await read('a,b\n"1"2,3')), /line 2.*“2”/);
    assert.deepEqual(await read(""), []);
});

onPage("a slider's place is the share of training rows below, and back", {}, async (page) => {
    const seen = await page.evaluate(async () => {
        const {shareBelow, valueAt, median} = await import(/** @type {any} */ ("/static/js/quantiles.js"));
        const d = {min: 0, deciles: [1, 2, 3, 4, 5, 6, 7, 8, 100], max: 1000};
        const same = {min: 1, deciles: [1, 1, 1, 1, 1, 1, 1, 1, 1], max: 2};
        return {below: [-5, 0, 0.5, 5, 100, 550, 1000, 2000].map((value) => shareBelow(d, value)), at: [0, 0.05, 0.5, 0.95, 1].map((share) => valueAt(d, share)),
            median: median(d), same: [shareBelow(same, 1), shareBelow(same, 1.5), shareBelow(same, 2)]};
    });
    assert.deepEqual(seen, {below: [0, 0, 0.05, 0.5, 0.9, 0.95, 1, 1], at: [0, 0.5, 5, 550, 1000], median: 5, same: [0.45, 0.95, 1]});
});

// --- a prediction ---------------------------------------------------------------------------------------------------

onPage("a prediction as typed is what /predict answers", {}, async (page) => {
    await type(page, EXAMPLE);
    const {predictions} = await ask("/models/california-housing/predict", {features: [EXAMPLE]});
    await shows(page, predictions[0]);
    assert.equal((await page.locator("#value").textContent())?.replaceAll("\u2212", "-"), String(predictions[0]));
    await page.waitForFunction((text) => document.getElementById("said")?.textContent?.includes(text), String(predictions[0]));
});

onPage("the newest answer wins, however late an older one comes, and older questions are given up", {}, async (page) => {
    /** @type {string[]} */
    const given_up = [];
    page.on("requestfailed", (request) => given_up.push(request.failure()?.errorText ?? ""));
    let first = true;
    await page.route("**/predict", async (route) => {
        if (first) {
            first = false;
            await new Promise((resolve) => setTimeout(resolve, 1500));
        }
        await route.continue().catch(() => {});
    });
    const number = field(page, "MedInc").locator(".number");
    await number.fill("2");
    await page.waitForTimeout(400);
    await number.fill("9");
    const row = await page.evaluate(() => JSON.parse(/'(\{.*\})'/s.exec(document.getElementById("curl")?.textContent ?? "")?.[1] ?? ""));
    assert.equal(row.features[0].MedInc, 9);
    const {predictions} = await ask("/models/california-housing/predict", row);
    await shows(page, predictions[0]);
    await page.waitForTimeout(1800);
    await shows(page, predictions[0]);
    assert.ok(given_up.includes("net::ERR_ABORTED"), `given up: ${given_up}`);
});

onPage("a missing value is sent as such, by the button and by an empty field", {}, async (page) => {
    await type(page, EXAMPLE);
    await field(page, "HouseAge").locator(".toggle").click();
    const wanted = await ask("/models/california-housing/predict", {features: [EXAMPLE.map((value, i) => i === 1 ? null : value)]});
    await shows(page, wanted.predictions[0]);
    assert.equal(await field(page, "HouseAge").locator(".toggle").getAttribute("aria-pressed"), "true");
    await field(page, "HouseAge").locator(".number").fill("41");
    const full = await ask("/models/california-housing/predict", {features: [EXAMPLE]});
    await shows(page, full.predictions[0]);
    await field(page, "HouseAge").locator(".number").fill("");
    await shows(page, wanted.predictions[0]);
});

onPage("a value outside the training range is answered, and marked", {}, async (page) => {
    await type(page, EXAMPLE);
    await field(page, "MedInc").locator(".number").fill("40");
    await page.locator("#warning:has-text('MedInc')").waitFor();
    assert.match(await field(page, "MedInc").locator(".problem").textContent() ?? "", /^Above 15, the most that training saw/);
    const {predictions} = await ask("/models/california-housing/predict", {features: [[40, ...EXAMPLE.slice(1)]]});
    await shows(page, predictions[0]);
});

onPage("a number that the server refuses is marked at its field with the server's sentence; then all is well again", {}, async (page) => {
    await field(page, "AveOccup").locator(".number").fill("1e60");
    await page.locator("#answer-error:visible").waitFor();
    assert.match(await field(page, "AveOccup").locator(".problem").textContent() ?? "", /^[^"]*float32.*[.]$/i);
    assert.match(await page.locator("#answer-error").textContent() ?? "", /feature "AveOccup"/);
    assert.equal(await field(page, "AveOccup").locator(".number").getAttribute("aria-invalid"), "true");
    await field(page, "AveOccup").locator(".number").fill("2.8");
    await page.locator("#answer[data-state=answered]:not([aria-busy])").waitFor();
    assert.equal(await field(page, "AveOccup").locator(".number").getAttribute("aria-invalid"), "false");
}, /status of 400/);

onPage("what is no number is said at once, and not sent", {}, async (page) => {
    await field(page, "MedInc").locator(".number").fill("");
    await field(page, "MedInc").locator(".number").pressSequentially("-e");
    await page.locator("#answer[data-state=failed]").waitFor();
    assert.equal(await field(page, "MedInc").locator(".problem").textContent(), "This is not a number.");
});

onPage("every model of the store can be chosen, and its prediction is the server's, classes and several targets too", {}, async (page) => {
    for (const name of ["multi-softprob", "multi-softmax", "reg-squarederror-multi-output", "reg-squarederror-categorical", "binary-logistic"]) {
        await page.locator("#model").selectOption(name);
        await page.locator(`#facts:has-text("${name}, version 1")`).waitFor();
        const body = await page.evaluate(() => /'(\{.*\})'/s.exec(document.getElementById("curl")?.textContent ?? "")?.[1] ?? "");
        const {predictions} = await ask(`/models/${name}/predict`, body);
        await shows(page, predictions[0]);
        const several = Array.isArray(predictions[0]) ? predictions[0].length : 0;
        assert.equal(await page.locator("#outputs li").count(), several, name);
        assert.equal(await page.locator("#outputs .meter").count(), name === "multi-softprob" ? several : 0, name);
    }
});

onPage("a categorical feature has a number and no slider, and begins as missing", {url: `${given.site}/?model=reg-squarederror-categorical`}, async (page) => {
    assert.equal(await field(page, "colour").locator(".slider").count(), 0);
    assert.equal(await field(page, "colour").locator(".number").inputValue(), "");
    await field(page, "colour").locator(".number").fill("1");
    const body = JSON.parse(await page.evaluate(() => /'(\{.*\})'/s.exec(document.getElementById("curl")?.textContent ?? "")?.[1] ?? ""));
    assert.equal(body.features[0].colour, 1);
    await shows(page, (await ask("/models/reg-squarederror-categorical/predict", body)).predictions[0]);
});

// --- its explanation ------------------------------------------------------------------------------------------------

onPage("an explanation's bars add up, from base to margin, and are as long as the contributions are large", {}, async (page) => {
    await type(page, EXAMPLE);
    const {explanations: [wanted]} = await ask("/models/california-housing/explain", {features: [EXAMPLE]});
    await shows(page, wanted.prediction);
    await page.locator(`#waterfall tr[data-by="${wanted.contributions.MedInc}"]`).waitFor();
    const seen = await waterfall(page);
    assert.equal(seen.base, wanted.base);
    assert.deepEqual(Object.fromEntries(seen.steps.map(({name, by}) => [name, by])), wanted.contributions);
    const sum = seen.steps.reduce((total, {by}) => total + by, seen.base);
    assert.ok(Math.abs(sum - wanted.prediction) < 1e-5 && Math.abs(sum - seen.margin) < 1e-9, `${sum} ${seen.margin} ${wanted.prediction}`);
    const [longest] = seen.steps;
    for (const {by, width} of seen.steps)
        assert.ok(Math.abs(width / longest.width - Math.abs(by) / Math.abs(longest.by)) < 1e-6, `${width} for ${by}`);
    assert.match(await page.locator("#story").textContent() ?? "", /^From 2\.069 to 4\.394: raised most by MedInc \(\+1\.31\) and .*, lowered most by Latitude/);
});

onPage("of several outputs one is explained: the likeliest class, or the one that is chosen", {url: `${given.site}/?model=multi-softprob`}, async (page) => {
    const body = JSON.parse(await page.evaluate(() => /'(\{.*\})'/s.exec(document.getElementById("curl")?.textContent ?? "")?.[1] ?? ""));
    const {explanations: [wanted]} = await ask("/models/multi-softprob/explain", body);
    const likeliest = wanted.prediction.indexOf(Math.max(...wanted.prediction));
    for (const output of [likeliest, (likeliest + 1) % 3]) {
        await page.locator("#output").selectOption(String(output));
        const seen = await waterfall(page);
        assert.equal(seen.base, wanted.base[output]);
        for (const {name, by} of seen.steps)
            assert.equal(by, wanted.contributions[name][output]);
    }
});

// --- many rows ------------------------------------------------------------------------------------------------------

onPage("a CSV with 300 rows gives a table, a histogram and a download with the server's numbers, beside columns that are not sent", {}, async (page) => {
    const data = rows(300);
    const {predictions} = await ask("/models/california-housing/predict", {features: data});
    await predictCsv(page, csv([["id", ...FEATURES, "note"], ...data.map((row, i) => [`d${i}`, ...row, '"a, ""b"""'])]));
    await page.locator("#download").waitFor();
    assert.match(await page.locator("#batch-notes").textContent() ?? "", /not sent: id, note/);
    assert.equal(await page.locator(".rows tbody tr").count(), 100);
    assert.deepEqual(await page.locator(".rows tbody td.answer").allTextContents(), predictions.slice(0, 100).map(String));
    const bins = await page.locator(".histogram rect").evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("data-n"))));
    assert.equal(bins.reduce((a, b) => a + b), 300);
    const low = Math.min(...predictions), width = (Math.max(...predictions) - low) / bins.length;
    assert.equal(bins[0], predictions.filter((/** @type {number} */ p) => p < low + width).length);
    const lines = (await downloaded(page)).trimEnd().split("\n");
    assert.equal(lines[0], ["id", ...FEATURES, "note", "prediction"].join(","));
    assert.deepEqual(lines.slice(1), data.map((row, i) => [`d${i}`, ...row, '"a, ""b"""', predictions[i]].join(",")));
});

onPage("a file is chosen or dropped, and its download carries its name", {}, async (page) => {
    const file = {name: "houses.csv", mimeType: "text/csv", buffer: Buffer.from(csv([FEATURES, ...rows(5)]))};
    await page.locator("#file").setInputFiles(file);
    assert.equal(await page.locator("#download").getAttribute("download"), "houses-predictions.csv");
    await page.evaluate(([name, text]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], name));
        document.getElementById("drop")?.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }, ["dropped.csv", csv([FEATURES, ...rows(7)])]);
    await page.locator("#download[download='dropped-predictions.csv']").waitFor();
    assert.equal(await page.locator(".rows tbody tr").count(), 7);
});

onPage("an error is shown with row and feature, its cell marked", {}, async (page) => {
    const data = rows(40);
    await predictCsv(page, csv([["id", ...FEATURES], ...data.map((row, i) => i === 31 ? [i, ...row.slice(0, 2), "many", ...row.slice(3)] : [i, ...row])]));
    await page.locator("#batch-error:visible").waitFor();
    assert.match(await page.locator("#batch-error p").textContent() ?? "", /^Row 32 \(line 33\), AveRooms: expected a number/);
    assert.deepEqual(await page.locator("#batch-error .wrong").allTextContents(), ["many"]);
    assert.equal(await page.locator("#batch-error tr.refused th").textContent(), "32");
    assert.equal(await page.locator("#results").textContent(), "");
}, /status of 400/);

onPage("rows beyond what the server takes at once go in several requests, and an error names the file's own row", {url: `${given.small}/?model=california-housing`}, async (page) => {
    const data = rows(300);
    const {predictions} = await ask("/models/california-housing/predict", {features: data});
    let asked = 0;
    page.on("response", (answer) => asked += Number(answer.url().endsWith("/predict") && answer.status() === 200));
    await predictCsv(page, csv([FEATURES, ...data]));
    const lines = (await downloaded(page)).trimEnd().split("\n");
    assert.deepEqual(lines.slice(1).map((line) => Number(line.split(",").at(-1))), predictions);
    assert.ok(asked > 4, `${asked} requests`);
    await predictCsv(page, csv([FEATURES, ...data.map((row, i) => i === 250 ? row.map(() => "x") : row)]));
    await page.locator("#batch-error:visible").waitFor();
    assert.match(await page.locator("#batch-error p").textContent() ?? "", /^Row 251 \(line 252\), MedInc: expected a number/);
}, /status of 4(00|13)/);

onPage("semicolons and decimal commas, as a French spreadsheet writes them, are read and written", {}, async (page) => {
    const data = rows(4);
    const {predictions} = await ask("/models/california-housing/predict", {features: data});
    const french = (/** @type {number} */ n) => String(n).replace(".", ",");
    await predictCsv(page, csv([FEATURES, ...data.map((row) => row.map(french))], ";"));
    const lines = (await downloaded(page)).trimEnd().split("\n");
    assert.deepEqual(lines, [[...FEATURES, "prediction"].join(";"), ...data.map((row, i) => [...row, predictions[i]].map(french).join(";"))]);
});

onPage("what is no table for the model is refused with a sentence", {}, async (page) => {
    const cases = /** @type {[string, RegExp][]} */ ([
        ["", /nothing in it/], ["1,2,3\n4,5,6\n", /names none of the model’s features/], [`${FEATURES.join(",")}\n1,2\n`, /Line 2 has 2 cells, the header has 8/],
        [`${FEATURES.join(",")}\n`, /no rows below the header/], [`${FEATURES.slice(1).join(",")}\n1,2,3,4,5,6,7\n`, /MedInc/],
    ]);
    for (const [text, wanted] of cases) {
        await predictCsv(page, text);
        await page.locator("#batch-error:visible").waitFor();
        assert.match(await page.locator("#batch-error").textContent() ?? "", wanted);
    }
    await page.evaluate(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new ArrayBuffer(65 * 1024 * 1024)], "huge.csv"));
        document.getElementById("drop")?.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
    });
    await page.locator("#batch-error:has-text('huge.csv has 69 MB, and this page takes at most 67')").waitFor();
}, /status of 400/);

onPage("classes have a column each, and a histogram by choice", {url: `${given.site}/?model=multi-softprob`}, async (page) => {
    await page.locator("#example").click();
    await page.locator("#run").click();
    const text = await page.locator("#csv").inputValue();
    const {predictions} = await ask("/models/multi-softprob/predict", text, "text/csv");
    const lines = (await downloaded(page)).trimEnd().split("\n");
    assert.ok(lines[0].endsWith(",prediction_0,prediction_1,prediction_2"), lines[0]);
    assert.deepEqual(lines.slice(1).map((line) => line.split(",").slice(-3).map(Number)), predictions);
    await page.locator("#results select").selectOption("2");
    const most = Math.max(...predictions.map((/** @type {number[]} */ p) => p[2]));
    assert.equal(Number(await page.locator(".histogram figcaption span:last-child").textContent()), Number(most.toPrecision(4)));
});

onPage("markup in a file is text", {}, async (page) => {
    const bad = "<img src=x onerror=alert(1)>";
    await predictCsv(page, csv([[...FEATURES, bad], ...rows(2).map((row) => [...row, bad])]));
    await page.locator("#download").waitFor();
    assert.equal(await page.locator(".rows td").filter({hasText: bad}).count(), 2);
    assert.equal(await page.locator("main img").count(), 0);
});

// --- models, server, key --------------------------------------------------------------------------------------------

onPage("the models are listed with versions, aliases, metrics and sha256, and another version is asked at a press", {}, async (page) => {
    const details = await (await fetch(`${given.site}/models/california-housing`)).json();
    const row = page.locator("#models-list tr[data-model='california-housing']");
    await row.locator(".sha code").waitFor();
    assert.equal(await row.locator(".sha code").textContent(), details.sha256.slice(0, 12));
    assert.match(await row.locator(".metrics").textContent() ?? "", /rmse test0\.4315/);
    assert.match(await row.locator(".versions").textContent() ?? "", /1champion/);
    await page.locator("button.version[data-model=twice][data-version='2']").click();
    await page.locator("#facts:has-text('twice, version 2')").waitFor();
    assert.equal(await page.locator("#version").inputValue(), "2");
    assert.match(page.url(), /\?model=twice&version=2/);
    const body = await page.evaluate(() => /'(\{.*\})'/s.exec(document.getElementById("curl")?.textContent ?? "")?.[1] ?? "");
    await shows(page, (await ask("/models/twice/versions/2/predict", body)).predictions[0]);
});

onPage("a version that is promoted while the page is open is taken with the next answer", {url: `${given.site}/?model=twice`}, async (page) => {
    const promote = (/** @type {string} */ version) => execFileSync(given.futaie, ["models", "promote", "twice", version, "--models", given.store]);
    try {
        promote("2");
        while ((await (await fetch(`${given.site}/models/twice`)).json()).version !== "2")
            await page.waitForTimeout(50);
        await field(page, "size").locator(".number").fill("0.5");
        await page.locator("#predict-about:has-text('twice, version 2')").waitFor();
        assert.match(await page.locator("#models-list tr[data-model=twice] .version[data-version='2']").textContent() ?? "", /champion/);
    } finally {
        promote("1");
    }
});

onPage("the curl command gives the prediction that is shown", {}, async (page) => {
    await type(page, EXAMPLE);
    const {predictions} = await ask("/models/california-housing/predict", {features: [EXAMPLE]});
    await shows(page, predictions[0]);
    const run = (/** @type {string} */ command) => JSON.parse(execFileSync("bash", ["-c", command], {encoding: "utf8", stdio: ["ignore", "pipe", "ignore"]}));
    assert.deepEqual(run(await page.locator("#curl").textContent() ?? "").predictions, predictions);
    await page.locator("#curl-explain").check();
    assert.equal(run(await page.locator("#curl").textContent() ?? "").explanations[0].prediction, predictions[0]);
});

onPage("rate, latency and errors are those of /status", {}, async (page) => {
    const answer = await fetch(`${given.site}/status`);
    if (answer.status === 404)
        return "this futaie has no /status";
    await ask("/models/california-housing/predict", {features: [EXAMPLE]});
    await ask("/models/california-housing/predict", {features: [["x"]]});
    const {hour} = await (await fetch(`${given.site}/status`)).json();
    const sum = (/** @type {(number | null)[]} */ series) => series.reduce((/** @type {number} */ total, n) => total + (n ?? 0), 0);
    const [errors, requests] = [sum(hour.errors), sum(hour.requests)];
    assert.ok(errors >= 1 && requests >= 2, JSON.stringify(hour));
    await page.waitForFunction(([wantedErrors, wantedRequests]) => {
        const told = /([\d,]+) of ([\d,]+) request/.exec(document.querySelector(".tile:last-child .note")?.textContent ?? "")?.slice(1).map((text) => Number(text.replaceAll(",", "")));
        return told && told[0] >= wantedErrors && told[1] >= wantedRequests;
    }, [errors, requests]);
    assert.equal(await page.locator(".tile").count(), 4);
    assert.ok(await page.locator(".chart .good").count() > 0);
    assert.match(await page.locator("#pill").textContent() ?? "", /requests\/s$/);
    return undefined;
});

onPage("a server without /status is said so quietly, and all else works", {ready: false, url: "about:blank"}, async (page) => {
    await page.route("**/status", (route) => route.fulfill({status: 404, contentType: "application/json", body: '{"error":"there is nothing","code":"not_found"}'}));
    await page.goto(CALIFORNIA);
    await page.locator("#live-note:has-text('has no /status')").waitFor();
    await page.locator("#answer[data-state=answered]").waitFor();
    assert.equal(await page.locator("[role=alert]:visible").count(), 0);
});

onPage("a server that is away is said so, and when it is back the next question is answered", {}, async (page) => {
    await page.context().setOffline(true);
    await field(page, "MedInc").locator(".number").fill("3");
    await page.locator("#answer-error:has-text('does not answer')").waitFor();
    await page.context().setOffline(false);
    await field(page, "MedInc").locator(".number").fill("3.5");
    await page.locator("#answer[data-state=answered]:not([aria-busy])").waitFor();
}, /ERR_INTERNET_DISCONNECTED/);

onPage("a server that asks for a key is given one, which stays in the tab", {ready: false, url: "about:blank"}, async (page) => {
    if (!given.locked)
        return "this futaie has no --keys";
    await page.goto(`${given.locked}/?model=california-housing`);
    await page.locator("#key-dialog[open]").waitFor();
    await page.locator("#key").fill("no key of anybody");
    await page.keyboard.press("Enter");
    await page.locator("#key-dialog[open]").waitFor();
    await page.locator("#key").fill(given.key);
    await page.keyboard.press("Enter");
    await page.locator("#waterfall tr.margin").waitFor();
    assert.deepEqual(await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]), [[given.key], 0, ""]);
    assert.match(await page.locator("#curl").textContent() ?? "", /Authorization: Bearer \$FUTAIE_KEY/);
    assert.ok(!(await page.content()).includes(given.key), "the key is on the page");
    await page.reload();
    await page.locator("#waterfall tr.margin").waitFor();
    assert.equal(await page.locator("#key-dialog[open]").count(), 0);
    return undefined;
}, /status of 401/);

onPage("whoever gives no key is told so once, and can still give one later", {ready: false, url: "about:blank"}, async (page) => {
    if (!given.locked)
        return "this futaie has no --keys";
    await page.goto(`${given.locked}/?model=california-housing`);
    await page.locator("#key-cancel").click();
    await page.locator("#answer-error:visible").waitFor();
    assert.equal(await page.locator("#key-dialog[open]").count(), 0);
    await page.locator("#key-change").click();
    await page.locator("#key").fill(given.key);
    await page.keyboard.press("Enter");
    await page.locator("#waterfall tr.margin").waitFor();
    return undefined;
}, /status of 401/);

onPage("behind Apache it is the same", {url: `${given.apache}/?model=california-housing`}, async (page) => {
    await type(page, EXAMPLE);
    await shows(page, (await ask("/models/california-housing/predict", {features: [EXAMPLE]})).predictions[0]);
    await predictCsv(page, csv([FEATURES, ...rows(3)]));
    await page.locator("#download").waitFor();
});

// --- for everybody --------------------------------------------------------------------------------------------------

onPage("the keyboard alone does all of it, and one sees where it is", {}, async (page) => {
    /** Presses Tab until the element is there, and looks at each on the way. @param {string} selector @param {string} [key] */
    const reach = async (selector, key = "Tab") => {
        for (let i = 0; i < 80; i++) {
            await page.keyboard.press(key);
            const seen = await page.evaluate((wanted) => {
                const at = /** @type {HTMLElement} */ (document.activeElement);
                const {outlineStyle, outlineWidth} = getComputedStyle(at);
                return {there: at.matches(wanted), outline: at === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2), what: at.outerHTML.slice(0, 90)};
            }, selector);
            assert.ok(seen.outline, `no focus is seen on ${seen.what}`);
            if (seen.there)
                return;
        }
        assert.fail(`Tab does not come to ${selector}`);
    };
    await reach(".skip");
    await page.keyboard.press("Enter");
    await reach("#model");
    await reach("#feature-0");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("8.3252");
    await reach("[data-feature=MedInc] .toggle");
    await page.keyboard.press("Space");
    assert.equal(await page.locator("#feature-0").inputValue(), "");
    await page.keyboard.press("Space");
    await reach("[data-feature=MedInc] .slider");
    await page.keyboard.press("End");
    assert.equal(await page.locator("#feature-0").inputValue(), "15.0001");
    await page.keyboard.press("Home");
    assert.equal(await page.locator("#feature-0").inputValue(), "0.4999");
    await reach("#csv");
    await page.keyboard.insertText(csv([FEATURES, ...rows(3)]));
    await reach("#run");
    await page.keyboard.press("Enter");
    await page.locator("#download").waitFor();
    await reach("#download");
    await reach(".scroller");
    await reach("button.version[data-model=twice][data-version='2']");
    await page.keyboard.press("Enter");
    await page.locator("#facts:has-text('twice, version 2')").waitFor();
    await reach("#curl-explain");
    await reach("#copy");
});

for (const name of ["california-housing", "multi-softprob", "reg-squarederror-multi-output"])
    onPage(`at 360 pixels nothing scrolls sideways, and the prediction stays in sight: ${name}`, {width: 360, height: 740, url: `${given.site}/?model=${name}`}, async (page) => {
        assert.equal(await scrollsSideways(page), false);
        await page.locator("#example").click();
        await page.locator("#run").click();
        await page.locator("#download").waitFor();
        await predictCsv(page, "nothing\n1\n");
        await page.locator("#batch-error:visible").waitFor();
        assert.equal(await scrollsSideways(page), false);
        await page.locator("#feature-0").scrollIntoViewIfNeeded();
        const bar = await page.locator(".answer-bar").boundingBox();
        assert.ok(bar && bar.y + bar.height <= 741 && bar.width <= 360, JSON.stringify(bar));
        assert.notEqual(await page.locator("#bar-value").textContent(), "…");
    });

for (const [name, look] of /** @type {[string, Look][]} */ ([["light", {}], ["dark", {dark: true}], ["narrow", {width: 360}], ["narrow and dark", {width: 360, dark: true}]]))
    onPage(`axe finds nothing to mend: ${name}`, look, async (page) => {
        await field(page, "MedInc").locator(".number").fill("90");
        await page.locator("#warning:visible").waitFor();
        await page.locator("#example").click();
        await page.locator("#run").click();
        await page.locator("#download").waitFor();
        await page.locator("#models-list .sha code").first().waitFor();
        assert.deepEqual(await findings(page), []);
        await page.locator("#model").selectOption("multi-softprob");
        await page.locator("#outputs li").first().waitFor();
        await predictCsv(page, "size,age,load,slope,shift\n1,2,3,4,x\n");
        await page.locator("#batch-error:visible").waitFor();
        assert.deepEqual(await findings(page), []);
    }, /status of 400/);

onPage("in the dark it is dark", {dark: true}, async (page) => {
    const [paper, ink] = await page.evaluate(() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]
        .map((colour) => (/** @type {string[]} */ (colour.match(/\d+/g))).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)));
    assert.ok(paper < 120 && ink > 600, `${paper} ${ink}`);
});

onPage("who wants less motion has none", {still: true}, async (page) => {
    const moving = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll("*")].filter((each) => {
        const style = getComputedStyle(each);
        return style.scrollBehavior === "smooth" || parseFloat(style.transitionDuration) > 0 && style.transitionProperty !== "none" && style.transitionProperty !== "all" || style.animationName !== "none";
    }).length);
    assert.equal(moving, 0);
});

test("pictures of it are in the build directory, at two widths, light and dark", async () => {
    mkdirSync(given.shots, {recursive: true});
    for (const [name, look] of /** @type {[string, Look][]} */ ([["wide-light", {}], ["wide-dark", {dark: true}], ["narrow-light", {width: 360, height: 740}], ["narrow-dark", {width: 360, height: 740, dark: true}]])) {
        const {page} = await visit(browser, CALIFORNIA, look);
        await type(page, EXAMPLE);
        await predictCsv(page, csv([FEATURES, ...rows(300)]));
        await page.locator("#download").waitFor();
        await page.waitForTimeout(300);
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({path: join(given.shots, `${name}.png`), fullPage: true});
        await page.context().close();
    }
});

const failed = await runAll(process.argv[2]);
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
