// Registers the service by itself, where the institution allows that, and prints what login.mjs reads.
import { fileURLToPath } from 'node:url'
import * as client from 'openid-client'
import { end, issuer, read, show } from './terminal.mjs'

const service = await read(fileURLToPath(new URL('login.json', import.meta.url)))
const config = await client.dynamicClientRegistration(issuer, service, client.ClientSecretBasic(), {
  initialAccessToken: process.env.REGISTRATION_TOKEN, // of idp clients invite; none where whoever comes may register
  execute: issuer.protocol === 'http:' ? [client.allowInsecureRequests] : [], // only on your own machine
})
show(config.clientMetadata()) // with registration_access_token, which changes it later
end()
