// Makes a service's key: the private half goes to key.json, the public one into the document to register.
import { randomUUID, webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { read } from './terminal.mjs'

const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const kid = randomUUID()
const half = async (key) => ({ ...(await webcrypto.subtle.exportKey('jwk', key)), kid, alg: 'ES256', use: 'sig', key_ops: undefined, ext: undefined })

await writeFile('key.json', JSON.stringify(await half(pair.privateKey)), { mode: 0o600, flag: 'wx' })
const service = await read(fileURLToPath(new URL('fapi.json', import.meta.url)))
console.log(JSON.stringify({ ...service, jwks: { keys: [await half(pair.publicKey)] } }))
process.stdin.destroy()
