/**
 * dom.js - elements from tag, attributes and children. Text always goes in as text: nothing here can be made to read HTML.
 *
 * @typedef {string | number | Node | null | undefined | false} Child
 * @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes
 */

/**
 * Attributes that are null or false are left out, true ones are empty, functions are listeners by their event's name ("click").
 * @param {Element} element
 * @param {Attributes} attributes
 */
function dress(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function")
            element.addEventListener(name, value);
        else if (value !== null && value !== undefined && value !== false)
            element.setAttribute(name, value === true ? "" : String(value));
    }
}

/** @param {Element} element @param {Child[]} children */
function fill(element, children) {
    for (const child of children)
        if (child !== null && child !== undefined && child !== false)
            element.append(child instanceof Node ? child : String(child));
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    dress(element, attributes);
    fill(element, children);
    return element;
}

/**
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    dress(element, attributes);
    fill(element, children);
    return element;
}

/**
 * The element of the page with this id; the page is ours, so that it is missing is a mistake of ours.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function byId(id, kind) {
    const element = document.getElementById(id);
    if (!(element instanceof (kind ?? HTMLElement)))
        throw new Error(`the page has no ${kind?.name ?? "element"} with the id ${id}`);
    return /** @type {T} */ (element);
}

/** @param {Element} parent @param {...Child} children */
export function replace(parent, ...children) {
    parent.replaceChildren();
    fill(parent, children);
}

/**
 * A table's parts with their roles in so many words: a table that style turns into a list on a phone stays one to a reader.
 * @param {"table" | "thead" | "tbody" | "tr" | "th" | "td"} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function grid(tag, attributes = {}, ...children) {
    const roles = {table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader", td: "cell"};
    return el(tag, {role: roles[tag], ...attributes}, ...children);
}
