// Signs a citizen in and out: code flow with PKCE, userinfo, a refresh.
import * as client from 'openid-client'
import { end, issuer, read, show, visit } from './terminal.mjs'

const me = await read('client.json') // what idp clients add printed
const config = await client.discovery(issuer, me.client_id, me, client.ClientSecretBasic(me.client_secret), {
  // the second only on your own machine, where the issuer is http://localhost
  execute: [client.enableNonRepudiationChecks, ...(issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [])],
})

// Somebody presses "Entra": these three belong in that browser's session.
const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const answer = await visit(client.buildAuthorizationUrl(config, {
  redirect_uri: me.redirect_uris[0],
  scope: 'openid profile offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
}))

// The browser comes back. iss is checked too; access_denied is thrown, the citizen said no.
let tokens = await client.authorizationCodeGrant(config, answer, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
})
const { sub, acr } = tokens.claims() // sub is what you know this citizen by
show({ acr, ...(await client.fetchUserInfo(config, tokens.access_token, sub)) })

// Later, without the citizen. Keep the new refresh token, and the ID token for leaving.
const idToken = tokens.id_token
tokens = await client.refreshTokenGrant(config, tokens.refresh_token)
show(await client.fetchUserInfo(config, tokens.access_token, sub))

// "Esci": end your own session first, then the one here.
const bye = client.randomState()
const back = await visit(client.buildEndSessionUrl(config, {
  id_token_hint: idToken,
  post_logout_redirect_uri: me.post_logout_redirect_uris[0],
  state: bye,
}))
show({ left: back.searchParams.get('state') === bye })
await client.tokenRevocation(config, tokens.refresh_token) // it would outlive the sign-out
end()
