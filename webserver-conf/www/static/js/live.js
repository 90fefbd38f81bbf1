/**
 * live.js - rate, latency and errors, from GET /status, while the page is looked at
 *
 * @typedef {import("./api.js").Api} Api
 * @typedef {(number | null)[]} Series oldest first; null where nothing is known
 * @typedef {{step_s: number, elapsed_s: number, requests: Series, errors: Series, failures: Series,
 *     latency_ms: {p50: Series, p90: Series, p99: Series}}} Span
 * @typedef {{uptime_s: number, version: string, workers: number, in_flight: number,
 *     totals: {requests: number, errors: number, failures: number, rows: number}, hour: Span, minute: Span}} Status
 */
import {ApiError, sentence} from "./api.js";
import {byId, el, replace, svg} from "./dom.js";
import {count, counted, duration, short} from "./numbers.js";

const EVERY_MS = 2000;
const RATE_STEPS = 10;
/** What the colours of a chart are, as [class, words]. */
const REQUESTS = [["good", "answered"], ["bad", "refused or failed"]];
const LATENCIES = [["good", "half"], ["bad", "99 %"]];

export class Live {
    #pill = byId("pill");
    #tiles = byId("tiles");
    #charts = byId("charts");
    #note = byId("live-note");
    #timer = 0;

    /** @param {Api} api */
    constructor(api) {
        this.api = api;
        document.addEventListener("visibilitychange", () => this.start());
    }

    /** Looks at once, and again and again as long as the page is seen. */
    start() {
        window.clearTimeout(this.#timer);
        if (!document.hidden)
            void this.#look();
    }

    async #look() {
        let again = EVERY_MS;
        try {
            this.#show(await this.api.get("/status", {quiet: true}));
        } catch (error) {
            again = this.#miss(error);
        }
        window.clearTimeout(this.#timer);
        if (again > 0)
            this.#timer = window.setTimeout(() => this.start(), again);
    }

    /** Says quietly what is missing; when to look again, 0 for never. @param {unknown} error */
    #miss(error) {
        const status = error instanceof ApiError ? error.status : 0;
        this.#pill.dataset.state = status === 0 ? "down" : "unknown";
        this.#pill.textContent = status === 0 ? "no answer" : "";
        replace(this.#tiles);
        replace(this.#charts);
        this.#note.textContent = status === 404 ? "This server does not tell its rate and latency (it has no /status)." :
            status === 401 || status === 403 ? "Rate and latency are for those whose key may see them." : sentence(error);
        return status === 404 ? 0 : 5 * EVERY_MS;
    }

    /** @param {Status} s */
    #show(s) {
        const rate = rateOf(s.minute);
        const errors = sum(s.hour.errors);
        const requests = sum(s.hour.requests);
        const latency = s.hour.latency_ms;
        this.#pill.dataset.state = "up";
        this.#pill.textContent = `${short(rate, 3)} requests/s`;
        this.#note.textContent = `futaie ${s.version}, ${counted(s.workers, "worker")}, up for ${span(s.uptime_s)}; ${counted(s.totals.requests, "request")} and ${counted(s.totals.rows, "row")} since.`;
        replace(this.#tiles,
            tile("Requests a second", short(rate, 3), `over the last ${RATE_STEPS} s`),
            tile("Half are answered in", latest(latency.p50), "this minute, in the server"),
            tile("99 % are answered in", latest(latency.p99), "this minute, in the server"),
            tile("Errors", requests > 0 ? `${short(errors / requests * 100, 2)} %` : "none", `${count(errors)} of ${counted(requests, "request")} in the last hour`));
        replace(this.#charts,
            chart("Requests a second", bars(s.minute), `${counted(sum(s.minute.requests), "request")} in the last minute.`, `most ${count(most(s.minute.requests))}`, REQUESTS, "a minute ago"),
            chart("Requests a minute", bars(s.hour), `${counted(requests, "request")} in the last hour, ${count(errors)} refused or failed.`, `most ${count(most(s.hour.requests))}`, REQUESTS, "an hour ago"),
            chart("Latency", lines([latency.p99, latency.p50]), `Median and 99th percentile of each minute; now ${latest(latency.p50)} and ${latest(latency.p99)}.`,
                `up to ${duration(most(latency.p99) / 1000)}`, LATENCIES, "an hour ago"));
    }
}

/** Requests a second over the last full steps. @param {Span} minute */
function rateOf(minute) {
    const steps = minute.requests.slice(-1 - RATE_STEPS, -1).filter((n) => n !== null);
    return steps.length === 0 ? 0 : sum(steps) / (steps.length * minute.step_s);
}

/** @param {Series} series */
function sum(series) {
    return series.reduce((/** @type {number} */ total, n) => total + (n ?? 0), 0);
}

/** @param {Series} series */
function most(series) {
    return Math.max(0, ...series.map((n) => n ?? 0));
}

/** The last that is known, in words. @param {Series} ms */
function latest(ms) {
    const value = ms.findLast((each) => each !== null);
    return value === undefined || value === null ? "–" : duration(value / 1000);
}

/** @param {number} seconds */
function span(seconds) {
    const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
    const [size, name] = /** @type {[number, string]} */ (units.find(([each]) => seconds >= Number(each)) ?? units[3]);
    return counted(Math.floor(seconds / size), name);
}

/** @param {string} name @param {string} value @param {string} about */
function tile(name, value, about) {
    return el("div", {class: "tile"}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), el("span", {class: "note"}, about)));
}

/** @param {string} title @param {Node[]} shapes @param {string} words @param {string} scale @param {string[][]} legend @param {string} since */
function chart(title, shapes, words, scale, legend, since) {
    return el("figure", {class: "chart"}, el("figcaption", {}, el("span", {}, title), el("span", {class: "note"}, scale)),
        svg("svg", {viewBox: "0 0 600 100", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${words}`}, ...shapes),
        el("p", {class: "axis", "aria-hidden": "true"}, el("span", {}, since), el("span", {}, "now")),
        el("p", {class: "legend", "aria-hidden": "true"}, ...legend.map(([kind, text]) => el("span", {class: kind}, text))));
}

/** Requests of each step, those that were refused or failed in another colour. @param {Span} hour */
function bars(hour) {
    const top = most(hour.requests) || 1;
    return hour.requests.flatMap((n, i) => {
        const all = (n ?? 0) / top * 96;
        const bad = (hour.errors[i] ?? 0) / top * 96;
        return [svg("rect", {class: "good", x: i * 10 + 1, width: 8, y: 100 - all, height: all - bad}),
            bad > 0 ? svg("rect", {class: "bad", x: i * 10 + 1, width: 8, y: 100 - bad, height: bad}) : null];
    }).filter((shape) => shape !== null);
}

/** @param {Series[]} all the highest first */
function lines(all) {
    const top = most(all[0]) || 1;
    return all.map((series, k) => svg("path", {class: k === 0 ? "line soft" : "line", d: pathOf(series, top)}));
}

/** Interrupted where nothing is known; a lone value is a short stroke. @param {Series} series @param {number} top */
function pathOf(series, top) {
    return series.map((value, i) => {
        if (value === null)
            return "";
        const [x, y] = [i * 10 + 5, (98 - value / top * 94).toFixed(1)];
        return series[i - 1] === null || i === 0 ? `M${x - 4} ${y}L${x} ${y}` : `L${x} ${y}`;
    }).join("");
}
