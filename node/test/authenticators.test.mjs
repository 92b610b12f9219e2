// Authenticators: the contract of createAuthenticator, getAuthenticator, listAuthenticatorsByUserId and
// updateAuthenticatorCounter.

import assert from "node:assert/strict";

import { newAuthenticator, newUser, onEachStore, race, rejects, times } from "./stores.mjs";

onEachStore("an authenticator comes back as it was given", async (auth) => {
    await auth.createUser(newUser("ada"));
    const full = newAuthenticator("key", "ada", { transports: "internal,usb", counter: 4_294_967_295 });
    assert.deepEqual(await auth.createAuthenticator(full), full);
    assert.deepEqual(await auth.getAuthenticator("key"), full);
    const short = newAuthenticator("other", "ada", { credentialBackedUp: false });
    assert.deepEqual(await auth.createAuthenticator({ ...short, transports: null }), short);
    assert.equal(await auth.getAuthenticator("KEY"), null);
});

onEachStore("transports that cannot be stored are left out and counted", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    const given = ["x".repeat(70_000), "é".repeat(40_000), "\ud800", ["usb"], 7, new Map(), () => "usb"];
    for (const [number, transports] of given.entries()) {
        const key = newAuthenticator(`key ${number}`, "ada");
        assert.deepEqual(await auth.createAuthenticator({ ...key, transports }), key);
        assert.deepEqual(await auth.getAuthenticator(`key ${number}`), key);
        assert.equal((await store.stats()).cleanedFields, number + 1);
    }
    const throwing = Object.defineProperty(newAuthenticator("key", "ada"), "transports", {
        enumerable: true,
        get: () => assert.fail(),
    });
    assert.deepEqual(await auth.createAuthenticator(throwing), newAuthenticator("key", "ada"));
    // What a sign-in needs is refused as before, and nothing is counted.
    const bad = { ...newAuthenticator("other", "ada", { counter: -1 }), transports: 7 };
    await rejects(auth.createAuthenticator(bad), "INVALID_ARGUMENT", "counter");
    assert.equal((await store.stats()).cleanedFields, given.length + 1);
});

onEachStore("a credential belongs to one user, who exists", async (auth) => {
    for (const id of ["ada", "eve"]) await auth.createUser(newUser(id));
    await auth.createAuthenticator(newAuthenticator("key", "ada"));
    await rejects(auth.createAuthenticator(newAuthenticator("key", "eve")), "CONFLICT_CREDENTIAL_ID");
    await rejects(auth.createAuthenticator(newAuthenticator("other", "nobody")), "UNKNOWN_USER");
    assert.equal((await auth.getAuthenticator("key")).userId, "ada");
    assert.equal(await auth.getAuthenticator("other"), null);
});

onEachStore("a list has exactly the authenticators of a user", async (auth) => {
    for (const id of ["ada", "eve", "bob"]) await auth.createUser(newUser(id));
    for (const id of ["a", "b", "c"]) await auth.createAuthenticator(newAuthenticator(id, "ada"));
    await auth.createAuthenticator(newAuthenticator("d", "eve"));
    const list = await auth.listAuthenticatorsByUserId("ada");
    assert.deepEqual(
        list,
        ["a", "b", "c"].map((id) => newAuthenticator(id, "ada")),
    );
    assert.deepEqual(await auth.listAuthenticatorsByUserId("bob"), []);
    assert.deepEqual(await auth.listAuthenticatorsByUserId("nobody"), []);
});

onEachStore("a counter is set, and only on a credential that is known", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createAuthenticator(newAuthenticator("key", "ada"));
    assert.deepEqual(await auth.updateAuthenticatorCounter("key", 7), newAuthenticator("key", "ada", { counter: 7 }));
    await rejects(auth.updateAuthenticatorCounter("unknown", 7), "UNKNOWN_CREDENTIAL");
    for (const counter of [-1, 1.5, 2 ** 32, Number.NaN, "7", null, undefined, 7n]) {
        await rejects(auth.updateAuthenticatorCounter("key", counter), "INVALID_ARGUMENT", "counter");
        await rejects(
            auth.createAuthenticator(newAuthenticator("o", "ada", { counter })),
            "INVALID_ARGUMENT",
            "counter",
        );
    }
    assert.equal((await auth.getAuthenticator("key")).counter, 7);
});

onEachStore("a counter never goes back", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createAuthenticator(newAuthenticator("key", "ada"));
    for (const counter of [0, 300, 4_294_967_295]) {
        const counted = await auth.updateAuthenticatorCounter("key", counter);
        assert.equal(counted.counter, counter);
        for (const lower of [counter - 1, 7, 0].filter((lower) => lower >= 0 && lower < counter)) {
            await rejects(auth.updateAuthenticatorCounter("key", lower), "INVALID_ARGUMENT", "counter");
        }
        assert.deepEqual(await auth.updateAuthenticatorCounter("key", counter), counted);
        assert.deepEqual(await auth.getAuthenticator("key"), counted);
    }
});

onEachStore("of many assertions with one counter one wins", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    await auth.createAuthenticator(newAuthenticator("key", "ada"));
    for (let counter = 0; counter < 4; counter += 1) {
        const { values, codes } = await race(times(() => store.advanceCounter("key", counter, counter + 1)));
        assert.deepEqual([values.filter(Boolean).length, codes], [1, []]);
    }
    for (const [from, to] of [[4, 4], [4, 3], [5, 6], [0, 0]]) {
        assert.equal(await store.advanceCounter("key", from, to), false);
    }
    assert.equal((await auth.getAuthenticator("key")).counter, 4);
    await auth.createAuthenticator(newAuthenticator("does not count", "ada"));
    assert.equal(await store.advanceCounter("does not count", 0, 0), true);
    await rejects(store.advanceCounter("unknown", 0, 1), "UNKNOWN_CREDENTIAL");
    await rejects(store.advanceCounter("key", -1, 1), "INVALID_ARGUMENT", "from");
});

onEachStore("an authenticator has no own fields", async (auth) => {
    await auth.createUser(newUser("ada"));
    const nicknamed = newAuthenticator("key", "ada", { nickname: "phone" });
    await rejects(auth.createAuthenticator(nicknamed), "INVALID_ARGUMENT", "nickname");
});

onEachStore("of many registrations of one credential one wins", async (auth) => {
    await auth.createUser(newUser("ada"));
    const { values, codes } = await race(times(() => auth.createAuthenticator(newAuthenticator("key", "ada"))));
    assert.equal(values.length, 1);
    assert.ok(codes.every((code) => code === "CONFLICT_CREDENTIAL_ID"));
});
