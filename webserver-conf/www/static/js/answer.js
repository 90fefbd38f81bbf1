/**
 * answer.js - the prediction, large, with what it means
 *
 * @typedef {import("./ask.js").Answer} Answer
 * @typedef {import("./ask.js").Output} Output
 * @typedef {import("./objectives.js").Meaning} Meaning
 */
import {byId, el, replace, svg} from "./dom.js";
import {duration, exact, short} from "./numbers.js";
import {sentence} from "./api.js";

const OUTPUTS_SHOWN = 12;
const SAY_AFTER_MS = 700;

/** The index of the largest; of the first where there are several. @param {(number | null)[]} values */
export function largest(values) {
    const numbers = values.map((value) => value ?? -Infinity);
    return Math.max(0, numbers.indexOf(Math.max(...numbers)));
}

export class AnswerView {
    #card = byId("answer");
    #value = byId("value");
    #means = byId("means");
    #outputs = byId("outputs");
    #facts = byId("facts");
    #warning = byId("warning");
    #error = byId("answer-error");
    #bar = byId("bar-value");
    #said = byId("said");
    #sayTimer = 0;

    waiting() {
        this.#card.setAttribute("aria-busy", "true");
    }

    /** @param {Answer} answer @param {Meaning} meaning @param {string[]} outside */
    show(answer, meaning, outside) {
        this.#settle();
        const several = Array.isArray(answer.prediction) ? answer.prediction : null;
        const best = several && meaning.kind === "classes" ? largest(several) : 0;
        const head = Array.isArray(answer.prediction) ? answer.prediction[best] : answer.prediction;
        this.#card.dataset.state = "answered";
        this.#value.hidden = several !== null && meaning.kind !== "classes";
        replace(this.#value, several ? el("span", {class: "class"}, meaning.output(best), " ") : null, ...digits(head));
        this.#value.dataset.exact = JSON.stringify(answer.prediction);
        this.#means.textContent = several && meaning.kind === "classes" ? "the likeliest class and its probability" : meaning.answer;
        this.#showOutputs(several, meaning, best);
        this.#facts.textContent = `${answer.model}, version ${answer.version} · answered in ${duration(answer.seconds)}`;
        this.#warning.hidden = outside.length === 0;
        this.#warning.textContent = outside.length === 0 ? "" : `${listed(outside)} ${outside.length === 1 ? "is" : "are"} outside what training saw: take this answer with care.`;
        const named = (/** @type {number | null} */ value, /** @type {number} */ i) => `${meaning.output(i)}: ${short(value ?? NaN)}`;
        const all = several?.map(named).slice(0, OUTPUTS_SHOWN).join(", ") ?? exact(head);
        this.#tell(several && meaning.kind === "classes" ? named(head, best) : all, all);
    }

    /** @param {unknown} error @param {boolean} atField whether the form shows the sentence, too */
    fail(error, atField) {
        this.#settle();
        this.#card.dataset.state = "failed";
        this.#error.hidden = false;
        this.#error.textContent = atField ? `${sentence(error)} The field is marked.` : sentence(error);
        this.#bar.textContent = "no answer";
        window.clearTimeout(this.#sayTimer);
    }

    #settle() {
        this.#card.removeAttribute("aria-busy");
        this.#error.hidden = true;
        this.#error.textContent = "";
    }

    /** @param {(number | null)[] | null} values @param {Meaning} meaning @param {number} best */
    #showOutputs(values, meaning, best) {
        const shown = (values ?? []).map((value, i) => ({value, i}));
        if (shown.length > OUTPUTS_SHOWN)
            shown.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity)).splice(OUTPUTS_SHOWN);
        const rows = shown.map(({value, i}) => el("li", {class: meaning.kind === "classes" && i === best ? "best" : null},
            el("span", {class: "name"}, meaning.output(i)),
            meaning.kind === "classes" ? meter(value ?? 0) : el("span"),
            el("span", {class: "figure"}, exact(value))));
        const left = (values?.length ?? 0) - shown.length;
        replace(this.#outputs, ...rows, left > 0 && el("li", {class: "note"}, `and ${left} smaller ones`));
        this.#outputs.hidden = rows.length === 0;
    }

    /** To a phone's bar at once; to those who listen once the typing rests. @param {string} brief @param {string} text */
    #tell(brief, text) {
        this.#bar.textContent = brief;
        window.clearTimeout(this.#sayTimer);
        this.#sayTimer = window.setTimeout(() => {
            this.#said.textContent = `Prediction: ${text}. ${this.#warning.textContent}`;
        }, SAY_AFTER_MS);
    }
}

/** The leading digits stand out, the rest is there for whoever compares. @param {number | null} value */
function digits(value) {
    const text = exact(value);
    const head = /^\D?(?:0[.]0*\d{0,4}|\d+(?:[.]\d{0,2})?)/.exec(text)?.[0] ?? text;
    const tail = text.slice(head.length);
    return [head, tail !== "" && el("span", {class: "tail"}, tail)];
}

/** @param {number} share */
function meter(share) {
    return svg("svg", {class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true"},
        svg("rect", {class: "rail", width: 100, height: 4}), svg("rect", {class: "fill", width: Math.max(0.4, share * 100), height: 4}));
}

/** @param {string[]} names */
function listed(names) {
    if (names.length > 3)
        return `${names.length} values`;
    return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
