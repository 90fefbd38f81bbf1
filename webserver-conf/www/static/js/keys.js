/**
 * keys.js - the API key, where the server asks for one: kept for this tab only, in sessionStorage
 *
 * @typedef {import("./api.js").ApiError} ApiError
 */
import {byId} from "./dom.js";
import {sentence} from "./api.js";

const PLACE = "futaie.key";

export class Keys {
    #dialog = byId("key-dialog", HTMLDialogElement);
    #field = byId("key", HTMLInputElement);
    #change = byId("key-change", HTMLButtonElement);
    #value = stored();
    /** @type {Promise<boolean> | null} */
    #asking = null;
    #declined = false;

    constructor() {
        byId("key-form", HTMLFormElement).addEventListener("submit", (event) => {
            event.preventDefault();
            if (this.#field.value.trim())
                this.#dialog.close("given");
        });
        byId("key-cancel").addEventListener("click", () => this.#dialog.close(""));
        this.#show();
    }

    /** Calls back when the user has given another key. @param {() => void} listener */
    onChange(listener) {
        this.#change.addEventListener("click", async () => {
            this.#declined = false;
            if (await this.#open("This server knows you by a key."))
                listener();
        });
    }

    /** The key, or "". */
    get value() {
        return this.#value;
    }

    /**
     * Asks for a key, once for all who want one. True where there is another one than `used` now.
     * @param {string} used the key that was refused, or ""
     * @param {ApiError} why
     */
    async ask(used, why) {
        if (this.#value !== used)
            return true;
        this.#show(true);
        if (this.#declined && !this.#asking)
            return false;
        this.#asking ??= this.#open(sentence(why)).finally(() => {
            this.#asking = null;
        });
        return this.#asking;
    }

    /** @param {string} why @returns {Promise<boolean>} */
    #open(why) {
        byId("key-why").textContent = why;
        this.#field.value = "";
        this.#dialog.returnValue = "";
        this.#dialog.showModal();
        return new Promise((resolve) => this.#dialog.addEventListener("close", () => resolve(this.#take()), {once: true}));
    }

    /** What the dialog ended with. */
    #take() {
        this.#declined = this.#dialog.returnValue !== "given";
        if (!this.#declined) {
            this.#value = this.#field.value.trim();
            store(this.#value);
        }
        this.#field.value = "";
        this.#show(true);
        return !this.#declined;
    }

    #show(wanted = this.#value !== "") {
        this.#change.hidden = !wanted;
        this.#change.textContent = this.#value ? "Change key" : "Give a key";
    }
}

/** Storage may be closed to us; then the key lives as long as the page. */
function stored() {
    try {
        return sessionStorage.getItem(PLACE) ?? "";
    } catch {
        return "";
    }
}

/** @param {string} value */
function store(value) {
    try {
        sessionStorage.setItem(PLACE, value);
    } catch {
        // as above
    }
}
