// The adapter: a plain object with the 19 functions that Auth.js calls.

"use strict";

const { call } = require("./calls.js");
const { key, keyOf, part, providerAccountId, record } = require("./encode.js");
const { invalid } = require("./errors.js");

/** All functions are `async`, so that what they throw rejects; they know their store without `this`. */
function adapterOf(store) {
    return {
        async createUser(user) {
            return call(store, "createUser", record(user, "user"));
        },
        async getUser(id) {
            return call(store, "getUser", key(id, "id"));
        },
        async getUserByEmail(email) {
            return call(store, "getUserByEmail", key(email, "email"));
        },
        async getUserByAccount(account) {
            return call(store, "getUserByAccount", accountKey(account));
        },
        async updateUser(user) {
            return call(store, "updateUser", record(user, "user"));
        },
        async deleteUser(id) {
            return call(store, "deleteUser", key(id, "id"));
        },
        async linkAccount(account) {
            return call(store, "linkAccount", record(account, "account"));
        },
        async unlinkAccount(account) {
            return call(store, "unlinkAccount", accountKey(account));
        },
        async getAccount(id, provider) {
            const account = { provider: key(provider, "provider"), providerAccountId: providerAccountId(id) };
            return call(store, "getAccount", JSON.stringify(account));
        },
        async createSession(session) {
            return call(store, "createSession", record(session, "session"));
        },
        async getSessionAndUser(sessionToken) {
            return call(store, "getSessionAndUser", key(sessionToken, "sessionToken"));
        },
        async updateSession(session) {
            return call(store, "updateSession", record(session, "session"));
        },
        async deleteSession(sessionToken) {
            return call(store, "deleteSession", key(sessionToken, "sessionToken"));
        },
        async createVerificationToken(token) {
            return call(store, "createVerificationToken", record(token, "verificationToken"));
        },
        async useVerificationToken(token) {
            const identifier = part(token, "identifier", "verificationToken");
            const known = identifier === undefined ? null : key(identifier, "identifier");
            return call(store, "useVerificationToken", known, keyOf(token, "token", "verificationToken"));
        },
        async createAuthenticator(authenticator) {
            return call(store, "createAuthenticator", record(authenticator, "authenticator"));
        },
        async getAuthenticator(credentialID) {
            return call(store, "getAuthenticator", key(credentialID, "credentialID"));
        },
        async listAuthenticatorsByUserId(userId) {
            return call(store, "listAuthenticatorsByUserId", key(userId, "userId"));
        },
        async updateAuthenticatorCounter(credentialID, counter) {
            return call(
                store,
                "updateAuthenticatorCounter",
                key(credentialID, "credentialID"),
                u32(counter, "counter"),
            );
        },
    };
}

function accountKey(account) {
    return JSON.stringify({
        provider: keyOf(account, "provider", "account"),
        providerAccountId: providerAccountId(part(account, "providerAccountId", "account")),
    });
}

function u32(number, what) {
    if (typeof number !== "number" || number !== number >>> 0)
        throw invalid(what, "must be an integer from 0 to 4294967295");
    return number;
}

module.exports = { adapterOf };
