// The host framework and the visitor's browser, as the real @auth/core sees them: requests in, responses out.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Auth } from "@auth/core";
import { open } from "authkv";

export const ORIGIN = "http://localhost:3000";
export const SESSION_COOKIE = "authjs.session-token";
export const HOUR = 60 * 60 * 1000;

const SECRET = "a secret of the tests and of nothing else";

/**
 * Registers one sign-in flow twice: on a store that stays open, and on one whose file is closed and opened again before
 * every request, so that nothing the flow depends on can live in memory.
 */
export function flow(name, body) {
    for (const [how, reopens] of [
        ["store kept open", false],
        ["file reopened before every request", true],
    ]) {
        test(`${name} (${how})`, async (t) => {
            const folder = await mkdtemp(join(tmpdir(), "authkv-authjs-"));
            const site = new Site(join(folder, "auth.redb"), reopens);
            await site.reopen();
            try {
                await body(site, t);
            } finally {
                await site.store.close();
                await rm(folder, { recursive: true, force: true });
            }
        });
    }
}

/** One web site: its file, its Auth.js configuration, and what it logged and mailed. */
export class Site {
    mails = [];
    errors = [];
    events = [];
    providers = [this.email()];
    session = {};
    #pending = 0;
    #reopened;

    constructor(path, reopens) {
        this.path = path;
        this.reopens = reopens;
    }

    get adapter() {
        return this.store.adapter;
    }

    async reopen() {
        await this.store?.close();
        this.store = await open(this.path);
    }

    /** The e-mail provider; instead of sending its mails, it keeps them. */
    email(options = {}) {
        return {
            id: "email",
            name: "Email",
            type: "email",
            from: "sign-in@site.example",
            maxAge: 15 * 60,
            sendVerificationRequest: ({ identifier, url, token, expires }) => {
                this.mails.push({ to: identifier, url, token, expires });
            },
            ...options,
        };
    }

    async handle(request) {
        this.#pending += 1;
        if (this.reopens && this.#pending === 1) this.#reopened = this.reopen();
        try {
            await this.#reopened;
            return await Auth(request, this.#config());
        } finally {
            this.#pending -= 1;
        }
    }

    /** What the log says about the request that was refused last; forgets it, so that the next one is a new one. */
    refusal() {
        assert.equal(this.errors.length, 1, `one refusal, not: ${this.errors.map((error) => error.type)}`);
        return this.errors.pop();
    }

    /** What the store holds of a link, of which Auth.js stores a hash. */
    async storedToken(link) {
        const { email, token } = Object.fromEntries(new URL(link).searchParams);
        const hash = createHash("sha256").update(`${token}${SECRET}`).digest("hex");
        return this.store.findVerificationToken({ identifier: email, token: hash });
    }

    // Host frameworks make a new configuration for every request, as this does.
    #config() {
        const heard = (kind) => () => void this.events.push(kind);
        return {
            adapter: this.adapter,
            basePath: "/auth",
            callbacks: {
                // The page may know its user; the raw session token never leaves the cookie.
                session: ({ session, user }) => ({ expires: session.expires, user }),
            },
            events: Object.fromEntries(
                ["createUser", "updateUser", "linkAccount", "signIn", "signOut"].map((kind) => [kind, heard(kind)]),
            ),
            experimental: { enableWebAuthn: true },
            logger: { error: (error) => void this.errors.push(error), warn() {}, debug() {} },
            providers: this.providers,
            secret: SECRET,
            session: { strategy: "database", ...this.session },
            trustHost: true,
        };
    }
}

/** A visitor: a cookie jar that sends requests to the site and follows its redirects by hand. */
export class Browser {
    cookies = new Map();

    constructor(site) {
        this.site = site;
    }

    get sessionToken() {
        return this.cookies.get(SESSION_COOKIE);
    }

    /** Another window of somebody who has the same cookies, for example who stole them. */
    clone() {
        const other = new Browser(this.site);
        other.cookies = new Map(this.cookies);
        return other;
    }

    async get(url, headers = {}) {
        return this.#send(new URL(url, ORIGIN), { headers });
    }

    async post(path, fields) {
        const { csrfToken } = await (await this.get("/auth/csrf")).json();
        const body = new URLSearchParams({ csrfToken, callbackUrl: `${ORIGIN}/account`, ...fields });
        return this.#send(new URL(path, ORIGIN), { method: "POST", body });
    }

    /** Whom the site takes the visitor for: the session that its pages get, or null. */
    async whoAmI() {
        return (await this.get("/auth/session")).json();
    }

    async signOut() {
        return this.post("/auth/signout", {});
    }

    /** Asks for a sign-in link and returns it from the mail. */
    async askForLink(email, provider = "email") {
        const answer = await this.post(`/auth/signin/${provider}`, { email });
        assert.match(location(answer), /\/auth\/verify-request/);
        return this.site.mails.at(-1).url;
    }

    async signInByLink(email) {
        return signedIn(await this.get(await this.askForLink(email)));
    }

    async #send(url, init) {
        const headers = new Headers(init.headers);
        if (this.cookies.size > 0) {
            headers.set("cookie", [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "));
        }
        const response = await this.site.handle(new Request(url, { ...init, headers }));
        for (const line of response.headers.getSetCookie()) this.#keep(line);
        return response;
    }

    #keep(line) {
        const [pair, ...attributes] = line.split("; ");
        const name = pair.slice(0, pair.indexOf("="));
        const value = pair.slice(name.length + 1);
        const attribute = (key) => attributes.find((a) => a.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
        const gone = attribute("max-age") === "0" || new Date(attribute("expires") ?? Infinity) < new Date();
        if (gone || value === "") this.cookies.delete(name);
        else this.cookies.set(name, value);
    }
}

export function location(response) {
    assert.equal(response.status, 302, `a redirect, not ${response.status}`);
    return response.headers.get("location");
}

export function signedIn(response) {
    assert.equal(location(response), `${ORIGIN}/account`);
    return response;
}

/** The site refused: it shows an error page of this kind and its log says why. */
export function refused(site, response, type) {
    const page = new URL(location(response));
    assert.equal(page.searchParams.get("error"), type);
    return site.refusal();
}
