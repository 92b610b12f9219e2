// Arguments: garbage is refused with INVALID_ARGUMENT, changes nothing and harms nobody.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import RedbAdapter, { AuthKvError, open } from "authkv";

import { cyclic, GARBAGE, hostile, revoked, throwing, User } from "./garbage.mjs";
import {
    freshPath,
    newAccount,
    newAuthenticator,
    newSession,
    newToken,
    newUser,
    onEachStore,
    rejects,
    soon,
} from "./stores.mjs";

/** What is no record at all. */
const NO_RECORD = {
    undefined: undefined,
    null: null,
    text: "{}",
    number: 7,
    list: [],
    date: new Date(),
    instance: new User(),
    function: () => {},
    getter: throwing({}),
    proxy: hostile(),
    revoked: revoked(),
    map: new Map(),
    symbol: Symbol("x"),
    cyclic,
};

/** The functions that take a record, with one that they accept. */
const RECORDS = {
    createUser: newUser("new"),
    updateUser: { id: "ada" },
    linkAccount: newAccount("ada", "new"),
    createSession: newSession("new", "ada"),
    updateSession: { sessionToken: "a-secret" },
    createVerificationToken: newToken("ada", "new"),
    createAuthenticator: newAuthenticator("new", "ada"),
};

/** A store with one of everything, and what shows whether it has changed. */
async function filled(auth, store) {
    await auth.createUser(newUser("ada"));
    await auth.createSession(newSession("a-secret", "ada"));
    const { problems, ...counts } = await store.check();
    const everything = JSON.stringify([counts, await auth.getUser("ada"), await auth.getSessionAndUser("a-secret")]);
    return async () => {
        const { problems, ...counts } = await store.check();
        const now = [counts, await auth.getUser("ada"), await auth.getSessionAndUser("a-secret")];
        assert.equal(JSON.stringify(now), everything);
    };
}

onEachStore("no field takes garbage", async (auth, store) => {
    const mustBeUnchanged = await filled(auth, store);
    for (const [method, record] of Object.entries(RECORDS)) {
        for (const [kind, value] of Object.entries(GARBAGE)) {
            // An account needs only what it is found by, and whose it is: see the tests of accounts.
            const others = method === "linkAccount" ? [] : ["own"];
            for (const name of [...others, ...Object.keys(record)]) {
                // A text without a limit of its own in JavaScript is refused by the store, which knows the field.
                const refused = auth[method]({ ...record, [name]: value });
                await rejects(refused, "INVALID_ARGUMENT").catch((error) => {
                    throw new Error(`${method}: ${name}: ${kind}`, { cause: error });
                });
            }
        }
    }
    await mustBeUnchanged();
});

onEachStore("garbage inside of lists and objects is found, and its field is named", async (auth) => {
    for (const value of Object.values(GARBAGE)) {
        for (const inside of [[[value]], { a: { b: value } }, [{ a: [value] }]]) {
            await rejects(auth.createUser({ own: inside }), "INVALID_ARGUMENT", "own");
        }
    }
});

onEachStore("what is no record is refused", async (auth, store) => {
    const mustBeUnchanged = await filled(auth, store);
    const objects = ["getUserByAccount", "unlinkAccount", "useVerificationToken"];
    for (const method of [...Object.keys(RECORDS), ...objects]) {
        for (const value of Object.values(NO_RECORD)) await rejects(auth[method](value), "INVALID_ARGUMENT");
        await rejects(auth[method](), "INVALID_ARGUMENT");
    }
    await mustBeUnchanged();
});

