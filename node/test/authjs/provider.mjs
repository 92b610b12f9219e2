// A stub OpenID provider on 127.0.0.1 that checks what Auth.js sends it: PKCE, state, nonce, client and redirect.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";

import { exportJWK, generateKeyPair, SignJWT } from "jose";

const CLIENT = { id: "the site", secret: "the site's secret" };

/** Serves a provider until the test ends. `person` is who sits in front of it; `tamper` changes what it answers. */
export async function serveProvider(t, id, { userinfo = false } = {}) {
    const provider = new Provider(id, userinfo);
    await provider.start();
    t.after(() => provider.stop());
    return provider;
}

class Provider {
    person = { sub: "1", name: "Ada Lovelace", email: "ada@example.com", picture: "https://provider.example/ada.png" };
    tamper = {};
    complaints = [];
    #grants = new Map();

    constructor(id, userinfo) {
        this.id = id;
        this.userinfo = userinfo;
    }

    async start() {
        this.keys = await generateKeyPair("RS256");
        this.server = createServer((request, response) => {
            this.#answer(request, response).catch((error) => {
                this.complaints.push(error.message);
                reply(response, 400, { error: "invalid_request", error_description: error.message });
            });
        });
        this.server.listen(0, "127.0.0.1");
        await once(this.server, "listening");
        this.issuer = `http://127.0.0.1:${this.server.address().port}`;
    }

    async stop() {
        this.server.closeAllConnections();
        this.server.close();
        await once(this.server, "close");
    }

    /** Its entry in the site's list of providers. */
    config(options = {}) {
        return {
            id: this.id,
            name: this.id,
            type: "oidc",
            issuer: this.issuer,
            clientId: CLIENT.id,
            clientSecret: CLIENT.secret,
            checks: ["pkce", "state", "nonce"],
            idToken: !this.userinfo,
            profile: ({ sub, name, email, picture }) => ({ id: sub, name, email, image: picture }),
            ...options,
        };
    }

    /** The person consents: takes the browser from the site to the provider and back, and returns the site's answer. */
    async signIn(browser) {
        const toProvider = await browser.post(`/auth/signin/${this.id}`, {});
        const back = await this.consent(toProvider.headers.get("location"));
        return browser.get(back);
    }

    /** What happens at the provider alone; returns where it sends the browser. */
    async consent(url) {
        const answer = await fetch(url, { redirect: "manual" });
        if (answer.status !== 302) throw new Error(`the provider refused: ${await answer.text()}`);
        return answer.headers.get("location");
    }

    async #answer(request, response) {
        const url = new URL(request.url, this.issuer);
        switch (`${request.method} ${url.pathname}`) {
            case "GET /.well-known/openid-configuration":
                return reply(response, 200, this.#discovery());
            case "GET /authorize":
                return response.writeHead(302, { location: this.#authorize(url.searchParams) }).end();
            case "POST /token":
                return reply(
                    response,
                    200,
                    await this.#token(request.headers, new URLSearchParams(await text(request))),
                );
            case "GET /jwks":
                return reply(response, 200, {
                    keys: [{ ...(await exportJWK(this.keys.publicKey)), kid: "1", alg: "RS256" }],
                });
            case "GET /userinfo":
                return reply(response, 200, this.#userinfo(request.headers));
            default:
                return reply(response, 404, {});
        }
    }

    #discovery() {
        return {
            issuer: this.issuer,
            authorization_endpoint: `${this.issuer}/authorize`,
            token_endpoint: `${this.issuer}/token`,
            jwks_uri: `${this.issuer}/jwks`,
            userinfo_endpoint: `${this.issuer}/userinfo`,
            code_challenge_methods_supported: ["S256"],
            id_token_signing_alg_values_supported: ["RS256"],
            response_types_supported: ["code"],
            subject_types_supported: ["public"],
        };
    }

    #authorize(query) {
        check(query.get("client_id") === CLIENT.id, "another client");
        check(query.get("response_type") === "code", "not the code flow");
        check(query.get("scope")?.split(" ").includes("openid"), "no openid scope");
        check(
            query.get("code_challenge_method") === "S256" && query.get("code_challenge")?.length === 43,
            "no PKCE challenge",
        );
        check(query.get("state")?.length >= 16, "no state");
        check(query.get("nonce")?.length >= 16, "no nonce");
        const code = randomBytes(16).toString("hex");
        this.#grants.set(code, { ...Object.fromEntries(query), person: this.person });
        const back = new URL(query.get("redirect_uri"));
        back.searchParams.set("code", code);
        back.searchParams.set("state", this.tamper.state ?? query.get("state"));
        return back.href;
    }

    async #token(headers, form) {
        const grant = this.#grants.get(form.get("code"));
        check(grant, "unknown code, or one that was used before");
        this.#grants.delete(form.get("code"));
        const basic = [CLIENT.id, CLIENT.secret]
            .map((part) => encodeURIComponent(part).replaceAll("%20", "+"))
            .join(":");
        check(headers.authorization === `Basic ${btoa(basic)}`, "the client did not authenticate");
        check(form.get("grant_type") === "authorization_code", "another grant");
        check(form.get("redirect_uri") === grant.redirect_uri, "another redirect");
        const challenge = createHash("sha256").update(form.get("code_verifier")).digest("base64url");
        check(challenge === grant.code_challenge, "the PKCE verifier does not match");

        this.issued = {
            access_token: randomBytes(16).toString("hex"),
            refresh_token: randomBytes(16).toString("hex"),
            id_token: await this.#idToken(grant),
            expires_in: 3600,
            token_type: "Bearer",
            scope: grant.scope,
            ...this.tamper.token,
        };
        this.holder = grant.person;
        return this.issued;
    }

    async #idToken({ nonce, person }) {
        const claims = this.userinfo ? {} : person;
        const signer = this.tamper.key ?? this.keys.privateKey;
        return new SignJWT({ ...claims, nonce: this.tamper.nonce ?? nonce })
            .setProtectedHeader({ alg: "RS256", kid: "1" })
            .setIssuer(this.issuer)
            .setAudience(this.tamper.audience ?? CLIENT.id)
            .setSubject(person.sub)
            .setIssuedAt()
            .setExpirationTime("5m")
            .sign(signer);
    }

    #userinfo(headers) {
        check(headers.authorization === `Bearer ${this.issued.access_token}`, "another access token");
        return this.holder;
    }
}

function check(condition, complaint) {
    if (!condition) throw new Error(complaint);
}

async function text(request) {
    let body = "";
    for await (const chunk of request) body += chunk;
    return body;
}

function reply(response, status, body) {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
