import { delivered } from "../../mailbox.js";

export const dynamic = "force-dynamic";

export default function Mailbox() {
    const mails = delivered();
    return (
        <>
            <h1>Mailbox</h1>
            <p className="note">The mails of this example, instead of a mail server. Newest first.</p>
            {mails.length === 0 && <p>No mail yet.</p>}
            <ul className="mails">
                {mails.map(({ to, url, sent }) => (
                    <li key={url}>
                        <p>
                            To <strong>{to}</strong>,{" "}
                            <time dateTime={sent.toISOString()}>{sent.toLocaleTimeString("en-GB")}</time>
                        </p>
                        <a href={url}>Sign in</a>
                    </li>
                ))}
            </ul>
        </>
    );
}
