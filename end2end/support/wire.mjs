// The wire rules of 2Checkout's notifications, written from its documentation and not from the product's code: forms,
// signatures, read receipts.
import { createHmac } from "node:crypto";

export const ALGORITHMS = {
    md5: { digest: "md5", field: "HASH" },
    sha2: { digest: "sha256", field: "SIGNATURE_SHA2_256" },
    sha3: { digest: "sha3-256", field: "SIGNATURE_SHA3_256" },
};

/** Each value after its length in bytes, without names. */
const source = (values) => values.map((value) => `${Buffer.byteLength(value)}${value}`).join("");

export const mac = (algorithm, key, values) =>
    createHmac(ALGORITHMS[algorithm].digest, key).update(source(values)).digest("hex");

const isSignature = ([name]) => Object.values(ALGORITHMS).some(({ field }) => field === name);

/** Fields with the signatures of all the algorithms after them. */
export const signed = (fields, key, algorithms = ["md5"]) => {
    const values = fields.map(([, value]) => value);
    return [...fields, ...algorithms.map((name) => [ALGORITHMS[name].field, mac(name, key, values)])];
};

export const encoded = (fields) => new URLSearchParams(fields).toString();

export const decoded = (body) => [...new URLSearchParams(body)];

/** The algorithms of the signatures in a message; throws where one is wrong. */
export const checked = (fields, key) => {
    const values = fields.filter((field) => !isSignature(field)).map(([, value]) => value);
    const found = Object.entries(ALGORITHMS).filter(([, { field }]) => fields.some(([name]) => name === field));
    for (const [name, { field }] of found) {
        const [, signature] = fields.find(([known]) => known === field);
        if (signature !== mac(name, key, values)) throw new Error(`${field} is wrong`);
    }
    return found.map(([name]) => name);
};

/** The read receipt of a message, as a listener makes it at a moment (YYYYMMDDHHMMSS). */
export const receipt = (fields, key, algorithm, date) => {
    const first = (name) => fields.find(([known]) => known === name)?.[1] ?? "";
    const hash = mac(algorithm, key, [first("IPN_PID[]"), first("IPN_PNAME[]"), first("IPN_DATE"), date]);
    if (algorithm === "md5") return `<EPAYMENT>${date}|${hash}</EPAYMENT>`;
    return `<sig algo="${algorithm === "sha2" ? "sha256" : "sha3-256"}" date="${date}">${hash}</sig>`;
};

/** Throws unless a body holds the right receipt of a message. */
export const checkReceipt = (body, fields, key) => {
    const date = /<EPAYMENT>(\d+)\|/.exec(body)?.[1] ?? /date="(\d+)"/.exec(body)?.[1];
    const right = Object.keys(ALGORITHMS).map((algorithm) => receipt(fields, key, algorithm, date));
    if (!date || !right.some((one) => body.includes(one))) throw new Error(`no valid read receipt: ${body}`);
};
