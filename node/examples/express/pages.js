// The pages, as text. What comes from people is escaped.

export function homePage() {
    return page(
        "authkv with Express",
        html`
        <h1>One file, and people can sign in</h1>
        <p>No password, no database server: this site sends a sign-in link and keeps its users, sessions and links in
            <code>auth.redb</code>.</p>
        <p><a class="button" href="/auth/signin?callbackUrl=/account">Sign in</a></p>
        <p class="note">In this example the mail arrives on the <a href="/mailbox">mailbox page</a>.</p>`,
    );
}

export function mailboxPage(mails) {
    const list = mails.map(
        ({ to, url, sent }) => html`
        <li>
            <p>To <strong>${to}</strong>, <time datetime="${sent.toISOString()}">${sent.toLocaleTimeString("en-GB")}</time></p>
            <a href="${url}">Sign in</a>
        </li>`,
    );
    return page(
        "Mailbox",
        html`
        <h1>Mailbox</h1>
        <p class="note">The mails of this example, instead of a mail server. Newest first.</p>
        ${mails.length === 0 ? html`<p>No mail yet.</p>` : html`<ul class="mails">${list}</ul>`}`,
    );
}

export function accountPage({ user, expires }) {
    return page(
        "Your account",
        html`
        <h1>Your account</h1>
        <dl>
            <dt>E-mail address</dt><dd>${user.email}</dd>
            <dt>Signed in until</dt><dd>${new Date(expires).toLocaleDateString("en-GB", { dateStyle: "long" })}</dd>
        </dl>
        <p><a class="button" href="/auth/signout">Sign out</a></p>
        <p class="note">Stop the server and start it again: you are still signed in.</p>`,
    );
}

function page(title, body) {
    return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/style.css">
<header><nav aria-label="Pages"><a href="/">Home</a> <a href="/mailbox">Mailbox</a> <a href="/account">Account</a></nav></header>
<main>${body}</main>
<footer>Users, sessions and sign-in links of this site are in one file: auth.redb</footer>
</html>`.text;
}

/** A piece of HTML: values are escaped unless they are pieces of HTML themselves. */
function html(parts, ...values) {
    const text = (value) =>
        Array.isArray(value) ? value.map(text).join("") : value instanceof Html ? value.text : escape(value);
    return new Html(String.raw({ raw: parts }, ...values.map(text)));
}

class Html {
    constructor(text) {
        this.text = text;
    }
}

function escape(value) {
    return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
