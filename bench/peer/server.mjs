// oidc-provider as somebody would run it in production who wants what this
// project gives: ES256 (RS256 for who asks), PKCE, rotated refresh tokens, consent, a page of their
// own for codice fiscale and PIN, everything kept in PostgreSQL (or, to see what
// the database costs, in memory). One process.
import { createHmac, generateKeyPairSync, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

import Provider from 'oidc-provider'

import { memory } from './memory.mjs'
import { postgres } from './postgres.mjs'

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const keyed = (text) => createHmac('sha256', 'a key of the installation').update(text).digest()
const { adapter, accounts } = settings.database ? await postgres(settings, keyed) : memory(settings, keyed)
const key = (type, options, alg) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: alg })

const resource = settings.resource
const provider = new Provider(settings.issuer, {
  adapter,
  clients: settings.clients.map((c) => ({
    ...c, redirect_uris: [settings.redirect], response_types: ['code'], scope: settings.scope,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
  })),
  jwks: { keys: [key('ec', { namedCurve: 'P-256' }, 'ES256'), key('rsa', { modulusLength: 3072 }, 'RS256')] },
  cookies: { keys: ['a key of the installation for cookies'] },
  scopes: settings.scope.split(' '),
  claims: { openid: ['sub'], profile: ['name', 'given_name', 'family_name'], email: ['email'] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: 600, AuthorizationCode: 60, ClientCredentials: 600, IdToken: 600, Interaction: 3600, Session: 28800, Grant: 2592000, RefreshToken: 2592000 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    // the token of a service is a JWT here, as it is with the others; those of
    // people stay opaque, since userinfo and introspection take no other
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async () => ({ scope: '', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } } }),
    },
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: async (_ctx, id) => {
    const found = await accounts.byID(id)
    return found && { accountId: id, claims: async () => ({ sub: id, name: `${found.given_name} ${found.family_name}`, ...found }) }
  },
})

const read = async (req) => {
  let body = ''
  for await (const chunk of req) body += chunk
  return new URLSearchParams(body)
}

const forms = {
  login: '<input name="fiscal_code"><input name="pin" type="password"><button>ok</button>',
  consent: '<button name="answer" value="allow">ok</button>',
}

const show = async (req, res) => {
  const { prompt } = await provider.interactionDetails(req, res)
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(`<!doctype html><title>peer</title><form method="post" action="${req.url}">${forms[prompt.name]}</form>`)
}

const login = async (form) => {
  const found = await accounts.byCode(keyed(form.get('fiscal_code')))
  if (!found || !timingSafeEqual(found.pin_hmac, keyed(found.id + form.get('pin')))) throw new Error('refused')
  return { login: { accountId: found.id } }
}

const consent = async ({ session, params, grantId }) => {
  const grant = (grantId && await provider.Grant.find(grantId)) || new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  return { consent: { grantId: await grant.save() } }
}

const take = async (req, res) => {
  const details = await provider.interactionDetails(req, res)
  const form = await read(req)
  const result = details.prompt.name === 'login' ? await login(form) : await consent(details)
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true })
}

const inner = provider.callback()
const [host, port] = settings.listen.split(':')
createServer((req, res) => {
  if (!req.url.startsWith('/interaction/')) return inner(req, res)
  return (req.method === 'POST' ? take : show)(req, res).catch((err) => {
    res.statusCode = 400
    res.end(err.message)
  })
}).listen(Number(port), host)
process.on('SIGTERM', () => process.exit(0))
