// Several accounts of one person: which of them may be linked, and which may not.

import assert from "node:assert/strict";

import { serveProvider } from "./provider.mjs";
import { Browser, flow, refused, signedIn } from "./site.mjs";

async function twoProviders(site, t) {
    const [blue, green] = [await serveProvider(t, "blue"), await serveProvider(t, "green", { userinfo: true })];
    site.providers = [site.email(), blue.config(), green.config()];
    green.person = { sub: "g-7", name: "A. Lovelace", email: "ada@work.example" };
    return [blue, green];
}

flow("somebody who is signed in links a second provider", async (site, t) => {
    const [blue, green] = await twoProviders(site, t);
    const ada = new Browser(site);
    signedIn(await blue.signIn(ada));
    const { user } = await ada.whoAmI();
    const session = ada.sessionToken;

    signedIn(await green.signIn(ada));
    assert.equal(ada.sessionToken, session, "linking keeps the session");
    assert.deepEqual((await ada.whoAmI()).user, user);

    const phone = new Browser(site);
    signedIn(await green.signIn(phone));
    assert.equal((await phone.whoAmI()).user.id, user.id, "the second provider signs the same user in");
    assert.equal(await site.adapter.getUserByEmail("ada@work.example"), null, "linking changes no address");

    await site.reopen();
    for (const [provider, id] of [
        ["blue", "1"],
        ["green", "g-7"],
    ]) {
        assert.equal((await site.adapter.getAccount(id, provider)).userId, user.id);
    }
    assert.deepEqual(site.errors, []);
});

flow("a user of an e-mail link links a provider", async (site, t) => {
    const [blue] = await twoProviders(site, t);
    const ada = new Browser(site);
    await ada.signInByLink("ada@example.com");
    const { user } = await ada.whoAmI();

    signedIn(await blue.signIn(ada));
    await ada.signOut();
    signedIn(await blue.signIn(ada));

    assert.equal((await ada.whoAmI()).user.id, user.id);
});

flow("the same address at another provider is refused", async (site, t) => {
    const [blue, green] = await twoProviders(site, t);
    signedIn(await blue.signIn(new Browser(site)));

    for (const email of ["ada@example.com", "ADA@EXAMPLE.COM"]) {
        green.person.email = email;
        const mallory = new Browser(site);
        refused(site, await green.signIn(mallory), "OAuthAccountNotLinked");
        assert.equal(await mallory.whoAmI(), null);
    }
    assert.equal(await site.adapter.getAccount("g-7", "green"), null);
});

flow("an account of somebody else cannot be linked", async (site, t) => {
    const [blue, green] = await twoProviders(site, t);
    const [ada, grace] = [new Browser(site), new Browser(site)];
    signedIn(await blue.signIn(ada));
    signedIn(await green.signIn(grace));

    refused(site, await green.signIn(ada), "OAuthAccountNotLinked");

    assert.equal((await ada.whoAmI()).user.email, "ada@example.com", "ada stays signed in as herself");
    assert.equal((await grace.whoAmI()).user.email, "ada@work.example");
});

flow("two browsers that link one account at once: one of them gets it", async (site, t) => {
    const [, green] = await twoProviders(site, t);
    const [ada, grace] = [new Browser(site), new Browser(site)];
    await ada.signInByLink("ada@example.com");
    await grace.signInByLink("grace@example.com");
    const callbacks = [];
    for (const browser of [ada, grace]) {
        const toProvider = await browser.post("/auth/signin/green", {});
        callbacks.push(await green.consent(toProvider.headers.get("location")));
    }

    await Promise.all([ada.get(callbacks[0]), grace.get(callbacks[1])]);

    assert.equal(site.events.filter((event) => event === "linkAccount").length, 1);
    assert.equal(site.errors.length, 1);
});

flow("an expired cookie links nothing to its old user", async (site, t) => {
    const [blue, green] = await twoProviders(site, t);
    const ada = new Browser(site);
    signedIn(await blue.signIn(ada));
    const old = (await ada.whoAmI()).user;
    await site.adapter.updateSession({ sessionToken: ada.sessionToken, expires: new Date(Date.now() - 1000) });

    signedIn(await green.signIn(ada));

    const { user } = await ada.whoAmI();
    assert.notEqual(user.id, old.id, "the stranger at the other provider is a new user");
    assert.equal((await site.adapter.getAccount("g-7", "green")).userId, user.id);
});

flow("an unlinked account signs nobody in to the old user", async (site, t) => {
    const [blue, green] = await twoProviders(site, t);
    const ada = new Browser(site);
    signedIn(await blue.signIn(ada));
    signedIn(await green.signIn(ada));
    const { user } = await ada.whoAmI();

    await site.adapter.unlinkAccount({ provider: "green", providerAccountId: "g-7" });

    assert.equal((await ada.whoAmI()).user.id, user.id, "the session stays");
    const other = new Browser(site);
    signedIn(await green.signIn(other));
    assert.notEqual((await other.whoAmI()).user.id, user.id);
});

flow("a deleted user is signed out everywhere and may begin anew", async (site, t) => {
    const [blue] = await twoProviders(site, t);
    const [desk, phone] = [new Browser(site), new Browser(site)];
    signedIn(await blue.signIn(desk));
    signedIn(await blue.signIn(phone));
    const { user } = await desk.whoAmI();

    await site.adapter.deleteUser(user.id);

    assert.deepEqual([await desk.whoAmI(), await phone.whoAmI()], [null, null]);
    signedIn(await blue.signIn(desk));
    assert.notEqual((await desk.whoAmI()).user.id, user.id);
});
