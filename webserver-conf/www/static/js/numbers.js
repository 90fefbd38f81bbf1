/** numbers.js - numbers as people read them */

const MINUS = "\u2212";

/**
 * A few significant digits, for labels: 0.4315, 1,243.3, 2.1e−7.
 * @param {number} value
 * @param {number} [digits]
 */
export function short(value, digits = 4) {
    if (!Number.isFinite(value))
        return "not finite";
    const size = Math.abs(value);
    if (value !== 0 && (size < 1e-4 || size >= 1e9))
        return String(Number(value.toPrecision(digits))).replaceAll("-", MINUS);
    const whole = size === 0 ? 1 : Math.floor(Math.log10(size)) + 1;
    const decimals = Math.max(0, digits - Math.max(whole, value !== 0 && size < 1 ? whole : 1));
    return value.toLocaleString("en", {maximumFractionDigits: Math.min(decimals, 12)}).replace("-", MINUS);
}

/** The same with its sign. @param {number} value @param {number} [digits] */
export function signed(value, digits = 3) {
    const text = short(value, digits);
    return value > 0 ? `+${text}` : text;
}

/** As the server wrote it, or with a real minus sign. @param {number | null} value */
export function exact(value) {
    return value === null ? "not finite" : String(value).replaceAll("-", MINUS);
}

/** 20,640 @param {number} n */
export function count(n) {
    return n.toLocaleString("en", {maximumFractionDigits: 0});
}

/** "1 row", "20,640 rows" @param {number} n @param {string} noun */
export function counted(n, noun) {
    return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** Seconds as 3.2 ms or 1.4 s. @param {number} seconds */
export function duration(seconds) {
    if (seconds < 1e-3)
        return `${short(seconds * 1e6, 3)} µs`;
    return seconds < 1 ? `${short(seconds * 1e3, 3)} ms` : `${short(seconds, 3)} s`;
}

/** 23 November 2026, or the text as it is where it is no date. @param {string} rfc3339 */
export function day(rfc3339) {
    const date = new Date(rfc3339);
    return Number.isNaN(date.getTime()) ? rfc3339 : date.toLocaleDateString("en-GB", {day: "numeric", month: "short", year: "numeric", timeZone: "UTC"});
}
