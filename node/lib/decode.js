// Turns the answers of the addon into plain objects.

"use strict";

const { AuthKvError } = require("./errors.js");

/** The value of an answer; throws if the answer is an error. */
function decode(answer) {
    const { ok, error } = JSON.parse(answer);
    if (error !== undefined) throw new AuthKvError(error.code, error.message, error.field);
    return revived(ok);
}

/** The value with Dates in it. Objects and lists are changed in place: nobody else has them. */
function revived(value) {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) {
        for (let place = 0; place < value.length; place += 1) value[place] = revived(value[place]);
        return value;
    }
    let tricky = false;
    for (const name in value) {
        if (name.charCodeAt(0) === 36 && name.endsWith("$instant")) tricky = true;
        // `__proto__` is a property of its own in what JSON.parse returns, so that this changes it and no prototype.
        else if (typeof value[name] === "object") value[name] = revived(value[name]);
    }
    return tricky ? unescaped(value) : value;
}

/** A Date, or an object with fields whose names look like that of one and were escaped. */
function unescaped(value) {
    if (Object.hasOwn(value, "$instant")) return new Date(value.$instant);
    const entries = Object.entries(value);
    return Object.fromEntries(
        entries.map(([name, item]) => (/^\$+instant$/.test(name) ? [name.slice(1), revived(item)] : [name, item])),
    );
}

module.exports = { decode };
