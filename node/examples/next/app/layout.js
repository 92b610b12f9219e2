import Link from "next/link";

import "./style.css";

export const metadata = { title: "authkv with Next.js" };

export default function Layout({ children }) {
    return (
        <html lang="en">
            <body>
                <header>
                    <nav aria-label="Pages">
                        <Link href="/">Sign in</Link>
                        <Link href="/mailbox" prefetch={false}>
                            Mailbox
                        </Link>
                        <Link href="/account" prefetch={false}>
                            Account
                        </Link>
                    </nav>
                </header>
                <main>{children}</main>
                <footer>Users, sessions and sign-in links of this site are in one file: auth.redb</footer>
            </body>
        </html>
    );
}
