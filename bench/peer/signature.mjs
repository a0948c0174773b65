// What one RS256 signature takes of this machine's processors, as jose makes it
// for oidc-provider: microseconds, while as many are under way at once.
import { availableParallelism } from 'node:os'

const { subtle } = globalThis.crypto
const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const { privateKey } = await subtle.generateKey({ ...algorithm, modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]) }, true, ['sign', 'verify'])
const input = new Uint8Array(600)
const until = Date.now() + Number(process.argv[2])
const before = process.cpuUsage()
let made = 0
await Promise.all(Array.from({ length: availableParallelism() }, async () => {
  for (; Date.now() < until; made++) await subtle.sign('RSASSA-PKCS1-v1_5', privateKey, input)
}))
const { user, system } = process.cpuUsage(before)
console.log((user + system) / made)
