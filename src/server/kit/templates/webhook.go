// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// Needs Go 1.19 or newer and nothing else: go run webhook.go. Behind a web server that speaks HTTPS, with in its environment:
//
//	WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//	WEBHOOK_SECRET_OLD  the secret before, only while you change it
//	WEBHOOK_STORE       a folder that this program may write to
//	PORT                where it listens on this machine, 8080 by default
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const maxBody = 1 << 20
const maxAge = 300 // seconds that the clock of the sender may differ

var keys [][]byte
var store string

// What is read of a message; its order also has an amount: {"minor": 52900, "currency": "USD", "exponent": 2}
type message struct {
	Data struct {
		Order struct{ Reference, Status string }
	}
}

// The key in a signing secret; none where it is no signing secret, or an empty one: with that anybody can sign.
func keyOf(secret string) []byte {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") {
		return nil
	}
	return key
}

// Whether one of the signatures is ours. There are two while the sender changes its key.
func isRight(id, seconds string, body []byte, signatures string) bool {
	sent, err := strconv.ParseInt(seconds, 10, 64)
	age := time.Now().Unix() - sent
	if err != nil || age > maxAge || age < -maxAge {
		return false
	}
	right := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		io.WriteString(mac, id+"."+seconds+".")
		mac.Write(body)
		wanted := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		for _, given := range strings.Split(signatures, " ") {
			right = hmac.Equal(wanted, []byte(given)) || right
		}
	}
	return right
}

// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
func keep(id string, body []byte) error {
	draft, err := os.CreateTemp(store, "draft-")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(body)
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

func take(header http.Header, body []byte) (int, string) {
	id := header.Get("webhook-id")
	if !isRight(id, header.Get("webhook-timestamp"), body, header.Get("webhook-signature")) {
		return http.StatusBadRequest, "The signature is wrong.\n"
	}
	var known message
	err := json.Unmarshal(body, &known)
	if err == nil {
		name := sha256.Sum256([]byte(id))
		err = keep(hex.EncodeToString(name[:]), body)
	}
	if err != nil {
		log.Print("payment notification: ", err)
		return http.StatusInternalServerError, "Not stored. Please send it again.\n"
	}
	log.Printf("order %s is %s", known.Data.Order.Reference, known.Data.Order.Status)
	return http.StatusNoContent, ""
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
	return take(request.Header, body)
}

func main() {
	store = os.Getenv("WEBHOOK_STORE")
	for _, name := range []string{"WEBHOOK_SECRET", "WEBHOOK_SECRET_OLD"} {
		if key := keyOf(os.Getenv(name)); len(key) > 0 {
			keys = append(keys, key)
		}
	}
	if store == "" || len(keys) == 0 {
		log.Fatal("set WEBHOOK_SECRET (whsec_…) and WEBHOOK_STORE")
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
