import { describe, expect, test } from 'vitest'
import { openProject, type Report } from '../../src/index.js'
import { applications, type Said } from '../support/applications.js'
import { copyOf, type Database, database, some } from '../support/database.js'
import { random, seed } from '../support/random.js'
import type { Server } from '../support/servers.js'

/**
 * Between rollback and restore the old application edits, deletes and adds at random. No message is doubled,
 * none is back that was deleted, none lost, and the order is kept; what can't come back is listed.
 */

const rounds = Number(process.env.RETHREAD_ROUNDS ?? (process.env.RETHREAD_SOAK ? 200 : 1))
const changes = 60

const faults = (report: Report) => report.findings.filter(f => f.level === 'error' || f.level === 'refused')
const found = (report: Report) =>
  report.checks.flatMap(c =>
    c.level === 'error' ? c.found.map(f => `${c.check}: ${f.key} ${f.detail}`) : [],
  )
const conflicts = (report: Report) =>
  Object.fromEntries(
    report.findings.flatMap(f => (f.code === 'RESTORE_CONFLICT' ? [[f.subject, f.facts.rows]] : [])),
  )

const read = async (db: Database, query: string): Promise<Said> =>
  Object.fromEntries(
    (await db.sql.unsafe<{ key: string; said: string[] }[]>(query)).map(r => [r.key, r.said]),
  )

const kept = (s: Said): Said => Object.fromEntries(Object.entries(s).filter(([, v]) => v.length > 0))

/** A database after migrate, the new application's writes, and rollback: copied for each round. */
async function rolledBack(server: Server, track: string, whole: boolean): Promise<Database> {
  const db = await database(server, track, 300)
  const project = await openProject({ databaseUrl: db.url, track })
  const up = await project.migrate(
    whole ? { phase: 'contract', consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] } } : {},
  )
  expect([track, up.verdict, faults(up)]).toEqual([track, 'clean', []])
  await db.sql.unsafe(`create schema rethread_test; ${applications[track]!.fresh}`)
  const down = await project.rollback({
    all: true,
    consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
  })
  expect([track, down.verdict, faults(down)]).toEqual([track, 'clean', []])
  await db.sql.end()
  return db
}

async function round(origin: Database, server: Server, track: string, from: number): Promise<void> {
  const next = random(from)
  const app = applications[track]!
  await using db = await copyOf(server, origin.name)
  const project = await openProject({ databaseUrl: db.url, track })
  const said = app.modelled ? await read(db, app.expected) : {}
  if (app.modelled) expect(Object.values(said).flat().length).toBeGreaterThan(50)
  for (let n = 0; n < changes; n++) {
    const sql = app.change(next, said, n)
    if (sql !== null) await db.sql.unsafe(sql)
  }
  const expected = kept(await read(db, app.expected))
  // the model is what the old application itself reads
  if (app.modelled) expect(expected).toEqual(kept(said))
  if (next() < 0.5) {
    const up = await project.migrate()
    expect([from, up.verdict, faults(up)]).toEqual([from, 'clean', []])
  }
  const lost = app.conflicts
    ? Object.fromEntries(
        (await db.sql.unsafe(app.conflicts)).filter(r => r.rows > 0).map(r => [r.name, r.rows]),
      )
    : null
  const restored = await project.restore({ archive: 'latest' })
  const left = conflicts(restored)
  expect([from, faults(restored), found(restored)]).toEqual([from, [], []])
  expect([from, restored.verdict]).toEqual([from, Object.keys(left).length > 0 ? 'attention' : 'clean'])
  if (app.modelled) expect([from, left]).toEqual([from, {}])
  if (lost) expect([from, left]).toEqual([from, lost])
  const back = await read(db, app.said)
  expect([from, Object.fromEntries(Object.keys(expected).map(k => [k, back[k]]))]).toEqual([from, expected])
  if (!app.modelled) expect([from, Object.keys(back).sort()]).toEqual([from, Object.keys(expected).sort()])
  await project.restore({ archive: 'latest' })
  expect([from, await read(db, app.said)]).toEqual([from, back])
}

describe.each(some('newest'))('random changes between rollback and restore on PostgreSQL $major', server => {
  test.each(Object.keys(applications))(
    `%s: no message doubled, none back, none lost, order kept (${rounds} round(s) from seed ${seed})`,
    async track => {
      // a rollback of the contract phase has more to bring back
      for (const whole of rounds > 1 ? [false, true] : [seed % 2 === 0]) {
        await using origin = await rolledBack(server, track, whole)
        for (let n = 0; n < rounds; n++)
          if (rounds === 1 || (seed + n) % 2 === Number(!whole)) await round(origin, server, track, seed + n)
      }
    },
    60_000 + rounds * 20_000,
  )
})
