// Accounts: the contract of linkAccount, unlinkAccount, getAccount and getUserByAccount.

import assert from "node:assert/strict";

import { newAccount, newAuthenticator, newSession, newUser, onEachStore, race, rejects, times } from "./stores.mjs";

const FULL = {
    type: "oidc",
    access_token: "access",
    refresh_token: "refresh",
    id_token: "id",
    expires_at: 1_700_000_000,
    token_type: "bearer",
    scope: "openid email",
    session_state: "state",
};

onEachStore("an account comes back as it was given", async (auth) => {
    await auth.createUser(newUser("ada"));
    const linked = await auth.linkAccount(newAccount("ada", "1", FULL));
    assert.deepEqual(linked, { ...newAccount("ada", "1", FULL), id: linked.id });
    assert.deepEqual(await auth.getAccount("1", "github"), linked);
    assert.equal((await auth.getUserByAccount({ provider: "github", providerAccountId: "1" })).id, "ada");
});

onEachStore("an account keeps its id, and has no field that was not given", async (auth) => {
    await auth.createUser(newUser("ada"));
    const account = newAccount("ada", "1", { id: "account-1" });
    assert.deepEqual(await auth.linkAccount({ ...account, scope: null, expires_at: undefined }), account);
    await rejects(auth.linkAccount(newAccount("ada", "2", { id: "account-1" })), "CONFLICT_ACCOUNT_ID");
});

onEachStore("each type of account is kept, and no other", async (auth) => {
    await auth.createUser(newUser("ada"));
    for (const type of ["oauth", "oidc", "email", "webauthn"]) {
        assert.equal((await auth.linkAccount(newAccount("ada", type, { type }))).type, type);
    }
    await rejects(auth.linkAccount(newAccount("ada", "saml", { type: "saml" })), "INVALID_ARGUMENT", "type");
});

onEachStore("a number is its decimal text", async (auth) => {
    await auth.createUser(newUser("ada"));
    assert.equal((await auth.linkAccount(newAccount("ada", 583_231))).providerAccountId, "583231");
    for (const providerAccountId of [583_231, "583231"]) {
        assert.equal((await auth.getUserByAccount({ provider: "github", providerAccountId })).id, "ada");
        assert.equal((await auth.getAccount(providerAccountId, "github")).userId, "ada");
        await rejects(auth.linkAccount(newAccount("ada", providerAccountId)), "CONFLICT_ACCOUNT");
    }
    assert.equal((await auth.linkAccount(newAccount("ada", -0))).providerAccountId, "0");
    assert.ok(await auth.unlinkAccount({ provider: "github", providerAccountId: 0 }));
    for (const odd of [1.5, 2 ** 53, 1e21, Number.NaN, 1n, null, undefined, true, {}]) {
        await rejects(auth.linkAccount(newAccount("ada", odd)), "INVALID_ARGUMENT", "providerAccountId");
        await rejects(auth.getAccount(odd, "github"), "INVALID_ARGUMENT", "providerAccountId");
    }
});

onEachStore("the pair is compared part by part", async (auth) => {
    await auth.createUser(newUser("ada"));
    const pairs = [
        ["a", "b:c"],
        ["a:b", "c"],
        ["a\0b", "c"],
        ["a", "b\0c"],
        ["A", "b:c"],
        ["__proto__", "constructor"],
    ];
    for (const [provider, id] of pairs) await auth.linkAccount(newAccount("ada", id, { provider }));
    for (const [provider, id] of pairs) {
        const account = await auth.getAccount(id, provider);
        assert.deepEqual([account.provider, account.providerAccountId], [provider, id]);
    }
    assert.equal(await auth.getAccount("a", "b:c"), null);
});

onEachStore("a pair is linked once, be it to the same user", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createUser(newUser("eve"));
    await auth.linkAccount(newAccount("ada", "1"));
    await rejects(auth.linkAccount(newAccount("ada", "1")), "CONFLICT_ACCOUNT");
    await rejects(auth.linkAccount(newAccount("eve", "1")), "CONFLICT_ACCOUNT");
    await rejects(auth.linkAccount(newAccount("nobody", "2")), "UNKNOWN_USER");
    assert.equal(await auth.getAccount("2", "github"), null);
});

onEachStore("unlinking removes one account and no session", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.createSession(newSession("a-secret", "ada"));
    await auth.linkAccount(newAccount("ada", "1"));
    await auth.linkAccount(newAccount("ada", "1", { provider: "gitlab" }));
    const unlinked = await auth.unlinkAccount({ provider: "github", providerAccountId: 1 });
    assert.equal(unlinked.userId, "ada");
    assert.equal(await auth.unlinkAccount({ provider: "github", providerAccountId: "1" }), null);
    assert.ok(await auth.getAccount("1", "gitlab"));
    assert.ok(await auth.getSessionAndUser("a-secret"));
});

onEachStore("unlinking a passkey removes its authenticators", async (auth) => {
    await auth.createUser(newUser("ada"));
    await auth.linkAccount(newAccount("ada", "key", { type: "webauthn", provider: "passkey" }));
    await auth.createAuthenticator(newAuthenticator("key", "ada"));
    await auth.createAuthenticator(newAuthenticator("other", "ada"));
    await auth.unlinkAccount({ provider: "passkey", providerAccountId: "key" });
    assert.equal(await auth.getAuthenticator("key"), null);
    assert.ok(await auth.getAuthenticator("other"));
});

onEachStore("of many links of one pair one wins", async (auth) => {
    for (const id of ["ada", "eve"]) await auth.createUser(newUser(id));
    const { values, codes } = await race(
        times((place) => auth.linkAccount(newAccount(place % 2 ? "ada" : "eve", "1"))),
    );
    assert.equal(values.length, 1);
    assert.ok(codes.every((code) => code === "CONFLICT_ACCOUNT"));
    assert.deepEqual(await auth.getAccount("1", "github"), values[0]);
});
