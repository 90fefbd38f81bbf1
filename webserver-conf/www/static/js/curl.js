/** curl.js - the command that asks what the page asks, to copy */
import {pathOf} from "./api.js";

/** A word for the shell. @param {string} text */
function quote(text) {
    return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {import("./ask.js").Choice} choice
 * @param {Record<string, number | null>} row
 * @param {{explain: boolean, key: boolean}} options
 */
export function curlOf(choice, row, {explain, key}) {
    const url = location.origin + pathOf(choice.name, choice.version) + (explain ? "/explain" : "/predict");
    const values = Object.entries(row).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
    return [
        `curl ${/^[\w.:/%@[\]-]+$/.test(url) ? url : quote(url)}`,
        "-H 'Content-Type: application/json'",
        ...(key ? ['-H "Authorization: Bearer $FUTAIE_KEY"'] : []),
        `-d ${quote(`{"features": [{${values.join(", ")}}]}`)}`,
    ].join(" \\\n  ");
}

/** Copies, where the browser lets us; else it selects the text. True where it has copied. @param {HTMLElement} element */
export async function copy(element) {
    try {
        await navigator.clipboard.writeText(element.textContent ?? "");
        return true;
    } catch {
        getSelection()?.selectAllChildren(element);
        return false;
    }
}
