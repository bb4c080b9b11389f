import { expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import { database, newest } from '../support/database.js'
import { inProcess } from '../support/in_process.js'

/** A column of type json holds any text of JSON, also one that no jsonb can: whole rows are read as JSON. */
const odd = String.raw`{"a": 1,  "a": ["\\u0000 \u0000 \ud83d"]}`

test('messages without a key, whose json no jsonb can hold, are set aside and come back to the letter', async () => {
  await using db = await database(newest(), 'workspace-sessions', 40)
  await db.sql.unsafe(
    `alter table public.chats drop constraint chats_pkey cascade; alter table public.chats add column raw json`,
  )
  await db.sql`update public.chats set raw = ${odd}`
  const rows = async () =>
    (
      await db.sql<
        { row: string }[]
      >`select row(c.id, c.message, c.raw)::text as row from public.chats c order by 1`
    ).map(r => r.row)
  const before = await rows()
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  const consent = {
    allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS', 'DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[],
  }
  expect((await project.migrate()).verdict).toBe('clean')
  expect((await project.migrate({ phase: 'contract', consent })).verdict).toBe('clean')
  const [aside] = await db.sql`select count(*)::int as n from rethread_archive.quarantine`
  expect([aside!.n > 0, (await rows()).length < before.length]).toEqual([true, true])
  expect((await project.rollback({ all: true, consent: { ...consent, confirm: db.name } })).verdict).toBe(
    'clean',
  )
  expect(await rows()).toEqual(before)
  await project.close()
})

test('links of a session come from rows whose json no jsonb can hold', async () => {
  await using db = await database(newest(), 'trip-sessions', 40)
  await db.sql.unsafe(`
    alter table public.requests add column raw json, add column trip_id text;
    alter table public.conversations add column raw json; alter table public.quotes add column raw json`)
  for (const table of ['requests', 'conversations', 'quotes'])
    await db.sql.unsafe(`update public.${table} set raw = $1`, [odd])
  const project = await inProcess(db.url, { track: 'trip-sessions' })
  expect((await project.migrate()).verdict).toBe('clean')
  const [session] = await db.sql`
    select s.id, s.request_id from public.chat_sessions s
    join public.requests r on r.id = s.request_id where s.avinode_trip_id is null order by s.id limit 1`
  await db.sql`update public.requests set trip_id = 'T7' where id = ${session!.request_id}`
  const [linked] =
    await db.sql`select avinode_trip_id as trip from public.chat_sessions where id = ${session!.id}`
  expect([
    linked!.trip,
    (await db.sql`select from chat_private.behind where sqlstate is not null`).length,
  ]).toEqual(['T7', 0])
  expect(
    (await project.verify()).checks.flatMap(c => (c.outcome === 'failed' ? [c.check, c.reason] : [])),
  ).toEqual([])
  await project.close()
})
