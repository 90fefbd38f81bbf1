/**
 * waterfall.js - an explanation as a waterfall: a table of contributions from base to margin, whose cells hold the bars
 *
 * The table is the picture and its text in one: whoever cannot see the bars reads the same rows.
 *
 * @typedef {import("./ask.js").Explanation} Explanation
 * @typedef {{name: string, value: number | null | undefined, by: number, from: number, to: number}} Step
 */
import {byId, el, grid, replace, svg} from "./dom.js";
import {exact, short, signed} from "./numbers.js";

const STEPS_MAX = 12;
const WIDTH = 1000;
const HEIGHT = 26;
const EDGE = 24;

/** The margins that can be explained: 1, or one for each output. @param {Explanation} explanation */
export function outputsOf(explanation) {
    return Array.isArray(explanation.base) ? explanation.base.length : 1;
}

/** @param {number | number[]} values @param {number} output */
function pick(values, output) {
    return Array.isArray(values) ? values[output] : values;
}

/**
 * From base to margin, the largest contributions first; small ones together at the end, where there are many.
 * @param {Explanation} explanation @param {number} output @param {Record<string, number | null>} row
 * @returns {Step[]}
 */
export function stepsOf(explanation, output, row) {
    /** @type {{name: string, value: number | null | undefined, by: number}[]} */
    const all = Object.entries(explanation.contributions).map(([name, values]) => ({name, value: row[name], by: pick(values, output)}));
    all.sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
    const rest = all.length > STEPS_MAX ? all.splice(STEPS_MAX - 1) : [];
    if (rest.length > 0)
        all.push({name: `${rest.length} others`, value: undefined, by: rest.reduce((sum, each) => sum + each.by, 0)});
    let at = pick(explanation.base, output);
    return all.map((each) => ({...each, from: at, to: (at += each.by)}));
}

export class Waterfall {
    #root = byId("waterfall");
    #story = byId("story");

    clear() {
        replace(this.#root);
        this.#story.textContent = "";
    }

    /** @param {Explanation} explanation @param {number} output @param {Record<string, number | null>} row */
    show(explanation, output, row) {
        const steps = stepsOf(explanation, output, row);
        const base = pick(explanation.base, output);
        const margin = steps.length > 0 ? steps[steps.length - 1].to : base;
        const scale = scaleOf([base, ...steps.flatMap((step) => [step.from, step.to])]);
        replace(this.#root, grid("table", {"aria-label": "Contributions from the base to this answer", class: "waterfall"},
            el("colgroup", {}, ...["name", "given", "effect", "by"].map((name) => el("col", {class: name}))),
            grid("thead", {}, grid("tr", {}, ...["Feature", "Value", "Effect", "Contribution"].map((text) => grid("th", {scope: "col"}, text)))),
            grid("tbody", {},
                total("base", "Base", ["average", "in training"], base, scale, base),
                ...steps.map((step) => stepRow(step, scale, base)),
                total("margin", "Sum", ["margin", "of this answer"], margin, scale, base))));
        this.#story.textContent = story(steps, base, margin);
    }
}

/** Maps values to the picture's width. @param {number[]} values */
function scaleOf(values) {
    const low = Math.min(...values);
    const span = Math.max(...values) - low || 1;
    return (/** @type {number} */ value) => EDGE + (value - low) / span * (WIDTH - 2 * EDGE);
}

/** @param {Step} step @param {(value: number) => number} scale @param {number} base */
function stepRow(step, scale, base) {
    const [from, to] = [scale(step.from), scale(step.to)];
    const kind = step.by > 0 ? "up" : step.by < 0 ? "down" : "none";
    return grid("tr", {class: kind, "data-by": step.by},
        grid("td", {class: "name", title: step.name}, step.name),
        grid("td", {class: "given"}, step.value === undefined ? "" : step.value === null ? "missing" : short(step.value, 6)),
        grid("td", {class: "effect"}, el("span", {class: "hidden"}, step.by > 0 ? "raises" : step.by < 0 ? "lowers" : "none"), bar(
            line(scale(base), 0, HEIGHT, "baseline"), line(from, 0, 5, "link"), line(to, HEIGHT - 5, HEIGHT, "link"),
            svg("rect", {x: Math.min(from, to) - 1, y: 5, width: Math.abs(to - from) + 2, height: HEIGHT - 10}))),
        grid("td", {class: "by"}, signed(step.by)));
}

/** @param {string} kind @param {string} name @param {string[]} about its first words, and more where there is room @param {number} value @param {(value: number) => number} scale @param {number} base */
function total(kind, name, about, value, scale, base) {
    const x = scale(value);
    return grid("tr", {class: `total ${kind}`, "data-total": value},
        grid("td", {class: "name", colspan: 2}, name, " ", el("span", {class: "about"}, about[0], el("span", {class: "wide"}, ` ${about[1]}`))),
        grid("td", {class: "effect"}, bar(
            line(scale(base), kind === "base" ? HEIGHT / 2 : 0, kind === "base" ? HEIGHT : HEIGHT / 2, "baseline"),
            kind === "base" ? null : line(x, 0, HEIGHT / 2, "link"),
            svg("rect", {x: x - 4, y: 5, width: 8, height: HEIGHT - 10}))),
        grid("td", {class: "by"}, short(value)));
}

/** @param {...(Node | null)} parts */
function bar(...parts) {
    return svg("svg", {class: "bar", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true"}, ...parts);
}

/** @param {number} x @param {number} y1 @param {number} y2 @param {string} kind */
function line(x, y1, y2, kind) {
    return svg("line", {x1: x, x2: x, y1, y2, class: kind});
}

/** The same in a sentence. @param {Step[]} steps @param {number} base @param {number} margin */
function story(steps, base, margin) {
    const told = (/** @type {Step[]} */ some) => some.slice(0, 2).map((step) => `${step.name} (${signed(step.by)})`).join(" and ");
    const [up, down] = [told(steps.filter((step) => step.by > 0)), told(steps.filter((step) => step.by < 0))];
    const moved = [up && `raised most by ${up}`, down && `lowered most by ${down}`].filter(Boolean).join(", ");
    return `From ${exact(Number(base.toPrecision(4)))} to ${exact(Number(margin.toPrecision(4)))}${moved ? `: ${moved}` : ""}.`;
}
