// Auth.js with all of its data in one file.

import NextAuth from "next-auth";
import RedbAdapter from "authkv";

import { deliver } from "./mailbox.js";

// A function, so that the file is opened by the first request: `next build` imports this module, in several processes.
// Every call with the same path gets the same store.
export const { handlers, auth, signIn, signOut } = NextAuth(() => ({
    adapter: RedbAdapter(process.env.AUTH_FILE ?? "auth.redb"),
    session: { strategy: "database" },
    pages: { signIn: "/", error: "/", verifyRequest: "/mailbox" },
    providers: [
        {
            id: "email",
            name: "E-mail",
            type: "email",
            maxAge: 15 * 60,
            // Here your application sends a mail. This example shows it on a page instead.
            sendVerificationRequest: ({ identifier, url, expires }) => deliver({ to: identifier, url, expires }),
        },
    ],
}));
