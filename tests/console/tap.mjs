/**
 * tap.mjs - tests one after the other, as TAP: a name that is a sentence, a time limit, and why it failed
 *
 * @typedef {{name: string, run: () => Promise<void | string>}} Test a string is the reason why it is skipped
 */

const LIMIT_MS = 30_000;

/** @type {Test[]} */
const tests = [];

/** @param {string} name @param {() => Promise<void | string>} run */
export function test(name, run) {
    tests.push({name, run});
}

/** Runs what was given to test(), all of it or those whose name holds the words. @param {string} [words] @returns {Promise<number>} how many failed */
export async function runAll(words = "") {
    const chosen = tests.filter(({name}) => name.includes(words));
    console.log(`1..${chosen.length}`);
    let failed = 0;
    for (const [i, {name, run}] of chosen.entries()) {
        try {
            const skipped = await limited(run());
            console.log(`ok ${i + 1} - ${name}${skipped ? ` # SKIP ${skipped}` : ""}`);
        } catch (error) {
            failed++;
            console.log(`not ok ${i + 1} - ${name}`);
            const why = error instanceof Error ? error.stack ?? error.message : String(error);
            console.log(why.split("\n").map((line) => `# ${line}`).join("\n"));
        }
    }
    return failed;
}

/** @template T @param {Promise<T>} promise @returns {Promise<T>} */
async function limited(promise) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`took longer than ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    });
    try {
        return await Promise.race([promise, /** @type {Promise<never>} */ (late)]);
    } finally {
        clearTimeout(timer);
    }
}
