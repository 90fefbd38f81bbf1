/**
 * results.js - what a batch gave: the lines of the download, the numbers of the histogram, the first rows for the table; or which row stopped it
 *
 * @typedef {import("./api.js").ApiError} ApiError
 * @typedef {import("./ask.js").Output} Output
 * @typedef {import("./table.js").Row} Row
 * @typedef {import("./table.js").Table} Table
 */
import {el} from "./dom.js";
import {count, exact} from "./numbers.js";

const ROWS_SHOWN = 100;
const ROWS_AROUND = 2;

/** What has been predicted so far. */
export class Results {
    n = 0;
    /** @type {{row: Row, values: (number | null)[]}[]} */
    shown = [];
    /** @type {string[]} */
    lines = [];
    /** @type {number[][]} one array for each output */
    values = [];

    /** @param {Table} table @param {Row[]} rows @param {Output[]} predictions */
    add(table, rows, predictions) {
        const outputs = predictions.map((each) => Array.isArray(each) ? each : [each]);
        if (this.values.length === 0) {
            this.values = outputs[0].map(() => []);
            this.lines.push(table.line(table.header, table.predictionNames(outputs[0].length)));
        }
        const lines = rows.map((row, i) => table.line(row.cells, outputs[i]));
        this.lines.push(lines.join(""));
        outputs.forEach((values) => values.forEach((value, k) => this.values[k].push(value ?? NaN)));
        for (let i = 0; i < rows.length && this.shown.length < ROWS_SHOWN; i++)
            this.shown.push({row: rows[i], values: outputs[i]});
        this.n += rows.length;
    }
}

/** The server's error, and where in the file it is. */
export class RowError extends Error {
    /** @param {ApiError} error @param {Table} table @param {Row[]} rows that were sent @param {number} before rows of the file before these */
    constructor(error, table, rows, before) {
        const at = error.row === undefined ? undefined : rows[error.row];
        const column = error.feature === undefined ? "" : `, ${error.feature}`;
        super(at ? `Row ${count(before + /** @type {number} */ (error.row) + 1)} (line ${count(at.line)})${column}: ${error.reason}` : error.message);
        this.table = table;
        this.feature = error.feature;
        this.rows = at ? rows : [];
        this.index = error.row ?? 0;
        this.before = before;
    }
}

/** The first rows with their predictions. @param {Table} table @param {Results} results */
export function tableOf(table, results) {
    const names = table.predictionNames(results.values.length);
    return scroller("The rows and their predictions", [...table.header.map((name) => el("th", {scope: "col"}, name)),
        ...names.map((name) => el("th", {scope: "col", class: "answer"}, name))],
        results.shown.map(({row, values}, i) => el("tr", {}, el("th", {scope: "row"}, count(i + 1)),
            ...row.cells.map((text) => el("td", {}, text)), ...values.map((value) => el("td", {class: "answer"}, exact(value))))));
}

/** The row that the server refused, between its neighbours, its cell marked. @param {RowError} error */
export function aroundOf({table, rows, index, before, feature}) {
    const from = Math.max(0, index - ROWS_AROUND);
    const wrong = (/** @type {number} */ i, /** @type {number} */ k) => i === index && (feature === undefined || table.header[k] === feature);
    return scroller("The rows around the one that was refused", table.header.map((name) => el("th", {scope: "col"}, name)),
        rows.slice(from, index + ROWS_AROUND + 1).map((row, i) => el("tr", {class: from + i === index ? "refused" : null},
            el("th", {scope: "row"}, count(before + from + i + 1)),
            ...row.cells.map((text, k) => el("td", {class: wrong(from + i, k) ? "wrong" : null}, text)))));
}

/** @param {string} label @param {HTMLElement[]} head @param {HTMLElement[]} rows */
function scroller(label, head, rows) {
    return el("div", {class: "scroller", tabindex: 0, role: "region", "aria-label": label},
        el("table", {class: "rows"}, el("thead", {}, el("tr", {}, el("th", {scope: "col"}, "Row"), ...head)), el("tbody", {}, ...rows)));
}
