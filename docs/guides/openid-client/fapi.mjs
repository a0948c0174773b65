// Signs a citizen in under the profile fapi2: pushed request, private_key_jwt, DPoP, a signed answer (JARM).
import { webcrypto } from 'node:crypto'
import * as client from 'openid-client'
import { end, issuer, read, show, visit } from './terminal.mjs'

const me = await read('client.json') // what idp clients add printed
const jwk = await read('key.json') // what key.mjs made
const key = await webcrypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const config = await client.discovery(issuer, me.client_id, me, client.PrivateKeyJwt({ key, kid: jwk.kid }), {
  execute: [
    client.enableNonRepudiationChecks,
    client.useJwtResponseMode,
    ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : []), // only on your own machine
  ],
})

// One for each sign-in: who copies the tokens of this citizen cannot use them without it.
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))

const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const answer = await visit(await client.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: me.redirect_uris[0],
  scope: 'openid profile offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
}, { DPoP }))

let tokens = await client.authorizationCodeGrant(config, answer, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
}, undefined, { DPoP })
const { sub, acr } = tokens.claims()
show({ acr, type: tokens.token_type, ...(await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP })) })

tokens = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
show(await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP }))
await client.tokenRevocation(config, tokens.refresh_token)
end()
