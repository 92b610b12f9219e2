// The examples, run as their readers run them: real servers over HTTP, and a visitor without JavaScript.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const EXAMPLES = fileURLToPath(new URL("../examples/", import.meta.url));
const IN_USE = /in use|another process|open already|already open/i;

describe("the Express example", () => {
    const files = mkdtempSync(join(tmpdir(), "authkv-express-"));
    const file = join(files, "auth.redb");
    const start = () => Server.start(join(EXAMPLES, "express"), ["--env-file=.env", "server.js"], file);

    before(() => install(join(EXAMPLES, "express")));
    after(() => rmSync(files, { recursive: true }));

    test("somebody signs in by link, is still signed in after a restart, and signs out", async (t) => {
        let server = await start();
        t.after(() => server.stop());
        const ada = new Visitor(server);
        await ada.askForLink("/auth/signin?callbackUrl=/account", "ada@example.com");
        shows(await ada.followMail("ada@example.com"), /Your account[^]*ada@example\.com/);

        await server.stop();
        server = await start();
        ada.server = server;
        shows(await ada.read("/account"), /Your account/);

        await ada.submit(await ada.read("/auth/signout"), {}, "/auth/signout");
        shows(await ada.read("/account"), /type="email"/);
    });

    test("a second server on the same file says that it is in use", async (t) => {
        const server = await start();
        t.after(() => server.stop());
        const second = await Server.launch(join(EXAMPLES, "express"), ["--env-file=.env", "server.js"], file);
        await second.ended();
        assert.notEqual(second.process.exitCode, 0);
        assert.match(second.log, IN_USE);
        shows(await new Visitor(server).read("/"), /sign in/);
    });
});

describe("the Next.js example", () => {
    // A copy next to it, so that editing its files and building it disturb nobody who has it open.
    const folder = join(EXAMPLES, ".tested-next");
    const files = mkdtempSync(join(tmpdir(), "authkv-next-"));
    const next = join("node_modules", "next", "dist", "bin", "next");
    const start = (file, mode = "start") => Server.start(folder, [next, mode, "-H", "localhost"], join(files, file));

    before(() => {
        rmSync(folder, { recursive: true, force: true });
        const unwanted = new Set(["node_modules", ".next", "auth.redb"]);
        cpSync(join(EXAMPLES, "next"), folder, { recursive: true, filter: (path) => !unwanted.has(basename(path)) });
        install(folder);
    });
    after(() => {
        rmSync(folder, { recursive: true, force: true });
        rmSync(files, { recursive: true });
    });

    test("a production build opens no file and does not bundle the addon", () => {
        run(folder, [next, "build"], { AUTH_FILE: join(files, "built.redb") });
        assert.equal(existsSync(join(files, "built.redb")), false);
        const built = readdirSync(join(folder, ".next", "server"), { recursive: true });
        assert.deepEqual(
            built.filter((path) => path.endsWith(".node")),
            [],
        );
    });

    test("in production somebody signs in, is still signed in after a restart, and signs out", async (t) => {
        let server = await start("production.redb");
        t.after(() => server.stop());
        const ada = new Visitor(server);
        await ada.signIn("ada@example.com");

        await server.stop();
        server = await start("production.redb");
        ada.server = server;
        const account = await ada.read("/account");
        shows(account, /Your account[^]*ada@example\.com/);

        const thief = ada.clone();
        shows(await ada.submit(account, {}, "/account"), /<h1>Sign in/);
        shows(await thief.read("/account"), /<h1>Sign in/, "the session is gone, not only the cookie");
    });

    test("a link that was used says so", async (t) => {
        const server = await start("production.redb");
        t.after(() => server.stop());
        const ada = new Visitor(server);
        await ada.signIn("ada@example.com");
        const [link] = ada.mails(await ada.read("/mailbox"));
        shows(await new Visitor(server).read(link), /used before, or has expired/);
    });

    test("a second server process on the same file says that it is in use, and the first goes on", async (t) => {
        const server = await start("production.redb");
        t.after(() => server.stop());
        const ada = new Visitor(server);
        await ada.signIn("ada@example.com");

        const second = await start("production.redb");
        t.after(() => second.stop());
        const refusal = await ada.clone(second).request("/account");
        assert.equal(refusal.status, 500);
        assert.match(second.log, IN_USE);
        shows(await ada.read("/account"), /Your account/);

        await server.stop();
        shows(
            await ada.clone(second).read("/account"),
            /Your account/,
            "the second takes over when the first has ended",
        );
    });

    test("in development the store survives edits of every file and a restart", async (t) => {
        let server = await start("development.redb", "dev");
        t.after(() => server.stop());
        const ada = new Visitor(server);
        await ada.signIn("ada@example.com");

        for (const [path, from, to] of [
            ["app/account/page.js", "Your account</h1>", "Your account, edited</h1>"],
            ["auth.js", "maxAge: 15 * 60", "maxAge: 16 * 60"],
            ["mailbox.js", "mails.splice(10)", "mails.splice(11)"],
        ]) {
            edit(join(folder, path), from, to);
            await until(
                async () => /Your account, edited/.test(await ada.read("/account")),
                `the edit of ${path} shows`,
            );
            await new Visitor(server).signIn(`${basename(path)}@example.com`);
        }
        shows(await ada.read("/account"), /ada@example\.com/);
        assert.doesNotMatch(server.log, IN_USE);

        await server.stop();
        server = await start("development.redb", "dev");
        ada.server = server;
        shows(await ada.read("/account"), /ada@example\.com/);
    });
});

/** One server process of an example. */
class Server {
    log = "";

