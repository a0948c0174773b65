// What a web application has and these examples do not: here the browser is you.
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

export const issuer = new URL(process.argv[2] ?? 'http://localhost:8080')

export const read = async (file) => JSON.parse(await readFile(file, 'utf8'))

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Sends the browser to an address, and resolves to the one at which it came back. */
export async function visit(address) {
  console.log(address.href)
  const { value } = await lines.next()
  return new URL(value)
}

/** Shows what is known now. */
export const show = (what) => console.log(JSON.stringify(what))

export const end = () => process.stdin.destroy()
