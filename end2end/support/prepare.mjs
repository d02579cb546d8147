// Before all tests: makes the furnished database that most tests begin with a copy of. It has an administrator, two
// merchants with a listener each, and people of every role, signed in.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Quittance, run } from "./quittance.mjs";

export const PASSWORD = "a few words in a row";
export const LISTENER_SECRET = "the gateway's own key";

export const PEOPLE = {
    admin: { email: "admin@example.com", role: "admin" },
    merchant: { email: "merchant@example.com", role: "merchant", at: ["demo-shop"] },
    support: { email: "support@example.com", role: "support", at: ["demo-shop"] },
};

const signIn = async (url, email) => {
    const body = new URLSearchParams({ email, password: PASSWORD });
    const answer = await fetch(`${url}/rpc/sign-in`, { method: "POST", body, headers: { accept: "text/html" }, redirect: "manual" });
    const [name, value] = answer.headers.getSetCookie()[0].split(";")[0].split("=");
    return { name, value, httpOnly: true, sameSite: "Lax" };
};

export default async function prepare() {
    const root = await mkdtemp(join(tmpdir(), "quittance-end2end-"));
    const merchants = {};
    for (const name of ["Demo Shop", "Other Shop"]) {
        const { slug, secret_key: key } = await run(root, ["merchant", "add", name]);
        const { path } = await run(root, ["listener", "add", "--merchant", slug, "--gateway", "2checkout", "--secret", LISTENER_SECRET]);
        merchants[slug] = { name, slug, key, path };
    }
    const cookies = {};
    for (const { email, role, at = [] } of Object.values(PEOPLE)) {
        const seen = at.flatMap((slug) => ["--merchant", slug]);
        await run(root, ["user", "add", email, "--role", role, ...seen, "--password-stdin"], `${PASSWORD}\n`);
    }
    const server = await Quittance.serve(root);
    for (const [name, { email }] of Object.entries(PEOPLE)) cookies[name] = await signIn(server.url, email);
    await server.stop();
    await writeFile(join(root, "facts.json"), JSON.stringify({ merchants, cookies }));
    process.env.QUITTANCE_FURNISHED = root;
    return () => rm(root, { recursive: true, force: true });
}
