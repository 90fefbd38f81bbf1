/** histogram.js - how often which prediction came: bars, their range, and the same in words */
import {el, svg} from "./dom.js";
import {count, counted, short} from "./numbers.js";

const BINS = 32;

/**
 * @typedef {{bins: number[], low: number, high: number, n: number, mean: number, median: number, odd: number}} Summary
 *     odd: how many are not finite, and in none of the bins
 */

/** @param {ArrayLike<number>} values @returns {Summary} */
export function summarize(values) {
    const finite = Float64Array.from(values).filter(Number.isFinite).sort();
    const n = finite.length;
    const low = n > 0 ? finite[0] : NaN;
    const high = n > 0 ? finite[n - 1] : NaN;
    const bins = new Array(high > low ? BINS : 1).fill(0);
    for (const value of finite)
        bins[high > low ? Math.min(BINS - 1, Math.floor((value - low) / (high - low) * BINS)) : 0]++;
    const middle = n >> 1;
    return {bins, low, high, n, odd: values.length - n, mean: finite.reduce((sum, value) => sum + value, 0) / n,
        median: n % 2 === 1 ? finite[middle] : (finite[middle - 1] + finite[middle]) / 2};
}

/** @param {Summary} s */
export function histogram(s) {
    if (s.n === 0)
        return el("p", {class: "note"}, "No prediction is finite.");
    const width = (s.high - s.low) / s.bins.length;
    const most = Math.max(...s.bins);
    const bars = s.bins.map((n, i) => svg("rect", {x: i * 10 + 0.6, width: 8.8, y: 100 - n / most * 100, height: n / most * 100, "data-n": n},
        svg("title", {}, `${short(s.low + i * width)} to ${short(s.low + (i + 1) * width)}: ${counted(n, "row")}`)));
    const mostlyAt = s.low + (s.bins.indexOf(most) + 0.5) * width;
    const words = `Histogram of ${counted(s.n, "prediction")}, from ${short(s.low)} to ${short(s.high)}, most of them near ${short(mostlyAt)}.`;
    return el("figure", {class: "histogram"},
        svg("svg", {viewBox: `0 0 ${s.bins.length * 10} 100`, preserveAspectRatio: "none", role: "img", "aria-label": words}, ...bars),
        el("figcaption", {}, el("span", {}, short(s.low)), el("span", {}, short(s.high))));
}

/** @param {Summary} s */
export function figures(s) {
    const pairs = [["rows", count(s.n + s.odd)], ["mean", short(s.mean)], ["median", short(s.median)], ["least", short(s.low)], ["most", short(s.high)]];
    if (s.odd > 0)
        pairs.push(["not finite", count(s.odd)]);
    return el("dl", {class: "figures"}, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
