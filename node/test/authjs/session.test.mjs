// How long somebody is signed in, and how it ends.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { Browser, flow, HOUR, location } from "./site.mjs";

const DAY = 24 * HOUR;

async function signedInBrowser(site) {
    const browser = new Browser(site);
    await browser.signInByLink("ada@example.com");
    return browser;
}

async function expiry(site, browser) {
    return (await site.adapter.getSessionAndUser(browser.sessionToken)).session.expires.getTime();
}

/** Makes the session look as if it had been extended last that long ago, of its 30 days. */
async function age(site, browser, milliseconds) {
    const expires = new Date(Date.now() + 30 * DAY - milliseconds);
    await site.adapter.updateSession({ sessionToken: browser.sessionToken, expires });
    return expires.getTime();
}

flow("a visit extends the session once a day", async (site) => {
    const ada = await signedInBrowser(site);

    const fresh = await age(site, ada, 23 * HOUR);
    await ada.whoAmI();
    assert.equal(await expiry(site, ada), fresh, "not yet due: a visit writes nothing");

    await age(site, ada, 25 * HOUR);
    await ada.whoAmI();
    assert.ok(Math.abs((await expiry(site, ada)) - Date.now() - 30 * DAY) < 60_000, "due: 30 days from now on");

    await site.reopen();
    assert.notEqual(await ada.whoAmI(), null);
    assert.deepEqual(site.errors, []);
});

flow("every visit extends a session whose updateAge is 0", async (site) => {
    site.session = { maxAge: 600, updateAge: 0 };
    const ada = await signedInBrowser(site);
    let last = await expiry(site, ada);
    for (let visit = 0; visit < 3; visit += 1) {
        await sleep(5);
        await ada.whoAmI();
        const next = await expiry(site, ada);
        assert.ok(next > last);
        last = next;
    }
});

flow("somebody who comes back in time stays, who comes late is signed out", async (site) => {
    site.session = { maxAge: 1, updateAge: 0 };
    const [busy, away] = [await signedInBrowser(site), await signedInBrowser(site)];
    const lapsed = away.clone(); // keeps its cookie, as a thief would
    for (let visit = 0; visit < 3; visit += 1) {
        await sleep(400);
        assert.notEqual(await busy.whoAmI(), null);
    }
    assert.equal(await lapsed.whoAmI(), null);
    assert.equal(lapsed.sessionToken, undefined, "and the site takes the cookie away");
    assert.deepEqual(site.errors, []);
});

flow("an expired session is signed out and stays so", async (site) => {
    const ada = await signedInBrowser(site);
    const thief = ada.clone();
    await site.adapter.updateSession({ sessionToken: ada.sessionToken, expires: new Date(Date.now() - 1) });

    assert.equal(await ada.whoAmI(), null);
    assert.equal(ada.sessionToken, undefined);
    assert.equal(await thief.whoAmI(), null);

    await ada.signInByLink("ada@example.com");
    assert.notEqual(await ada.whoAmI(), null);
});

flow("signing out deletes the session", async (site) => {
    const ada = await signedInBrowser(site);
    const [thief, phone] = [ada.clone(), await signedInBrowser(site)];

    assert.match(location(await ada.signOut()), /\/account$/);

    assert.equal(ada.sessionToken, undefined);
    assert.equal(await site.adapter.getSessionAndUser(thief.sessionToken), null);
    assert.equal(await thief.whoAmI(), null, "a copy of the cookie is refused");
    assert.notEqual(await phone.whoAmI(), null, "the other session stays");

    await site.reopen();
    assert.equal(await thief.whoAmI(), null);
    assert.deepEqual(site.errors, []);
});

flow("signing out twice is no error", async (site) => {
    const ada = await signedInBrowser(site);
    const again = ada.clone();
    await ada.signOut();
    await again.signOut();
    assert.deepEqual(site.errors, []);
});

flow("visits while signing out do not revive the session", async (site) => {
    site.session = { maxAge: 600, updateAge: 0 };
    const ada = await signedInBrowser(site);
    const tabs = Array.from({ length: 20 }, () => ada.clone());

    const visits = tabs.map((tab) => tab.whoAmI());
    await ada.clone().signOut();
    await Promise.all(visits);

    for (const tab of [ada, ...tabs]) assert.equal(await tab.whoAmI(), null);
});

flow("a session whose cookie is invented is refused", async (site) => {
    for (const invented of ["x", crypto.randomUUID(), "__proto__", "x".repeat(3000), encodeURIComponent("\u0000🦄")]) {
        const mallory = new Browser(site);
        mallory.cookies.set("authjs.session-token", invented);
        assert.equal(await mallory.whoAmI(), null);
    }
    assert.deepEqual(site.errors, []);
});
