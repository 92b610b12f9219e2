// Turns what callers pass into JSON text for the addon. A value that does not fit is refused, never changed.

"use strict";

const { isDate, isProxy } = require("node:util/types");

const { invalid } = require("./errors.js");

/** How deeply lists and objects may be nested; the record itself is the first level. */
const DEPTH_MAX = 32;
/** The longest field, in bytes. Less is counted here, namely UTF-16 units; the store counts bytes. */
const FIELD_LENGTH_MAX = 64 << 10;
/** No record that is within the limits has a longer text, even if every character of it is escaped. */
const RECORD_LENGTH_MAX = 4 << 20;
/** The longest key. */
const KEY_LENGTH_MAX = 512;
/** The instants that the store can hold. `Date` has a few more. */
const INSTANT_MS_MIN = -8_334_601_228_800_000;
const INSTANT_MS_MAX = 8_210_266_876_799_999;

/** Longer than any key can be, so that nothing is found by it. */
const NO_KEY = "\0".repeat(KEY_LENGTH_MAX + 1);

/** A record as JSON text, in which a Date is `{"$instant": milliseconds}`. */
function record(value, what) {
    let text = "";
    for (const name of namesOf(plain(value, what), what)) {
        const field = fieldText(name, read(value, name, name));
        if (field === undefined) continue;
        text += `${text && ","}${field}`;
        if (text.length > RECORD_LENGTH_MAX) throw invalid(what, "is longer than the limit of 524288 bytes");
    }
    return `{${text}}`;
}

/** A field of a record as JSON text; undefined if it is absent. */
function fieldText(name, value) {
    if (value === undefined) return undefined;
    const key = string(escaped(name), name, { left: FIELD_LENGTH_MAX });
    return `${key}:${encode(value, name, 1, { left: FIELD_LENGTH_MAX })}`;
}

function encode(value, field, depth, out) {
    switch (typeof value) {
        case "string":
            return string(value, field, out);
        case "boolean":
            return String(value);
        case "number":
            if (!Number.isFinite(value)) throw invalid(field, "must be a finite number");
            spend(out, 1, field);
            return Object.is(value, -0) ? "-0.0" : String(value);
        case "object":
            if (value === null) return "null";
            return isDate(value) ? instant(value, field, out) : nested(value, field, depth + 1, out);
        default:
            throw invalid(field, `must not be ${typeof value === "undefined" ? "undefined" : `a ${typeof value}`}`);
    }
}

function string(text, field, out) {
    spend(out, text.length, field);
    if (!text.isWellFormed()) throw invalid(field, "contains half of a surrogate pair");
    return JSON.stringify(text);
}

function instant(date, field, out) {
    const ms = Date.prototype.getTime.call(date);
    if (!(ms >= INSTANT_MS_MIN && ms <= INSTANT_MS_MAX)) throw invalid(field, "must be a valid Date");
    spend(out, 1, field);
    return `{"$instant":${ms}}`;
}

function nested(value, field, depth, out) {
    if (depth > DEPTH_MAX) throw invalid(field, `is nested more than ${DEPTH_MAX} levels deep`);
    if (isProxy(value)) throw invalid(field, "must not be a Proxy");
    spend(out, 2, field);
    let text = "";
    if (Array.isArray(value)) {
        for (let place = 0; place < value.length; place += 1) {
            const item = read(value, place, field);
            text += `${text && ","}${encode(item, field, depth, out)}`;
            spend(out, 1, field);
        }
        return `[${text}]`;
    }
    if (!isPlain(value)) throw invalid(field, "must not contain instances of classes");
    for (const name of namesOf(value, field)) {
        const item = read(value, name, field);
        if (item === undefined) continue;
        text += `${text && ","}${string(escaped(name), field, out)}:${encode(item, field, depth, out)}`;
    }
    return `{${text}}`;
}

/** The value, which must be an object such as a literal makes. */
function plain(value, what) {
    if (typeof value !== "object" || value === null || !isPlain(value)) throw invalid(what, "must be a plain object");
    return value;
}

/** True if the value is an object such as a literal makes, in this realm or another one. */
function isPlain(value) {
    if (isProxy(value) || Array.isArray(value)) return false;
    const prototype = Object.getPrototypeOf(value);
    return (
        prototype === null || (!isProxy(prototype) && Object.getPrototypeOf(prototype) === null && isRoot(prototype))
    );
}

function isRoot(prototype) {
    return prototype === Object.prototype || Object.hasOwn(prototype, "isPrototypeOf");
}

function namesOf(value, field) {
    const names = Object.keys(value);
    if (names.length > FIELD_LENGTH_MAX) throw invalid(field, "has too many fields");
    return names;
}

/** A property, whose getter may throw anything. */
function read(value, name, field) {
    try {
        return value[name];
    } catch {
        throw invalid(field, "cannot be read: its getter throws");
    }
}

/** A name that looks like that of an instant gets one more `$`. */
function escaped(name) {
    return name.endsWith("$instant") && /^\$+instant$/.test(name) ? `$${name}` : name;
}

function spend(out, length, field) {
    out.left -= length;
    if (out.left < 0) throw invalid(field, "is longer than the limit of 65536 bytes");
}

/** A key to look a record up by. One that no record can have becomes one that finds nothing. */
function key(text, what) {
    if (typeof text !== "string") throw invalid(what, "must be a string");
    return text.length <= KEY_LENGTH_MAX && text.isWellFormed() ? text : NO_KEY;
}

/** A provider's account id to look an account up by. A number stands for its decimal text. */
function providerAccountId(id) {
    if (Number.isSafeInteger(id)) return String(id);
    if (typeof id !== "string") throw invalid("providerAccountId", "must be a string or a safe integer");
    return key(id, "providerAccountId");
}

/** A key that is a field of an argument. */
function keyOf(value, name, what) {
    return key(part(value, name, what), name);
}

/** A field of an argument, which must be an object. */
function part(value, name, what) {
    if (typeof value !== "object" || value === null || isProxy(value)) throw invalid(what, "must be an object");
    return read(value, name, name);
}

function u32(number, what) {
    if (typeof number !== "number" || number !== number >>> 0)
        throw invalid(what, "must be an integer from 0 to 4294967295");
    return number;
}

module.exports = {
    FIELD_LENGTH_MAX,
    fieldText,
    key,
    keyOf,
    part,
    plain,
    providerAccountId,
    read,
    record,
    u32,
};
