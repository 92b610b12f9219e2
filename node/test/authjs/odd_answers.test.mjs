// Providers whose answers are not what the store keeps: Auth.js makes the user before it links the account, so what is
// refused then would keep its owner out for ever.

import assert from "node:assert/strict";

import { serveProvider } from "./provider.mjs";
import { Browser, flow, HOUR, signedIn } from "./site.mjs";

/** Signs in for the first time, and again with another browser; returns the account, and what `stats` counted for it. */
async function signInTwice(site, provider) {
    const first = new Browser(site);
    signedIn(await provider.signIn(first));
    const { user } = await first.whoAmI();
    const { cleanedFields } = await site.store.stats();
    const account = await site.adapter.getAccount(provider.person.sub, provider.id);
    assert.equal(account.userId, user.id);

    const second = new Browser(site);
    signedIn(await provider.signIn(second));
    assert.equal((await second.whoAmI()).user.id, user.id, "the second sign-in finds the user");
    assert.deepEqual([site.errors, provider.complaints], [[], []]);
    // A file that is opened again counts from 0.
    return { user, account, cleanedFields: site.reopens ? undefined : cleanedFields };
}

function counted(site, cleanedFields, expected) {
    if (!site.reopens) assert.equal(cleanedFields, expected);
}

flow("an access token may live for a fraction of a second", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    blue.tamper = { token: { expires_in: 3599.5 } };

    const { account, cleanedFields } = await signInTwice(site, blue);

    assert.ok(Number.isInteger(account.expires_at));
    assert.ok(Math.abs(account.expires_at * 1000 - Date.now() - HOUR) < 60_000);
    for (const token of ["access_token", "refresh_token", "id_token", "scope"]) assert.ok(account[token], token);
    counted(site, cleanedFields, 1);
});

flow("an ID token that is too long is not kept", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    blue.person.groups = Array(9_000).fill("everybody");

    const { account, cleanedFields } = await signInTwice(site, blue);

    assert.ok(blue.issued.id_token.length > 65_536);
    assert.equal(account.id_token, undefined);
    assert.ok(account.access_token && account.refresh_token && account.expires_at);
    counted(site, cleanedFields, 1);
});

flow("tokens with half of a surrogate pair, or too long in bytes, are not kept", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    // Within the limit in UTF-16 units, and beyond it in bytes.
    blue.tamper = { token: { access_token: "\ud800", refresh_token: "é".repeat(40_000) } };

    const { account, cleanedFields } = await signInTwice(site, blue);

    assert.deepEqual([account.access_token, account.refresh_token], [undefined, undefined]);
    assert.ok(account.id_token);
    counted(site, cleanedFields, 2);
});

flow("an application's `account` may return all that a provider sent, and more", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    const account = (tokens) => ({
        ...tokens,
        scope: tokens.scope.split(" "),
        session_state: 7,
        granted: new Set(["read"]),
        refresh: () => tokens,
        absent: undefined,
    });
    site.providers = [blue.config({ account })];
    blue.tamper = { token: { id: 583_231, refresh_token_expires_in: 15_897.25, team: { id: "T1", name: null } } };

    const linked = await signInTwice(site, blue);

    assert.equal(linked.account.scope, blue.issued.scope);
    assert.equal(typeof linked.account.id, "string");
    assert.equal(linked.account.refresh_token_expires_in, 15_897.25);
    assert.deepEqual(linked.account.team, { id: "T1", name: null });
    for (const name of ["session_state", "granted", "refresh", "absent"]) assert.equal(name in linked.account, false);
    // The id, the scopes, the session state, the set and the function.
    counted(site, linked.cleanedFields, 5);
});

flow("two accounts to which a provider gives one id are two", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config({ account: ({ id }) => ({ id }) })];
    blue.tamper = { token: { id: "https://provider.example/id" } };

    const ada = await signInTwice(site, blue);
    blue.person = { sub: "2", name: "Grace Hopper", email: "grace@example.com" };
    const grace = await signInTwice(site, blue);

    assert.equal(ada.account.id, "https://provider.example/id");
    assert.notEqual(grace.account.id, ada.account.id);
    assert.notEqual(grace.user.id, ada.user.id);
    counted(site, ada.cleanedFields, 0);
    counted(site, grace.cleanedFields, 1);
});

flow("people whose provider gives them an empty address, name and picture are different users", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const users = [];
    for (const sub of ["1", "2"]) {
        blue.person = { sub, name: "", email: "", picture: "" };
        const { user } = await signInTwice(site, blue);
        const { name, email, image } = await site.adapter.getUser(user.id);
        assert.deepEqual([name, email, image], [undefined, undefined, undefined]);
        users.push(user.id);
    }
    assert.notEqual(users[0], users[1]);
    assert.equal(await site.adapter.getUserByEmail(""), null);
});
