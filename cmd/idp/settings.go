package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/credentials"
)

// settings are the program's, by flag, IDP_* variable or JSON file. They are
// texts until checked, so that a bad value is a refusal (exit 1) and no fault
// of the command line (exit 2).
type settings struct {
	Config              string `help:"Settings as a JSON file." placeholder:"FILE.json"`
	Issuer              string `help:"Public address, without a path." default:"http://localhost:8080"`
	Listen              string `help:"Where the public listens." default:"127.0.0.1:8080"`
	TLSCertFile         string `help:"Certificate; read again when it changes." name:"tls-cert-file"`
	TLSKeyFile          string `help:"Its key." name:"tls-key-file"`
	MTLSListen          string `help:"Where services are asked for certificates." name:"mtls-listen"`
	MTLSURL             string `help:"The public address of that." name:"mtls-url"`
	ClientCAFile        string `help:"Authorities that certify services, as PEM." name:"client-ca-file"`
	ClientCertHeader    string `help:"A trusted proxy hands over services' certificates: off or rfc9440." default:"off"`
	AdminListen         string `help:"Health, metrics, pprof; never public." default:"127.0.0.1:9090"`
	DatabaseURL         string `help:"postgres://… or sqlite:PATH." name:"database-url" default:"sqlite:idp.db" secret:""`
	SecretsDir          string `help:"Key files of idp secrets init." default:"./secrets"`
	PolicyFile          string `help:"Parameters as JSON, see idp policy show."`
	TrustedProxies      string `help:"Networks whose X-Forwarded-* count."`
	Eligibility         string `help:"open, transition-2020 or current." default:"current"`
	PINAlphabet         string `help:"digits or hex." name:"pin-alphabet" default:"digits"`
	Captcha             string `help:"image, or none on a loopback issuer." default:"image"`
	Registration        string `help:"Dynamic registration: off, token, statement or open." default:"off"`
	RegistrationProfile string `help:"Profile of openly registered clients: oauth2.1 or oidc." default:"oauth2.1"`
	SMTPURL             string `help:"E-mail: smtps://user:password@host:465 or smtp://…." name:"smtp-url" secret:""`
	MailFrom            string `help:"Its sender."`
	PECSMTPURL          string `help:"Certified mail out." name:"pec-smtp-url" secret:""`
	PECIMAPURL          string `help:"Its receipts in." name:"pec-imap-url" secret:""`
	PECFrom             string `help:"Its sender, and the mailbox of the receipts." name:"pec-from"`
	PECCAFile           string `help:"Who may sign receipts." name:"pec-ca-file"`
	SMSURL              string `help:"HTTP gateway for SMS." name:"sms-url"`
	SMSToken            string `help:"Its bearer token, which signs delivery reports too." name:"sms-token" secret:""`
	PostDir             string `help:"Letters for the print service, as PDF."`
	PostRecipient       string `help:"Its X25519 public key (age1…), to which letters are sealed."`
	OutboxDir           string `help:"Development: channels without a gateway write files here."`
	AuditAnchorDir      string `help:"Signed checkpoints of the audit; beside the secrets by default."`
	InstitutionFile     string `help:"Name, logo, contacts and hours of the institution, as JSON."`
	SoftwarePublishers  string `help:"Whose software statements count, as JSON." name:"software-publishers-file"`
	AuthorizationTypes  string `help:"What services may ask citizens' leave for in detail, as JSON." name:"authorization-types-file"`
	LogLevel            string `help:"debug, info, warn or error." default:"info"`
	LogFormat           string `help:"json or text." default:"json"`
}

// sources finds a setting that no flag gave: the environment, then the file.
type sources struct {
	environment map[string]string
	file        map[string]string
}

// Validate implements kong.Resolver.
func (*sources) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. Only settings have other sources than
// flags: a command's own flags do not.
func (s *sources) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if _, ok := settingNames()[flag.Name]; !ok {
		return nil, nil
	}
	if v, ok := s.environment[flag.Name]; ok {
		return v, nil
	}
	if v, ok := s.file[flag.Name]; ok {
		return v, nil
	}
	return nil, nil
}

// settingNames maps flag names to whether the setting is a secret.
func settingNames() map[string]bool {
	names := map[string]bool{}
	t := reflect.TypeFor[settings]()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("name")
		if name == "" {
			name = dashed(f.Name)
		}
		_, names[name] = f.Tag.Lookup("secret")
	}
	return names
}

// dashed turns a Go name into a flag's, as kong does.
func dashed(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func newSources(environ, args []string) (*sources, error) {
	s := &sources{environment: map[string]string{}, file: map[string]string{}}
	if err := s.readEnvironment(environ); err != nil {
		return nil, err
	}
	path := s.environment["config"]
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			path = v
		} else if a == "--config" && i+1 < len(args) {
			path = args[i+1]
		}
	}
	if path == "" {
		return s, nil
	}
	return s, s.readFile(path)
}

