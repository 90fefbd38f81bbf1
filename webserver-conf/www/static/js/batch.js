/**
 * batch.js - a CSV in, a table, a histogram and the CSV with predictions out
 *
 * Large files go in several requests, one after the other; a piece that the server finds too large is halved. What is kept of a file is its
 * text, the lines of the download, and the first rows for the table.
 *
 * @typedef {import("./api.js").Api} Api
 * @typedef {import("./ask.js").Choice} Choice
 * @typedef {import("./form.js").Feature} Feature
 * @typedef {import("./table.js").Row} Row
 * @typedef {{choice: Choice, features: Feature[], output: (i: number) => string}} Model
 */
import {ApiError, isAbort, pathOf, sentence} from "./api.js";
import {byId, el, replace} from "./dom.js";
import {figures, histogram, summarize} from "./histogram.js";
import {isDistribution, roundTo, stepOf} from "./quantiles.js";
import {cell} from "./csv.js";
import {count, counted} from "./numbers.js";
import {aroundOf, Results, RowError, tableOf} from "./results.js";
import {Table} from "./table.js";

const FILE_MAX_BYTES = 64 * 1024 * 1024;
const VALUES_MAX = 5_000_000;
const RETRIES = 5;
const RETRY_MAX_S = 60;

export class Batch {
    #text = byId("csv", HTMLTextAreaElement);
    #zone = byId("drop");
    #run = byId("run", HTMLButtonElement);
    #stop = byId("stop", HTMLButtonElement);
    #error = byId("batch-error");
    #notes = byId("batch-notes");
    #progress = byId("progress", HTMLProgressElement);
    #results = byId("results");
    #status = byId("batch-status");
    #flight = new AbortController();
    #download = "";

