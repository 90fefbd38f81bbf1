/**
 * table.js - a CSV file read for a model: which columns are features, its rows in pieces that one request can carry
 *
 * @typedef {{cells: string[], line: number}} Row
 * @typedef {{rows: Row[], bytes: number}} Piece
 */
import {CsvError, cell, delimiterOf, records} from "./csv.js";

const PIECE_ROWS = 20_000;
const PIECE_CHARS = 4 * 1024 * 1024;
const DECIMAL_COMMA = /^\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*$/;

export class Table {
    /** @param {string} text @param {string[]} features of the model, in its order */
    constructor(text, features) {
        this.text = text;
        this.delimiter = delimiterOf(text.slice(0, text.search(/[\r\n]|$/)));
        const first = records(text, this.delimiter).next().value;
        if (!first)
            throw new CsvError("There is nothing in it: a header with the features’ names is expected, and rows below it");
        this.header = first.cells.map((name) => name.trim());
        const known = new Set(features);
        /** Columns that are sent. */
        this.sent = this.header.flatMap((name, i) => known.has(name) ? [i] : []);
        this.left = this.header.filter((name) => !known.has(name));
        this.absent = features.filter((name) => !this.header.includes(name));
        this.newline = text.startsWith("\r\n", first.end) ? "\r\n" : "\n";
        if (this.sent.length === 0)
            throw new CsvError(`The first line names none of the model’s features; it must be a header such as ${features.slice(0, 3).join(", ")}${features.length > 3 ? ", …" : ""}`);
    }

    /** Rows in pieces, each short enough for a request. @returns {Generator<Piece, void>} */
    *pieces() {
        /** @type {Row[]} */
        let rows = [];
        let start = 0;
        let header = true;
        for (const {cells, line, start: from, end} of records(this.text, this.delimiter)) {
            if (header) {
                header = false;
                start = end;
                continue;
            }
            if (cells.length !== this.header.length)
                throw new CsvError(`line ${line} has ${cells.length} cells, the header has ${this.header.length}`);
            if (rows.length === PIECE_ROWS || (rows.length > 0 && end - start > PIECE_CHARS)) {
                yield {rows, bytes: from - start};
                rows = [];
                start = from;
            }
            rows.push({cells, line});
        }
        if (rows.length > 0)
            yield {rows, bytes: this.text.length - start};
    }

    /** A comma for the decimal point, as where a semicolon separates. */
    get decimalComma() {
        return this.delimiter === ";" && /\d,\d/.test(this.text.slice(0, 65536));
    }

    /** What is sent for these rows: the features' columns, in CSV as the server reads it. @param {Row[]} rows */
    body(rows) {
        const comma = this.decimalComma;
        const value = (/** @type {string} */ text) => cell(comma && DECIMAL_COMMA.test(text) ? text.replace(",", ".") : text);
        const line = (/** @type {string[]} */ cells) => this.sent.map((i) => value(cells[i])).join(",");
        // A line with nothing in it would be no row.
        return [line(this.header), ...rows.map((row) => line(row.cells) || '""'), ""].join("\n");
    }

    /** Names for the columns of the predictions, which the file does not have yet. @param {number} outputs */
    predictionNames(outputs) {
        const names = outputs === 1 ? ["prediction"] : Array.from({length: outputs}, (_, i) => `prediction_${i}`);
        return names.map((name) => {
            while (this.header.includes(name))
                name += "_futaie";
            return name;
        });
    }

    /** Lines of the download. @param {string[]} cells @param {(string | number | null)[]} added */
    line(cells, added) {
        const last = added.map((value) => value === null ? "" : this.decimalComma ? String(value).replace(".", ",") : String(value));
        return [...cells, ...last].map((text) => cell(text, this.delimiter)).join(this.delimiter) + this.newline;
    }
}
