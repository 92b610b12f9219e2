// Registration and sign-in with a passkey.

import assert from "node:assert/strict";

import WebAuthn from "@auth/core/providers/webauthn";

import { Authenticator } from "./passkey.mjs";
import { Browser, flow, ORIGIN, refused, signedIn } from "./site.mjs";

function withPasskeys(site) {
    site.providers = [site.email(), WebAuthn({})];
}

async function options(browser, query) {
    const answer = await browser.get(`/auth/webauthn-options/webauthn?${new URLSearchParams(query)}`);
    return { status: answer.status, ...(await answer.json()) };
}

function submit(browser, action, data) {
    return browser.post("/auth/callback/webauthn", { action, data: JSON.stringify(data) });
}

async function register(browser, device, query) {
    const offer = await options(browser, query);
    assert.equal(offer.action, "register");
    return submit(browser, "register", device.create(offer.options, ORIGIN));
}

async function signIn(browser, device, query = {}) {
    const offer = await options(browser, query);
    assert.equal(offer.action, "authenticate");
    return submit(browser, "authenticate", device.get(offer.options, ORIGIN));
}

function storedId(device, n = 0) {
    return Buffer.from(device.credentialIds[n], "base64url").toString("base64");
}

async function counter(site, device) {
    return (await site.adapter.getAuthenticator(storedId(device))).counter;
}

flow("a passkey registers a new user", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const phone = new Authenticator({ transports: ["internal", "hybrid"], synced: true });

    signedIn(await register(ada, phone, { email: "ada@example.com" }));

    const { user } = await ada.whoAmI();
    assert.equal(user.email, "ada@example.com");
    assert.deepEqual(site.events, ["createUser", "linkAccount", "signIn"]);

    const account = await site.adapter.getAccount(storedId(phone), "webauthn");
    assert.deepEqual([account.type, account.userId], ["webauthn", user.id]);
    const { credentialPublicKey, ...stored } = await site.adapter.getAuthenticator(storedId(phone));
    assert.ok(credentialPublicKey.length > 80);
    assert.deepEqual(stored, {
        credentialID: storedId(phone),
        providerAccountId: storedId(phone),
        userId: user.id,
        counter: 1,
        credentialDeviceType: "multiDevice",
        credentialBackedUp: true,
        transports: "internal,hybrid",
    });

    await site.reopen();
    assert.equal((await ada.whoAmI()).user.id, user.id);
    assert.deepEqual(site.errors, []);
});

flow("a passkey signs its user in, and its counter increases", async (site) => {
    withPasskeys(site);
    const [desk, cafe] = [new Browser(site), new Browser(site)];
    const key = new Authenticator({ transports: ["usb"] });
    signedIn(await register(desk, key, { email: "ada@example.com" }));
    const { user } = await desk.whoAmI();
    await desk.signOut();

    signedIn(await signIn(desk, key, { email: "ada@example.com" }));
    assert.equal((await desk.whoAmI()).user.id, user.id);
    assert.equal(await counter(site, key), 2);

    signedIn(await signIn(cafe, key));
    assert.equal((await cafe.whoAmI()).user.id, user.id, "also without saying who is there");
    assert.equal(await counter(site, key), 3);

    await site.reopen();
    assert.equal(await counter(site, key), 3);
    await cafe.signOut();
    signedIn(await signIn(cafe, key));
    assert.equal(await counter(site, key), 4);
});

flow("a copied key whose counter lags behind is refused", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const key = new Authenticator();
    signedIn(await register(ada, key, { email: "ada@example.com" }));
    const copy = key.clone();
    await ada.signOut();
    signedIn(await signIn(ada, key));

    const mallory = new Browser(site);
    refused(site, await signIn(mallory, copy), "WebAuthnVerificationError");
    assert.equal(await mallory.whoAmI(), null);
    assert.equal(await counter(site, key), 2);
});

