// The adapter: a plain object with the 19 functions that Auth.js calls.

"use strict";

const { linkAccount } = require("./account.js");
const { createAuthenticator } = require("./authenticator.js");
const { call } = require("./calls.js");
const { key, keyOf, part, providerAccountId, record, u32 } = require("./encode.js");

/** The functions by their names: what each takes, and what the addon's function of this name gets for it. */
const FUNCTIONS = {
    createUser: (user) => [record(user, "user")],
    getUser: (id) => [key(id, "id")],
    getUserByEmail: (email) => [key(email, "email")],
    getUserByAccount: (account) => [accountKeyOf(account)],
    updateUser: (user) => [record(user, "user")],
    deleteUser: (id) => [key(id, "id")],
    linkAccount: null, // made below
    unlinkAccount: (account) => [accountKeyOf(account)],
    getAccount: (id, provider) => [accountKey(key(provider, "provider"), id)],
    createSession: (session) => [record(session, "session")],
    getSessionAndUser: (sessionToken) => [key(sessionToken, "sessionToken")],
    updateSession: (session) => [record(session, "session")],
    deleteSession: (sessionToken) => [key(sessionToken, "sessionToken")],
    createVerificationToken: (token) => [record(token, "verificationToken")],
    useVerificationToken: (token) => [identifierOf(token), keyOf(token, "token", "verificationToken")],
    createAuthenticator: null, // made below
    getAuthenticator: (credentialID) => [key(credentialID, "credentialID")],
    listAuthenticatorsByUserId: (userId) => [key(userId, "userId")],
    updateAuthenticatorCounter: (credentialID, counter) => [key(credentialID, "credentialID"), u32(counter, "counter")],
};

function adapterOf(store) {
    const functions = Object.entries(FUNCTIONS).map(([name, encode]) => [name, encode && bound(store, name, encode)]);
    // Assigned, so that it stays in its place.
    return Object.assign(Object.fromEntries(functions), {
        linkAccount: (account) => linkAccount(store, account),
        createAuthenticator: (authenticator) => createAuthenticator(store, authenticator),
    });
}

/** One function of an adapter. It is `async`, so that what it throws rejects, and needs no `this`. */
function bound(store, name, encode) {
    const { [name]: method } = {
        async [name](...args) {
            return call(store, name, ...encode(...args));
        },
    };
    return Object.defineProperty(method, "length", { value: encode.length });
}

function accountKeyOf(account) {
    return accountKey(keyOf(account, "provider", "account"), part(account, "providerAccountId", "account"));
}

function accountKey(provider, id) {
    return JSON.stringify({ provider, providerAccountId: providerAccountId(id) });
}

/** None in a call that names only the token. */
function identifierOf(token) {
    const identifier = part(token, "identifier", "verificationToken");
    return identifier === undefined ? null : key(identifier, "identifier");
}

module.exports = { adapterOf };
