// Signs a citizen in under the profile fapi2 with a request that only the provider can read:
// signed by the service, then encrypted to a key of the provider's, and pushed.
import { webcrypto } from 'node:crypto'
import { CompactEncrypt, SignJWT, importJWK } from 'jose'
import * as client from 'openid-client'
import { end, issuer, read, show, visit } from './terminal.mjs'

const me = await read('client.json') // what idp clients add printed
const jwk = await read('key.json') // what key.mjs made
const key = await webcrypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const config = await client.discovery(issuer, me.client_id, me, client.PrivateKeyJwt({ key, kid: jwk.kid }), {
  execute: [
    client.useJwtResponseMode,
    ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []), // only on your own machine
  ],
})
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const provider = config.serverMetadata()

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const signed = await new SignJWT({
  client_id: me.client_id,
  redirect_uri: me.redirect_uris[0],
  response_type: 'code',
  response_mode: 'jwt',
  scope: 'openid profile',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
}).setProtectedHeader({ alg: 'ES256', kid: jwk.kid, typ: 'oauth-authz-req+jwt' })
  .setIssuer(me.client_id).setAudience(provider.issuer).setNotBefore('0s').setExpirationTime('5m').sign(key)

// Read the keys anew at least as often as their Cache-Control says; an old one opens for an hour more.
const { keys } = await (await fetch(provider.jwks_uri)).json()
const theirs = keys.find((one) => one.use === 'enc' && one.kty === 'EC')
const request = await new CompactEncrypt(new TextEncoder().encode(signed))
  .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: theirs.kid, cty: 'JWT' })
  .encrypt(await importJWK(theirs, 'ECDH-ES'))

const answer = await visit(await client.buildAuthorizationUrlWithPAR(config, { request }, { DPoP }))
const tokens = await client.authorizationCodeGrant(config, answer, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
}, undefined, { DPoP })
show({ acr: tokens.claims().acr, parts: request.split('.').length, ...(await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })) })
end()
