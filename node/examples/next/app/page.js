import { redirect } from "next/navigation";

import { auth, signIn } from "../auth.js";

const MESSAGES = {
    Verification: "This sign-in link was used before, or has expired. Ask for a new one.",
    Configuration: "Something went wrong on our side. The log of the server says what.",
};

async function askForLink(form) {
    "use server";
    await signIn("email", { email: form.get("email"), redirectTo: "/account", redirect: false });
    redirect("/mailbox");
}

export default async function SignIn({ searchParams }) {
    const { error } = await searchParams;
    if (!error && (await auth())) redirect("/account");

    return (
        <>
            <h1>Sign in</h1>
            {error && <p role="alert">{MESSAGES[error] ?? "You could not be signed in. Please try again."}</p>}
            <form action={askForLink}>
                <label htmlFor="email">E-mail address</label>
                <input
                    id="email"
                    name="email"
                    type="email"
                    autoComplete="email"
                    placeholder="you@example.com"
                    required
                />
                <button>Send me a link</button>
            </form>
            <p className="note">
                No password: we send you a link. In this example the mail arrives on the mailbox page.
            </p>
        </>
    );
}
