// Takes payment notifications, and answers each with a read receipt once it is stored.
// Needs Go 1.19 or newer and golang.org/x/crypto (with Go 1.24 also "crypto/sha3"): go run listener.go. Behind a web server that
// speaks HTTPS, with in its environment:
//
//	IPN_SECRET_KEY      the secret key of your IPN settings
//	IPN_SECRET_KEY_OLD  the key before, only while you change it
//	IPN_STORE           a folder that this program may write to
//	PORT                where it listens on this machine, 8080 by default
package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/sha3"
)

const algorithm = "md5" // "md5", "sha256" or "sha3-256", as chosen for this URL
const maxBody = 1 << 20

var signatures = map[string]string{"md5": "HASH", "sha256": "SIGNATURE_SHA2_256", "sha3-256": "SIGNATURE_SHA3_256"}
var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha256": sha256.New, "sha3-256": sha3.New256}
var keys []string
var store string

type field struct{ name, value string }

func sign(key, text string) string {
	mac := hmac.New(hashes[algorithm], []byte(key))
	io.WriteString(mac, text)
	return hex.EncodeToString(mac.Sum(nil))
}

// A percent sign that begins no escape stands for itself.
func decoded(text string) string {
	var bytes strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] == '%' && at+2 < len(text) {
			if value, err := strconv.ParseUint(text[at+1:at+3], 16, 8); err == nil {
				bytes.WriteByte(byte(value))
				at += 2
				continue
			}
		}
		if text[at] == '+' {
			bytes.WriteByte(' ')
		} else {
			bytes.WriteByte(text[at])
		}
	}
	return bytes.String()
}

// The fields in the order in which they came. url.ParseQuery would lose the order.
func fieldsOf(body string) (fields []field) {
	for _, pair := range strings.Split(body, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			fields = append(fields, field{decoded(name), decoded(value)})
		}
	}
	return fields
}

// Each value after its length in bytes.
func prefixed(values ...string) string {
	var text strings.Builder
	for _, value := range values {
		text.WriteString(strconv.Itoa(len(value)))
		text.WriteString(value)
	}
	return text.String()
}

func first(fields []field, wanted string) string {
	for _, field := range fields {
		if name, _, _ := strings.Cut(field.name, "["); name == wanted {
			return field.value
		}
	}
	return ""
}

// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
func keep(id, body string) error {
	draft, err := os.CreateTemp(store, "draft-")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(body)
	if err == nil {
		err = draft.Sync()
	}
	if closed := draft.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Link(draft.Name(), filepath.Join(store, id))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func take(body string) (int, string) {
	fields := fieldsOf(body)
	var values []string
	for _, field := range fields {
		isSignature := false
		for _, name := range signatures {
			isSignature = isSignature || field.name == name
		}
		if !isSignature {
			values = append(values, field.value)
		}
	}
	source := prefixed(values...)
	given := strings.ToLower(first(fields, signatures[algorithm]))
	right := ""
	for _, key := range keys {
		if right == "" && hmac.Equal([]byte(sign(key, source)), []byte(given)) {
			right = key
		}
	}
	if right == "" {
		return http.StatusBadRequest, "The signature is wrong.\n"
	}
	id := sha256.Sum256([]byte(source))
	if err := keep(hex.EncodeToString(id[:]), body); err != nil {
		log.Print("payment notification: ", err)
		return http.StatusInternalServerError, "Not stored. Please send it again.\n"
	}
	date := time.Now().UTC().Format("20060102150405")
	digest := sign(right, prefixed(first(fields, "IPN_PID"), first(fields, "IPN_PNAME"), first(fields, "IPN_DATE"), date))
	if algorithm == "md5" {
		return http.StatusOK, fmt.Sprintf("<EPAYMENT>%s|%s</EPAYMENT>", date, digest)
	}
	return http.StatusOK, fmt.Sprintf(`<sig algo="%s" date="%s">%s</sig>`, algorithm, date, digest)
}

func answer(writer http.ResponseWriter, request *http.Request) (int, string) {
	switch request.Method {
	case http.MethodGet, http.MethodHead:
		return http.StatusOK, "" // It is asked so when the URL is saved.
	case http.MethodPost:
	default:
		writer.Header().Set("Allow", "GET, POST")
		return http.StatusMethodNotAllowed, "Only POST is taken here.\n"
	}
	body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, maxBody))
	if err != nil {
		return http.StatusRequestEntityTooLarge, "The message is too large.\n"
	}
	return take(string(body))
}

func main() {
	store = os.Getenv("IPN_STORE")
	for _, name := range []string{"IPN_SECRET_KEY", "IPN_SECRET_KEY_OLD"} {
		if key := os.Getenv(name); key != "" {
			keys = append(keys, key)
		}
	}
	if store == "" || os.Getenv("IPN_SECRET_KEY") == "" {
		log.Fatal("set IPN_SECRET_KEY and IPN_STORE")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: "127.0.0.1:" + port, ReadTimeout: 20 * time.Second, Handler: http.HandlerFunc(
		func(writer http.ResponseWriter, request *http.Request) {
			status, text := answer(writer, request)
			writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
			writer.WriteHeader(status)
			io.WriteString(writer, text)
		})}
	log.Fatal(server.ListenAndServe())
}
