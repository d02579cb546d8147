<?php
// Takes payment notifications, and answers each with a read receipt once it is stored.
// Needs PHP 7.4 or newer and nothing else. Put it where your web server runs PHP, and set in its environment:
//   IPN_SECRET_KEY      the secret key of your IPN settings
//   IPN_SECRET_KEY_OLD  the key before, only while you change it
//   IPN_STORE           a folder outside of the web root that this script may write to
declare(strict_types=1);

const ALGORITHM = 'md5'; // 'md5', 'sha256' or 'sha3-256', as chosen for this URL
const SIGNATURES = ['md5' => 'HASH', 'sha256' => 'SIGNATURE_SHA2_256', 'sha3-256' => 'SIGNATURE_SHA3_256'];
const MAX_BODY = 1048576;

function answer(int $status, string $text = ''): void
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    echo $text;
    exit;
}

/** The fields in the order in which they came. $_POST will not do: it loses order and repeated names, and ends at 1,000. */
function fields(string $body): array
{
    $fields = [];
    foreach (explode('&', $body) as $pair) {
        if ($pair !== '') {
            [$name, $value] = explode('=', $pair, 2) + [1 => ''];
            $fields[] = [urldecode($name), urldecode($value)];
        }
    }
    return $fields;
}

/** Each value after its length in bytes. */
function prefixed(string ...$values): string
{
    return implode('', array_map(fn (string $value): string => strlen($value) . $value, $values));
}

/** The first value of a field, with or without brackets. */
function first(array $fields, string $wanted): string
{
    foreach ($fields as [$name, $value]) {
        if (explode('[', $name)[0] === $wanted) {
            return $value;
        }
    }
    return '';
}

/**
 * Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
 * this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
 */
function store(string $id, string $body): void
{
    $folder = getenv('IPN_STORE') ?: throw_up('IPN_STORE is not set');
    $file = "$folder/$id";
    if (is_file($file)) {
        return;
    }
    // Not tempnam(): where it cannot write here, it writes into the system's folder for such files, and they stay there.
    $draft = "$folder/draft-" . bin2hex(random_bytes(8));
    $handle = fopen($draft, 'xb') ?: throw_up('the message could not be stored');
    $written = chmod($draft, 0600) && fwrite($handle, $body) === strlen($body)
        && fflush($handle) && (!function_exists('fsync') || fsync($handle));
    if (!fclose($handle) || !$written || !rename($draft, $file)) {
        throw_up('the message could not be stored');
    }
}

function throw_up(string $why): void
{
    throw new RuntimeException($why);
}

if (in_array($_SERVER['REQUEST_METHOD'], ['GET', 'HEAD'], true)) {
    answer(200); // It is asked so when the URL is saved.
}
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    header('Allow: GET, POST');
    answer(405, "Only POST is taken here.\n");
}
$body = (string) file_get_contents('php://input', false, null, 0, MAX_BODY + 1);
if (strlen($body) > MAX_BODY) {
    answer(413, "The message is too large.\n");
}
$fields = fields($body);
$signed = array_filter($fields, fn (array $field): bool => !in_array($field[0], SIGNATURES, true));
$source = prefixed(...array_column($signed, 1));
$given = strtolower(first($fields, SIGNATURES[ALGORITHM]));
$keys = array_filter([getenv('IPN_SECRET_KEY'), getenv('IPN_SECRET_KEY_OLD')], fn ($key): bool => is_string($key) && $key !== '');
$right = array_filter($keys, fn (string $key): bool => hash_equals(hash_hmac(ALGORITHM, $source, $key), $given));
if ($right === []) {
    answer(400, "The signature is wrong.\n");
}
try {
    store(hash('sha256', $source), $body);
} catch (Throwable $error) {
    error_log('payment notification: ' . $error->getMessage());
    answer(500, "Not stored. Please send it again.\n");
}
$date = gmdate('YmdHis');
$text = prefixed(first($fields, 'IPN_PID'), first($fields, 'IPN_PNAME'), first($fields, 'IPN_DATE'), $date);
$hash = hash_hmac(ALGORITHM, $text, reset($right));
answer(200, ALGORITHM === 'md5' ? "<EPAYMENT>$date|$hash</EPAYMENT>" : '<sig algo="' . ALGORITHM . "\" date=\"$date\">$hash</sig>");
