import { expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import type { HazardCode } from '../../src/index.js'
import { type Access, type Operation, operations } from '../../src/model/project.js'
import { fitSeeds } from '../../src/verify/fit_seeds.js'
import { act } from '../../src/verify/run_check.js'
import { type Database, database, newest, root } from '../support/database.js'
import { inProcess } from '../support/in_process.js'

/**
 * The access matrix is no better than its attempts: a door is opened for each operation on purpose, and each
 * person, operation and column that it lets through must be reported, and nothing else.
 */
const tracks = discover(root).tracks
const cases = tracks.flatMap(track =>
  track.checks
    .filter(c => c.kind === 'access')
    .map(check => ({ name: `${track.name}/${check.name}`, track, check })),
)

class Rollback extends Error {}

type Tx = Parameters<Parameters<Database['sql']['begin']>[1]>[0]

/** What is reported while doors are open. */
async function reportedWith(
  db: Database,
  doors: string,
  track: (typeof tracks)[number],
  check: (typeof cases)[number]['check'],
) {
  let found: string[] = []
  await db.sql
    .begin(async (tx: Tx) => {
      await tx.unsafe(doors)
      found = (await act(tx as never, track, check, true)).found.map(f => `${f.object}: ${f.detail}`)
      throw new Rollback()
    })
    .catch(error => {
      if (!(error instanceof Rollback)) throw error
    })
  return found
}

/** The access that a file says, without what it tries. */
async function accessIn(db: Database, text: string): Promise<Access> {
  let access: Access | undefined
  await db.sql
    .begin(async (tx: Tx) => {
      access = (
        (await tx.unsafe(await fitSeeds(tx, text, new Map()))) as unknown as { access: Access }[][]
      ).at(-1)![0]!.access
      throw new Rollback()
    })
    .catch(error => {
      if (!(error instanceof Rollback)) throw error
    })
  return access!
}

/** Everybody's for some commands: the policies, the rights, and none of our triggers that object. */
const doorsOf = (tables: string[], commands: string[]): string =>
  tables
    .map(
      t => `do $$ declare object name; begin
          for object in select tgname from pg_trigger where tgrelid = '${t}'::regclass and tgname ~ '^rethread_(check|reserve|guard)_' loop
            execute format('alter table ${t} disable trigger %I', object);
          end loop;
        end $$;
        ${commands.map(c => `create policy door_${c} on ${t} for ${c} to authenticated, anon ${c === 'insert' ? '' : 'using (true)'} ${c === 'insert' || c === 'update' ? 'with check (true)' : ''}`).join(';')};
        grant ${commands.join(', ')} on ${t} to anon`,
    )
    .join(';')

/** Which commands a door needs for an operation: who changes a row must see it. */
const commandsFor: Record<Operation, string[]> = {
  select: ['select'],
  insert: ['insert'],
  update: ['select', 'update'],
  delete: ['select', 'delete'],
  move: ['select', 'update'],
}

test.each(cases)(
  '$name: every door that is opened is reported, for each person, operation and column',
  async ({ track, check }) => {
    await using db = await database(newest(), track.name, 20)
    const project = await inProcess(db.url, { track: track.name })
    const consent = { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] satisfies HazardCode[] }
    const up = await project.migrate(check.until ? {} : { phase: 'contract', consent })
    await project.close()
    expect(up.findings.filter(f => f.level === 'error')).toEqual([])
    const access = await accessIn(db, check.file.text)
    const names = Object.keys(access.personas)
    expect(await reportedWith(db, 'select', track, check)).toEqual([])
    for (const operation of operations) {
      const commands = commandsFor[operation]
      const expected = access.tables.flatMap(t => {
        const through = operations.filter(
          o => commands.includes(o) || (o === 'move' && commands.includes('update')),
        )
        return through.flatMap(o =>
          names
            .filter(name => !t.may[o]?.includes(name))
            .flatMap(name =>
              (o === 'move' ? Object.keys(t.move).map(c => `move by ${c}`) : [o]).map(
                what => `${t.table}: ${name} may ${what}, and should not`,
              ),
            ),
        )
      })
      const found = await reportedWith(
        db,
        doorsOf(
          access.tables.map(t => t.table),
          commands,
        ),
        track,
        check,
      )
      const own = found.filter(
        f =>
          access.tables.some(t => f.startsWith(`${t.table}: `)) &&
          !f.includes('without WHERE') &&
          !f.includes('select from'),
      )
      expect([operation, own.sort()]).toEqual([operation, expected.sort()])
    }
    const tables = await db.sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`
    const open = `${doorsOf(
      tables.map(t => `public.${t.name}`),
      ['select', 'insert', 'update', 'delete'],
    )};
    grant execute on all functions in schema public, chat_private to anon; grant usage on schema chat_private to anon`
    const tried = access.calls.flatMap(call =>
      (call.personas ?? names)
        .filter(name => !call.may.includes(name))
        .map(name => `${call.name}: ${name} may do it, and should not`),
    )
    const found = await reportedWith(db, open, track, check)
    expect(found.filter(f => f.endsWith('may do it, and should not')).sort()).toEqual(tried.sort())
  },
  60_000,
)
