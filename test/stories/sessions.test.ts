import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { render } from '../../src/index.js'
import { type Database, database, newest, root, servers } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'
import { random, seed } from '../support/random.js'

interface Info {
  sessions: { table: string; id: string; history?: string; deleted?: string }
  messages?: { table: string; session: string; to?: string; content: string }
}
const tracks = readdirSync(join(root, 'migrations'))
const infoOf = (track: string): Info =>
  JSON.parse(readFileSync(join(root, `migrations/${track}/track.json`), 'utf8'))

/** Values that are hard to keep, by the type of a column of their own. */
const hard: Record<string, string[]> = {
  numeric: ['12345678901234567890.1234567890123456789', 'NaN', '0.10', '-1e-30', 'Infinity'],
  bigint: ['9223372036854775807', '-9223372036854775808'],
  'double precision': ['0.1', '-Infinity', '1e300', '5e-324'],
  boolean: ['true', 'false'],
  json: [
    String.raw`{"b": 1, "a":2,  "b": 3, "n": 1.0, "nul": "\u0000", "big": 123456789012345678901, "half": "\ud83d"}`,
    'null',
    '"text"',
    '[ 1e400,\n "é\u202e" ]',
  ],
  jsonb: ['null', '{"x": 12345678901234567890.10, "tool_calls": [{"id": "c1"}]}', '"null"', '[]', '{}'],
  'text[]': [String.raw`{"a,b",NULL,"c\"d",""}`, '[0:1]={x,y}', '{{a,b},{c,d}}', '{}'],
  bytea: [String.raw`\x00ff5c27`, String.raw`\x`],
  timestamptz: ['infinity', '2026-03-29 02:30:00.123456+02', '0044-03-15 00:00:00+00 BC'],
  timestamp: ['2026-10-25 02:30:00.000001', '-infinity'],
  interval: ['1 year -2 days +03:04:05.678901', '-00:00:00.000001'],
  int8range: ['[1,9)', 'empty', '(,)'],
  text: [
    '',
    'null',
    ' \t\r\n\u0085\u202e\u2028\ufeff 👩‍👩‍👧 ##[error]::warning::x',
    String.raw`\x41 \\ "quoted" 'single' $1 %I`,
  ],
  'character(5)': ['ab', '  x'],
  'varchar(3)': ['äöü'],
  uuid: ['00000000-0000-0000-0000-000000000000'],
  inet: ['::1/64', '10.0.0.1'],
  mood: ['so "so"', 'ok'],
  pair: [`(1,"a ""b"", c")`, '(,)'],
}

/** A database of a track that is applied whole, whose sessions and messages have columns of every kind. */
async function chats(server = newest(), track = 'workspace-sessions', columns = hard): Promise<Database> {
  const db = await database(server, track, 120)
  const mine = await inProcess(db.url, { track })
  const consent = {
    allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS', 'WIDENS_ACCESS', 'HIDES_ROWS', 'SHOWS_ROWS'] as never[],
    rows: 1000,
  }
  expect((await said(mine.migrate({ phase: 'contract', consent }))).verdict).toBe('clean')
  await db.sql.unsafe(
    `set demo.writes = 40; ${readFileSync(join(root, `examples/${track}/new_app.sql`), 'utf8')}`,
  )
  const { sessions, messages } = infoOf(track)
  const types = Object.keys(columns)
  await db.sql.unsafe(`
    create type public.mood as enum ('ok', 'so "so"');
    create type public.pair as (a int, b text);
    ${[sessions.table, ...(messages ? [messages.table] : [])]
      .map(
        table => `alter table ${table} ${types.map((type, i) => `add column h${i} ${type.replace(/^(mood|pair)$/, 'public.$1')}`).join(', ')},
          add column "odd ""name""" int default 7, add column doubled text generated always as (h${types.indexOf('text')} || '!') stored,
          add column numbered bigint generated always as identity;`,
      )
      .join('\n')}`)
  return db
}