flow("a passkey that does not count works again and again", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const phone = new Authenticator({ synced: true, counts: false });
    signedIn(await register(ada, phone, { email: "ada@example.com" }));
    for (let time = 0; time < 2; time += 1) {
        await ada.signOut();
        signedIn(await signIn(ada, phone));
    }
    assert.equal(await counter(site, phone), 0);
});

flow("a second authenticator belongs to the same user", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const [phone, key] = [new Authenticator(), new Authenticator({ transports: ["usb"] })];
    signedIn(await register(ada, phone, { email: "ada@example.com" }));
    const { user } = await ada.whoAmI();

    signedIn(await register(ada, key, { action: "register" }));

    const listed = await site.adapter.listAuthenticatorsByUserId(user.id);
    assert.deepEqual(listed.map((a) => a.credentialID).sort(), [storedId(phone), storedId(key)].sort());
    await site.reopen();
    for (const device of [phone, key]) {
        const browser = new Browser(site);
        const offer = await options(browser, { email: "ada@example.com" });
        assert.equal(offer.options.allowCredentials.length, 2, "both are offered");
        signedIn(await submit(browser, "authenticate", device.get(offer.options, ORIGIN)));
        assert.equal((await browser.whoAmI()).user.id, user.id);
    }
    assert.deepEqual([await counter(site, phone), await counter(site, key)], [2, 2]);
});

flow("one device cannot be registered twice for one user", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const phone = new Authenticator();
    signedIn(await register(ada, phone, { email: "ada@example.com" }));

    const offer = await options(ada, { action: "register" });
    assert.throws(() => phone.create(offer.options, ORIGIN), /registered already/);
});

flow("a user of an e-mail link adds a passkey", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const phone = new Authenticator();
    await ada.signInByLink("ada@example.com");
    const { user } = await ada.whoAmI();

    signedIn(await register(ada, phone, { action: "register" }));
    await ada.signOut();
    signedIn(await signIn(ada, phone));

    assert.equal((await ada.whoAmI()).user.id, user.id);
});

flow("a passkey cannot be registered for the address of somebody else", async (site) => {
    withPasskeys(site);
    await new Browser(site).signInByLink("ada@example.com");
    const mallory = new Browser(site);

    assert.equal((await options(mallory, { action: "register", email: "ada@example.com" })).status, 400);

    // The address is taken between the offer and the answer.
    const offer = await options(mallory, { email: "grace@example.com" });
    await new Browser(site).signInByLink("grace@example.com");
    const answer = new Authenticator().create(offer.options, ORIGIN);
    refused(site, await submit(mallory, "register", answer), "AccountNotLinked");
    assert.equal(await mallory.whoAmI(), null);
});

flow("an unknown passkey and an answer to another challenge are refused", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const phone = new Authenticator();
    const offer = await options(ada, { email: "ada@example.com" });
    const answer = phone.create(offer.options, ORIGIN);

    const stranger = new Browser(site);
    refused(site, await signIn(stranger, phone), "Configuration");
    signedIn(await submit(ada, "register", answer));

    const mallory = new Browser(site);
    const [first, second] = [await options(mallory, {}), await options(mallory, {})];
    assert.notEqual(first.options.challenge, second.options.challenge);
    refused(site, await submit(mallory, "authenticate", phone.get(first.options, ORIGIN)), "WebAuthnVerificationError");
    assert.equal(await mallory.whoAmI(), null);
});

flow("a removed passkey signs nobody in", async (site) => {
    withPasskeys(site);
    const ada = new Browser(site);
    const [phone, key] = [new Authenticator(), new Authenticator()];
    signedIn(await register(ada, phone, { email: "ada@example.com" }));
    signedIn(await register(ada, key, { action: "register" }));

    await site.adapter.unlinkAccount({ provider: "webauthn", providerAccountId: storedId(phone) });

    refused(site, await signIn(new Browser(site), phone), "Configuration");
    signedIn(await signIn(new Browser(site), key));
    assert.notEqual(await ada.whoAmI(), null);
});
