package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ente.example/idp/secrets"
)

func initialised(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := secrets.Init(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInitThenLoad(t *testing.T) {
	dir := initialised(t)
	a, err := secrets.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := secrets.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := a.AEAD(secrets.CitizensSeal).Encrypt([]byte("words"), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.AEAD(secrets.CitizensSeal).Decrypt(sealed, []byte("row")); err != nil || string(got) != "words" {
		t.Errorf("decrypted %q, %v", got, err)
	}
	x, _ := a.PRF(secrets.CitizensIndex).ComputePrimaryPRF([]byte("x"), 32)
	y, _ := b.PRF(secrets.CitizensIndex).ComputePrimaryPRF([]byte("x"), 32)
	if !bytes.Equal(x, y) || len(x) != 32 {
		t.Error("the index is not stable over a restart")
	}
	z, _ := a.PRF(secrets.Throttle).ComputePrimaryPRF([]byte("x"), 32)
	if bytes.Equal(x, z) {
		t.Error("two purposes share a key")
	}
	sig, err := a.AuditSigner().Sign([]byte("head"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AuditVerifier().Verify(sig, []byte("head")); err != nil {
		t.Error(err)
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := initialised(t)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o400)
		if strings.HasSuffix(f.Name(), ".public.json") {
			want = 0o444
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", f.Name(), got, want)
		}
	}
}

func TestInitRefusesAnExistingFolder(t *testing.T) {
	dir := initialised(t)
	if err := secrets.Init(dir); err == nil {
		t.Error("Init overwrote keys")
	}
	if _, err := secrets.Load(dir); err != nil {
		t.Error(err)
	}
}

// A node that holds only a channel's public key queues and cannot read.
func TestPublicKeyAlone(t *testing.T) {
	dir := initialised(t)
	whole, err := secrets.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "outbox-sms.json")); err != nil {
		t.Fatal(err)
	}
	part, err := secrets.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := part.Open("sms"); ok {
		t.Error("Open without the private key")
	}
	sealed, err := part.Seal("sms").Encrypt([]byte("half"), []byte("id"))
	if err != nil {
		t.Fatal(err)
	}
	open, _ := whole.Open("sms")
	if got, err := open.Decrypt(sealed, []byte("id")); err != nil || string(got) != "half" {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	rewrite := func(t *testing.T, path string, change func(key []byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		data := doc["key"].([]any)[0].(map[string]any)["keyData"].(map[string]any)
		key, err := base64.StdEncoding.DecodeString(data["value"].(string))
		if err != nil {
			t.Fatal(err)
		}
		data["value"] = base64.StdEncoding.EncodeToString(change(key))
		b, _ = json.Marshal(doc)
		overwrite(t, path, string(b))
	}
	pepper := func(dir string) string { return filepath.Join(dir, "pin-pepper.json") }
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a missing folder": func(t *testing.T, dir string) { _ = os.RemoveAll(dir) },
		"a missing key":    func(t *testing.T, dir string) { _ = os.Remove(pepper(dir)) },
		"a missing channel": func(t *testing.T, dir string) {
			_ = os.Remove(filepath.Join(dir, "outbox-pec.json"))
			_ = os.Remove(filepath.Join(dir, "outbox-pec.public.json"))
		},
		"an empty file": func(t *testing.T, dir string) { overwrite(t, pepper(dir), "") },
		"a password":    func(t *testing.T, dir string) { overwrite(t, pepper(dir), "changeme-changeme-changeme-changeme") },
		"an open file":  func(t *testing.T, dir string) { _ = os.Chmod(pepper(dir), 0o644) },
		"a key of one letter": func(t *testing.T, dir string) {
			rewrite(t, pepper(dir), func(k []byte) []byte { return append(k[:len(k)-32], bytes.Repeat([]byte("a"), 32)...) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := initialised(t)
			spoil(t, dir)
			_, err := secrets.Load(dir)
			if err == nil {
				t.Fatal("Load accepted it")
			}
			if msg := err.Error(); strings.Contains(msg, "\n") || strings.Contains(msg, "changeme") {
				t.Errorf("error is not one clean line: %q", msg)
			}
		})
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
}

func TestRingNeverPrints(t *testing.T) {
	r, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r)} {
		if got != "[keys]" {
			t.Errorf("printed %q", got)
		}
	}
}
