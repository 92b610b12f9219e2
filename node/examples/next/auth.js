// Auth.js with all of its data in one file.

import NextAuth from "next-auth";
import RedbAdapter from "authkv";

import { deliver } from "./mailbox.js";

let adapter;

// A function, so that the first request opens the file: `next build` imports this module too, in several processes.
export const { handlers, auth, signIn, signOut } = NextAuth(() => ({
    adapter: (adapter ??= RedbAdapter(process.env.AUTH_FILE ?? "auth.redb")),
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