onEachStore("fields of another type are refused and named", async (auth, store) => {
    const mustBeUnchanged = await filled(auth, store);
    const wrong = {
        createUser: { id: 7, name: true, email: ["a"], emailVerified: "2026-11-25T00:00:00.000Z", image: {} },
        updateUser: { id: 7, name: 7, email: {}, emailVerified: 0, image: new Date() },
        linkAccount: { userId: 7, type: 7, provider: null, providerAccountId: {} },
        createSession: { sessionToken: null, userId: {}, expires: "2026-11-25T00:00:00.000Z" },
        updateSession: { sessionToken: 7, userId: 7, expires: 1_700_000_000_000 },
        createVerificationToken: { identifier: null, token: 7, expires: { $instant: 1 } },
        createAuthenticator: {
            credentialID: new Date(),
            credentialPublicKey: 7,
            credentialBackedUp: 1,
        },
    };
    for (const [method, fields] of Object.entries(wrong)) {
        for (const [name, value] of Object.entries(fields)) {
            await rejects(auth[method]({ ...RECORDS[method], [name]: value }), "INVALID_ARGUMENT", name);
        }
    }
    await mustBeUnchanged();
});

onEachStore("fields that must be there are missed and named", async (auth) => {
    await auth.createUser(newUser("ada"));
    const required = {
        updateUser: ["id"],
        linkAccount: ["userId", "type", "provider", "providerAccountId"],
        createSession: ["sessionToken", "userId", "expires"],
        updateSession: ["sessionToken"],
        createVerificationToken: ["identifier", "token", "expires"],
        createAuthenticator: Object.keys(RECORDS.createAuthenticator),
    };
    for (const [method, names] of Object.entries(required)) {
        for (const name of names) {
            await rejects(auth[method]({ ...RECORDS[method], [name]: undefined }), "INVALID_ARGUMENT", name);
        }
    }
});

onEachStore("keys are within the limits", async (auth, store) => {
    const mustBeUnchanged = await filled(auth, store);
    const keys = {
        createUser: ["id"],
        linkAccount: ["userId", "provider", "providerAccountId"],
        createSession: ["sessionToken", "userId"],
        createVerificationToken: ["identifier", "token"],
        createAuthenticator: ["credentialID", "userId", "providerAccountId"],
    };
    for (const [method, names] of Object.entries(keys)) {
        for (const name of names) {
            for (const text of ["", "é".repeat(257), "x".repeat(70_000)]) {
                await rejects(auth[method]({ ...RECORDS[method], [name]: text }), "INVALID_ARGUMENT", name);
            }
        }
    }
    // An empty address of a new user counts as absent.
    for (const email of ["é".repeat(257), "x".repeat(70_000)]) {
        await rejects(auth.createUser({ email }), "INVALID_ARGUMENT", "email");
    }
    await mustBeUnchanged();
    const longest = "é".repeat(256);
    assert.equal((await auth.createUser({ id: longest, email: longest })).id, longest);
    assert.equal((await auth.getUserByEmail(longest)).id, longest);
});

onEachStore("a lookup takes any text and finds nothing by it, and nothing else", async (auth) => {
    await auth.createUser(newUser("\ufffd", { email: "\ufffd" }));
    await auth.createSession(newSession("\ufffd", "\ufffd"));
    await auth.createVerificationToken(newToken("\ufffd", "\ufffd"));
    const texts = [
        "",
        "\0",
        "\ud800",
        "\udc00x",
        "__proto__",
        "constructor",
        "x".repeat(5_000_000),
        "\0".repeat(513),
        "👩‍🚀",
    ];
    const lookups = [
        "getUser",
        "getUserByEmail",
        "deleteUser",
        "getSessionAndUser",
        "deleteSession",
        "getAuthenticator",
    ];
    for (const text of texts) {
        for (const method of lookups) assert.equal(await auth[method](text), null, method);
        assert.deepEqual(await auth.listAuthenticatorsByUserId(text), []);
        assert.equal(await auth.getAccount(text, text), null);
        assert.equal(await auth.getUserByAccount({ provider: text, providerAccountId: text }), null);
        assert.equal(await auth.unlinkAccount({ provider: text, providerAccountId: text }), null);
        assert.equal(await auth.useVerificationToken({ identifier: text, token: "\ufffd" }), null);
        assert.equal(await auth.useVerificationToken({ identifier: "\ufffd", token: text }), null);
        assert.equal(await auth.useVerificationToken({ token: text }), null);
        await rejects(auth.updateAuthenticatorCounter(text, 1), "UNKNOWN_CREDENTIAL");
    }
    for (const value of [undefined, null, 7, {}, [], new String("x"), Symbol("x"), 1n, hostile(), () => {}]) {
        for (const method of [...lookups, "listAuthenticatorsByUserId"]) {
            await rejects(auth[method](value), "INVALID_ARGUMENT");
        }
        await rejects(auth.updateAuthenticatorCounter(value, 1), "INVALID_ARGUMENT", "credentialID");
        await rejects(auth.getAccount("1", value), "INVALID_ARGUMENT", "provider");
        await rejects(auth.useVerificationToken({ identifier: "a", token: value }), "INVALID_ARGUMENT", "token");
    }
    await rejects(auth.useVerificationToken({ identifier: null, token: "a" }), "INVALID_ARGUMENT", "identifier");
});

