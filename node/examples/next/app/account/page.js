import { redirect } from "next/navigation";

import { auth, signOut } from "../../auth.js";

async function leave() {
    "use server";
    await signOut({ redirectTo: "/" });
}

export default async function Account() {
    const session = await auth();
    if (!session) redirect("/");

    return (
        <>
            <h1>Your account</h1>
            <dl>
                <dt>E-mail address</dt>
                <dd>{session.user.email}</dd>
                <dt>Signed in until</dt>
                <dd>{new Date(session.expires).toLocaleDateString("en-GB", { dateStyle: "long" })}</dd>
            </dl>
            <form action={leave}>
                <button>Sign out</button>
            </form>
            <p className="note">Stop the server and start it again: you are still signed in.</p>
        </>
    );
}
