<?php
// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// Needs PHP 7.4 or newer and nothing else. Put it where your web server runs PHP, and set in its environment:
//   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//   WEBHOOK_SECRET_OLD  the secret before, only while you change it
//   WEBHOOK_STORE       a folder outside of the web root that this script may write to
declare(strict_types=1);

const MAX_BODY = 1048576;
const MAX_AGE = 300; // seconds that the clock of the sender may differ

function answer(int $status, string $text = ''): void
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    echo $text;
    exit;
}

/** Whether one of the signatures is ours. There are two while the sender changes its key. */
function is_right(string $id, string $seconds, string $body, string $signatures): bool
{
    if (!ctype_digit($seconds) || abs(time() - (int) $seconds) > MAX_AGE) {
        return false;
    }
    $right = false;
    foreach ([getenv('WEBHOOK_SECRET'), getenv('WEBHOOK_SECRET_OLD')] as $secret) {
        if (is_string($secret) && strncmp($secret, 'whsec_', 6) === 0) {
            $key = (string) base64_decode(substr($secret, 6));
            if ($key === '') {
                continue; // Anybody can sign with an empty key.
            }
            $wanted = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$seconds.$body", $key, true));
            foreach (explode(' ', $signatures) as $given) {
                $right = hash_equals($wanted, $given) || $right;
            }
        }
    }
    return $right;
}

/**
 * Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
 * this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
 */
function store(string $id, string $body): void
{
    $folder = getenv('WEBHOOK_STORE') ?: throw_up('WEBHOOK_STORE is not set');
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
$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
if (!is_right($id, $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $body, $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '')) {
    answer(400, "The signature is wrong.\n");
}
// Has reference, status and amount: {"minor": 52900, "currency": "USD", "exponent": 2}
$order = json_decode($body, true)['data']['order'];
try {
    store(hash('sha256', $id), $body);
} catch (Throwable $error) {
    error_log('payment notification: ' . $error->getMessage());
    answer(500, "Not stored. Please send it again.\n");
}
error_log("order {$order['reference']} is {$order['status']}");
answer(204);
