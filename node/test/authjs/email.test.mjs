// Sign-in by a link in an e-mail.

import assert from "node:assert/strict";

import { Browser, flow, refused, signedIn } from "./site.mjs";

flow("a link signs a new user in", async (site) => {
    const ada = new Browser(site);
    assert.equal(await ada.whoAmI(), null);

    await ada.signInByLink("Ada@Example.com");

    const { user, expires } = await ada.whoAmI();
    assert.equal(user.email, "ada@example.com");
    assert.ok(Math.abs(new Date(user.emailVerified) - Date.now()) < 60_000);
    assert.ok(new Date(expires) > new Date());
    assert.deepEqual(site.events, ["createUser", "signIn"]);

    await site.reopen();
    assert.equal((await ada.whoAmI()).user.id, user.id);
    assert.deepEqual(site.errors, []);
});

flow("a link signs an existing user in", async (site) => {
    const made = await site.adapter.createUser({
        id: "ada",
        name: "Ada",
        email: "ada@example.com",
        emailVerified: null,
    });
    const ada = new Browser(site);

    await ada.signInByLink("ada@example.com");

    const { user } = await ada.whoAmI();
    assert.deepEqual([user.id, user.name], [made.id, "Ada"]);
    assert.ok(
        (await site.adapter.getUser("ada")).emailVerified instanceof Date,
        "following the link verified the address",
    );
    assert.deepEqual(site.events, ["updateUser", "signIn"]);
});

flow("an address changed on a settings page is unproven until its link is followed", async (site) => {
    const ada = new Browser(site);
    await ada.signInByLink("ada@example.com");
    const user = await site.adapter.getUserByEmail("ada@example.com");
    assert.ok(user.emailVerified instanceof Date);

    await site.adapter.updateUser({ ...user, email: "lovelace@example.com" });
    assert.equal((await ada.whoAmI()).user.emailVerified ?? null, null);

    await new Browser(site).signInByLink("lovelace@example.com");
    const { user: proven } = await ada.whoAmI();
    assert.equal(proven.id, user.id);
    assert.ok(new Date(proven.emailVerified) >= user.emailVerified);
    assert.deepEqual(site.events, ["createUser", "signIn", "updateUser", "signIn"]);
});

flow("the same person is one user in two browsers", async (site) => {
    const [desk, phone] = [new Browser(site), new Browser(site)];
    await desk.signInByLink("ada@example.com");
    await phone.signInByLink("ada@example.com");

    assert.equal((await desk.whoAmI()).user.id, (await phone.whoAmI()).user.id);
    assert.notEqual(desk.sessionToken, phone.sessionToken);
});

flow("another address takes the browser over from the user before", async (site) => {
    const browser = new Browser(site);
    await browser.signInByLink("ada@example.com");
    await new Browser(site).signInByLink("grace@example.com");
    const before = browser.clone();

    await browser.signInByLink("grace@example.com");

    assert.equal((await browser.whoAmI()).user.email, "grace@example.com");
    assert.equal(await before.whoAmI(), null, "the session of the user before is deleted");
});

flow("a wrong link is refused and leaves the right one usable", async (site) => {
    const ada = new Browser(site);
    const link = await ada.askForLink("ada@example.com");
    const guess = new URL(link);
    guess.searchParams.set("token", "0".repeat(64));
    const foreign = new URL(link);
    foreign.searchParams.set("email", "mallory@example.com");

    for (const wrong of [guess, foreign]) {
        refused(site, await ada.get(wrong), "Verification");
        assert.equal(await ada.whoAmI(), null);
    }
    assert.equal(await site.adapter.getUserByEmail("mallory@example.com"), null);

    signedIn(await ada.get(link));
});

flow("an expired link is refused", async (site) => {
    site.providers = [site.email({ maxAge: -1 })];
    const ada = new Browser(site);
    const link = await ada.askForLink("ada@example.com");

    assert.ok((await site.storedToken(link)).expires < new Date());

    refused(site, await ada.get(link), "Verification");
    assert.equal(await ada.whoAmI(), null);
    assert.equal(await site.adapter.getUserByEmail("ada@example.com"), null);
    assert.equal(await site.storedToken(link), null, "the expired link is cleared away");
});

flow("a link works once", async (site) => {
    const ada = new Browser(site);
    const link = await ada.askForLink("ada@example.com");
    signedIn(await ada.get(link));

    const thief = new Browser(site);
    refused(site, await thief.get(link), "Verification");
    assert.equal(await thief.whoAmI(), null);
    assert.notEqual(await ada.whoAmI(), null);
});

flow("of 20 browsers that follow one link at once, one is signed in", async (site) => {
    const link = await new Browser(site).askForLink("ada@example.com");
    const browsers = Array.from({ length: 20 }, () => new Browser(site));

    await Promise.all(browsers.map((browser) => browser.get(link)));

    assert.equal(browsers.filter((browser) => browser.sessionToken).length, 1);
    assert.equal(site.errors.length, 19);
    assert.ok(site.errors.every((error) => error.type === "Verification"));
    assert.deepEqual(site.events, ["createUser", "signIn"]);
});

flow("20 people who sign in at once are 20 users", async (site) => {
    const people = Array.from({ length: 20 }, (_, n) => ({
        browser: new Browser(site),
        email: `person${n}@example.com`,
    }));
    const links = new Map();
    for (const { browser, email } of people) links.set(email, await browser.askForLink(email));

    await Promise.all(people.map(({ browser, email }) => browser.get(links.get(email))));

    const users = await Promise.all(people.map(({ browser }) => browser.whoAmI()));
    assert.deepEqual(
        users.map(({ user }) => user.email),
        people.map(({ email }) => email),
    );
    assert.deepEqual(site.errors, []);
});

flow("of two links that an address asked for, each works", async (site) => {
    const ada = new Browser(site);
    const [first, second] = [await ada.askForLink("ada@example.com"), await ada.askForLink("ada@example.com")];

    signedIn(await new Browser(site).get(second));
    signedIn(await new Browser(site).get(first));
});

flow("a link may leave the address out", async (site) => {
    const ada = new Browser(site);
    const link = new URL(await ada.askForLink("ada@example.com"));
    link.searchParams.delete("email");

    signedIn(await ada.get(link));
    assert.equal((await ada.whoAmI()).user.email, "ada@example.com");
});
