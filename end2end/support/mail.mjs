// A mail server that keeps what is given to it; what it is told to refuse it refuses.
import { createServer } from "node:net";

export class MailSink {
    /** What was taken: `{ from, to, text }`. */
    taken = [];
    /** The answer to the recipient's address, where it is not taken. */
    refusal;
    #server;

    static async open() {
        const sink = new MailSink();
        sink.#server = createServer((socket) => sink.#serve(socket));
        await new Promise((resolve) => sink.#server.listen(0, "127.0.0.1", resolve));
        return sink;
    }

    /** For --smtp-url. */
    get url() {
        return `smtp://127.0.0.1:${this.#server.address().port}`;
    }

    close() {
        return new Promise((resolve) => this.#server.close(resolve));
    }

    #serve(socket) {
        let [rest, mail, reading] = ["", {}, false];
        const say = (line) => socket.write(`${line}\r\n`);
        socket.on("error", () => {});
        socket.on("data", (part) => {
            rest += part;
            for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
                const line = rest.slice(0, end);
                rest = rest.slice(end + 2);
                if (reading) {
                    if (line !== ".") {
                        mail.text += `${line.replace(/^\./, "")}\n`;
                        continue;
                    }
                    reading = false;
                    this.taken.push(mail);
                    say("250 taken");
                } else if (/^EHLO/i.test(line)) {
                    say("250 sink");
                } else if (/^MAIL/i.test(line)) {
                    mail = { from: line, text: "" };
                    say("250 ok");
                } else if (/^RCPT/i.test(line)) {
                    mail.to = /<(.*)>/.exec(line)?.[1];
                    say(this.refusal ?? "250 ok");
                } else if (/^DATA/i.test(line)) {
                    reading = true;
                    say("354 go on");
                } else if (/^QUIT/i.test(line)) {
                    say("221 bye");
                    socket.end();
                } else {
                    say("250 ok");
                }
            }
        });
        say("220 sink ESMTP");
    }
}
