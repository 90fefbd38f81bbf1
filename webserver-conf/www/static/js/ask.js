/**
 * ask.js - asks for the prediction and the explanation of one row as it is typed: the newest question wins
 *
 * @typedef {import("./api.js").Api} Api
 * @typedef {{name: string, version: string | null}} Choice version null: the champion
 * @typedef {number | null | (number | null)[]} Output
 * @typedef {{prediction: Output, base: number | number[], contributions: Record<string, number | number[]>}} Explanation
 * @typedef {{prediction: Output, model: string, version: string, seconds: number, row: Record<string, number | null>}} Answer
 */
import {isAbort, pathOf} from "./api.js";

const DELAY_MS = 90;

/**
 * @typedef {object} Listener
 * @property {() => void} asked a question is on its way
 * @property {(answer: Answer) => void} answered
 * @property {(explanation: Explanation, answer: Answer) => void} explained
 * @property {(error: unknown) => void} unexplained the prediction is there, its explanation is not
 * @property {(error: unknown) => void} failed
 */

export class Asker {
    #timer = 0;
    #flight = new AbortController();

    /** @param {Api} api @param {Listener} listener */
    constructor(api, listener) {
        this.api = api;
        this.listener = listener;
    }

    /** What was asked before is given up. @param {Choice} choice @param {Record<string, number | null>} row */
    ask(choice, row) {
        this.cancel();
        this.#flight = new AbortController();
        const {signal} = this.#flight;
        this.#timer = window.setTimeout(() => this.#send(choice, row, signal), DELAY_MS);
    }

    cancel() {
        window.clearTimeout(this.#timer);
        this.#flight.abort();
    }

    /** @param {Choice} choice @param {Record<string, number | null>} row @param {AbortSignal} signal */
    async #send(choice, row, signal) {
        const path = pathOf(choice.name, choice.version);
        const body = {features: [row]};
        this.listener.asked();
        try {
            const started = performance.now();
            const {predictions, model, version} = await this.api.post(`${path}/predict`, body, {signal});
            const answer = {prediction: predictions[0], model, version, seconds: (performance.now() - started) / 1000, row};
            if (signal.aborted)
                return;
            this.listener.answered(answer);
            await this.#explain(path, body, answer, signal);
        } catch (error) {
            if (!isAbort(error) && !signal.aborted)
                this.listener.failed(error);
        }
    }

    /** @param {string} path @param {unknown} body @param {Answer} answer @param {AbortSignal} signal */
    async #explain(path, body, answer, signal) {
        try {
            const {explanations} = await this.api.post(`${path}/explain`, body, {signal});
            if (!signal.aborted)
                this.listener.explained(explanations[0], answer);
        } catch (error) {
            if (!isAbort(error) && !signal.aborted)
                this.listener.unexplained(error);
        }
    }
}
