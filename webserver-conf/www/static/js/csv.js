/**
 * csv.js - CSV by RFC 4180: records end with LF, CRLF or CR; cells may be quoted, with "" for a quote; a byte order mark may lead
 *
 * @typedef {{cells: string[], line: number, start: number, end: number}} CsvRecord
 *     line counts from 1; text.slice(start, end) is the record without its end of line
 */

/** Text that is no CSV; the message names the line. */
export class CsvError extends Error {}

/**
 * The records one by one, so that a large file is never in memory as cells. Blank lines are passed over.
 * @param {string} text
 * @param {string} [delimiter]
 * @returns {Generator<CsvRecord, void>}
 */
export function* records(text, delimiter = ",") {
    let at = text.startsWith("\ufeff") ? 1 : 0;
    let line = 1;
    while (at < text.length) {
        const end = endOfLine(text, at);
        const bare = text.slice(at, end);
        const record = bare.includes('"') ? quotedRecord(text, at, delimiter, line) : {cells: bare.split(delimiter), line, start: at, end};
        if (record.end > record.start)
            yield record;
        line += 1 + (text.slice(end, record.end).match(/\r\n|\n|\r/g)?.length ?? 0);
        at = record.end + (text.startsWith("\r\n", record.end) ? 2 : 1);
    }
}

/** @param {string} text @param {number} at */
function endOfLine(text, at) {
    while (at < text.length && text[at] !== "\n" && text[at] !== "\r")
        at++;
    return at;
}

/** @param {string} text @param {number} start @param {string} delimiter @param {number} line @returns {CsvRecord} */
function quotedRecord(text, start, delimiter, line) {
    const cells = [];
    let at = start;
    for (;;) {
        const cell = text[at] === '"' ? quotedCell(text, at, line) : plainCell(text, at, delimiter);
        cells.push(cell.text);
        at = cell.end;
        if (text[at] === delimiter) {
            at++;
            continue;
        }
        if (at < text.length && text[at] !== "\n" && text[at] !== "\r")
            throw new CsvError(`line ${line}: after the closing quote of cell ${cells.length} comes “${text[at]}”, where a “${delimiter}” or the end of the line is expected`);
        return {cells, line, start, end: at};
    }
}

/** @param {string} text @param {number} at @param {string} delimiter */
function plainCell(text, at, delimiter) {
    const start = at;
    while (at < text.length && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r")
        at++;
    return {text: text.slice(start, at), end: at};
}

/** @param {string} text @param {number} at @param {number} line */
function quotedCell(text, at, line) {
    let value = "";
    for (let from = at + 1;;) {
        const quote = text.indexOf('"', from);
        if (quote < 0)
            throw new CsvError(`line ${line}: a quoted cell has no closing quote`);
        value += text.slice(from, quote);
        if (text[quote + 1] !== '"')
            return {text: value, end: quote + 1};
        value += '"';
        from = quote + 2;
    }
}

/** One cell, quoted where it must be. @param {string} text @param {string} [delimiter] */
export function cell(text, delimiter = ",") {
    return /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What stands between the cells of a header: the one of , ; and tab that is there most often. @param {string} header */
export function delimiterOf(header) {
    const bare = header.replace(/"[^"]*"/g, "");
    const times = (/** @type {string} */ mark) => bare.split(mark).length - 1;
    return [",", ";", "\t"].reduce((best, mark) => times(mark) > times(best) ? mark : best);
}
