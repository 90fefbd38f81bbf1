/**
 * form.js - one field for each feature of the model: a slider over its training distribution, a number, or missing
 *
 * @typedef {import("./quantiles.js").Distribution} Distribution
 * @typedef {{name: string, type: string, distribution?: Distribution}} Feature
 */
import {byId, el, replace} from "./dom.js";
import {count, short} from "./numbers.js";
import {isDistribution, median, roundTo, shareBelow, stepOf, valueAt} from "./quantiles.js";

const FIELDS_MAX = 200;
const SLIDER_STEPS = 200;

/** One feature's field. */
class Field {
    #number;
    #slider;
    #missing;
    #note;
    #problem;
    #said = "";

    /** @param {Feature} feature @param {number} index @param {() => void} onChange */
    constructor(feature, index, onChange) {
        this.feature = feature;
        this.distribution = isDistribution(feature.distribution) ? feature.distribution : null;
        this.onChange = onChange;
        const id = `feature-${index}`;
        const step = this.distribution ? stepOf(this.distribution) : 1;
        this.#number = el("input", {
            type: "number", id, class: "number", step: this.distribution || feature.type === "categorical" ? step : "any", autocomplete: "off",
            placeholder: "missing", "aria-describedby": `${id}-note ${id}-problem`, input: () => this.#typed(),
        });
        this.#slider = this.distribution && el("input", {
            type: "range", class: "slider", min: 0, max: SLIDER_STEPS, "aria-label": `${feature.name}, over the training data`, input: () => this.#slid(),
        });
        this.#missing = el("button", {type: "button", class: "toggle", "aria-pressed": "false", "aria-label": `${feature.name} is missing`,
            title: "Missing: send no value", click: () => this.#toggle()}, "∅");
        this.#note = el("p", {id: `${id}-note`, class: "note"});
        this.#problem = el("p", {id: `${id}-problem`, class: "problem", hidden: true});
        this.element = el("div", {class: "field", "data-feature": feature.name},
            el("label", {for: id, title: feature.name}, feature.name), this.#number, this.#missing, this.#slider, this.#note, this.#problem);
        this.reset();
    }

    /** The value to send; null is missing; undefined where no number can be read. @returns {number | null | undefined} */
    get value() {
        if (this.#number.validity.badInput)
            return undefined;
        return this.#number.value === "" ? null : Number(this.#number.value);
    }

    set value(value) {
        this.#number.value = value === null || value === undefined ? "" : String(value);
        this.#show();
    }

    get outside() {
        const {value, distribution: d} = this;
        return typeof value === "number" && d !== null && (value < d.min || value > d.max);
    }

    /** Back to what is typical: the median; missing where nothing is known of the feature. */
    reset() {
        this.value = this.#typical();
    }

    /** The server's word on this field, or "" to take it back. @param {string} text */
    complain(text) {
        this.#said = text;
        this.#showProblem();
    }

    #typical() {
        return this.distribution && roundTo(median(this.distribution), stepOf(this.distribution));
    }

    #typed() {
        this.#show();
        this.onChange();
    }

    #slid() {
        const d = /** @type {Distribution} */ (this.distribution);
        const slider = /** @type {HTMLInputElement} */ (this.#slider);
        const share = Number(slider.value) / SLIDER_STEPS;
        const value = share === 0 ? d.min : share === 1 ? d.max : Math.min(Math.max(roundTo(valueAt(d, share), stepOf(d)), d.min), d.max);
        this.#number.value = String(value);
        this.#show(false);
        this.onChange();
    }

    #toggle() {
        this.value = this.value === null ? this.#typical() ?? 0 : null;
        this.onChange();
    }

    #show(moveSlider = true) {
        const {value, distribution: d} = this;
        this.#said = "";
        this.#missing.setAttribute("aria-pressed", String(value === null));
        this.element.classList.toggle("is-missing", value === null);
        this.#note.textContent = this.#about(value);
        if (this.#slider && d) {
            const share = typeof value === "number" ? shareBelow(d, value) : 0.5;
            if (moveSlider)
                this.#slider.value = String(share * SLIDER_STEPS);
            this.#slider.style.setProperty("--share", `${share * 100}%`);
            this.#slider.setAttribute("aria-valuetext", typeof value === "number" ? `${short(value)}, ${rank(share)}` : "missing");
        }
        this.#showProblem();
    }

    /** @param {number | null | undefined} value */
    #about(value) {
        const d = this.distribution;
        if (this.feature.type === "categorical")
            return "a category’s number, as in training: 0, 1, 2, …";
        if (!d)
            return "the model’s file does not say what it was trained on";
        if (typeof value === "number" && !this.outside)
            return `${rank(shareBelow(d, value))} · ${short(d.min)} to ${short(d.max)}`;
        return `typical ${short(median(d))} · ${short(d.min)} to ${short(d.max)}`;
    }

    #showProblem() {
        const {value, outside} = this;
        const text = this.#said || (value === undefined ? "This is not a number." : outside ? outsideSentence(/** @type {number} */ (value), this.distribution) : "");
        const wrong = this.#said !== "" || value === undefined;
        this.#problem.textContent = text;
        this.#problem.hidden = text === "";
        this.#problem.classList.toggle("wrong", wrong);
        this.element.classList.toggle("is-outside", outside && !wrong);
        this.element.classList.toggle("is-wrong", wrong);
        this.#number.setAttribute("aria-invalid", String(wrong));
    }
}

