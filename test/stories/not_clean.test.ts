import { describe, expect, test } from 'vitest'
import { type Database, database, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said, sentenceOf } from '../support/in_process.js'

/** What looks like the end of the work and is not: no verb may call it clean. */

/** A track `mine` whose rollbacks do nothing, with one check that finds nothing. */
const trackOf = (files: Record<string, string>): string => {
  const all: Record<string, string> = {
    'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
  }
  for (const [name, text] of Object.entries(files)) {
    all[`migrations/mine/${name}.sql`] = text
    all[`rollbacks/mine/${name}.sql`] = 'select 1;'
  }
  return folder(all)
}

const project = (db: Database, files: Record<string, string>) =>
  inProcess(db.url, { dir: trackOf(files), track: 'mine' })

const notes = `
  create table public.notes (id int primary key, size int, colour text);
  insert into public.notes select n, n from generate_series(1, 20) n`

/** A backfill of the notes' colour, which asks a table of rules. */
const paints = `--! phase: backfill
--! table: public.notes
--! pending: n.colour is null and n.size >= (select r.least from public.rules r)
--! irreversible: colours stay
update public.notes n set colour = 'red' where n.colour is null and n.size >= (select r.least from public.rules r);`

describe.each(servers())('PostgreSQL $major', server => {
  describe('a finished backfill that is asked again', () => {
    const rules = 'create table public.rules (least int not null); insert into public.rules values (0);'
    const before = { '1_rules': rules, '2_paint': paints }

    test('is done with where a later step has taken away what it asks for, and only there', async () => {
      await using db = await database(server, 'empty')
      await db.sql.unsafe(notes)
      const ends = `--! phase: contract
--! ends-old-app: rules are gone
drop table public.rules;`
      const consent = {
        allow: ['DELETES_DATA' as const, 'IGNORES_DRIFT' as const],
        confirm: db.name,
      }
      const mine = await project(db, { ...before, '3_end': ends })
      expect((await said(mine.migrate())).backfill[0]).toMatchObject({ rows: 20, state: 'done' })

      // somebody else has renamed a column: the question has no answer, which is not "nothing to do"
      await db.sql`alter table public.rules rename column least to smallest`
      await db.sql`insert into public.notes values (21, 21)`
      const status = await said(mine.status())
      expect([status.verdict, sentenceOf(status, 'RECHECK_FAILED')]).toEqual([
        'attention',
        expect.stringMatching(/2_paint.*r\.least.*42703/),
      ])
      const ended = await said(mine.migrate({ phase: 'contract', consent }))
      console.log(JSON.stringify(ended.findings, null, 1))
      expect([ended.verdict, ended.codes]).toEqual(['attention', expect.arrayContaining(['RECHECK_FAILED'])])
      expect(ended.steps.map(s => s.outcome)).toEqual(['not-run'])

      await db.sql`alter table public.rules rename column smallest to least`
      await db.sql`update public.notes set colour = 'blue' where id = 21`
      expect(await said(mine.migrate({ phase: 'contract', consent }))).toMatchObject({ verdict: 'clean' })
      const after = await said(mine.status())
      expect([after.verdict, after.codes]).toEqual(['clean', expect.not.arrayContaining(['RECHECK_FAILED'])])
    })
  })
})
