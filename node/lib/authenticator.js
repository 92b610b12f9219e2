// Creates an authenticator. Auth.js has made the user and linked the account in the steps before, so this one must not
// fail on what a sign-in does not need: the next attempt would find the account without its key, and be refused for ever.

"use strict";

const { call } = require("./calls.js");
const { read, record } = require("./encode.js");

/** How the browser reaches the key: a hint, of any length. */
const HINT = "transports";

/** Calls the addon's `createAuthenticator`, without the transports if they cannot be stored, and counts that. */
async function createAuthenticator(store, authenticator) {
    try {
        return await create(store, authenticator);
    } catch (error) {
        if (error.code !== "INVALID_ARGUMENT" || error.field !== HINT) throw error;
        const created = await create(store, withoutHint(authenticator));
        store.countCleaned(1);
        return created;
    }
}

function create(store, authenticator) {
    return call(store, "createAuthenticator", record(authenticator, "authenticator"));
}

function withoutHint(authenticator) {
    const names = Object.keys(authenticator).filter((name) => name !== HINT);
    return Object.fromEntries(names.map((name) => [name, read(authenticator, name, name)]));
}

module.exports = { createAuthenticator };
