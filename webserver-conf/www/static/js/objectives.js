/**
 * objectives.js - what a model's numbers mean, by XGBoost's name of its objective
 *
 * @typedef {{answer: string, margin: string, output: (i: number) => string, kind: "value" | "probability" | "classes" | "class"}} Meaning
 */

const LOG_ODDS = "Contributions are in log-odds, before they become a probability.";
const LOGARITHM = "Contributions are to the logarithm of the prediction.";
const SCORES = "Contributions are to a class’s score, before the scores become probabilities.";
const PLAIN = "Base and contributions add up to the prediction.";

/** @type {Record<string, [string, string]>} */
const KNOWN = {
    "binary:logistic": ["the probability of class 1", LOG_ODDS],
    "binary:logitraw": ["the log-odds of class 1", PLAIN],
    "binary:hinge": ["the class, 0 or 1", "Contributions are to the margin; above 0 the class is 1."],
    "reg:logistic": ["a share between 0 and 1", LOG_ODDS],
    "count:poisson": ["the expected count", LOGARITHM],
    "reg:gamma": ["the expected value", LOGARITHM],
    "reg:tweedie": ["the expected value", LOGARITHM],
    "survival:cox": ["the hazard ratio", LOGARITHM],
    "survival:aft": ["the expected time", LOGARITHM],
    "multi:softprob": ["each class’s probability", SCORES],
    "multi:softmax": ["the class", "Contributions are to a class’s score; the highest score names the class."],
};

/** @param {string} objective @param {number} outputs @returns {Meaning} */
export function meaningOf(objective, outputs) {
    const [answer, margin] = KNOWN[objective] ?? [objective.startsWith("rank:") ? "a score: higher ranks first" : "the target’s value", PLAIN];
    const multi = objective.startsWith("multi:");
    const kind = objective === "multi:softprob" ? "classes" : objective === "multi:softmax" ? "class" :
        objective === "binary:logistic" ? "probability" : "value";
    return {answer: outputs > 1 && !multi ? "one value for each target" : answer, margin, kind, output: (i) => `${multi ? "class" : "output"} ${i}`};
}