    /** @param {Api} api @param {() => Model | null} model what to ask, once there is one */
    constructor(api, model) {
        this.api = api;
        this.model = model;
        this.#run.addEventListener("click", () => this.#start(this.#text.value, "rows.csv"));
        this.#stop.addEventListener("click", () => this.#flight.abort());
        byId("example").addEventListener("click", () => this.#example());
        byId("file", HTMLInputElement).addEventListener("change", (event) => this.#takeFile(/** @type {HTMLInputElement} */ (event.target).files?.[0]));
        byId("choose").addEventListener("click", () => byId("file").click());
        this.#listenForDrops();
    }

    /** The model is another one: what is shown is no longer its answer. */
    reset() {
        this.#flight.abort();
        this.#flight = new AbortController();
        this.#forget();
        this.#busy(false);
    }

    #listenForDrops() {
        const over = (/** @type {boolean} */ is) => this.#zone.classList.toggle("is-over", is);
        this.#zone.addEventListener("dragover", (event) => {
            event.preventDefault();
            over(true);
        });
        this.#zone.addEventListener("dragleave", () => over(false));
        this.#zone.addEventListener("drop", (event) => {
            event.preventDefault();
            over(false);
            const file = event.dataTransfer?.files[0];
            const text = event.dataTransfer?.getData("text/plain") ?? "";
            if (file)
                this.#takeFile(file);
            else if (text)
                this.#text.value = text;
        });
    }

    /** @param {File | undefined} file */
    async #takeFile(file) {
        if (!file)
            return;
        byId("file", HTMLInputElement).value = "";
        this.#forget();
        if (file.size > FILE_MAX_BYTES)
            this.#fail(tooLarge(file.name, file.size));
        else
            await this.#start(await file.text(), file.name);
    }

    /** A few rows at the lower end, the middle and the upper end of what training saw. */
    #example() {
        const features = this.model()?.features ?? [];
        const at = (/** @type {Feature} */ {distribution: d}, /** @type {number} */ i) => isDistribution(d) ? String(roundTo(d.deciles[Math.min(i, d.deciles.length - 1)], stepOf(d))) : "";
        const rows = [1, 4, 7].map((i) => features.map((feature) => at(feature, i)).join(","));
        this.#text.value = [features.map((feature) => cell(feature.name)).join(","), ...rows, ""].join("\n");
        this.#text.focus();
    }

    #forget() {
        URL.revokeObjectURL(this.#download);
        this.#download = "";
        this.#error.hidden = true;
        replace(this.#error);
        replace(this.#notes);
        replace(this.#results);
        this.#status.textContent = "";
    }

    /** @param {string} text @param {string} name */
    async #start(text, name) {
        const model = this.model();
        this.#forget();
        this.#flight.abort();
        const flight = this.#flight = new AbortController();
        if (!model)
            return;
        if (text.length > FILE_MAX_BYTES) {
            this.#fail(tooLarge("What is pasted", text.length));
            return;
        }
        this.#busy(true);
        try {
            const table = new Table(text, model.features.map((feature) => feature.name));
            this.#remark(table);
            const results = await this.#predict(table, model, flight.signal);
            if (results.n === 0)
                throw new Error("There are no rows below the header");
            this.#show(table, results, model, name);
        } catch (error) {
            if (flight === this.#flight && !(isAbort(error) && this.#results.childElementCount > 0))
                this.#fail(isAbort(error) ? new Error("Stopped: nothing is shown, as not all rows were asked") : error);
        } finally {
            if (flight === this.#flight)
                this.#busy(false);
        }
    }

    /** What of the file is not sent, or is read in another way than a comma's. @param {Table} table */
    #remark(table) {
        const names = (/** @type {string[]} */ all) => all.slice(0, 5).join(", ") + (all.length > 5 ? ", …" : "");
        const notes = [];
        if (table.left.length > 0)
            notes.push(`Not features of this model, so not sent: ${names(table.left)}.`);
        if (table.absent.length > 0)
            notes.push(`Features that the file lacks: ${names(table.absent)}.`);
        if (table.delimiter !== ",")
            notes.push(`Read as separated by ${table.delimiter === ";" ? "semicolons" : "tabs"}${table.decimalComma ? ", with decimal commas" : ""}.`);
        replace(this.#notes, ...notes.map((note) => el("p", {class: "note"}, note)));
    }

    /** @param {Table} table @param {Model} model @param {AbortSignal} signal */
    async #predict(table, model, signal) {
        const results = new Results();
        let done = 0;
        for (const {rows, bytes} of table.pieces()) {
            await this.#predictRows(table, rows, model, results, signal);
            done += bytes;
            this.#progress.value = done / table.text.length;
            this.#status.textContent = `${counted(results.n, "row")} so far`;
            if (results.n * results.values.length > VALUES_MAX)
                throw new Error(`After ${counted(results.n, "row")} this page has as many predictions as it keeps: split the file, or use ‘futaie predict’ on the server`);
        }
        return results;
    }

    /** @param {Table} table @param {Row[]} rows @param {Model} model @param {Results} results @param {AbortSignal} signal @returns {Promise<void>} */
    async #predictRows(table, rows, model, results, signal) {
        try {
            const path = `${pathOf(model.choice.name, model.choice.version)}/predict`;
            const {predictions} = await this.#patiently(() => this.api.post(path, table.body(rows), {type: "text/csv", signal}), signal);
            results.add(table, rows, predictions);
        } catch (error) {
            if (!(error instanceof ApiError))
                throw error;
            if (error.status !== 413 || rows.length < 2)
                throw new RowError(error, table, rows, results.n);
            const middle = rows.length >> 1;
            await this.#predictRows(table, rows.slice(0, middle), model, results, signal);
            await this.#predictRows(table, rows.slice(middle), model, results, signal);
        }
    }

    /** Waits as long as the server asks for, where it has too much to do. @param {() => Promise<any>} ask @param {AbortSignal} signal */
    async #patiently(ask, signal) {
        for (let tries = 0;; tries++) {
            try {
                return await ask();
            } catch (error) {
                if (!(error instanceof ApiError) || ![429, 503].includes(error.status) || tries === RETRIES)
                    throw error;
                await pause(Math.min(error.retryAfterS || 1, RETRY_MAX_S), signal);
            }
        }
    }

    /** @param {Table} table @param {Results} results @param {Model} model @param {string} name */
    #show(table, results, model, name) {
        const file = name.replace(/(\.[^.]*)?$/, "-predictions.csv");
        this.#download = URL.createObjectURL(new Blob(results.lines, {type: "text/csv"}));
        const summary = el("div");
        const pick = (/** @type {number} */ output) => {
            const s = summarize(results.values[output]);
            replace(summary, histogram(s), figures(s));
        };
        pick(0);
        replace(this.#results,
            el("div", {class: "results-head"},
                el("h3", {}, counted(results.n, "prediction")),
                el("a", {class: "button primary", id: "download", href: this.#download, download: file}, "Download CSV")),
            results.values.length > 1 && el("label", {class: "inline"}, "Histogram of ",
                el("select", {change: (event) => pick(Number(event.target.value))}, ...results.values.map((_, i) => el("option", {value: i}, model.output(i))))),
            summary,
            tableOf(table, results),
            results.n > results.shown.length && el("p", {class: "note"}, `The first ${count(results.shown.length)} rows; the download has all ${count(results.n)}.`));
        this.#status.textContent = `${counted(results.n, "row")} predicted.`;
    }

    /** @param {unknown} error */
    #fail(error) {
        replace(this.#error, el("p", {}, sentence(error)), error instanceof RowError && error.rows.length > 0 && aroundOf(error));
        this.#error.hidden = false;
        this.#status.textContent = "";
    }

    /** @param {boolean} is */
    #busy(is) {
        this.#run.disabled = is;
        this.#stop.hidden = !is;
        this.#progress.hidden = !is;
        this.#progress.value = 0;
    }
}

/** @param {string} what @param {number} size in bytes */
function tooLarge(what, size) {
    return new Error(`${what} has ${count(Math.ceil(size / 1e6))} MB, and this page takes at most ${count(Math.floor(FILE_MAX_BYTES / 1e6))}: ` +
        "‘futaie predict NAME FILE’ on the server takes any size");
}

/** @param {number} seconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(seconds, signal) {
    return new Promise((resolve, reject) => {
        const timer = window.setTimeout(resolve, seconds * 1000);
        signal.addEventListener("abort", () => {
            window.clearTimeout(timer);
            reject(new DOMException("", "AbortError"));
        }, {once: true});
    });
}
