import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import { expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { sharedFactsOf } from '../src/verify/run_check.js'
import { contract, rethread } from './support/cli.js'
import { database, newest, root } from './support/database.js'

/** Tracks that ship have a section here, and many objects; a contributor's first may be small. */
const shipped = readFileSync(join(root, 'docs/tracks.md'), 'utf8')

/** Checks of every track for which this track makes no object that could be broken. */
async function withNothingToBreak(sql: Sql, name: string): Promise<string[]> {
  const { tables, expected } = await sharedFactsOf(discover(root).tracks.find(t => t.name === name)!)
  const [keys] = await sql`
    select from pg_constraint where contype = 'f' and conrelid = any(${tables}::text[]::regclass[]::oid[])`
  return [
    ...(keys ? [] : ['foreign_keys_indexed']),
    ...(expected.some(e => e.functions) ? [] : ['functions_pinned']),
  ]
}

/** Verify the verifier: every mutant is caught by a named check, and every check by a mutant. */
test.each([
  ...discover(root).tracks.map(t => [t.name, 'contract'] as const),
  ['conversation-history', 'overlap'] as const,
  ['trip-sessions', 'overlap'] as const,
  // CI has a quarter of an hour; the matrix of this one's overlap is a story of its own
  ...(process.env.RETHREAD_SOAK ? [['workspace-sessions', 'overlap'] as const] : []),
])('%s (%s): all mutants are caught, every check is woken by one', async (track, state) => {
  await using db = await database(newest(), track, 500)
  const up = await rethread(db.url, ['migrate', '--track', track, ...(state === 'contract' ? contract : [])])
  expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  // a new application writes, where the track has nothing from before
  if (state === 'contract') {
    if (track === 'conversation-history') {
      // a batch that was broken off leaves room before the oldest rows: the new
      // application's come first in the table
      await db.sql.unsafe("update public.messages set role = role where ctid < '(1,0)'")
      await db.sql.unsafe('vacuum public.messages')
    }
    await db.sql.unsafe(readFileSync(join(root, `examples/${track}/new_app.sql`), 'utf8'))
  }
  const refused = await rethread(db.url, ['verify', '--track', track, '--mutants'])
  expect([refused.code, refused.report.findings.map(f => f.code)]).toEqual([3, ['CONSENT_NEEDED']])
  const ran = await rethread(db.url, ['verify', '--track', track, '--mutants', '--confirm', db.name])
  const survivors = ran.report.tables.find(t => t.title === 'Mutants')!.rows.filter(r => r[1] === 'nobody')
  const checks = ran.report.tables.find(t => t.title === 'Checks')!.rows
  const wokenByNone = checks.filter(([, , trusted]) => trusted === false).map(([check]) => check)
  expect({ survivors, wokenByNone, code: ran.code }).toEqual({
    survivors: [],
    wokenByNone: await withNothingToBreak(db.sql, track),
    code: 0,
  })
  expect(ran.report.tables.find(t => t.title === 'Mutants')!.rows.length).toBeGreaterThan(
    shipped.includes(`\n## ${track}\n`) ? 30 : 10,
  )
})
