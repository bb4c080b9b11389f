import { existsSync } from 'node:fs'
import { Failure, noSuchFile } from '../model/failure.js'
import type { KeptProof } from '../model/proof.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'

/** Reads a proof that `prove --out` wrote. Throws BAD_PROOF with the fault. */
export async function readProof(path: string): Promise<KeptProof> {
  if (!existsSync(path)) throw new Failure('BAD_PROOF', path, { reason: noSuchFile })
  const read = readJson(path)
  if ('reason' in read) throw new Failure('BAD_PROOF', path, read)
  return parseProof(read.json, path)
}

/** Validates a proof. `where` is its name in BAD_PROOF. Loads zod. */
export async function parseProof(json: unknown, where: string): Promise<KeptProof> {
  const z = await import('./zod.js')
  const text = z.string()
  const count = z.number()
  const schema = z.strictObject({
    format: z.literal(1),
    tool: text,
    at: text,
    track: text,
    database: z.strictObject({ name: text, system: z.nullable(text) }),
    server: text,
    major: z.int(),
    verdict: text,
    applied: z.array(z.strictObject({ migration: text, checksum: text })),
    checks: z.array(z.strictObject({ check: text, checksum: text, outcome: text })),
    accounts: z.array(
      z.strictObject({
        object: text,
        cameIn: count,
        migrated: count,
        quarantined: count,
        failed: count,
        missing: count,
      }),
    ),
    backfills: z.array(z.strictObject({ migration: text, units: count, rows: count, hash: text })),
    tables: z.array(z.strictObject({ table: text, dated: z.boolean(), rows: count, hash: text })),
    catalog: z.record(text, text),
  })
  const result = schema.safeParse(json)
  if (!result.success)
    throw new Failure('BAD_PROOF', where, { reason: result.error.issues.map(describeIssue).join('; ') })
  return result.data as KeptProof
}