/** Writes hard values into each row of a table. */
async function harden(db: Database, table: string, next: () => number): Promise<void> {
  const rows = await db.sql.unsafe<{ place: string }[]>(`select ctid::text as place from ${table}`)
  for (const { place } of rows) {
    const set = Object.values(hard).map((values, i) => {
      const value = values[Math.floor(next() * (values.length + 1))]
      return {
        set: `h${i} = $${i + 1}::text::${Object.keys(hard)[i]!.replace(/^(mood|pair)$/, 'public.$1')}`,
        value: value ?? null,
      }
    })
    await db.sql.unsafe(
      `update ${table} set ${set.map(s => s.set).join(', ')} where ctid = '${place}'`,
      set.map(s => s.value) as never[],
    )
  }
}

/** Every value of every row of some tables as text. */
async function contents(db: Database, tables: string[]): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const table of tables) {
    const columns = await db.sql<{ name: string }[]>`
      select attname::text as name from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`
    const texts = columns.map(c => `"${c.name.replaceAll('"', '""')}"::text`)
    found[table] = await db.sql.unsafe(
      `select ${texts.map((t, i) => `${t} as "${columns[i]!.name.replaceAll('"', '""')}"`).join(', ')} from ${table} order by ${texts.join(', ')}`,
    )
  }
  return found
}

describe.each(servers())('sessions on PostgreSQL $major', server => {
  test.each(tracks)('exported, deleted and imported, a session of %s is what it was', async track => {
    await using db = await chats(server, track)
    const { sessions, messages } = infoOf(track)
    const next = random(seed)
    // what follows a message goes with its session too
    const followers = messages
      ? `create table public.reactions (id bigint generated always as identity primary key, emoji text, message_id ${await typeOf(db, messages.table, 'id')} references ${messages.table} (id) on delete cascade);
         insert into public.reactions (emoji, message_id) select '👍🏽', id from ${messages.table};`
      : ''
    await db.sql.unsafe(followers)
    const tables = [sessions.table, ...(messages ? [messages.table, 'public.reactions'] : [])]
    await db.sql`alter table ${db.sql(sessions.table)} disable trigger user`
    await harden(db, sessions.table, next)
    await db.sql`alter table ${db.sql(sessions.table)} enable trigger user`
    if (messages) {
      await db.sql`alter table ${db.sql(messages.table)} disable trigger user`
      await harden(db, messages.table, next)
      await db.sql`alter table ${db.sql(messages.table)} enable trigger user`
    }
    const project = await inProcess(db.url, { track })
    const ids = await db.sql.unsafe<{ id: string }[]>(
      `select s.${sessions.id}::text as id from ${sessions.table} s order by md5(s.${sessions.id}::text || $1) limit 2`,
      [String(seed)],
    )
    for (const { id } of ids) {
      const before = await contents(db, tables)
      const exported = await project.exportSession({ id })
      expect(exported.findings).toEqual([])
      // as a file of the command has it: the session within a report
      const file = await render(exported, 'json')
      expect(JSON.parse(file).session.tables.map((t: { table: string }) => t.table)).toContain(sessions.table)
      await db.sql.unsafe(`delete from ${sessions.table} where ${sessions.id}::text = $1`, [id])
      expect(await contents(db, tables), `seed ${seed}`).not.toEqual(before)
      const imported = await said(project.importSession({ session: file }))
      expect(imported, `seed ${seed}`).toMatchObject({ verdict: 'clean', codes: ['SESSION_PUT'] })
      expect(imported.findings[0]!.facts).toMatchObject({ derived: [] })
      expect(await contents(db, tables), `seed ${seed}`).toEqual(before)
      // and the numbers that come next are beyond those that came back
      const again = await said(project.importSession({ session: exported.session! }))
      expect(again.codes).toEqual(['SESSION_THERE'])
    }
  })
})

const typeOf = async (db: Database, table: string, column: string): Promise<string> => {
  const [row] = await db.sql<{ type: string }[]>`
    select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = ${table}::regclass and attname = ${column}`
  return row!.type
}