    /** Starts one and waits until it answers. */
    static async start(folder, command, file) {
        const server = await Server.launch(folder, command, file);
        await until(
            () => server.answers(),
            () => `the server answers; its log:\n${server.log}`,
        );
        return server;
    }

    static async launch(folder, command, file) {
        const port = await freePort();
        const env = { ...process.env, ...QUIET, PORT: String(port), AUTH_FILE: file };
        return new Server(spawn(process.execPath, command, { cwd: folder, env }), `http://localhost:${port}`);
    }

    constructor(child, origin) {
        this.process = child;
        this.origin = origin;
        for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (this.log += text));
    }

    async answers() {
        if (this.process.exitCode !== null) throw new Error(`the server has ended; its log:\n${this.log}`);
        return fetch(`${this.origin}/style.css`).then(
            () => true,
            () => false,
        );
    }

    async ended() {
        if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "exit");
    }

    async stop() {
        this.process.kill("SIGTERM");
        await this.ended();
    }
}

/** A browser without JavaScript: cookies, redirects, links and forms. */
class Visitor {
    cookies = new Map();

    constructor(server) {
        this.server = server;
    }

    clone(server = this.server) {
        const other = new Visitor(server);
        other.cookies = new Map(this.cookies);
        return other;
    }

    async request(path, init = {}) {
        const cookie = [...this.cookies].map((pair) => pair.join("=")).join("; ");
        const url = new URL(path, this.server.origin);
        const headers = { cookie, origin: this.server.origin, ...init.headers };
        const response = await fetch(url, { ...init, headers, redirect: "manual" });
        for (const line of response.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            if (value === "") this.cookies.delete(name);
            else this.cookies.set(name, value);
        }
        return response;
    }

    /** The page at a path, after redirects, which stay on the site. */
    async read(path, init) {
        let response = await this.request(path, init);
        for (let hops = 0; response.status >= 300 && response.status < 400; hops += 1) {
            assert.ok(hops < 5, "too many redirects");
            const target = new URL(response.headers.get("location"), this.server.origin);
            assert.equal(target.origin, this.server.origin, "redirects stay on the site");
            response = await this.request(target);
        }
        const text = await response.text();
        assert.equal(response.status, 200, `${path}: ${text.slice(0, 300)}\n${this.server.log.slice(-2000)}`);
        return text;
    }

    /** Submits the form of a page with what its hidden fields say. */
    async submit(page, fields, path) {
        const [, attributes, inside] = /<form([^>]*)>([^]*?)<\/form>/.exec(page);
        const values = { ...fields };
        for (const [tag] of inside.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
            values[unescape(/name="([^"]*)"/.exec(tag)[1])] = unescape(/value="([^"]*)"/.exec(tag)?.[1] ?? "");
        }
        const action = unescape(/action="([^"]+)"/.exec(attributes)?.[1] ?? path);
        const multipart = attributes.includes("multipart/form-data");
        const body = multipart ? new FormData() : new URLSearchParams();
        for (const [name, value] of Object.entries(values)) body.append(name, value);
        return this.read(action, { method: "POST", body });
    }

    /** Asks on the sign-in page for a link, which brings the visitor to the mailbox. */
    async askForLink(path, email) {
        const mailbox = await this.submit(await this.read(path), { email }, path);
        shows(mailbox, /<h1>Mailbox/);
    }

    mails(mailbox) {
        return [...mailbox.matchAll(/href="(http[^"]*callback\/email[^"]*)"/g)].map(([, href]) => unescape(href));
    }

    async followMail(email) {
        const link = this.mails(await this.read("/mailbox")).find(
            (url) => new URL(url).searchParams.get("email") === email.toLowerCase(),
        );
        assert.equal(new URL(link).origin, this.server.origin, "the link leads to the site");
        return this.read(link);
    }

    async signIn(email) {
        await this.askForLink("/", email);
        shows(await this.followMail(email), new RegExp(`Your account[^]*${email}`, "i"));
    }
}

const QUIET = { NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1", FORCE_COLOR: "0", NODE_ENV: undefined };

function install(folder) {
    const command = ["install", "--prefer-offline", "--no-audit", "--no-fund"];
    const done = spawnSync("npm", command, { cwd: folder, encoding: "utf8", shell: process.platform === "win32" });
    assert.equal(done.status, 0, done.stderr);
}

function run(folder, command, env) {
    const done = spawnSync(process.execPath, command, {
        cwd: folder,
        env: { ...process.env, ...QUIET, ...env },
        encoding: "utf8",
    });
    assert.equal(done.status, 0, done.stdout + done.stderr);
}

/** The page matches; if not, the failure shows what a reader of the page would see. */
function shows(page, pattern, message = "") {
    const body = page
        .replace(/<(style|script)[^]*?<\/\1>/g, "")
        .replace(/<[^>]*>/g, " ")
        .replace(/\s+/g, " ");
    assert.ok(pattern.test(page), `${message} the page should match ${pattern}, and shows: ${body.slice(0, 500)}`);
}

function edit(path, from, to) {
    const text = readFileSync(path, "utf8");
    assert.ok(text.includes(from), `${path} has: ${from}`);
    writeFileSync(path, text.replace(from, to));
}

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}

async function until(condition, what) {
    const end = Date.now() + 60_000;
    while (!(await condition())) {
        assert.ok(Date.now() < end, typeof what === "function" ? what() : what);
        await sleep(100);
    }
}

function unescape(text) {
    return text.replace(/&#x?([0-9a-f]+);|&amp;/gi, (entity, code) => {
        if (!code) return "&";
        return String.fromCharCode(entity[2] === "x" ? Number.parseInt(code, 16) : Number(code));
    });
}
