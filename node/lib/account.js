// Links an account. Auth.js has made the user a step before, and passes on what the provider sent: a sign-in must not
// fail on what it does not need, for the next one would find the user without this account and be refused for ever.

"use strict";

const { Buffer } = require("node:buffer");

const { call } = require("./calls.js");
const { FIELD_LENGTH_MAX, fieldText, plain, read } = require("./encode.js");

/** What an account is found by, and whose it is: stored as it was given, or refused. */
const NEEDED = new Set(["userId", "type", "provider", "providerAccountId"]);

/** The other fields of Auth.js: a value of the right type, or undefined to leave it out. */
const CLEANED = new Map([
    ["id", textOf],
    ["access_token", textOf],
    ["refresh_token", textOf],
    ["id_token", textOf],
    ["expires_at", secondsOf],
    ["token_type", textOf],
    ["scope", scopeOf],
    ["session_state", textOf],
]);

/** How many bytes of JSON text surely fit into a record. */
const RECORD_BYTES_MAX = (512 << 10) - 1024;

/** Calls the addon's `linkAccount` with what can be stored of an account, and counts what was left out or changed. */
async function linkAccount(store, account) {
    const { fields, cleaned } = fieldsOf(plain(account, "account"));
    for (let count = cleaned; ; count += 1) {
        try {
            const linked = await call(store, "linkAccount", `{${[...fields.values()].join()}}`);
            if (count > 0) store.countCleaned(count);
            return linked;
        } catch (error) {
            // The store names what it cannot store, such as a text that is too long in bytes.
            if (!fields.delete(notNeeded(error, fields))) throw error;
        }
    }
}

/** The fields that can be stored, as JSON text by name, and how many others there are. */
function fieldsOf(account) {
    const fields = new Map();
    let [cleaned, bytes] = [0, 0];
    for (const name of namesOf(account)) {
        const { text, isChanged } = NEEDED.has(name) ? needed(account, name) : storable(account, name);
        const fits = text !== undefined && (!isOwn(name) || bytes + Buffer.byteLength(text) < RECORD_BYTES_MAX);
        if (fits) {
            fields.set(name, text);
            bytes += Buffer.byteLength(text) + 1;
        }
        if (isChanged || (text !== undefined && !fits)) cleaned += 1;
    }
    return { fields, cleaned };
}

/** The names of the fields. Own ones come last: they get what room the others leave. */
function namesOf(account) {
    const names = Object.keys(account);
    return [...names.filter((name) => !isOwn(name)), ...names.filter(isOwn)];
}

function isOwn(name) {
    return !NEEDED.has(name) && !CLEANED.has(name);
}

function needed(account, name) {
    return { text: fieldText(name, read(account, name, name)), isChanged: false };
}

/** What can be stored of a field: no text if it is absent or left out. */
function storable(account, name) {
    try {
        const value = read(account, name, name);
        const kept = value === undefined || value === null ? value : (CLEANED.get(name) ?? same)(value);
        // A field without a name cannot be stored.
        if (name === "") return { text: undefined, isChanged: kept !== undefined };
        return { text: fieldText(name, kept), isChanged: !Object.is(kept, value) };
    } catch {
        return { text: undefined, isChanged: true };
    }
}

const same = (value) => value;

function textOf(value) {
    return typeof value === "string" ? value : undefined;
}

/** Whole seconds. */
function secondsOf(value) {
    const seconds = typeof value === "number" ? Math.floor(value) : undefined;
    return Number.isSafeInteger(seconds) ? seconds : undefined;
}

/** A list of scopes as the text that OAuth has for it. */
function scopeOf(value) {
    if (!Array.isArray(value)) return textOf(value);
    if (value.length > FIELD_LENGTH_MAX) return undefined;
    const scopes = Array.from({ length: value.length }, (_, place) => read(value, place, "scope"));
    return scopes.filter((scope) => typeof scope === "string").join(" ");
}

/** The field without which the store may take the account that it has just refused. */
function notNeeded({ code, field }, fields) {
    if (code === "CONFLICT_ACCOUNT_ID") return "id";
    if (code !== "INVALID_ARGUMENT" || NEEDED.has(field)) return undefined;
    return fields.has(field) ? field : longestOwn(fields);
}

/** What to leave out of a record that was refused as a whole. */
function longestOwn(fields) {
    const own = [...fields].filter(([name]) => isOwn(name));
    const [longest] = own.sort(([, left], [, right]) => right.length - left.length);
    return longest?.[0];
}

module.exports = { linkAccount };
