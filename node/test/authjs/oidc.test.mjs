// Sign-in at an OpenID provider, with PKCE, state and nonce.

import assert from "node:assert/strict";

import { serveProvider } from "./provider.mjs";
import { Browser, flow, HOUR, refused, signedIn } from "./site.mjs";

flow("the first sign-in makes a user, an account and a session", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const ada = new Browser(site);

    signedIn(await blue.signIn(ada));

    const { user } = await ada.whoAmI();
    assert.deepEqual(
        [user.name, user.email, user.image],
        ["Ada Lovelace", "ada@example.com", "https://provider.example/ada.png"],
    );
    assert.deepEqual(site.events, ["createUser", "linkAccount", "signIn"]);

    const account = await site.adapter.getAccount("1", "blue");
    assert.deepEqual([account.type, account.userId], ["oidc", user.id]);
    for (const token of ["access_token", "refresh_token", "id_token", "scope"])
        assert.equal(account[token], blue.issued[token]);
    assert.ok(Number.isInteger(account.expires_at) && Math.abs(account.expires_at * 1000 - Date.now() - HOUR) < 60_000);
    assert.equal((await site.adapter.getUserByAccount({ provider: "blue", providerAccountId: "1" })).id, user.id);

    await site.reopen();
    assert.equal((await ada.whoAmI()).user.id, user.id);
    assert.deepEqual([site.errors, blue.complaints], [[], []]);
});

flow("the second sign-in finds the user, also in another browser", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const [desk, phone] = [new Browser(site), new Browser(site)];
    signedIn(await blue.signIn(desk));
    const first = (await desk.whoAmI()).user;
    await desk.signOut();

    blue.person = { ...blue.person, name: "Ada King", email: "countess@example.com" };
    signedIn(await blue.signIn(desk));
    signedIn(await blue.signIn(phone));

    assert.deepEqual((await desk.whoAmI()).user, first, "the account decides, not the address or the name of today");
    assert.deepEqual((await phone.whoAmI()).user, first);
    assert.equal(site.events.filter((event) => event === "createUser").length, 1);
});

flow("a provider may tell about the person in its userinfo only", async (site, t) => {
    const green = await serveProvider(t, "green", { userinfo: true });
    site.providers = [green.config()];
    const ada = new Browser(site);

    signedIn(await green.signIn(ada));

    assert.equal((await ada.whoAmI()).user.email, "ada@example.com");
});

flow("people without an e-mail address are different users", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const [one, two] = [new Browser(site), new Browser(site)];

    blue.person = { sub: "1", name: "One" };
    signedIn(await blue.signIn(one));
    blue.person = { sub: "2", name: "Two" };
    signedIn(await blue.signIn(two));

    assert.deepEqual([(await one.whoAmI()).user.name, (await two.whoAmI()).user.name], ["One", "Two"]);
});

flow("an account id may be a number", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config({ profile: ({ sub, name, email }) => ({ id: Number(sub), name, email }) })];
    const ada = new Browser(site);
    blue.person.sub = "583231";

    signedIn(await blue.signIn(ada));
    const { user } = await ada.whoAmI();
    await ada.signOut();
    signedIn(await blue.signIn(ada));

    assert.equal((await ada.whoAmI()).user.id, user.id);
    assert.equal((await site.adapter.getAccount("583231", "blue")).userId, user.id);
});

flow("a forged answer makes no user", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const mallory = new Browser(site);

    for (const tamper of [{ state: "guessed" }, { nonce: "guessed" }, { audience: "another site" }]) {
        blue.tamper = tamper;
        refused(site, await blue.signIn(mallory), "Configuration");
        assert.equal(await mallory.whoAmI(), null);
    }
    assert.equal(await site.adapter.getUserByEmail("ada@example.com"), null);
    assert.deepEqual(site.events, []);
});

flow("a callback that another browser began is refused", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const [mallory, victim] = [new Browser(site), new Browser(site)];
    const toProvider = await mallory.post("/auth/signin/blue", {});
    const back = await blue.consent(toProvider.headers.get("location"));

    refused(site, await victim.get(back), "Configuration");
    assert.equal(await victim.whoAmI(), null);
});

flow("one person who signs in twice at once for the first time is one user", async (site, t) => {
    const blue = await serveProvider(t, "blue");
    site.providers = [blue.config()];
    const browsers = Array.from({ length: 8 }, () => new Browser(site));
    const callbacks = [];
    for (const browser of browsers) {
        const toProvider = await browser.post("/auth/signin/blue", {});
        callbacks.push(await blue.consent(toProvider.headers.get("location")));
    }

    await Promise.all(browsers.map((browser, n) => browser.get(callbacks[n])));

    assert.equal(site.events.filter((event) => event === "linkAccount").length, 1);
    const { id } = await site.adapter.getUserByEmail("ada@example.com");
    assert.equal((await site.adapter.getAccount("1", "blue")).userId, id);
    const signedInUsers = [];
    for (const browser of browsers) if (browser.sessionToken) signedInUsers.push((await browser.whoAmI()).user.id);
    assert.ok(signedInUsers.length >= 1 && signedInUsers.every((user) => user === id));
});
