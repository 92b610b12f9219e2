// A web site with sign-in by e-mail link: Express, Auth.js, and one file.

import { ExpressAuth, getSession } from "@auth/express";
import RedbAdapter from "authkv";
import express from "express";

import { accountPage, homePage, mailboxPage } from "./pages.js";

const port = Number(process.env.PORT ?? 3000);
const mails = []; // what this example "sends"; a real application has no such page

const authConfig = {
    adapter: RedbAdapter(process.env.AUTH_FILE ?? "auth.redb"),
    secret: process.env.AUTH_SECRET,
    session: { strategy: "database" },
    pages: { verifyRequest: "/mailbox" },
    providers: [
        {
            id: "email",
            name: "E-mail",
            type: "email",
            maxAge: 15 * 60,
            // Here your application sends a mail.
            sendVerificationRequest: ({ identifier, url }) => {
                mails.unshift({ to: identifier, url, sent: new Date() });
                mails.splice(10);
            },
        },
    ],
};

const app = express();
app.use(express.static("public"));
app.use("/auth", ExpressAuth(authConfig));

app.get("/", (request, response) => response.send(homePage()));

app.get("/mailbox", (request, response) => response.send(mailboxPage(mails)));

app.get("/account", async (request, response) => {
    const session = await getSession(request, authConfig);
    if (!session) return response.redirect("/auth/signin?callbackUrl=/account");
    response.send(accountPage(session));
});

app.listen(port, "localhost", (error) => {
    if (error) throw error;
    console.log(`http://localhost:${port}`);
});
