import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Database, database, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said } from '../support/in_process.js'
import { type RunCase, runCases } from '../support/layout_runs.js'

/** Files of other tools on both servers: what a run of them comes to, and what it leaves. */

const invalid = async (db: Database): Promise<string[]> =>
  (
    await db.sql<{ name: string }[]>`
    select indexrelid::regclass::text as name from pg_index where not indisvalid`
  ).map(r => r.name)

async function play(
  db: Database,
  dir: string,
  { allow, steps, says = [], after = {} }: RunCase,
): Promise<void> {
  const project = await inProcess(db.url, { dir })
  const ran = await said(project.migrate({ consent: { allow: allow ?? ['CANNOT_TELL', 'WIDENS_ACCESS'] } }))
  const outcomes = Object.fromEntries(ran.steps.map(s => [s.migration, s.outcome]))
  const odd = ran.findings.filter(f => f.level !== 'info')
  expect({ outcomes, says: [...new Set(odd.map(f => f.code))].sort() }, JSON.stringify(odd, null, 1)).toEqual(
    {
      outcomes: steps,
      says,
    },
  )
  for (const [query, value] of Object.entries(after)) {
    const [row] = await db.sql.unsafe(query)
    expect(Object.values(row ?? {})[0], query).toEqual(value)
  }
  const plan = await said(project.plan())
  expect(plan.codes.filter(code => code === 'UNEXPECTED')).toEqual([])
  if (ran.verdict === 'clean') expect(plan.steps).toEqual([])
}

describe.each(servers())('files of other tools on PostgreSQL $major', server => {
  test.concurrent.each(Object.entries(runCases))('%s', async (name, run) => {
    await using db = await database(server, 'empty')
    if (run.before) await db.sql.unsafe(run.before)
    const dir = folder(run.files)
    await play(db, dir, run)
    if (run.next) {
      for (const [path, text] of Object.entries(run.next.files)) {
        mkdirSync(dirname(join(dir, path)), { recursive: true })
        writeFileSync(join(dir, path), text)
      }
      if (name.startsWith('an invalid index')) {
        expect(await invalid(db)).toEqual(['a_id'])
        await db.sql`drop index a_id`
      }
      await play(db, dir, run.next)
    }
    expect(await invalid(db)).toEqual([])
    if (run.rollback) {
      const project = await inProcess(db.url, { dir })
      const back = await said(
        project.rollback({ all: true, consent: { allow: ['DELETES_DATA'], confirm: db.name } }),
      )
      if (Array.isArray(run.rollback)) {
        expect(back.verdict).toBe('refused')
        expect(back.codes).toEqual(expect.arrayContaining(run.rollback))
      } else {
        const outcomes = back.steps.map(s => [s.migration, s.outcome])
        expect(outcomes, JSON.stringify(back.findings, null, 1)).toEqual(Object.entries(run.rollback))
        const [left] = await db.sql`select count(*)::int as n from pg_tables where schemaname = 'public'`
        expect(left!.n).toBe(0)
      }
    }
    rmSync(dir, { recursive: true, force: true })
  })
})
