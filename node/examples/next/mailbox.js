// The mails that this example "sends": kept in memory and shown on a page. A real application has no such page.

// Next.js loads a module once for each of its bundles; the process has one mailbox all the same.
const mails = (globalThis.exampleMailbox ??= []);

export function deliver(mail) {
    mails.unshift({ ...mail, sent: new Date() });
    mails.splice(10);
}

export function delivered() {
    return mails;
}