onEachStore("objects of another realm and without a prototype are records too", async (auth) => {
    const foreign = runInNewContext(
        '({ id: "ada", emailVerified: new Date(5), tags: ["a"], more: { born: new Date(6) } })',
    );
    const expected = { id: "ada", emailVerified: new Date(5), tags: ["a"], more: { born: new Date(6) } };
    assert.deepEqual(await auth.createUser(foreign), expected);
    const bare = Object.assign(Object.create(null), { id: "eve", own: Object.create(null) });
    assert.deepEqual(await auth.createUser(bare), { id: "eve", own: {} });
});

onEachStore("a getter is read once, and a Date is read as one whatever it says", async (auth) => {
    let reads = 0;
    const record = {
        id: "ada",
        get own() {
            reads += 1;
            return reads;
        },
    };
    assert.equal((await auth.createUser(record)).own, 1);
    const born = Object.assign(new Date(5), { getTime: () => 7, toJSON: () => "x", valueOf: () => 9 });
    assert.deepEqual((await auth.createUser({ born })).born, new Date(5));
});

onEachStore("an error shows no secret and not all of a long name", async (auth) => {
    await auth.createUser(newUser("ada"));
    const secret = "s3cret@example.com";
    const calls = [
        () => auth.createUser({ id: "ada", email: secret }),
        () => auth.updateUser({ id: secret, name: secret }),
        () => auth.createSession({ sessionToken: secret, userId: secret, expires: soon() }),
        () => auth.createUser({ email: `${secret}${"x".repeat(600)}` }),
        () => auth.createUser({ own: [secret, Number.NaN] }),
        () => auth.linkAccount(newAccount(secret, secret, { access_token: secret })),
    ];
    for (const call of calls) {
        const error = await call().then(assert.fail, (error) => error);
        assert.ok(error instanceof AuthKvError && error instanceof Error);
        assert.equal(error.name, "AuthKvError");
        assert.ok(!`${error.message}${error.field}`.includes("s3cret"), error.message);
    }
    const long = await auth.createUser({ ["n".repeat(50_000)]: Number.NaN }).then(assert.fail, (error) => error);
    assert.ok(long.message.length < 200);
});

test("paths and options that are none are refused and named", async (t) => {
    const path = freshPath(t);
    for (const value of [
        undefined,
        null,
        "",
        7,
        {},
        [],
        "a\0b",
        "\ud800",
        hostile(),
        new URL("https://example.com/a"),
        Symbol("x"),
    ]) {
        assert.throws(() => RedbAdapter(value), { code: "INVALID_ARGUMENT", field: "path" });
        await rejects(open(value), "INVALID_ARGUMENT", "path");
    }
    const wrong = {
        synchronize: "yes",
        verify: 1,
        secureDelete: "yes",
        durability: "none",
        emailMatching: true,
        cacheBytes: -1,
        cache_bytes: 1,
        __clock: 1,
    };
    for (const [name, value] of Object.entries(wrong)) {
        assert.throws(() => RedbAdapter(path, { [name]: value }), { code: "INVALID_ARGUMENT", field: name });
        assert.throws(() => RedbAdapter.inMemory({ [name]: value }), { code: "INVALID_ARGUMENT", field: name });
        await rejects(open(path, { [name]: value }), "INVALID_ARGUMENT", name);
    }
    for (const value of [null, 7, "full", [], hostile()])
        await rejects(open(path, value), "INVALID_ARGUMENT", "options");
});
