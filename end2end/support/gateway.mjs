// A gateway: makes the notifications of whole orders, signs them, posts them, and checks the read receipt it gets.
import { checkReceipt, encoded, signed } from "./wire.mjs";

const PRODUCTS = [
    ["1001", "Demo Suite, one year", "29.00"],
    ["1002", "Demo Add-on & more", "10.00"],
];
let messages = 250_000_000_000;

const two = (number) => String(number).padStart(2, "0");

/** YYYYMMDDHHMMSS. */
export const stamp = (at = new Date()) =>
    `${at.getUTCFullYear()}${[at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join("")}`;

/** The fields of a whole order in wire order; `changes` replaces values by name. */
export const order = (reference, status = "COMPLETE", changes = {}) => {
    const now = new Date();
    const day = now.toISOString().replace("T", " ").slice(0, 19);
    const each = (name, values) => values.map((value) => [`${name}[]`, value]);
    const items = (name, value) => each(name, PRODUCTS.map(() => value));
    const fields = [
        ["GIFT_ORDER", "0"], ["SALEDATE", day], ["PAYMENTDATE", day], ["REFNO", reference], ["REFNOEXT", `web-${reference}`],
        ["SHOPPER_REFERENCE_NUMBER", ""], ["ORDERNO", "4711"], ["ORDERSTATUS", status], ["PAYMETHOD", "Visa/MasterCard"],
        ["PAYMETHOD_CODE", "CCVISAMC"],
        ["FIRSTNAME", "Demo"], ["LASTNAME", "Customer"], ["COMPANY", ""], ["REGISTRATIONNUMBER", ""], ["FISCALCODE", ""],
        ["TAX_OFFICE", ""], ["CBANKNAME", ""], ["CBANKACCOUNT", ""], ["ADDRESS1", "1 Example Street"], ["ADDRESS2", ""],
        ["CITY", "Exampleton"], ["STATE", "EX"], ["ZIPCODE", "00000"], ["COUNTRY", "United States of America"],
        ["COUNTRY_CODE", "us"], ["PHONE", ""], ["FAX", ""], ["CUSTOMEREMAIL", `customer-${reference}@example.com`],
        ["FIRSTNAME_D", "Demo"], ["LASTNAME_D", "Customer"], ["COMPANY_D", ""], ["ADDRESS1_D", "1 Example Street"],
        ["ADDRESS2_D", ""], ["CITY_D", "Exampleton"], ["STATE_D", "EX"], ["ZIPCODE_D", "00000"],
        ["COUNTRY_D", "United States of America"], ["COUNTRY_D_CODE", "us"], ["PHONE_D", ""], ["EMAIL_D", ""],
        ["IPADDRESS", "192.0.2.7"], ["IPCOUNTRY", "United States of America"], ["COMPLETE_DATE", day],
        ["TIMEZONE_OFFSET", "GMT+00:00"], ["CURRENCY", "EUR"], ["LANGUAGE", "en"], ["ORDERFLOW", "REGULAR"],
        ...each("IPN_PID", PRODUCTS.map(([id]) => id)),
        ...each("IPN_PNAME", PRODUCTS.map(([, name]) => name)),
        ...items("IPN_PCODE", ""), ...items("IPN_EXTERNAL_REFERENCE", ""), ...items("IPN_INFO", ""), ...items("IPN_QTY", "1"),
        ...each("IPN_PRICE", PRODUCTS.map(([, , price]) => price)),
        ...items("IPN_VAT", "0.00"), ...items("IPN_VAT_RATE", "0.0000"), ...items("IPN_VER", "1"), ...items("IPN_DISCOUNT", "0.00"),
        ...items("IPN_PROMOTION_CATEGORY", ""), ...items("IPN_PROMONAME", ""), ...items("IPN_PROMOCODE", ""),
        ...items("IPN_ORDER_COSTS", "0"), ...items("IPN_SKU", ""), ["IPN_PARTNER_CODE", ""], ...items("IPN_PGROUP", "0"),
        ...items("IPN_PGROUP_NAME", "General"),
        ["MESSAGE_ID", String(messages++)], ["MESSAGE_TYPE", status],
        ...items("IPN_LICENSE_PROD", "1001"), ...items("IPN_LICENSE_TYPE", "REGULAR"), ...items("IPN_LICENSE_REF", "DEMO0001"),
        ...items("IPN_LICENSE_EXP", "9999-12-31 23:59:59"), ...items("IPN_LICENSE_START", day), ...items("IPN_LICENSE_LIFETIME", "YES"),
        ...items("IPN_LICENSE_ADDITIONAL_INFO", ""), ...items("IPN_DELIVEREDCODES", ""), ["IPN_DOWNLOAD_LINK", ""],
        ...each("IPN_TOTAL", PRODUCTS.map(([, , price]) => price)),
        ["IPN_TOTALGENERAL", "39.00"], ["IPN_SHIPPING", "0.00"], ["IPN_SHIPPING_TAX", "0.00"], ["AVANGATE_CUSTOMER_REFERENCE", "700001"],
        ["EXTERNAL_CUSTOMER_REFERENCE", ""], ["IPN_PARTNER_MARGIN_PERCENT", "0.00"], ["IPN_PARTNER_MARGIN", "0.00"],
        ["IPN_EXTRA_MARGIN", "0.00"], ["IPN_EXTRA_DISCOUNT", "0.00"], ["IPN_COUPON_DISCOUNT", "0.00"], ["IPN_LINK_SOURCE", ""],
        ["IPN_COMMISSION", "1.9500"], ["REFUND_TYPE", ""], ["CHARGEBACK_RESOLUTION", "NONE"], ["CHARGEBACK_REASON_CODE", ""],
        ["TEST_ORDER", "0"], ["IPN_ORDER_ORIGIN", "Web"], ["FRAUD_STATUS", "APPROVED"], ["CARD_TYPE", "visa"],
        ["CARD_LAST_DIGITS", "1111"], ["CARD_EXPIRATION_DATE", "12/29"], ["GATEWAY_RESPONSE", "Approved"], ["IPN_DATE", stamp(now)],
        ["FX_RATE", "1"], ["FX_MARKUP", "0"], ["PAYABLE_AMOUNT", "37.05"], ["PAYOUT_CURRENCY", "EUR"], ["VENDOR_CODE", "DEMO"],
        ["PROPOSAL_ID", ""],
    ];
    return fields.map(([name, value]) => [name, changes[name] ?? value]);
};

/** Posts a body as it is. */
export const postBody = async (address, body) => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(address, { method: "POST", headers, body });
    return { status: answer.status, body: await answer.text() };
};

/** Posts a notification; throws unless it is taken and acknowledged with a valid read receipt. */
export const post = async (address, key, fields, algorithms = ["md5", "sha2", "sha3"]) => {
    const answer = await postBody(address, encoded(signed(fields, key, algorithms)));
    if (answer.status !== 200) throw new Error(`the listener answered ${answer.status}: ${answer.body}`);
    checkReceipt(answer.body, fields, key);
};
