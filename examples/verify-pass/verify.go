// Whose pass is this? Needs nothing but Go 1.20 or newer.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

var decode = base64.RawURLEncoding.DecodeString

func verify(baseURL, campaign, text string) (string, error) {
	var set struct {
		Keys []struct{ Kid, Crv, X string }
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss, Aud, Sub string
		Exp           int64
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return "", errors.New("no pass")
	}
	answer, err := http.Get(baseURL + "/.well-known/jwks.json")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	headJSON, _ := decode(parts[0])
	claimsJSON, _ := decode(parts[1])
	signature, _ := decode(parts[2])
	err = errors.Join(json.NewDecoder(answer.Body).Decode(&set), json.Unmarshal(headJSON, &head), json.Unmarshal(claimsJSON, &claims))
	if err != nil {
		return "", err
	}
	for _, key := range set.Keys {
		public, _ := decode(key.X)
		if key.Kid != head.Kid || key.Crv != "Ed25519" || len(public) != ed25519.PublicKeySize {
			continue
		}
		if head.Alg != "EdDSA" || !ed25519.Verify(public, []byte(parts[0]+"."+parts[1]), signature) {
			return "", errors.New("not signed by its key")
		}
		if claims.Iss != "onrush" || claims.Aud != campaign || claims.Sub == "" {
			return "", errors.New("not a pass for this campaign")
		}
		if claims.Exp <= time.Now().Unix() {
			return "", errors.New("the pass has expired")
		}
		return claims.Sub, nil
	}
	return "", errors.New("no pass of these keys")
}

func main() {
	user, err := verify(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println(user)
}
