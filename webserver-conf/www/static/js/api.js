/**
 * api.js - requests to futaie: JSON in and out, errors as sentences, the key where one is asked for
 *
 * @typedef {import("./keys.js").Keys} Keys
 * @typedef {{signal?: AbortSignal, quiet?: boolean, type?: string}} Options
 *     quiet: a 401 does not ask for a key; type: of the body, where it is not JSON
 */

/** What the server refused, or why it could not be asked. `row` and `feature` where they apply. */
export class ApiError extends Error {
    /** @param {number} status 0 where there was no answer @param {{error?: string, code?: string, row?: number, feature?: string}} body @param {number} [retryAfterS] */
    constructor(status, body, retryAfterS = 0) {
        super(body.error ?? `the server answered ${status} without a reason`);
        this.status = status;
        this.code = body.code ?? "";
        this.row = body.row;
        this.feature = body.feature;
        this.retryAfterS = retryAfterS;
    }

    /** The sentence without the place in the body, for where that place is shown otherwise. */
    get reason() {
        const place = `feature "${this.feature}": `;
        const at = this.feature === undefined ? -1 : this.message.indexOf(place);
        return this.message.slice(at < 0 ? 0 : at + place.length).replace(/^line \d+(?:, column \d+)?[:,] /, "");
    }
}

/** @param {unknown} error */
export function isAbort(error) {
    return error instanceof DOMException && error.name === "AbortError";
}

/** A sentence for people: begins with a capital and ends with a full stop. @param {unknown} error */
export function sentence(error) {
    const text = error instanceof Error ? error.message : String(error);
    const ended = /[.!?]$/.test(text) ? text : `${text}.`;
    return ended.charAt(0).toUpperCase() + ended.slice(1);
}

export class Api {
    /** @param {Keys} keys */
    constructor(keys) {
        this.keys = keys;
    }

    /** @param {string} path @param {Options} [options] @returns {Promise<any>} */
    get(path, options = {}) {
        return this.#ask(path, {method: "GET"}, options);
    }

    /** @param {string} path @param {unknown} body an object to be sent as JSON, or text of `type` @param {Options} [options] @returns {Promise<any>} */
    post(path, body, options = {}) {
        const headers = {"Content-Type": options.type ?? "application/json"};
        return this.#ask(path, {method: "POST", headers, body: options.type ? String(body) : JSON.stringify(body)}, options);
    }

    /** @param {string} path @param {RequestInit} request @param {Options} options */
    async #ask(path, request, options) {
        for (;;) {
            const used = this.keys.value;
            const answer = await this.#send(path, request, options.signal, used);
            if (answer.ok)
                return answer.json();
            const error = await errorOf(answer);
            if (answer.status !== 401 || options.quiet || !await this.keys.ask(used, error))
                throw error;
        }
    }

    /** @param {string} path @param {RequestInit} request @param {AbortSignal | undefined} signal @param {string} key */
    async #send(path, request, signal, key) {
        const headers = {...request.headers, ...(key ? {Authorization: `Bearer ${key}`} : {})};
        try {
            return await fetch(path, {...request, headers, signal, credentials: "omit", cache: "no-store", redirect: "error"});
        } catch (error) {
            if (isAbort(error))
                throw error;
            throw new ApiError(0, {error: "The server does not answer. Is it running, and are you connected?", code: "no_answer"});
        }
    }
}

/** @param {Response} answer */
async function errorOf(answer) {
    const retryAfterS = Number(answer.headers.get("Retry-After")) || 0;
    try {
        return new ApiError(answer.status, await answer.json(), retryAfterS);
    } catch (error) {
        if (isAbort(error))
            throw error;
        return new ApiError(answer.status, {}, retryAfterS);
    }
}

/**
 * The path of a model's version, of its champion where there is no version.
 * @param {string} model @param {string | null} version
 */
export function pathOf(model, version) {
    const name = encodeURIComponent(model);
    return version === null ? `/models/${name}` : `/models/${name}/versions/${encodeURIComponent(version)}`;
}
