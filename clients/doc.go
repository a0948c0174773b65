// Package clients is the registry of relying parties: the services that
// delegate signing in to this provider.
//
// It owns the tables clients, client_secrets and client_changes, decides what
// may be registered (redirect URIs above all), makes and rotates secrets, and
// knows a client's public keys, its own or those behind its jwks_uri. Every
// change is audited in the transaction that makes it. Clients are answered
// from memory, at most ten seconds old.
//
// Its edges: it speaks no protocol. Who presented which secret or assertion,
// replay of an assertion, and which grant is allowed now are provider's
// business; what a citizen is asked is consent's. It knows database and audit
// and nothing above them.
package clients
