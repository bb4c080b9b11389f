import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { newKeywords, partText, quotedPart } from '../../src/model/table_name.js'
import { rethread, undoAll } from '../support/cli.js'
import { database, inTurn, newest, open, root, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { hostileTrack } from '../support/hostile_track.js'

/** Everything that a name may hold, up to its last byte; and names that only need their quotes. */
const styles: [what: string, style: string | string[], long: boolean][] = [
  ['to 63 bytes', `It's "1,0.0%" \\d $1 é💬`, true],
  // those that stand for tables and columns first; some only need their quotes in some places
  [
    'reserved words and two words',
    'table user group order select values left end do Two_Words case,when check constraint default distinct between analyse foreign'
      .split(' ')
      .map(word => word.replace('_', ' ')),
    false,
  ],
]

/** Every word that a server has for itself, and words that look like one. */
describe.each(servers())('names as SQL on PostgreSQL $major', server => {
  test('are written as the server writes them, keywords included', async () => {
    const sql = open(server.url, 1)
    const rows = await sql<{ word: string; quoted: string }[]>`
      select word, quote_ident(word) as quoted from (
        select word from pg_get_keywords()
        union all select unnest(array['users', 'User', 'a$b', '1st', 'é', 'a b', 'a"b', 'a.b', 'a,b', '_x', ''])) w`
    await sql.end()
    const asNewest = (word: string, quoted: string) =>
      newKeywords.includes(word) ? quotedPart(word) : quoted
    expect(rows.filter(r => partText(r.word) !== asNewest(r.word, r.quoted))).toEqual([])
    expect(rows.length).toBeGreaterThan(400)
  })
})

describe.each(servers())('names that need quotes, on PostgreSQL $major', server => {
  const test = inTurn(server)

  test.each(styles)('every command works on a track of names: %s', async (_, style, long) => {
    await using db = await database(server, 'empty')
    const role = `R ${typeof style === 'string' ? style.slice(0, 12) : 'reserved'} ${randomBytes(4).toString('hex')}`
    await db.sql.unsafe(`create role ${partText(role)} nologin`)
    try {
      const track = hostileTrack(style, long, role)
      await db.sql.unsafe(track.before)
      const cwd = track.folder
      const [start] = await db.sql.unsafe<{ n: number }[]>(`select count(*)::int as n from ${track.messages}`)
      const run = async (...args: string[]) => {
        const ran = await rethread(db.url, args, { cwd })
        const said = JSON.stringify(ran.report, null, 1)
        const loud = ran.report.findings.filter(f => f.level === 'error' || f.level === 'refused')
        expect(
          ran.report.steps.filter(s => s.outcome === 'failed').map(s => [s.migration, s.reason]),
        ).toEqual([])
        return {
          ...ran,
          said,
          loud: loud.map(f => `${args[0]}: ${f.message}`),
          codes: ran.report.findings.map(f => f.code),
        }
      }
      const good = async (...args: string[]) => {
        const ran = await run(...args)
        expect([args.join(' '), ran.loud, ran.code]).toEqual([args.join(' '), [], 0])
        return ran
      }
      expect((await good('doctor')).codes).toContain('FITS')
      writeFileSync(join(cwd, 'old.sql'), track.oldApp)
      expect((await good('plan')).report.steps.map(s => s.migration.slice(0, 3))).toEqual([
        '001',
        '002',
        '003',
        '004',
      ])
      await good('plan', '--rehearse', '--old-app', 'old.sql')
      await good('migrate', '--phase', 'expand', '--allow', 'WIDENS_ACCESS')
      await good('plan', '--sample')
      await good('backfill', '--workers', '2')
      await good('migrate')
      await good('migrate', '--phase', 'contract', '--allow', 'ENDS_OLD_APP')
      const migrated = await db.sql.unsafe<{ n: number; without: number }[]>(
        `select count(*)::int as n, count(*) filter (where ${track.column('session')} is null)::int as without from ${track.messages}`,
      )
      expect(migrated[0]).toEqual({ n: start!.n, without: 5 })
      await good('status')
      const verified = await run('verify')
      expect([
        verified.loud,
        verified.report.checks.filter(c => c.outcome === 'failed' || (c.outcome === 'found' && counts(c))),
      ]).toEqual([[], []])
      expect(verified.report.checks.filter(c => c.outcome === 'pass').map(c => c.check)).toEqual(
        expect.arrayContaining([
          'access',
          'columns',
          'functions',
          'grants',
          'indexes',
          'policies',
          'triggers',
          'with_session',
        ]),
      )
      await good('prove')
      const listed = (await good('sessions', 'list', '--owner', 'owner 1')).report.tables[0]!
      expect(listed.rows.length).toBe(1)
      await good('sessions', 'show', String(listed.rows[0]![0]))
      await good('stats')
      await db.sql.unsafe(
        `update ${track.sessions} set ${track.column('owner')} = ${track.column('owner')} || ' ''of'' %'`,
      )
      const down = await good('rollback', ...undoAll(db.name))
      expect(down.codes).toContain('ARCHIVED')
      const back = await run('restore', 'latest', '--allow', 'ENDS_OLD_APP,WIDENS_ACCESS')
      expect(back.loud).toEqual([])
      expect(back.codes).toContain('RESTORED')
      await good('restore', '--list')
      const pruned = await run('prune', '--older-than', '1d', '--apply', '--allow', 'PRUNES_MOST')
      expect([pruned.code, pruned.loud]).toEqual([0, []])
      await good('prune', '--older-than', '1d', '--delete')
      await good('rollback', ...undoAll(db.name))
      const [after] = await db.sql.unsafe<{ n: number }[]>(`select count(*)::int as n from ${track.messages}`)
      expect(after!.n).toBe(start!.n)
    } finally {
      await db.sql.unsafe(`drop owned by ${partText(role)}; drop role ${partText(role)}`)
    }
  })
})

test('a command of a report can be pasted into a shell, whatever database and files are called', async () => {
  const odd = "it's $(touch owned) `touch owned`; touch owned #"
  const file = (table: string) =>
    `-- migrate:up\ncreate table public.${table} (id int);\n-- migrate:down\ndrop table public.${table};\n`
  const cwd = folder({
    'db/migrations/1_first.sql': file('first'),
    [`db/migrations/2_${odd}.sql`]: file('second'),
    'db/migrations/3_third.sql': file('third'),
  })
  const admin = open(newest().url, 1)
  const name = `${odd} ${randomBytes(4).toString('hex')}`
  await admin.unsafe(`create database ${partText(name)}`)
  const url = new URL(newest().url)
  url.pathname = `/${encodeURIComponent(name)}`
  const paste = (line: string | null | undefined): string =>
    execFileSync('sh', ['-c', line!.replace(/^rethread/, 'node "$main"')], {
      cwd,
      env: { PATH: process.env.PATH, DATABASE_URL: url.href, main: join(root, 'dist/cli/main.js') },
      encoding: 'utf8',
    })
  try {
    const migrated = await rethread(url.href, ['migrate', '--dir', '.'], { cwd })
    const cost = migrated.report.findings.find(f => f.code === 'ROLLBACK_COST')
    const some = await rethread(url.href, ['rollback', '--dir', '.', '--steps', '1'], { cwd })
    expect([migrated.code, some.code, some.report.verdict]).toEqual([0, 3, 'refused'])
    const to = await rethread(url.href, ['rollback', '--dir', '.', '--to', `2_${odd}`], { cwd })
    expect(paste(to.report.summary.need!.command)).toContain('clean')
    expect(paste(cost?.fix)).toContain('clean')
    expect(existsSync(join(cwd, 'owned'))).toBe(false)
  } finally {
    await admin.unsafe(`drop database ${partText(name)} with (force)`)
    await admin.end()
  }
})
