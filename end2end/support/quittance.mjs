// The real binary: its server on a free port, and its command line.
import { spawn } from "node:child_process";
import { join } from "node:path";

const BINARY = process.env.QUITTANCE_BIN ?? new URL("../../target/debug/quittance", import.meta.url).pathname;

const environment = () => {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("QUITTANCE_"));
    return { ...Object.fromEntries(own), RUST_BACKTRACE: "0" };
};

const database = (folder) => `sqlite:${join(folder, "quittance.db")}`;

/** Runs a command over the database in a folder; gives what it printed as JSON. */
export const run = async (folder, args, input = "") => {
    const child = spawn(BINARY, [...args, "--json", "--database", database(folder)], { env: environment() });
    const text = { stdout: "", stderr: "" };
    child.stdout.on("data", (part) => (text.stdout += part));
    child.stderr.on("data", (part) => (text.stderr += part));
    child.stdin.end(input);
    const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
    if (code !== 0) throw new Error(`quittance ${args.join(" ")} ended with ${code}: ${text.stderr}${text.stdout}`);
    return JSON.parse(text.stdout);
};

/** Nothing may outlive the tests, however they end. */
const running = new Set();
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A running server. */
export class Quittance {
    /** Where it is reached. */
    url = "";
    /** What it printed when it had started. */
    banner = "";
    #child;
    #log = "";

    static async serve(folder, { binary = BINARY, args = [] } = {}) {
        const server = new Quittance();
        const all = ["serve", "--listen", "127.0.0.1:0", "--allow-network", "127.0.0.0/8", "--database", database(folder), ...args];
        const child = spawn(binary, all, { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
        server.#child = child;
        running.add(child);
        child.once("exit", () => running.delete(child));
        child.stderr.on("data", (part) => (server.#log += part));
        await new Promise((resolve, reject) => {
            child.on("error", reject);
            child.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${server.#log}`)));
            child.stdout.on("data", (part) => {
                server.banner += part;
                if (server.banner.includes("Ctrl+C stops it.")) resolve();
            });
        });
        server.url = /http:\/\/[^/\s]+/.exec(server.banner)[0];
        return server;
    }

    /** The link that makes the first administrator, as a path. */
    get firstRunPath() {
        return /First run\s+http:\/\/[^/\s]+(\S+)/.exec(this.banner)?.[1];
    }

    /** What it has logged. */
    get log() {
        return this.#log;
    }

    async stop() {
        if (this.#child.exitCode !== null) return;
        const ended = new Promise((resolve) => this.#child.once("exit", resolve));
        this.#child.kill("SIGTERM");
        await ended;
    }
}
