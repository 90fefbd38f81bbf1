/**
 * quantiles.js - a feature's training distribution: from a value to the share of training rows below it, and back
 *
 * Between two neighbours of minimum, deciles and maximum the distribution is taken to be even. A slider over shares rather than values
 * gives every part of the data the same room, however long its tails are.
 *
 * @typedef {{count: number, missing: number, min: number, max: number, mean: number, deciles: number[]}} Distribution
 */

/** Minimum, deciles, maximum. @param {Distribution} d */
function knots(d) {
    return [d.min, ...d.deciles, d.max];
}

/** @param {unknown} d @returns {d is Distribution} */
export function isDistribution(d) {
    const given = /** @type {Partial<Distribution> | null | undefined} */ (d);
    return typeof given?.min === "number" && typeof given.max === "number" && Array.isArray(given.deciles) && given.deciles.length > 0;
}

/** @param {Distribution} d */
export function median(d) {
    return valueAt(d, 0.5);
}

/** The value below which this share (0 to 1) of the training rows is. @param {Distribution} d @param {number} share */
export function valueAt(d, share) {
    const at = knots(d);
    const place = Math.min(Math.max(share, 0), 1) * (at.length - 1);
    const left = Math.min(Math.floor(place), at.length - 2);
    return at[left] + (at[left + 1] - at[left]) * (place - left);
}

/** The share of training rows below this value: 0 to 1; in the middle of those that are the same. @param {Distribution} d @param {number} value */
export function shareBelow(d, value) {
    const at = knots(d);
    const last = at.length - 1;
    if (value < d.min)
        return 0;
    if (value > d.max)
        return 1;
    const below = at.findLastIndex((knot) => knot < value);
    const above = at.findIndex((knot) => knot > value);
    const from = below < 0 ? 0 : below;
    const to = above < 0 ? last : above;
    if (to - from === 1)
        return (from + (value - at[from]) / (at[to] - at[from])) / last;
    const same = at.flatMap((knot, i) => knot === value ? [i] : []);
    return (same[0] + same[same.length - 1]) / 2 / last;
}

/** True where all that is known of the feature are whole numbers. @param {Distribution} d */
export function isWhole(d) {
    return knots(d).every(Number.isInteger);
}

/** A step of 1, 2 or 5 times a power of ten that cuts the middle of the distribution into about a hundred. @param {Distribution} d */
export function stepOf(d) {
    const width = Math.abs(d.deciles[d.deciles.length - 1] - d.deciles[0]) || Math.abs(d.max - d.min) || 1;
    const power = 10 ** Math.floor(Math.log10(width / 100));
    const step = [1, 2, 5].map((n) => n * power).findLast((n) => n <= width / 100) ?? power;
    return isWhole(d) ? Math.max(1, Math.round(step)) : step;
}

/** To the nearest multiple of the step, without digits that rounding leaves behind. @param {number} value @param {number} step */
export function roundTo(value, step) {
    const decimals = Math.max(0, -Math.floor(Math.log10(step)));
    return Number((Math.round(value / step) * step).toFixed(Math.min(decimals, 20)));
}
