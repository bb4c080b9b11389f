import { existsSync } from 'node:fs'
import { Failure, noSuchFile } from '../model/failure.js'
import type { Pin } from '../model/pin.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'

/** Reads a pinned plan from a file. Throws BAD_PIN with the fault. */
export async function readPin(path: string): Promise<Pin> {
  if (!existsSync(path)) throw new Failure('BAD_PIN', path, { reason: noSuchFile })
  const read = readJson(path)
  if ('reason' in read) throw new Failure('BAD_PIN', path, read)
  return parsePin(read.json, path)
}

/** Validates a pinned plan. `where` is its name in BAD_PIN. Loads zod. */
export async function parsePin(json: unknown, where: string): Promise<Pin> {
  const z = await import('./zod.js')
  const file = z.strictObject({ migration: z.string(), checksum: z.string() })
  const schema = z.strictObject({
    format: z.literal(1),
    track: z.string(),
    database: z.strictObject({ name: z.string(), system: z.nullable(z.string()) }),
    wish: z.strictObject({
      to: z.nullable(z.string()),
      phase: z.nullable(z.enum(['expand', 'backfill', 'contract'])),
      backfills: z.boolean(),
    }),
    steps: z.array(file),
    applied: z.array(file),
    hazards: z.array(z.string()),
    major: z.int(),
    catalog: z.record(z.string(), z.string()),
  })
  const result = schema.safeParse(json)
  if (!result.success)
    throw new Failure('BAD_PIN', where, { reason: result.error.issues.map(describeIssue).join('; ') })
  return result.data as Pin
}
