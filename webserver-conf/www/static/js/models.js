/**
 * models.js - the models of the store: to choose from, and what is known of each
 *
 * @typedef {import("./api.js").Api} Api
 * @typedef {import("./ask.js").Choice} Choice
 * @typedef {import("./form.js").Feature} Feature
 * @typedef {{name: string, versions: string[], aliases: Record<string, string>}} Listed
 * @typedef {Listed & {version: string | null, created?: string, features?: Feature[], objective?: string, outputs?: number,
 *     metrics?: Record<string, unknown>, sha256?: string, scorer?: string}} Details
 */
import {pathOf, sentence} from "./api.js";
import {byId, el, grid, replace} from "./dom.js";
import {count, counted, day, short} from "./numbers.js";

const DETAILED_MAX = 60;
const AT_ONCE = 4;

export class Models {
    #select = byId("model", HTMLSelectElement);
    #versions = byId("version", HTMLSelectElement);
    #list = byId("models-list");
    #note = byId("models-note");
    /** @type {Listed[]} */
    all = [];
    /** @type {Choice} */
    choice = {name: "", version: null};
    /** @type {Map<string, HTMLElement>} */
    #rows = new Map();

    /** @param {Api} api @param {(choice: Choice) => void} onChoose */
    constructor(api, onChoose) {
        this.api = api;
        this.onChoose = onChoose;
        this.#select.addEventListener("change", () => this.#choose({name: this.#select.value, version: null}));
        this.#versions.addEventListener("change", () => this.#choose({name: this.choice.name, version: this.#versions.value || null}));
    }

    /** Reads the list and shows it; the choice stays where it still is one, else the first model that serves is chosen. @param {Choice} wanted */
    async load(wanted) {
        /** @type {{models: Listed[]}} */
        const {models} = await this.api.get("/models");
        this.all = models;
        replace(this.#select, ...models.map(({name}) => el("option", {value: name}, name)));
        this.#select.disabled = models.length === 0;
        const known = models.find(({name}) => name === wanted.name);
        const first = known ?? models.find(({aliases}) => "champion" in aliases) ?? models[0];
        if (first)
            this.choice = {name: first.name, version: known?.versions.includes(wanted.version ?? "") ? wanted.version : null};
        this.#showChoice();
        this.#showList();
    }

    /** Details of every model, a few at a time, into the table. */
    async describe() {
        const waiting = this.all.slice(0, DETAILED_MAX);
        const work = async () => {
            for (let next = waiting.shift(); next; next = waiting.shift())
                await this.#describeOne(next);
        };
        await Promise.all(Array.from({length: AT_ONCE}, work));
    }

    /** @param {Choice} choice @param {AbortSignal} [signal] @returns {Promise<Details>} */
    details(choice, signal) {
        return this.api.get(pathOf(choice.name, choice.version), {signal});
    }

    /** @param {Listed} model */
    async #describeOne(model) {
        try {
            this.#fillRow(model, await this.details({name: model.name, version: null}));
        } catch (error) {
            this.#rows.get(model.name)?.querySelector(".about")?.replaceChildren(sentence(error));
        }
    }

    /** @param {Choice} choice */
    #choose(choice) {
        this.choice = choice;
        this.#showChoice();
        this.onChoose(choice);
    }

    #showChoice() {
        const {name, version} = this.choice;
        const model = this.all.find((each) => each.name === name);
        const champion = model?.aliases.champion;
        this.#select.value = name;
        const named = (/** @type {string} */ v) => Object.entries(model?.aliases ?? {}).filter(([, of]) => of === v).map(([alias]) => alias);
        replace(this.#versions,
            el("option", {value: ""}, champion ? `champion (${champion})` : "champion (none)"),
            ...(model?.versions ?? []).toReversed().map((v) => el("option", {value: v}, [`version ${v}`, ...named(v)].join(" · "))));
        this.#versions.value = version ?? "";
        this.#versions.disabled = !model;
        for (const [each, row] of this.#rows)
            row.classList.toggle("chosen", each === name);
        for (const button of this.#list.querySelectorAll("button.version"))
            button.setAttribute("aria-pressed", String(button instanceof HTMLElement && button.dataset.model === name && button.dataset.version === (version ?? champion)));
    }

    #showList() {
        const heads = ["Model", "Versions", "Metrics", "Created", "sha256"];
        this.#rows = new Map(this.all.map((model) => [model.name, this.#row(model)]));
        replace(this.#list, grid("table", {class: "models", "aria-label": "Models"},
            grid("thead", {}, grid("tr", {}, ...heads.map((text) => grid("th", {scope: "col"}, text)))), grid("tbody", {}, ...this.#rows.values())));
        this.#note.textContent = this.all.length === 0 ? "The store holds no model yet: futaie train or futaie models import puts one there." :
            this.all.length > DETAILED_MAX ? `Details of the first ${DETAILED_MAX}; GET /models/NAME has those of any.` : "";
        this.#showChoice();
    }

    /** @param {Listed} model */
    #row(model) {
        return grid("tr", {"data-model": model.name},
            grid("td", {class: "name"}, el("strong", {}, model.name), el("span", {class: "about"}, "…")),
            grid("td", {class: "versions"}, ...model.versions.toReversed().map((version) => this.#version(model, version))),
            grid("td", {class: "metrics"}), grid("td", {class: "created"}), grid("td", {class: "sha"}));
    }

    /** @param {Listed} model @param {string} version */
    #version(model, version) {
        const aliases = Object.entries(model.aliases).filter(([, of]) => of === version).map(([alias]) => alias);
        return el("button", {type: "button", class: "version", "data-model": model.name, "data-version": version, "aria-pressed": "false",
            title: `Ask ${model.name}, version ${version}`,
            click: () => this.#choose({name: model.name, version: aliases.includes("champion") ? null : version})},
        el("span", {class: "hidden"}, `${model.name}, version `), version, ...aliases.map((alias) => el("span", {class: `alias ${alias === "champion" ? "champion" : ""}`}, alias)));
    }

    /** @param {Listed} model @param {Details} details of what serves */
    #fillRow(model, details) {
        const cells = /** @type {HTMLElement[]} */ ([...(this.#rows.get(model.name)?.children ?? [])]);
        if (cells.length === 0)
            return;
        const [name, , metrics, created, sha] = cells;
        const about = details.version === null ? "nothing of it serves" :
            [details.objective, counted(details.features?.length ?? 0, "feature"), (details.outputs ?? 1) > 1 && `${details.outputs} outputs`,
                details.scorer === "forest" ? "compiled" : details.scorer].filter(Boolean).join(" · ");
        name.querySelector(".about")?.replaceChildren(about);
        replace(metrics, metricsOf(details.metrics ?? {}));
        replace(created, details.created && el("time", {datetime: details.created, title: details.created}, day(details.created)));
        replace(sha, details.sha256 && el("code", {title: details.sha256}, details.sha256.slice(0, 12)));
    }
}

/** Numbers that say how good it is before those that say how much it saw. @param {Record<string, unknown>} metrics */
function metricsOf(metrics) {
    const numbers = Object.entries(metrics).filter(([, value]) => typeof value === "number");
    const weight = (/** @type {string} */ name) => name.startsWith("rows") ? 3 : name.endsWith("_test") ? 0 : name.endsWith("_validation") ? 1 : 2;
    numbers.sort(([a], [b]) => weight(a) - weight(b));
    return el("dl", {}, ...numbers.map(([name, value], i) => el("div", {class: i === 0 && !name.startsWith("rows") ? "first" : null},
        el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, Number.isInteger(value) ? count(Number(value)) : short(Number(value))))));
}
