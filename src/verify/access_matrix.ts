import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { type Scope, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { personasIn, readAccess } from '../files/access_file.js'
import { withoutByteOrderMark } from '../files/statements.js'
import type { Access, AccessTable, Check, Operation, Persona, Track } from '../model/project.js'
import { type Facts, type Finding, finding, type Table } from '../model/report.js'
import {
  attemptAll,
  attempts,
  become,
  becomeUs,
  copyOf,
  explainAs,
  gone,
  moved,
  reachingOut,
  rowEstimate,
  sampledRows,
  seed,
  seedRows,
  sideDoors,
  type Try,
  type TryResult,
  unreachable,
  wideUpdateLimit,
} from './probes.sql.js'

/** Longest wait for a lock and longest statement of a probe, in milliseconds: it must not be felt. */
const lockMs = 500
const probeTimeoutMs = 5000
/**
 * A table above this many rows is not read from end to end: not by what the application asks, nor by
 * a matrix that is not deep.
 */
const largeTable = 10_000

/** What a check that acts came to. */
export interface Probed {
  found: { object: string; detail: string }[]
  tables: Table[]
  findings: Finding[]
  /** Why it proved nothing, else null. */
  skipped: string | null
}

/**
 * What a probe is taken back to on a session of its own; row security stays off until it becomes somebody.
 */
export const probing =
  (connection: Connection): Scope =>
  work =>
    transaction(connection.sql)(async tx => {
      await setLocal(tx, lockMs, probeTimeoutMs)
      return work(tx)
    })

/** Work on a session of its own, in one transaction that is always rolled back. */
export async function neverLasting<T>(ctx: Context, work: (tx: Db) => Promise<T>): Promise<T> {
  await using connection = await connect(ctx, 'probe')
  return await takenBack(probing(connection), work)
}

/** Why a check that acts proves nothing here. */
type NotProved = Facts['PROBE_SKIPPED']

/** Seeds what the access file says and reads what it expects; a reason where that can't be. */
export async function prepareProbe(
  tx: Db,
  check: Check,
): Promise<{ access: Access } | { skipped: NotProved }> {
  const text = withoutByteOrderMark(check.file.text)
  // rows are seeded and changed only where that fires nothing that reaches outside of the transaction
  const outside = await reachingOut(tx, personasIn(text))
  if (outside.length > 0)
    return {
      skipped: {
        reason: `seeding would fire ${outside.join(', ')}, which reaches outside of the database`,
        roles: [],
        role: null,
      },
    }
  const read = await readAccess(await seed(tx, text))
  if ('reason' in read) throw new CantProbe(read.reason)
  const roles = [...new Set(Object.values(read.access.personas).map(p => p.role))]
  const [closed, ...more] = await unreachable(tx, roles)
  if (!closed) return read
  const names: [string, ...string[]] = [closed.name, ...more.map(r => r.name)]
  return {
    skipped: { reason: `this role may not become ${names.join(', ')}`, roles: names, role: closed.ours },
  }
}

/**
 * A check that acts could not be run at all, as when the last row of an access file
 * does not say what it should.
 */
export class CantProbe extends Error {}

/**
 * Runs an access file or a probe inside a transaction that somebody else rolls back. `deep` walks through
 * large tables for updates without a WHERE, where some of the rows are tried otherwise.
 */
export const act = (tx: Db, track: Track, check: Check, deep: boolean): Promise<Probed> =>
  check.kind === 'access' ? accessMatrix(tx, check, deep) : runProbe(tx, track, check)

/** Nothing found, nothing told. */
export const emptyProbe = (): Probed => ({ found: [], tables: [], findings: [], skipped: null })

/** Nothing was proved, and why; decision 12: that is never clean. */
const notProved = (check: Check, why: NotProved): Probed => ({
  ...emptyProbe(),
  skipped: why.reason,
  findings: [finding('PROBE_SKIPPED', check.name, why)],
})

/** Seeds, then lets every persona try every operation on every table, by every door. */
async function accessMatrix(tx: Db, check: Check, deep: boolean): Promise<Probed> {
  const ready = await prepareProbe(tx, check)
  if ('skipped' in ready) return notProved(check, ready.skipped)
  const { access } = ready
  const probed = emptyProbe()
  for (const table of access.tables) probed.tables.push(await matrixOf(tx, access, table, deep, probed.found))
  if (access.calls.length > 0) probed.tables.push(await callsOf(tx, access, probed.found))
  probed.findings.push(...(await policyCosts(tx, access)))
  return probed
}

/** What a try came to; `fault` is one of the policy or of a trigger, neither yes nor no. */
type Fate = 'allowed' | 'denied' | 'fault'

/** Each door to a table's rows, with the operation whose permission it needs. */
interface Door extends Omit<Try, 'persona'> {
  name: string
  operation: Operation
  /** Reaches for all rows: many that give way are too many, whosever they are. */
  sweeps?: boolean
}

async function doorsOf(tx: Db, t: AccessTable, deep: boolean): Promise<Door[]> {
  const some = !deep && (await rowEstimate(tx, t.table)) > largeTable ? await sampledRows(tx, t) : null
  const doors: Door[] = [
    { name: 'select', operation: 'select', statement: attempts.select(t) },
    { name: 'insert', operation: 'insert', statement: attempts.insert(t, await copyOf(tx, t)) },
    { name: 'update', operation: 'update', statement: attempts.update(t) },
    { name: 'delete', operation: 'delete', statement: attempts.delete(t), lookAfter: gone(t) },
  ]
  for (const column of Object.keys(t.move)) {
    doors.push(
      {
        name: `move by ${column}`,
        operation: 'move',
        statement: attempts.move(t, column),
        lookAfter: moved(t, column),
      },
      {
        name: `move by ${column}, without WHERE${some ? ' (a sample)' : ''}`,
        operation: 'move',
        statement: some ? attempts.sampled(t, column, some.rows) : attempts.sweep(t, column),
        ...(some && { before: some.declare }),
        lookAfter: some ? some.moved(column) : moved(t, column),
        sweeps: true,
      },
    )
  }
  for (const { name, kind } of await sideDoors(tx, t.table))
    doors.push({
      name: `select from ${kind} ${name}`,
      operation: 'select',
      statement: attempts[kind](t, name),
    })
  return doors
}

/** One table of the matrix: a row a door, a column a persona. */
async function matrixOf(
  tx: Db,
  access: Access,
  t: AccessTable,
  deep: boolean,
  found: Probed['found'],
): Promise<Table> {
  const names = Object.keys(access.personas)
  const may = (door: Door) => t.may[door.operation]
  const doors = await doorsOf(tx, t, deep)
  const tries = new Map(doors.map(door => [door, new Map<string, TryResult>()]))
  const attempt = async (through: Door[], who: string[]) => {
    const wanted = through.flatMap(door => who.map(name => ({ door, name })))
    const said = await attemptAll(
      tx,
      wanted.map(({ door, name }) => ({ ...door, persona: access.personas[name]! })),
    )
    for (const [i, { door, name }] of wanted.entries()) tries.get(door)!.set(name, said[i]!)
  }
  await attempt(
    doors.filter(d => !d.sweeps),
    names,
  )
  // a walk over the whole table that met no objection and left the owner's row alone never
  // reached it: no other will
  const outOfReach = new Map<string, TryResult>()
  for (const door of doors.filter(d => d.sweeps)) {
    for (const [name, tried] of outOfReach) tries.get(door)!.set(name, tried)
    // whoever may move rows may move all of them: nothing to learn, and all rows would be touched
    const who = names.filter(name => !may(door).includes(name) && !outOfReach.has(name))
    await attempt([door], who)
    for (const [name, tried] of tries.get(door)!)
      if (!tried.fault && !tried.seen && tried.rows < wideUpdateLimit) outOfReach.set(name, tried)
  }
  const rows = doors.map(door => [
    door.name,
    ...names.map(name => {
      const tried = tries.get(door)!.get(name)
      return tried
        ? judgeCell(
            { object: t.table, persona: name, what: door.name, may: may(door).includes(name) },
            fate(door, tried),
            tried,
            found,
          )
        : '-'
    }),
  ])
  return { title: `Who may do what: ${t.table}`, columns: ['the owner’s row', ...names], rows }
}

/**
 * What a try came to. A value that a constraint refuses has passed the policies, which are asked before:
 * somebody was let in. A fault inside a policy is a fault, never a refusal.
 */
function fate(door: Door, tried: TryResult): Fate {
  if (tried.fault) {
    const { code } = tried.fault
    if (code === '42501') return 'denied'
    // a trigger may raise what it likes before the policies are asked: only the server's own constraints come after them
    return code.startsWith('23') && tried.fault.constraint ? 'allowed' : 'fault'
  }
  if (door.sweeps) return tried.seen || tried.rows >= wideUpdateLimit ? 'allowed' : 'denied'
  if (door.lookAfter) return tried.seen ? 'allowed' : 'denied'
  return tried.rows > 0 ? 'allowed' : 'denied'
}

/** Somebody who tries something, and whether they may. */
interface Attempt {
  object: string
  persona: string
  what: string
  may: boolean
}

/** What a try came to, as the matrix shows it; what is wrong with it goes to `found`. */
function judgeCell(
  { object, persona, what, may }: Attempt,
  came: Fate,
  tried: TryResult,
  found: Probed['found'],
): string {
  if (came === (may ? 'allowed' : 'denied')) return came
  if (came === 'fault') {
    const { code, message } = tried.fault!
    found.push({ object, detail: `${persona}, ${what}: ${code}: ${message}` })
    return `error ${code}`
  }
  const why = tried.fault ? `: ${tried.fault.message}` : ''
  found.push({
    object,
    detail: may ? `${persona} may not ${what}, and should${why}` : `${persona} may ${what}, and should not`,
  })
  return `${came}, wrongly`
}

async function callsOf(tx: Db, access: Access, found: Probed['found']): Promise<Table> {
  const names = Object.keys(access.personas)
  const wanted = access.calls.flatMap(call => (call.personas ?? names).map(name => ({ call, name })))
  const said = await attemptAll(
    tx,
    wanted.map(({ call, name }) => ({ persona: access.personas[name]!, statement: call.sql })),
  )
  const rows = access.calls.map(call => [
    call.name,
    ...names.map(name => {
      const tried = said[wanted.findIndex(w => w.call === call && w.name === name)]
      if (!tried) return '-'
      const came = fate({ name: call.name, operation: 'select', statement: call.sql }, tried)
      const attempt = { object: call.name, persona: name, what: 'do it', may: call.may.includes(name) }
      return judgeCell(attempt, came, tried, found)
    }),
  ])
  return { title: 'Who may do what: attempts', columns: ['attempt', ...names], rows }
}

// biome-ignore lint/suspicious/noExplicitAny: EXPLAIN's tree has many shapes; readers check what they touch
type PlanNode = Record<string, any>

const nodesOf = (plan: PlanNode): PlanNode[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

/**
 * What the policies cost for what the application asks, by EXPLAIN as the first persona: who is asking must
 * be found out once and not for every row, and a large table must not be read from end to end.
 */
async function policyCosts(tx: Db, access: Access): Promise<Finding[]> {
  const found: Finding[] = []
  const persona: Persona = Object.values(access.personas)[0]!
  for (const t of access.tables) {
    if (t.reads === null) continue
    const plan = (await explainAs(tx, persona, t.reads)) as PlanNode | null
    if (plan === null) continue
    for (const node of nodesOf(plan)) {
      const filter = String(node.Filter ?? '')
      if (/\b(auth\.(uid|jwt|role)|current_setting)\(/.test(filter) && node['Node Type'] !== 'Result')
        found.push(finding('POLICY_PER_ROW', t.table, { filter, node: String(node['Node Type']) }))
      if (node['Node Type'] === 'Seq Scan') {
        const name = `${node.Schema}.${node['Relation Name']}`
        const size = await rowEstimate(tx, name)
        if (size > largeTable)
          found.push(finding('POLICY_SCANS', name, { rows: size, filter: filter || null }))
      }
    }
  }
  return found
}

/**
 * A probe: seeds what the track's access file says, becomes the persona, and gives
 * what the last SELECT finds.
 */
async function runProbe(tx: Db, track: Track, check: Check): Promise<Probed> {
  const access = track.checks.find(c => c.kind === 'access')
  const ready = access ? await prepareProbe(tx, access) : null
  if (ready && 'skipped' in ready) return notProved(check, ready.skipped)
  const persona = check.as === null ? null : ready?.access.personas[check.as]
  if (persona === undefined) throw new CantProbe(`persona \`${check.as}\` is not in the track’s access file`)
  if (persona) await become(tx, persona)
  const rows = await seedRows(tx, withoutByteOrderMark(check.file.text))
  await becomeUs(tx)
  return {
    ...emptyProbe(),
    found: rows.map(r => ({ object: String(r.object ?? ''), detail: String(r.detail ?? '') })),
  }
}