func (s *sources) readEnvironment(environ []string) error {
	names, files := settingNames(), map[string]string{}
	for _, line := range environ {
		key, value, _ := strings.Cut(line, "=")
		name, ours := strings.CutPrefix(key, "IDP_")
		// Kubernetes sets these for a service that is called idp
		if !ours || strings.HasPrefix(name, "SERVICE_") || name == "PORT" || strings.HasPrefix(name, "PORT_") {
			continue
		}
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if _, known := names[name]; known {
			s.environment[name] = value
			continue
		}
		base, isFile := strings.CutSuffix(name, "-file")
		if secret := names[base]; !isFile || !secret {
			return fmt.Errorf("unknown setting %s in the environment", key)
		}
		b, err := os.ReadFile(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		files[base] = strings.TrimSpace(string(b))
	}
	for name, value := range files {
		if _, twice := s.environment[name]; twice {
			variable := "IDP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			return fmt.Errorf("%s and %s_FILE are both set: leave one out", variable, variable)
		}
		s.environment[name] = value
	}
	return nil
}

// readObject reads a file that holds one JSON object and nothing else.
func readObject(path string) (map[string]any, error) {
	b, err := os.ReadFile(path) //nolint:gosec // G703: the operator names the file
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&doc)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("it goes on after its end")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON object: %w", path, err)
	}
	return doc, nil
}

// plain is a JSON value as a flag would be written; a list has commas.
func plain(v any) (string, error) {
	switch v := v.(type) {
	case string, bool, json.Number:
		return fmt.Sprint(v), nil
	case []any:
		texts := make([]string, len(v))
		for i, one := range v {
			var ok bool
			if texts[i], ok = one.(string); !ok {
				return "", errors.New("is a list of something else than texts")
			}
		}
		return strings.Join(texts, ","), nil
	default:
		return "", errors.New("is neither a text, a number, true, false nor a list of texts")
	}
}

// readFile takes a flat JSON object.
func (s *sources) readFile(path string) error {
	doc, err := readObject(path)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	for key, v := range doc {
		name := strings.ReplaceAll(strings.ToLower(key), "_", "-")
		if _, known := settingNames()[name]; !known || name == "config" {
			return fmt.Errorf("unknown setting %q in %s", key, path)
		}
		if s.file[name], err = plain(v); err != nil {
			return fmt.Errorf("%s in %s %w", key, path, err)
		}
	}
	return nil
}

// loopback reports whether the issuer is for this machine alone, where
// development conveniences are allowed.
func (s settings) loopback() bool {
	u, err := url.Parse(s.Issuer)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
}

// check refuses what serve must not start with. Each error is one line that
// says what to do.
func (s settings) check() error {
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("issuer %q is not an https address", s.Issuer)
	case u.Scheme == "http" && !s.loopback():
		return fmt.Errorf("issuer %s must be https; http is for a loopback host alone", s.Issuer)
	case strings.TrimRight(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(s.Issuer, "/"):
		return fmt.Errorf("issuer %s must be scheme and host alone, without a path or a slash at the end", s.Issuer)
	case (s.TLSCertFile == "") != (s.TLSKeyFile == ""):
		return errors.New("a certificate and its key go together: set tls-cert-file and tls-key-file")
	case credentials.Measuring && !s.loopback():
		return errors.New("this build is for measurements (tag bench): it needs an issuer on a loopback host")
	case s.Captcha == "none" && !s.loopback():
		return errors.New("captcha none is for development: it needs an issuer on a loopback host")
	case s.Registration == "statement" && s.SoftwarePublishers == "":
		return errors.New("registration statement needs somebody whose statements count: set software-publishers-file")
	case s.OutboxDir != "" && !s.loopback():
		return errors.New("outbox-dir is for development: it needs an issuer on a loopback host")
	}
	for name, c := range map[string]struct {
		value   string
		allowed []string
	}{
		"eligibility":          {s.Eligibility, []string{string(citizens.Open), string(citizens.Transition2020), string(citizens.Current)}},
		"pin-alphabet":         {s.PINAlphabet, []string{string(credentials.Digits), string(credentials.Hex)}},
		"captcha":              {s.Captcha, []string{"image", "none"}},
		"registration":         {s.Registration, []string{"off", "token", "statement", "open"}},
		"registration-profile": {s.RegistrationProfile, []string{string(clients.ProfileOAuth21), string(clients.ProfileOIDC)}},
		"client-cert-header":   {cmp.Or(s.ClientCertHeader, "off"), []string{"off", headerRFC9440}},
		"log-level":            {s.LogLevel, []string{"debug", "info", "warn", "error"}},
		"log-format":           {s.LogFormat, []string{"json", "text"}},
	} {
		if err := oneOf(name, c.value, c.allowed); err != nil {
			return err
		}
	}
	for name, address := range map[string]string{"listen": s.Listen, "admin-listen": s.AdminListen, "mtls-listen": s.MTLSListen} {
		if name == "mtls-listen" && address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%s: %q is no address to listen on: write host:port", name, address)
		}
	}
	if _, err = s.proxies(); err != nil {
		return err
	}
	return s.checkCertificates()
}

func oneOf(name, value string, allowed []string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s is %q; it may be: %s", name, value, strings.Join(allowed, ", "))
}

// proxies reads the networks, a single address being a network of its own.
func (s settings) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for text := range strings.FieldsFuncSeq(s.TrustedProxies, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("trusted-proxies: %q is no network", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// anchors is the folder of the audit's checkpoints: beside the secrets, never
// among them, so that who may write the one cannot read the other.
func (s settings) anchors() (string, error) {
	dir := s.AuditAnchorDir
	if dir == "" {
		return filepath.Join(filepath.Dir(filepath.Clean(s.SecretsDir)), "audit-anchors"), nil
	}
	if rel, err := filepath.Rel(s.SecretsDir, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return "", errors.New("audit-anchor-dir must not be inside secrets-dir")
	}
	return dir, nil
}
