// The storage that oidc-provider asks for, on PostgreSQL: one table, each thing
// found by an index, every statement prepared once a connection.
import pg from 'pg'

const schema = `
CREATE TABLE kept (
  type text NOT NULL, id text NOT NULL, payload jsonb NOT NULL, grant_id text, uid text, user_code text,
  consumed_at timestamptz, expires_at timestamptz, PRIMARY KEY (type, id));
CREATE INDEX ON kept (grant_id) WHERE grant_id IS NOT NULL;
CREATE UNIQUE INDEX ON kept (type, uid) WHERE uid IS NOT NULL;
CREATE UNIQUE INDEX ON kept (type, user_code) WHERE user_code IS NOT NULL;
CREATE INDEX ON kept (expires_at);
CREATE TABLE accounts (id text PRIMARY KEY, code_hmac bytea NOT NULL UNIQUE, pin_hmac bytea NOT NULL, given_name text NOT NULL, family_name text NOT NULL, email text NOT NULL);`

const statements = {
  upsert: `INSERT INTO kept (type, id, payload, grant_id, uid, user_code, expires_at) VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
    ON CONFLICT (type, id) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
    user_code = excluded.user_code, expires_at = excluded.expires_at`,
  find: 'SELECT payload, consumed_at FROM kept WHERE type = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > now())',
  findByUid: 'SELECT payload, consumed_at FROM kept WHERE type = $1 AND uid = $2 AND (expires_at IS NULL OR expires_at > now())',
  findByUserCode: 'SELECT payload, consumed_at FROM kept WHERE type = $1 AND user_code = $2 AND (expires_at IS NULL OR expires_at > now())',
  consume: 'UPDATE kept SET consumed_at = now() WHERE type = $1 AND id = $2',
  destroy: 'DELETE FROM kept WHERE type = $1 AND id = $2',
  revoke: 'DELETE FROM kept WHERE type = $1 AND grant_id = $2',
  byID: 'SELECT given_name, family_name, email FROM accounts WHERE id = $1',
  byCode: 'SELECT id, pin_hmac FROM accounts WHERE code_hmac = $1',
}

export async function postgres(settings, keyed) {
  const pool = new pg.Pool({ host: settings.socket, user: 'postgres', database: 'bench', max: 16 })
  const run = async (name, values) => (await pool.query({ name, text: statements[name], values })).rows[0]
  await pool.query(schema)
  for (const p of settings.people) {
    await pool.query('INSERT INTO accounts VALUES ($1, $2, $3, $4, $5, $6)',
      [p.fiscal_code, keyed(p.fiscal_code), keyed(p.fiscal_code + p.pin), p.given_name, p.family_name, p.email])
  }
  const payload = (row) => row && { ...row.payload, ...(row.consumed_at && { consumed: Math.floor(row.consumed_at / 1000) }) }
  class Adapter {
    constructor(type) { this.type = type }
    async upsert(id, p, expiresIn) {
      await run('upsert', [this.type, id, p, p.grantId ?? null, p.uid ?? null, p.userCode ?? null, expiresIn ?? null])
    }
    async find(id) { return payload(await run('find', [this.type, id])) }
    async findByUid(uid) { return payload(await run('findByUid', [this.type, uid])) }
    async findByUserCode(code) { return payload(await run('findByUserCode', [this.type, code])) }
    async consume(id) { await run('consume', [this.type, id]) }
    async destroy(id) { await run('destroy', [this.type, id]) }
    async revokeByGrantId(id) { await run('revoke', [this.type, id]) }
  }
  const accounts = { byID: (id) => run('byID', [id]), byCode: (hmac) => run('byCode', [hmac]) }
  return { adapter: Adapter, accounts }
}
