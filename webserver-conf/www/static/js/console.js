/**
 * console.js - the page as a whole: what is chosen, what is asked, and who shows it
 *
 * @typedef {import("./ask.js").Answer} Answer
 * @typedef {import("./ask.js").Explanation} Explanation
 * @typedef {import("./models.js").Details} Details
 */
import {AnswerView, largest} from "./answer.js";
import {Api, ApiError, isAbort, sentence} from "./api.js";
import {Asker} from "./ask.js";
import {Batch} from "./batch.js";
import {copy, curlOf} from "./curl.js";
import {byId, el, replace} from "./dom.js";
import {Form} from "./form.js";
import {Keys} from "./keys.js";
import {Live} from "./live.js";
import {Models} from "./models.js";
import {meaningOf} from "./objectives.js";
import {outputsOf, Waterfall} from "./waterfall.js";

class Console {
    keys = new Keys();
    api = new Api(this.keys);
    models = new Models(this.api, () => void this.#choose());
    form = new Form(() => this.#ask());
    answer = new AnswerView();
    waterfall = new Waterfall();
    live = new Live(this.api);
    batch = new Batch(this.api, () => this.details && {choice: this.models.choice, features: this.details.features ?? [], output: this.#meaning().output});
    asker = new Asker(this.api, {
        asked: () => this.answer.waiting(),
        answered: (answer) => this.#answered(answer),
        explained: (explanation, answer) => this.#explained(explanation, answer),
        unexplained: (error) => this.#unexplained(error),
        failed: (error) => this.#failed(error),
    });
    #output = byId("output", HTMLSelectElement);
    #outputChosen = false;
    #explain = byId("curl-explain", HTMLInputElement);
    #choosing = new AbortController();
    /** @type {Details | null} */
    details = null;
    /** @type {{explanation: Explanation, answer: Answer} | null} */
    explained = null;

    constructor() {
        this.#output.addEventListener("change", () => {
            this.#outputChosen = true;
            this.#drawWaterfall();
        });
        this.#explain.addEventListener("change", () => this.#showCurl());
        byId("copy").addEventListener("click", async () => {
            byId("copied").textContent = await copy(byId("curl")) ? "Copied." : "Selected: copy it with the keyboard.";
        });
        this.keys.onChange(() => void this.start());
    }

    async start() {
        const wanted = new URLSearchParams(location.search);
        try {
            await this.models.load({name: wanted.get("model") ?? "", version: wanted.get("version")});
        } catch (error) {
            this.#refuse(error);
            return;
        }
        this.live.start();
        if (this.models.all.length === 0)
            this.#refuse(new Error("The store holds no model yet"));
        else
            await this.#choose();
        await this.models.describe();
    }

    #meaning() {
        return meaningOf(this.details?.objective ?? "", this.details?.outputs ?? 1);
    }

    async #choose() {
        const {choice} = this.models;
        this.#choosing.abort();
        this.#choosing = new AbortController();
        const {signal} = this.#choosing;
        this.asker.cancel();
        this.batch.reset();
        history.replaceState(null, "", `${location.pathname}?${new URLSearchParams({model: choice.name, ...(choice.version ? {version: choice.version} : {})})}${location.hash}`);
        try {
            const details = await this.models.details(choice, signal);
            if (!details.features)
                throw new Error(`The model ${choice.name} has no champion that serves: choose a version, or promote one`);
            this.form.show(details.features, this.details?.name === details.name);
            this.details = details;
            byId("predict-about").textContent = `${details.objective} · ${choice.name}, version ${details.version}`;
            replace(this.#output);
            this.#outputChosen = false;
            this.#ask();
        } catch (error) {
            if (!isAbort(error) && !signal.aborted)
                this.#refuse(error);
        }
    }

    /** There is nothing to ask. @param {unknown} error */
    #refuse(error) {
        this.details = null;
        this.form.show([]);
        byId("predict-about").textContent = "";
        this.#failed(error);
    }

    #ask() {
        const row = this.form.row();
        if (!row) {
            this.asker.cancel();
            this.#failed(new Error("One of the values is not a number"));
            return;
        }
        this.#showCurl();
        this.asker.ask(this.models.choice, row);
    }

    /** @param {Answer} answer */
    #answered(answer) {
        this.answer.show(answer, this.#meaning(), this.form.outside());
        // The champion may have changed since its features were read.
        if (this.models.choice.version === null && answer.version !== this.details?.version)
            void this.start();
    }

    /** @param {unknown} error */
    #failed(error) {
        const marked = error instanceof ApiError && this.form.complain(error.feature, sentence(error.reason));
        this.answer.fail(error, marked);
        this.#unexplained(null);
    }

    /** @param {Explanation} explanation @param {Answer} answer */
    #explained(explanation, answer) {
        this.explained = {explanation, answer};
        const n = outputsOf(explanation);
        const {output} = this.#meaning();
        byId("output-label").hidden = n < 2;
        if (n > 1 && this.#output.options.length !== n)
            replace(this.#output, ...Array.from({length: n}, (_, i) => el("option", {value: i}, output(i))));
        if (!this.#outputChosen)
            this.#output.value = String(mainOutput(answer, this.#meaning().kind));
        byId("explain-about").textContent = meaningOf(this.details?.objective ?? "", n).margin;
        byId("unexplained").hidden = true;
        this.#drawWaterfall();
    }

    /** @param {unknown} error null where there is no prediction either */
    #unexplained(error) {
        this.explained = null;
        this.waterfall.clear();
        byId("output-label").hidden = true;
        byId("explain-about").textContent = "";
        byId("unexplained").hidden = error === null;
        byId("unexplained").textContent = error === null ? "" : sentence(error);
    }

    #drawWaterfall() {
        if (this.explained)
            this.waterfall.show(this.explained.explanation, Number(this.#output.value) || 0, this.explained.answer.row);
    }

    #showCurl() {
        const row = this.form.row();
        if (row && this.details)
            byId("curl").textContent = curlOf(this.models.choice, row, {explain: this.#explain.checked, key: this.keys.value !== ""});
        byId("copied").textContent = "";
    }
}

/** The output that is explained unless another one is chosen: the likeliest class. @param {Answer} answer @param {string} kind */
function mainOutput({prediction}, kind) {
    if (Array.isArray(prediction))
        return kind === "classes" ? largest(prediction) : 0;
    return kind === "class" ? prediction ?? 0 : 0;
}

void new Console().start();
