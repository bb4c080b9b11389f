import { Failure } from '../model/failure.js'
import { emptyReport, finding, type Report, type Table } from '../model/report.js'
import type { Workspace } from '../model/workspace.js'
import { demoSize, fillDemo, liveALittle, oldAppWrites } from '../sql/demo.js'
import { contentHash, fingerprintOf, objects } from '../sql/fingerprint.js'
import type { Root } from '../sql/types.js'
import { type Context, connect } from './context.js'
import { doctor } from './doctor.js'
import { migrate } from './migrate.js'
import { restore } from './restore.js'
import { rollback } from './rollback.js'
import { survey } from './survey.js'
import { verify } from './verify.js'

const nothing = { allow: new Set<string>(), confirm: null }
const bare = {
  to: null,
  phase: null,
  backfills: true,
  consent: nothing,
  leaseWaitMs: 1000,
  workers: 1,
  nice: 0,
  throttleQuery: null,
}

/** One station of the walk, for the table at the end. */
type Station = [what: string, verdict: string, seconds: number, seen: string]

/** Walks the life cycle on a database of its own: every step is the real command, told in a line. */
export async function demo(
  ctx: Context,
  workspace: Workspace,
  name: string,
  sources: Table,
  fixture: { shim: string; before: string; messages: number },
): Promise<Report> {
  const track = workspace.tracks.find(t => t.name === name)
  if (!track)
    throw new Failure('TRACK_UNCLEAR', name, {
      reason: 'there is no such track',
      tracks: workspace.tracks.map(t => t.name),
    })
  const tell = (text: string) => ctx.emit({ type: 'narrate', text })
  const stations: Station[] = []
  const walk = async (
    what: string,
    why: string,
    work: () => Promise<Report>,
    seen: (r: Report) => string,
  ): Promise<Report> => {
    tell(`\n$ rethread ${what}\n  ${why}`)
    const start = ctx.clock.now()
    const report = await work()
    const seconds = Math.round((ctx.clock.now() - start) / 100) / 10
    stations.push([what, report.verdict, seconds, seen(report)])
    tell(`  ${report.verdict} in ${seconds} s: ${seen(report)}`)
    return report
  }

  await using app = await connect(ctx, 'writer')
  await fillDemo(app.sql as Root, fixture)
  const size = await demoSize(app.sql as Root)
  tell(
    `A chat database as many have it: ${size.messages} messages of ${size.users} people in ${size.workspaces} workspaces, all messages of a workspace in one conversation.`,
  )
  const before = await picture(app.sql as Root)

  await walk(
    'doctor',
    'Looks at the database and at the files, writes nothing.',
    () => doctor(ctx, workspace, null, sources),
    r =>
      r.findings
        .filter(f => f.code === 'FITS')
        .map(f => `track ${f.subject} fits`)
        .join(', '),
  )
  await walk(
    'plan',
    'The dry run, in a transaction that the server holds read-only.',
    () => survey(ctx, track, bare),
    r =>
      `${r.steps.length} steps, ${r.findings.filter(f => f.code === 'OUTLOOK').length} things to know beforehand`,
  )
  await walk(
    'migrate --no-backfill',
    'Expand: the new table and column; the old application goes on as it was.',
    () => migrate(ctx, track, { ...bare, backfills: false }),
    done,
  )
  const { withSession } = await oldAppWrites(app.sql as Root)
  tell(
    `  The old application writes a message; the database gave it a session: ${withSession ? 'yes' : 'no'}.`,
  )
  await walk(
    'backfill',
    'Every message gets its session, in batches of some milliseconds, and can be stopped at any time.',
    () => migrate(ctx, track, { ...bare, phase: 'backfill' }),
    r => r.backfill.map(b => `${b.rows} rows in ${b.seconds} s`).join(', '),
  )
  await walk(
    'migrate',
    'Indexes and foreign key, without stopping anybody. It ends before what the old application would not survive.',
    () => migrate(ctx, track, bare),
    done,
  )
  await walk(
    'verify',
    'Proves it: every message has a session or stands in the quarantine with a reason.',
    () => verify(ctx, track, { only: [], failOn: 'error' }),
    passed,
  )
  await liveALittle(app.sql as Root)
  tell('  People use it: 3 new sessions with 12 messages, and one legacy session gets a name of its own.')
  const confirm = { allow: new Set(['DELETES_DATA']), confirm: ctx.url.split('/').at(-1)! }
  await walk(
    'rollback --all',
    'Without consent it only says what would be lost.',
    () => rollback(ctx, track, { to: null, steps: null, all: true, consent: nothing, leaseWaitMs: 1000 }),
    r =>
      `${r.findings
        .filter(f => f.code === 'LOSS')
        .map(f => `${f.subject}: ${f.facts.atRisk} at risk`)
        .join(', ')}`,
  )
  await walk(
    'rollback --all --allow DELETES_DATA --confirm postgres',
    'With consent: archives first, then goes back.',
    () => rollback(ctx, track, { to: null, steps: null, all: true, consent: confirm, leaseWaitMs: 1000 }),
    r =>
      r.findings
        .filter(f => f.code === 'ARCHIVED')
        .map(f => `${f.facts.rows} rows kept in archive ${f.subject}`)
        .join(', '),
  )
  const after = await picture(app.sql as Root)
  tell(
    `  Schema as before: ${same(before.schema === after.schema)}. Every message as before: ${same(await untouched(app.sql as Root, before))}.`,
  )
  await walk(
    'restore latest',
    'Brings people’s sessions back: migrates again, then merges the archive.',
    () => restore(ctx, track, { archive: 'latest', consent: nothing, leaseWaitMs: 1000 }),
    r =>
      r.findings
        .filter(f => f.code === 'RESTORED')
        .map(f => `${f.facts.rows} rows brought back or set back`)
        .join(', '),
  )
  await walk(
    'migrate',
    'Once more: there is nothing left to do.',
    () => migrate(ctx, track, bare),
    r => r.findings.map(f => f.code).join(', '),
  )
  await walk(
    'migrate --phase contract --allow ENDS_OLD_APP,QUARANTINES_ROWS',
    'The old application is gone: a session is required from now on.',
    () =>
      migrate(ctx, track, {
        ...bare,
        phase: 'contract',
        consent: { allow: new Set(['ENDS_OLD_APP', 'QUARANTINES_ROWS']), confirm: null },
      }),
    done,
  )
  const last = await walk(
    'verify',
    'And all of it holds.',
    () => verify(ctx, track, { only: [], failOn: 'error' }),
    passed,
  )

  const report = emptyReport('demo', last.target)
  report.tables.push({
    title: 'The walk',
    columns: ['command', 'verdict', 'seconds', 'seen'],
    rows: stations,
  })
  const held = before.schema === after.schema && withSession
  report.findings.push(finding('DEMO_NEXT', name, { identical: held }, held ? 'info' : 'error'))
  report.verdict = held && last.verdict === 'clean' ? 'clean' : 'failed'
  return report
}

const same = (equal: boolean): string => (equal ? 'yes, identical' : 'NO')
const done = (r: Report): string =>
  `${r.steps.filter(s => s.outcome === 'done').length} of ${r.steps.length} steps done`
const passed = (r: Report): string =>
  `${r.checks.filter(c => c.outcome === 'pass').length} checks pass, ${
    r.checks
      .filter(c => c.outcome === 'found')
      .map(c => `${c.check} found ${c.found.length}`)
      .join(', ') || 'nothing found'
  }`

interface Picture {
  schema: string
  rows: number
  hash: string
}

const columns = ['id', 'workspace_id', 'user_id', 'role', 'message', 'created_at']

async function picture(sql: Root): Promise<Picture> {
  return { schema: fingerprintOf(await objects(sql)), ...(await contentHash(sql, 'public.chats', columns)) }
}

/** The messages of before are all there as they were; what was written since stays beside them. */
async function untouched(sql: Root, before: Picture): Promise<boolean> {
  const now = await contentHash(
    sql,
    'public.chats',
    columns,
    't',
    `message is distinct from 'Written by the old application' and message is distinct from 'A first message in a session of its own'`,
  )
  return now.rows === before.rows && now.hash === before.hash
}
