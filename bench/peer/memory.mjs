// Everything in one process's memory. oidc-provider's own adapter of this kind
// forgets all but the newest thousand.
export function memory(settings, keyed) {
  const kept = new Map()
  const grants = new Map() // keys, by grant
  class Adapter {
    constructor(type) { this.type = type }
    key(id) { return `${this.type}:${id}` }
    async upsert(id, payload, expiresIn) {
      const key = this.key(id)
      kept.set(key, { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity })
      if (payload.uid) kept.set(`uid:${payload.uid}`, id)
      if (payload.grantId) {
        if (!grants.has(payload.grantId)) grants.set(payload.grantId, new Set())
        grants.get(payload.grantId).add(key)
      }
    }
    async find(id) {
      const found = kept.get(this.key(id))
      return found && found.until > Date.now() ? found.payload : undefined
    }
    async findByUid(uid) { return this.find(kept.get(`uid:${uid}`)) }
    async findByUserCode() { return undefined }
    async consume(id) { kept.get(this.key(id)).payload.consumed = Math.floor(Date.now() / 1000) }
    async destroy(id) { kept.delete(this.key(id)) }
    async revokeByGrantId(grantId) {
      for (const key of grants.get(grantId) ?? []) kept.delete(key)
      grants.delete(grantId)
    }
  }
  const people = settings.people.map((p) => ({
    id: p.fiscal_code, code: keyed(p.fiscal_code).toString('hex'), pin_hmac: keyed(p.fiscal_code + p.pin),
    claims: { given_name: p.given_name, family_name: p.family_name, email: p.email },
  }))
  const ids = new Map(people.map((p) => [p.id, p.claims]))
  const codes = new Map(people.map((p) => [p.code, p]))
  const accounts = { byID: async (id) => ids.get(id), byCode: async (hmac) => codes.get(hmac.toString('hex')) }
  return { adapter: Adapter, accounts }
}
