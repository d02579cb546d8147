// A merchant's script: takes notifications, checks their signatures, and answers as it is told to.
import { createServer } from "node:http";
import { stamp } from "./gateway.mjs";
import { checked, decoded, receipt } from "./wire.mjs";

const text = (status, body) => ({ status, body });

/** What a script may answer to a notification. */
export const ANSWERS = {
    /** The read receipt, with the strongest algorithm that was asked for. */
    confirm: (fields, key) => text(200, receipt(fields, key, checked(fields, key).at(-1), stamp())),
    ok: () => text(200, "OK"),
    error: () => text(500, "<h1>Database error</h1>"),
    hostile: () => text(200, `\n</pre><script>window.ran=1</script><img src=x onerror="window.ran=1">${"W".repeat(5_000)}`),
    gone: () => text(404, "Not found"),
};

export class Shop {
    /** One of `ANSWERS`. */
    answers = "confirm";
    /** The notifications that came, decoded. */
    received = [];
    #key;
    #server;
    #waiting = [];
    #isClosed = false;

    static async open(key) {
        const shop = new Shop();
        shop.#key = key;
        shop.#server = createServer((request, response) => shop.#serve(request, response));
        await new Promise((resolve) => shop.#server.listen(0, "127.0.0.1", resolve));
        return shop;
    }

    /** An address of the script. */
    url(path = "/ipn") {
        return `http://127.0.0.1:${this.#server.address().port}${path}`;
    }

    /** From now on notifications wait for `answerAll`. */
    keepWaiting() {
        this.#isClosed = true;
    }

    answerAll() {
        this.#isClosed = false;
        for (const answer of this.#waiting.splice(0)) answer();
    }

    async #serve(request, response) {
        const parts = [];
        for await (const part of request) parts.push(part);
        const send = ({ status, body }) => {
            response.writeHead(status, { "content-type": "text/html; charset=utf-8" });
            response.end(body);
        };
        if (request.method === "GET") return send(this.answers === "gone" ? ANSWERS.gone() : text(200, ""));
        const fields = decoded(Buffer.concat(parts).toString());
        this.received.push(fields);
        if (this.#isClosed) await new Promise((resolve) => this.#waiting.push(resolve));
        try {
            send(ANSWERS[this.answers](fields, this.#key));
        } catch (error) {
            send(text(400, String(error)));
        }
    }

    async close() {
        this.answerAll();
        this.#server.closeAllConnections();
        await new Promise((resolve) => this.#server.close(resolve));
    }
}