/** @param {number} value @param {Distribution | null} d */
function outsideSentence(value, d) {
    return d && value < d.min ? `Below ${short(d.min)}, the least that training saw.` : `Above ${short(d?.max ?? 0)}, the most that training saw.`;
}

/** @param {number} share */
function rank(share) {
    if (share <= 0)
        return "the least in training";
    return share >= 1 ? "the most in training" : `above ${Math.min(99, Math.max(1, Math.round(share * 100)))} % of training`;
}

export class Form {
    #root = byId("fields");
    #more = byId("fields-more");
    /** @type {Field[]} */
    #fields = [];
    /** @type {Feature[]} */
    #rest = [];

    /** @param {() => void} onChange when any value has changed */
    constructor(onChange) {
        this.onChange = onChange;
        byId("form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
        byId("reset").addEventListener("click", () => {
            for (const field of this.#fields)
                field.reset();
            onChange();
        });
    }

    /** Makes the fields anew; a feature that was there before keeps its value. @param {Feature[]} features */
    show(features, keep = false) {
        const before = new Map(this.#fields.map((field) => [field.feature.name, field.value]));
        this.#fields = features.slice(0, FIELDS_MAX).map((feature, i) => new Field(feature, i, this.onChange));
        this.#rest = features.slice(FIELDS_MAX);
        for (const field of keep ? this.#fields : [])
            if (before.has(field.feature.name))
                field.value = before.get(field.feature.name);
        replace(this.#root, ...this.#fields.map((field) => field.element));
        this.#more.hidden = this.#rest.length === 0;
        this.#more.textContent = `The other ${count(this.#rest.length)} features keep their typical values; the batch box below takes them all.`;
    }

    /** The row to send, by name; null where a field holds no number. @returns {Record<string, number | null> | null} */
    row() {
        /** @type {Record<string, number | null>} */
        const row = Object.create(null);
        for (const {feature, value} of this.#fields) {
            if (value === undefined)
                return null;
            row[feature.name] = value;
        }
        for (const {name, distribution} of this.#rest)
            row[name] = isDistribution(distribution) ? median(distribution) : null;
        return row;
    }

    /** Names of the features whose values training did not see. */
    outside() {
        return this.#fields.filter((field) => field.outside).map((field) => field.feature.name);
    }

    /** Shows the server's sentence at its field; false where there is none. @param {string | undefined} feature @param {string} text */
    complain(feature, text) {
        const field = this.#fields.find((each) => each.feature.name === feature);
        field?.complain(text);
        return field !== undefined;
    }
}
