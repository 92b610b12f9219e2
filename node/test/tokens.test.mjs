// Verification tokens: the contract of createVerificationToken and useVerificationToken, and looking without taking.

import assert from "node:assert/strict";

import { newToken, onEachStore, past, race, soon, times } from "./stores.mjs";

onEachStore("a token comes back as it was given, with no id, and works once", async (auth) => {
    const token = newToken("ada@example.com", "a-secret");
    assert.deepEqual(await auth.createVerificationToken({ ...token, id: "1" }), token);
    const used = await auth.useVerificationToken({ identifier: "ada@example.com", token: "a-secret" });
    assert.deepEqual(used, token);
    assert.ok(used.expires instanceof Date);
    assert.equal(await auth.useVerificationToken({ identifier: "ada@example.com", token: "a-secret" }), null);
});

onEachStore("both parts must match, and a guess removes nothing", async (auth) => {
    await auth.createVerificationToken(newToken("ada", "one"));
    await auth.createVerificationToken(newToken("ada", "two"));
    await auth.createVerificationToken(newToken("eve", "one"));
    const guesses = [
        ["ada", "guess"],
        ["bob", "one"],
        ["eve", "two"],
        ["", ""],
        ["ADA", "one"],
    ];
    for (const [identifier, token] of guesses) {
        assert.equal(await auth.useVerificationToken({ identifier, token }), null);
    }
    for (const [identifier, token] of [
        ["ada", "one"],
        ["ada", "two"],
        ["eve", "one"],
    ]) {
        assert.equal((await auth.useVerificationToken({ identifier, token })).identifier, identifier);
    }
});

onEachStore("the same pair again replaces", async (auth) => {
    await auth.createVerificationToken(newToken("ada", "one"));
    const newer = newToken("ada", "one", { expires: soon(5_000) });
    await auth.createVerificationToken(newer);
    assert.deepEqual(await auth.useVerificationToken({ identifier: "ada", token: "one" }), newer);
    assert.equal(await auth.useVerificationToken({ identifier: "ada", token: "one" }), null);
});

onEachStore("an expired token is taken with its true expiry", async (auth) => {
    const token = newToken("ada", "one", { expires: past() });
    await auth.createVerificationToken(token);
    assert.deepEqual(await auth.useVerificationToken({ identifier: "ada", token: "one" }), token);
    assert.equal(await auth.useVerificationToken({ identifier: "ada", token: "one" }), null);
});

onEachStore("without an identifier a token is found if only one has it", async (auth) => {
    await auth.createVerificationToken(newToken("ada", "one"));
    await auth.createVerificationToken(newToken("eve", "one"));
    assert.equal(await auth.useVerificationToken({ token: "one" }), null);
    assert.ok(await auth.useVerificationToken({ identifier: "eve", token: "one" }));
    assert.equal((await auth.useVerificationToken({ identifier: undefined, token: "one" })).identifier, "ada");
});

onEachStore("a token is found as often as one looks", async (auth, store) => {
    const token = newToken("ada", "one", { next: "/welcome" });
    await auth.createVerificationToken(token);
    const asked = { identifier: "ada", token: "one" };
    for (let looks = 0; looks < 2; looks += 1) assert.deepEqual(await store.findVerificationToken(asked), token);
    assert.equal(await store.findVerificationToken({ identifier: "eve", token: "one" }), null);
    assert.deepEqual(await auth.useVerificationToken(asked), token);
    assert.equal(await store.findVerificationToken(asked), null);
});

onEachStore("of many uses of one token one gets it", async (auth) => {
    for (const asked of [{ identifier: "ada", token: "one" }, { token: "one" }]) {
        await auth.createVerificationToken(newToken("ada", "one"));
        const { values, codes } = await race(times(() => auth.useVerificationToken(asked)));
        assert.deepEqual(codes, []);
        assert.equal(values.filter((value) => value !== null).length, 1);
    }
});

onEachStore("what has expired is purged", async (auth, store) => {
    await auth.createVerificationToken(newToken("ada", "old", { expires: past() }));
    await auth.createVerificationToken(newToken("ada", "new"));
    assert.deepEqual(await store.purgeExpired(), { sessions: 0, verificationTokens: 1, damaged: 0, more: false });
    assert.deepEqual(await store.purgeExpired(), { sessions: 0, verificationTokens: 0, damaged: 0, more: false });
    assert.ok(await auth.useVerificationToken({ identifier: "ada", token: "new" }));
});
