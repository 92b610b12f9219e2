// Opening a store, and the handle on it.

"use strict";

const { fileURLToPath } = require("node:url");
const { isProxy } = require("node:util/types");

const native = require("./native.js");
const { adapterOf } = require("./adapter.js");
const { answers, call } = require("./calls.js");
const { decode } = require("./decode.js");
const { key, keyOf, part, record, u32 } = require("./encode.js");
const { invalid } = require("./errors.js");

const MEMORY = ":memory:";
/** How many sessions a page has at most. */
const PAGE_MAX = 1_000;

/** Marks the stores of every copy of this package. */
const IS_STORE = Symbol.for("authkv.Store");

/** A handle on a store that is open. */
class Store {
    #native;
    /** The functions that Auth.js calls. */
    adapter;

    get [IS_STORE]() {
        return true;
    }

    constructor(opened) {
        this.#native = opened;
        this.adapter = adapterOf(opened);
    }

    /** Reads a verification token without using it up. */
    async findVerificationToken(token) {
        const identifier = keyOf(token, "identifier", "verificationToken");
        return call(this.#native, "findVerificationToken", identifier, keyOf(token, "token", "verificationToken"));
    }

    /** A page of the valid sessions of a user, without their tokens. */
    async listSessions(userId, options = {}) {
        const after = part(options, "after", "options") ?? null;
        if (after !== null && typeof after !== "string") throw invalid("after", "must be a string");
        const limit = part(options, "limit", "options") ?? PAGE_MAX;
        return call(this.#native, "listSessions", key(userId, "userId"), after, u32(limit, "limit"));
    }

    /** Moves an authenticator's counter; true to one caller. */
    async advanceCounter(credentialID, from, to) {
        const id = key(credentialID, "credentialID");
        return call(this.#native, "advanceCounter", id, u32(from, "from"), u32(to, "to"));
    }

    /** Ends a session by its id. */
    async endSession(userId, id) {
        return call(this.#native, "endSession", key(userId, "userId"), key(id, "id"));
    }

    /** Ends the sessions of a user, all but one if its id is given. */
    async endSessions(userId, except) {
        const kept = except === undefined ? null : key(except, "except");
        return call(this.#native, "endSessions", key(userId, "userId"), kept);
    }

    async purgeExpired() {
        return call(this.#native, "purgeExpired");
    }

    /** Counters since the store was opened in this process. */
    async stats() {
        return call(this.#native, "stats");
    }

    async synchronize() {
        await call(this.#native, "synchronize");
    }

    async check() {
        return decode(await this.#native.check());
    }

    async close() {
        decode(await this.#native.close());
    }
}

/** The default export: the adapter on a file, which it opens before it returns, or on a store that is open. */
function RedbAdapter(pathOrStore, options) {
    if (isStore(pathOrStore)) {
        if (options !== undefined) throw invalid("options", "belong to the call that opens the store");
        return pathOrStore.adapter;
    }
    return adapterOf(opened(native.open(pathOf(pathOrStore), optionsOf(options), answers)));
}

function isStore(value) {
    return typeof value === "object" && value !== null && !isProxy(value) && value[IS_STORE] === true;
}

/** The adapter on a new store in memory. */
RedbAdapter.inMemory = function inMemory(options) {
    return RedbAdapter(MEMORY, options);
};

/** Opens a store without holding up the JavaScript thread. */
async function open(path, options) {
    return new Store(opened(await native.openLater(pathOf(path), optionsOf(options), answers)));
}

/** The addon's store; throws if the addon returned an error instead. */
function opened(storeOrError) {
    return typeof storeOrError === "string" ? decode(storeOrError) : storeOrError;
}

/** The path as the addon takes it: null for a store in memory. */
function pathOf(path) {
    const text = !isProxy(path) && path instanceof URL ? ofUrl(path) : path;
    if (typeof text !== "string" || text === "" || text.includes("\0") || !text.isWellFormed()) {
        throw invalid("path", "must be the path of a file");
    }
    return text === MEMORY ? null : text;
}

function ofUrl(url) {
    try {
        return fileURLToPath(url);
    } catch {
        throw invalid("path", "must be the path of a file, or a file URL");
    }
}

function optionsOf(options) {
    return options === undefined ? "{}" : record(options, "options");
}

module.exports = { RedbAdapter, Store, open };
