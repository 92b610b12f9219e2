// Accounts: the contract of linkAccount, unlinkAccount, getAccount and getUserByAccount.

import assert from "node:assert/strict";

import { GARBAGE } from "./garbage.mjs";
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
});

/** Values of fields that a sign-in does not need, with what becomes of each: undefined if it is left out. */
const CLEANED = [
    ["expires_at", 1_700_000_000.9, 1_700_000_000],
    ["expires_at", -0.5, -1],
    ["expires_at", 2 ** 53],
    ["expires_at", Number.MAX_VALUE],
    ["expires_at", "1700000000"],
    ["scope", ["openid", "email"], "openid email"],
    ["scope", ["openid", 7, , undefined, "email"], "openid email"],
    ["scope", ["x".repeat(65_537)]],
    ["scope", ["\ud800"]],
    ["scope", { openid: true }],
    ["scope", new Array(4_000_000_000)],
    ...["access_token", "refresh_token", "id_token", "token_type", "session_state"].flatMap((name) => [
        [name, "x".repeat(65_537)],
        [name, "é".repeat(32_769)],
        [name, "\udc00"],
        [name, 7],
        [name, ["a"]],
        [name, {}],
    ]),
    ["own", "é".repeat(32_768)],
    ["own", "\ud800"],
    ["\ud800", 1],
    ["", 1],
    ["", null],
    ["x".repeat(65_537), 1],
];

onEachStore("what a sign-in does not need never keeps an account from being linked", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    const garbage = ["own", "expires_at", "scope", "id_token"].flatMap((name) =>
        Object.values(GARBAGE).map((value) => [name, value]),
    );
    // Lists of scopes, of which the texts count.
    const lists = [GARBAGE.hole, GARBAGE.undefinedItem, GARBAGE.cyclicList, GARBAGE.explosive];
    const cases = [...CLEANED, ...garbage.filter(([name, value]) => name !== "scope" || !lists.includes(value))];
    for (const [place, [name, value, kept]] of cases.entries()) {
        const before = (await store.stats()).cleanedFields;
        const account = newAccount("ada", `${place}`, { access_token: "access", more: { a: [place] } });
        const { id, ...linked } = await auth.linkAccount({ ...account, [name]: value });
        const { [name]: _, ...others } = account;
        assert.deepEqual(linked, kept === undefined ? others : { ...others, [name]: kept }, `${place}: ${name}`);
        assert.deepEqual(await auth.getAccount(`${place}`, "github"), { id, ...linked });
        assert.equal((await store.stats()).cleanedFields, before + 1, `${place}: ${name}`);
    }
});

onEachStore("what fits into an account is kept as it is, and not counted", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    const longest = "é".repeat(32_768);
    const fields = [
        ...["access_token", "refresh_token", "id_token", "token_type", "scope", "session_state"].flatMap((name) =>
            ["", "\0", longest].map((text) => ({ [name]: text })),
        ),
        ...[0, -1, 2 ** 53 - 1, 1 - 2 ** 53].map((expires_at) => ({ expires_at })),
        ...["", "\0", longest.slice(1), 1.5, 1e300, null, true, new Date(5), [1, [null]], { $instant: 1 }].map((own) => ({
            own,
        })),
        { own: 1, __proto__: null, constructor: 2, record: 3, "the record": 4, $instant: 5 },
        { id: "é".repeat(256) },
    ];
    for (const [place, more] of fields.entries()) {
        const account = newAccount("ada", `${place}`, more);
        const linked = await auth.linkAccount(account);
        assert.deepEqual(linked, { ...account, id: linked.id });
        assert.equal(linked.id, more.id ?? linked.id);
    }
    assert.equal((await store.stats()).cleanedFields, 0);
});

onEachStore("an id that cannot be stored or that another account has gives way to a fresh one", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    await auth.createUser(newUser("eve"));
    await auth.linkAccount(newAccount("ada", "1", { id: "taken" }));
    const odd = ["taken", 7, {}, "", "\ud800", "é".repeat(257), new Date(), () => "x"];
    const ids = new Set(["taken"]);
    for (const [place, id] of odd.entries()) {
        const linked = await auth.linkAccount(newAccount("eve", `eve-${place}`, { id }));
        ids.add(linked.id);
        assert.deepEqual(await auth.getAccount(`eve-${place}`, "github"), linked);
    }
    assert.equal(ids.size, odd.length + 1);
    assert.equal((await store.stats()).cleanedFields, odd.length);
    assert.equal((await auth.getAccount("1", "github")).id, "taken");
});

onEachStore("own fields beyond what a record holds are left out, and the tokens are not", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    const own = Object.fromEntries(Array.from({ length: 20 }, (_, place) => [`own${place}`, "x".repeat(60_000)]));
    const tokens = { access_token: "a".repeat(65_536), refresh_token: "r".repeat(65_536), scope: "s".repeat(65_536) };
    const linked = await auth.linkAccount(newAccount("ada", "1", { ...own, ...tokens }));
    for (const [name, token] of Object.entries(tokens)) assert.equal(linked[name], token);
    const kept = Object.keys(own).filter((name) => name in linked);
    assert.ok(kept.length >= 4 && kept.length < 20, `${kept}`);
    assert.deepEqual(kept, Object.keys(own).slice(0, kept.length), "the first ones are kept");
    assert.equal((await store.stats()).cleanedFields, 20 - kept.length);
});

onEachStore("what fits in JavaScript's writing and not in the store's is left out, too", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    // The store writes 1.2345678901234568e20, which is longer.
    const numbers = (count) => new Array(count).fill(123456789012345680000);
    const tooLong = await auth.linkAccount(newAccount("ada", "1", { own: numbers(2_900), more: 1 }));
    assert.deepEqual([tooLong.own, tooLong.more], [undefined, 1]);
    assert.equal((await store.stats()).cleanedFields, 1);

    const own = Object.fromEntries(Array.from({ length: 9 }, (_, place) => [`own${place}`, numbers(2_600 + place)]));
    const { id, ...linked } = await auth.linkAccount(newAccount("ada", "2", own));
    const { own8: longest, ...others } = own;
    assert.deepEqual(linked, newAccount("ada", "2", others));
    assert.equal((await store.stats()).cleanedFields, 2);
});

onEachStore("an account that is refused is not counted, whatever was left out of it", async (auth, store) => {
    await auth.createUser(newUser("ada"));
    await auth.linkAccount(newAccount("ada", "1", { id: "taken" }));
    const odd = { id: "taken", expires_at: 1.5, own: () => {} };
    await rejects(auth.linkAccount(newAccount("ada", "1", odd)), "CONFLICT_ACCOUNT");
    await rejects(auth.linkAccount(newAccount("nobody", "2", odd)), "UNKNOWN_USER");
    await rejects(auth.linkAccount(newAccount("ada", "2", { ...odd, type: "saml" })), "INVALID_ARGUMENT", "type");
    await assert.rejects(auth.linkAccount(newAccount("ada", "\ud800", odd)), {
        code: "INVALID_ARGUMENT",
        message: "providerAccountId contains half of a surrogate pair",
    });
    assert.equal((await store.stats()).cleanedFields, 0);
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
